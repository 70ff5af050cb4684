//! Looking at the items of a catalog. A lock is held for some thousand items at a time: lists do not wait for who looks.

use super::{Candidates, State};
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Slots looked at under one lock.
const AT_ONCE: u32 = 4_096;
/// Vectors looked at under one lock.
const VECTORS_AT_ONCE: usize = 64;

/// An item as people look at it, without its vector.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its id.
    pub id: Arc<str>,
    /// Its tags, each once, in order.
    pub tags: Vec<Arc<str>>,
    /// From when on it is in no list.
    pub expires_at: Option<Timestamp>,
    /// When it was first put, if that is known.
    pub added_at: Option<Timestamp>,
    /// What its owner sent with it.
    pub payload: Option<Arc<RawValue>>,
}

/// Which items to look at. All conditions hold at once; empty ones for any item.
#[derive(Debug, Clone, Copy, Default)]
pub struct Browse<'a> {
    /// How its id begins.
    pub id: &'a str,
    /// How one of its tags begins.
    pub tag: &'a str,
    /// The id that the page comes after.
    pub after: Option<&'a str>,
    /// Items of a page.
    pub limit: usize,
}

/// Items that were found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// In order of id.
    pub items: Vec<Shown>,
    /// How many meet the conditions, those before the page included.
    pub total: usize,
    /// Whether there are more behind these.
    pub more: bool,
}

/// An item's place in the space.
#[derive(Debug, Clone)]
pub struct Placed<T> {
    /// Whose.
    pub id: Arc<str>,
    /// Its tags, each once, in order.
    pub tags: Vec<Arc<str>>,
    /// What was made of its vector.
    pub place: T,
}

impl Candidates {
    /// A page of the live items. Time grows with the catalog (about 50 ms for a million items), memory with the page.
    #[must_use]
    pub fn browse(&self, asked: &Browse<'_>, now: Timestamp) -> Found {
        let mut found: BTreeMap<Arc<str>, Shown> = BTreeMap::new();
        let (mut total, mut more, mut from) = (0, false, 0);
        loop {
            let state = self.read();
            let to = state.entries.end().min(from + AT_ONCE);
            // Names of tags may be given anew between two locks.
            let mut known: HashSet<u32> = HashSet::new();
            let mut others: HashSet<u32> = HashSet::new();
            for slot in from..to {
                let Some(entry) = state.entries.get(slot) else { continue };
                let tagged = |tag: &u32| {
                    known.contains(tag)
                        || !others.contains(tag) && {
                            let meets = state.entries.tag_name(*tag).starts_with(asked.tag);
                            if meets {
                                known.insert(*tag)
                            } else {
                                others.insert(*tag)
                            };
                            meets
                        }
                };
                if entry.expires_at.is_some_and(|at| at <= now)
                    || !entry.id.starts_with(asked.id)
                    || !asked.tag.is_empty() && !entry.tags.iter().any(tagged)
                {
                    continue;
                }
                total += 1;
                if asked.after.is_some_and(|after| *entry.id <= *after) {
                    continue;
                }
                let full = found.len() >= asked.limit;
                if full && found.last_key_value().is_none_or(|(last, _)| entry.id > *last) {
                    more = true;
                    continue;
                }
                found.extend(state.shown(slot).map(|shown| (shown.id.clone(), shown)));
                if found.len() > asked.limit {
                    found.pop_last();
                    more = true;
                }
            }
            if to == state.entries.end() {
                break;
            }
            from = to;
        }
        Found { items: found.into_values().collect(), total, more }
    }

    /// One item, if it is there.
    #[must_use]
    pub fn item(&self, id: &str) -> Option<Shown> {
        let state = self.read();
        state.shown(state.entries.slot(id)?)
    }

    /// When an item was first put, if it is there; none within, if nobody noted it.
    #[must_use]
    pub fn added_at(&self, id: &str) -> Option<Option<Timestamp>> {
        let state = self.read();
        Some(state.entries.get(state.entries.slot(id)?)?.added_at)
    }

    /// An item's vector as searches see it, also of one that ended lately.
    #[must_use]
    pub fn vector(&self, id: &str) -> Option<Vec<f32>> {
        self.read().vector_of(id).map(<[f32]>::to_vec)
    }

    /// At most `most` live items, evenly spread over all, each with what `make` says of its vector.
    pub fn sample<T>(&self, most: usize, now: Timestamp, make: impl Fn(&[f32]) -> Option<T>) -> Vec<Placed<T>> {
        let end = self.read().entries.end() as usize;
        let most = most.clamp(1, end.max(1));
        let slots: Vec<u32> =
            (0..most).filter_map(|n| u32::try_from(n * end / most).ok()).filter(|_| end > 0).collect();
        let mut sample = Vec::new();
        for some in slots.chunks(VECTORS_AT_ONCE) {
            let state = self.read();
            sample.extend(some.iter().filter_map(|slot| {
                let live = state.entries.get(*slot).filter(|e| e.expires_at.is_none_or(|at| at > now))?;
                let place = make(state.index.vector(*slot)?)?;
                Some(Placed { id: live.id.clone(), tags: state.tags_of(*slot), place })
            }));
        }
        sample
    }
}

impl State {
    pub(super) fn shown(&self, slot: u32) -> Option<Shown> {
        let entry = self.entries.get(slot)?;
        Some(Shown {
            id: entry.id.clone(),
            tags: self.tags_of(slot),
            expires_at: entry.expires_at,
            added_at: entry.added_at,
            payload: entry.payload.clone(),
        })
    }

    pub(super) fn tags_of(&self, slot: u32) -> Vec<Arc<str>> {
        let tags = self.entries.get(slot).map_or(&[][..], |entry| &entry.tags);
        tags.iter().map(|tag| self.entries.tag_name(*tag).clone()).collect()
    }
}
