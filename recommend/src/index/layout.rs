//! What training finds, and how it is kept over a restart.

use super::Index;
use super::lists::Lists;
use crate::Metric;

/// The first byte of a layout's bytes: which form the rest has.
const FORM: u8 = 1;

/// Bytes before the centres: form, dimension, margin, rows, unevenness.
const HEAD: usize = 1 + 4 + 4 + 8 + 8;

/// The centres that lists are around, and how far from a query lists are searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    pub(super) dimension: usize,
    /// Numbers of the centres, one centre after the other.
    pub(super) numbers: Vec<f32>,
    /// How far below the least of the best a centre's score may be for its list to be searched, for a query at length 1.
    pub(super) margin: f32,
    /// How many vectors there were.
    pub(super) trained: u64,
    /// How uneven lists were.
    pub(super) unevenness: f64,
}

/// Why bytes are no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Written by another version of this program.
    #[error("the layout of the vector index has form {0}, and only form {FORM} is known: have the lists made anew")]
    Form(u8),
    /// Cut off or changed.
    #[error("the layout of the vector index is damaged: have the lists made anew")]
    Damaged,
    /// Of another catalog, or of this one with another definition.
    #[error("the layout is of vectors of {has} numbers, and the index has {needs}: have the lists made anew")]
    Dimension {
        /// What it has.
        has: usize,
        /// What the index needs.
        needs: usize,
    },
}

impl Layout {
    pub(super) fn centres(&self) -> impl Iterator<Item = &[f32]> {
        self.numbers.chunks_exact(self.dimension.max(1))
    }

    pub(super) fn bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<f32>()
    }

    /// How many lists there are.
    #[must_use]
    pub fn lists(&self) -> usize {
        self.numbers.len() / self.dimension.max(1)
    }

    /// As bytes, numbers little-endian: form (1), dimension (4), margin (4), rows (8), unevenness (8), the centres'
    /// numbers (4 each), and the CRC-32 of all before it (4).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + 4 * self.numbers.len() + 4);
        bytes.push(FORM);
        bytes.extend(u32::try_from(self.dimension).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(self.margin.to_le_bytes());
        bytes.extend(self.trained.to_le_bytes());
        bytes.extend(self.unevenness.to_le_bytes());
        bytes.extend(self.numbers.iter().flat_map(|v| v.to_le_bytes()));
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// What [`Self::to_bytes`] made bytes of.
    ///
    /// # Errors
    /// Bytes of another form, cut off, or changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LayoutError> {
        match bytes.first() {
            Some(&FORM) => Self::read(bytes).ok_or(LayoutError::Damaged),
            Some(&form) => Err(LayoutError::Form(form)),
            None => Err(LayoutError::Damaged),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (bytes, checksum) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(bytes) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (_, rest) = bytes.split_first()?;
        let (dimension, rest) = rest.split_first_chunk::<4>()?;
        let (margin, rest) = rest.split_first_chunk::<4>()?;
        let (trained, rest) = rest.split_first_chunk::<8>()?;
        let (unevenness, rest) = rest.split_first_chunk::<8>()?;
        let (numbers, []) = rest.as_chunks::<4>() else { return None };
        let layout = Self {
            dimension: u32::from_le_bytes(*dimension) as usize,
            numbers: numbers.iter().map(|v| f32::from_le_bytes(*v)).collect(),
            margin: f32::from_le_bytes(*margin),
            trained: u64::from_le_bytes(*trained),
            unevenness: f64::from_le_bytes(*unevenness),
        };
        let whole = layout.dimension > 0 && layout.numbers.len().is_multiple_of(layout.dimension);
        whole.then_some(layout)
    }
}

/// A part of where vectors are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placements {
    /// Slots in their order, each with its list.
    pub lists: Vec<(u32, u32)>,
    /// Where the next part begins; none after the last.
    pub next: Option<u32>,
}

impl Index {
    /// An empty index whose lists are those of an earlier one's [`Self::layout`]: with its vectors put in by
    /// [`Self::insert_at`], searches find what they found there.
    ///
    /// # Errors
    /// A layout of another dimension.
    pub fn with_layout(dimension: usize, metric: Metric, layout: Layout) -> Result<Self, LayoutError> {
        if layout.dimension != dimension {
            return Err(LayoutError::Dimension { has: layout.dimension, needs: dimension });
        }
        Ok(Self { lists: Lists::new(Some(layout)), ..Self::new(dimension, metric) })
    }

    /// What training found; none before the first.
    #[must_use]
    pub fn layout(&self) -> Option<&Layout> {
        self.lists.layout()
    }

    /// Lists of at most so many slots, from this one on.
    #[must_use]
    pub fn placements(&self, from: u32, most: usize) -> Placements {
        let lists: Vec<(u32, u32)> = self.lists.placements(from).take(most).collect();
        let more = lists.len() == most;
        let next = lists.last().filter(|_| more).and_then(|(slot, _)| slot.checked_add(1));
        Placements { lists, next }
    }

    /// Like [`Self::insert`], with the list that [`Self::placements`] had, which spares looking for the nearest; as
    /// [`Self::insert`] does if there is no such list.
    pub fn insert_at(&mut self, slot: u32, vector: &[f32], list: u32) {
        if (list as usize) < self.lists.count() {
            let vector = self.placed(vector);
            self.put(slot, &vector, list);
            // Not new: it was there when the lists were made, or was counted by an index before this one.
            self.fresh -= 1;
        } else {
            self.insert(slot, vector);
        }
    }
}
