//! Candidates as a file, so that a restart reads them at the speed of the disk, and makes no lists anew.
//!
//! The form: the layout of the index with its length before it (none: 0), then parts of items, each with its length and
//! CRC-32 before it, then a part of length 0. Numbers are little-endian. An item is the JSON of all but its vector with
//! its length before it, the number of its list, and its vector as it is searched.

use super::{Candidates, State};
use crate::index::{Index, Layout};
use crate::{CatalogDefinition, Item};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::{self, Read, Write};

/// Items of a part: copying them takes about a millisecond, for which puts wait.
const PART: usize = 500;
/// Largest part or layout that is believed, in bytes: the largest items there may be come to half of it.
const LARGEST: u32 = 1 << 28;

/// All of an item but its vector.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    tags: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    expires_at: Option<jiff::Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    added_at: Option<jiff::Timestamp>,
    #[serde(borrow, skip_serializing_if = "Option::is_none", default)]
    payload: Option<&'a RawValue>,
}

impl Candidates {
    /// Writes what is there, a part at a time, while it may change: what is put, changed or removed meanwhile may be in it
    /// or not, everything else is.
    ///
    /// # Errors
    /// When it cannot be written; or, of kind `Interrupted`, when lists were made anew meanwhile: try again later.
    pub fn write_snapshot(&self, out: &mut impl Write) -> io::Result<()> {
        let layout = self.read().index.layout().cloned();
        sized(out, &layout.as_ref().map(Layout::to_bytes).unwrap_or_default())?;
        let mut from = Some(0);
        while let Some(first) = from {
            let (part, next) = self.read().part(first)?;
            // An empty one would say that there are no more.
            if !part.is_empty() {
                out.write_all(&crc32fast::hash(&part).to_le_bytes())?;
                sized(out, &part)?;
            }
            from = next;
        }
        out.write_all(&[0; 8])?;
        if self.read().index.layout() == layout.as_ref() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::Interrupted, "the lists of the index were made anew meanwhile"))
        }
    }

    /// What [`Self::write_snapshot`] wrote of a catalog of this definition.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged, or is another catalog's.
    pub fn read_snapshot(definition: CatalogDefinition, input: &mut impl Read) -> io::Result<Self> {
        let dimension = definition.indexed_dimension();
        let bytes = read_sized(input)?;
        let mut candidates = Self::new(definition);
        let state = candidates.state.get_mut();
        if !bytes.is_empty() {
            let layout = Layout::from_bytes(&bytes).map_err(damaged)?;
            state.index = Index::with_layout(dimension, candidates.definition.metric, layout).map_err(damaged)?;
        }
        loop {
            let mut checksum = [0; 4];
            input.read_exact(&mut checksum)?;
            let part = read_sized(input)?;
            if part.is_empty() {
                return Ok(candidates);
            }
            if crc32fast::hash(&part) != u32::from_le_bytes(checksum) {
                return Err(damaged("a part of it was changed"));
            }
            let mut rest = &part[..];
            while !rest.is_empty() {
                rest = state.take_in(rest, dimension).ok_or_else(|| damaged("a part of it cannot be read"))?;
            }
        }
    }
}

impl State {
    /// Items from slot `first` on, and where the next part begins.
    fn part(&self, first: u32) -> io::Result<(Vec<u8>, Option<u32>)> {
        let placements = self.index.placements(first, PART);
        let mut bytes = Vec::new();
        for (slot, list) in placements.lists {
            let (Some(entry), Some(vector)) = (self.entries.get(slot), self.index.vector(slot)) else { continue };
            let tags = entry.tags.iter().map(|tag| self.entries.name(*tag).into()).collect();
            let (expires_at, added_at) = (entry.expires_at, entry.added_at);
            let head = Head { id: (&*entry.id).into(), tags, expires_at, added_at, payload: entry.payload.as_deref() };
            sized(&mut bytes, &serde_json::to_vec(&head)?)?;
            bytes.extend(list.to_le_bytes());
            bytes.extend(vector.iter().flat_map(|v| v.to_le_bytes()));
        }
        Ok((bytes, placements.next))
    }

    /// Takes in the item that `bytes` begin with, and gives the rest.
    fn take_in<'a>(&mut self, bytes: &'a [u8], dimension: usize) -> Option<&'a [u8]> {
        let (length, bytes) = bytes.split_first_chunk::<4>()?;
        let (head, bytes) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let (list, bytes) = bytes.split_first_chunk::<4>()?;
        let (vector, rest) = bytes.split_at_checked(dimension.checked_mul(4)?)?;
        let (numbers, _) = vector.as_chunks::<4>();
        let head: Head<'_> = serde_json::from_slice(head).ok()?;
        let item = Item {
            id: head.id.into_owned(),
            vector: numbers.iter().map(|v| f32::from_le_bytes(*v)).collect(),
            tags: head.tags.into_iter().map(Cow::into_owned).collect(),
            expires_at: head.expires_at,
            added_at: head.added_at,
            payload: head.payload.map(ToOwned::to_owned),
            text: None,
        };
        let slot = self.entries.put(&item);
        self.index.insert_at(slot, &item.vector, u32::from_le_bytes(*list));
        Some(rest)
    }
}

fn sized(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|n| *n <= LARGEST);
    let length = length.ok_or_else(|| io::Error::other("a part of a snapshot is too large"))?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

fn read_sized(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LARGEST {
        return Err(damaged("a length in it is beyond belief"));
    }
    let mut bytes = Vec::new();
    input.take(length.into()).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == u64::from(length) { Ok(bytes) } else { Err(damaged("it is cut off")) }
}

fn damaged(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
