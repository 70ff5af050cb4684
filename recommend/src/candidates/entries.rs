//! What is known of each item beside its vector, by the slot that its vector has in the index.

use crate::Item;
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Bytes of an entry beside its texts: its place, its names' counts, its rows in two maps.
const ENTRY_BYTES: usize = 240;
/// Bytes of a tag of an entry: its number, and the slot among the tag's holders.
const TAG_BYTES: usize = 12;

/// Bytes of a tag that some item has, beside its name: a row in each of two maps, and the first of its holders.
const NAME_BYTES: usize = 200;

/// One item.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: Arc<str>,
    /// Numbers of its tags, without repeats.
    pub(super) tags: Box<[u32]>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) payload: Option<Arc<RawValue>>,
    pub(super) added_at: Option<Timestamp>,
    /// Grows from one put to the next.
    pub(super) arrival: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Entries {
    by_slot: Vec<Option<Entry>>,
    free: Vec<u32>,
    slots: HashMap<Arc<str>, u32>,
    tags: Tags,
    expiries: BTreeSet<(Timestamp, u32)>,
    arrivals: BTreeSet<(u64, u32)>,
    bytes: usize,
    arrived: u64,
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.tags.bytes
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Entry> {
        self.by_slot.get(slot as usize)?.as_ref()
    }

    /// One more than the last slot that was ever in use at once.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.by_slot.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn slot(&self, id: &str) -> Option<u32> {
        self.slots.get(id).copied()
    }

    /// Puts what is known of an item, and tells its slot: the one that it has, or a free one.
    pub(super) fn put(&mut self, item: &Item) -> u32 {
        let before = self.slot(&item.id).map(|slot| (slot, self.take(slot)));
        let (slot, id) = match before {
            Some((slot, Some(old))) => (slot, old.id),
            _ => (self.free.pop().unwrap_or_else(|| self.grow()), item.id.as_str().into()),
        };
        let named: BTreeSet<&String> = item.tags.iter().collect();
        let tags: Box<[u32]> = named.into_iter().map(|tag| self.tags.add(tag, slot)).collect();
        self.arrived += 1;
        let payload = item.payload.clone().map(Arc::from);
        let (expires_at, added_at) = (item.expires_at, item.added_at);
        let entry = Entry { id, tags, expires_at, payload, added_at, arrival: self.arrived };
        self.slots.insert(entry.id.clone(), slot);
        self.expiries.extend(entry.expires_at.map(|at| (at, slot)));
        self.arrivals.insert((entry.arrival, slot));
        self.bytes += bytes(&entry);
        self.by_slot[slot as usize] = Some(entry);
        slot
    }

    /// Takes an item out and tells which slot is free now.
    pub(super) fn remove(&mut self, id: &str) -> Option<u32> {
        let slot = self.slots.remove(id)?;
        self.take(slot);
        self.free.push(slot);
        if self.slots.is_empty() {
            // Whoever emptied the catalog gets its memory back.
            let arrived = self.arrived;
            *self = Self { arrived, ..Self::default() };
        }
        Some(slot)
    }

    /// Items that expired by `now`, the earliest first.
    pub(super) fn expired(&self, now: Timestamp, most: usize) -> Vec<Arc<str>> {
        let due = self.expiries.iter().take_while(|(at, _)| *at <= now).take(most);
        due.filter_map(|(_, slot)| Some(self.get(*slot)?.id.clone())).collect()
    }

    /// Slots, the latest put first.
    pub(super) fn newest(&self) -> impl Iterator<Item = u32> {
        self.arrivals.iter().rev().map(|(_, slot)| *slot)
    }

    /// The number of a tag that some item has.
    pub(super) fn tag(&self, name: &str) -> Option<u32> {
        self.tags.numbers.get(name).copied()
    }

    /// What a tag is called.
    pub(super) fn tag_name(&self, tag: u32) -> &Arc<str> {
        &self.tags.holders[tag as usize].0
    }

    /// The name of a tag that some item has.
    pub(super) fn name(&self, tag: u32) -> &str {
        self.tag_name(tag)
    }

    /// Slots of the items that have a tag.
    pub(super) fn holders(&self, tag: u32) -> &HashSet<u32> {
        &self.tags.holders[tag as usize].1
    }

    fn grow(&mut self) -> u32 {
        self.by_slot.push(None);
        // Slots are as many as items in memory: far fewer than there are numbers.
        u32::try_from(self.by_slot.len() - 1).unwrap_or(u32::MAX)
    }

    fn take(&mut self, slot: u32) -> Option<Entry> {
        let entry = self.by_slot.get_mut(slot as usize)?.take()?;
        for &tag in &entry.tags {
            self.tags.remove(tag, slot);
        }
        if let Some(at) = entry.expires_at {
            self.expiries.remove(&(at, slot));
        }
        self.arrivals.remove(&(entry.arrival, slot));
        self.bytes -= bytes(&entry);
        Some(entry)
    }
}

fn bytes(entry: &Entry) -> usize {
    let payload = entry.payload.as_ref().map_or(0, |p| p.get().len());
    ENTRY_BYTES + entry.id.len() + payload + entry.tags.len() * TAG_BYTES
}

/// Names of tags as numbers, each as long as an item has it.
#[derive(Debug, Default)]
struct Tags {
    numbers: HashMap<Arc<str>, u32>,
    /// By number: the name, and who has it.
    holders: Vec<(Arc<str>, HashSet<u32>)>,
    free: Vec<u32>,
    bytes: usize,
}

impl Tags {
    fn add(&mut self, name: &str, slot: u32) -> u32 {
        let number = self.numbers.get(name).copied().unwrap_or_else(|| {
            let name: Arc<str> = name.into();
            let number = self.free.pop().unwrap_or_else(|| {
                self.holders.push((name.clone(), HashSet::new()));
                u32::try_from(self.holders.len() - 1).unwrap_or(u32::MAX)
            });
            self.holders[number as usize].0 = name.clone();
            self.bytes += name.len() + NAME_BYTES;
            self.numbers.insert(name, number);
            number
        });
        self.holders[number as usize].1.insert(slot);
        number
    }

    fn remove(&mut self, number: u32, slot: u32) {
        let (name, holders) = &mut self.holders[number as usize];
        holders.remove(&slot);
        if holders.is_empty() {
            self.numbers.remove(&**name);
            self.bytes -= name.len() + NAME_BYTES;
            *holders = HashSet::new();
            self.free.push(number);
        }
    }
}
