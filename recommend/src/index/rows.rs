//! Vectors in single precision, dense.

use super::slots::Slots;
use std::num::NonZeroU32;

/// Vectors of a chunk.
const CHUNK: usize = 64;

/// Vectors one after the other in chunks, so that memory grows by a chunk, nothing is copied when it does, and the
/// last one's is given back when it is empty: the last vector moves to where one was taken out.
#[derive(Debug)]
pub(super) struct Rows {
    dimension: usize,
    len: usize,
    chunks: Vec<Chunk>,
    /// Where a slot's vector is, from 1.
    at: Slots<NonZeroU32>,
}

#[derive(Debug)]
struct Chunk {
    numbers: Box<[f32]>,
    slots: Box<[u32; CHUNK]>,
}

impl Rows {
    pub(super) fn new(dimension: usize) -> Self {
        Self { dimension, len: 0, chunks: Vec::new(), at: Slots::default() }
    }

    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, slot: u32) -> Option<&[f32]> {
        let row = self.at.get(slot)?.get() as usize - 1;
        Some(&self.chunks[row / CHUNK].numbers[row % CHUNK * self.dimension..][..self.dimension])
    }

    fn get_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.chunks[row / CHUNK].numbers[row % CHUNK * self.dimension..][..self.dimension]
    }

    /// Puts a vector in an empty slot.
    pub(super) fn insert(&mut self, slot: u32, vector: &[f32]) {
        let row = self.len;
        if row.is_multiple_of(CHUNK) {
            let numbers = vec![0.0; CHUNK * self.dimension].into_boxed_slice();
            self.chunks.push(Chunk { numbers, slots: Box::new([0; CHUNK]) });
        }
        self.get_mut(row).copy_from_slice(vector);
        self.len += 1;
        self.place(slot, row);
    }

    pub(super) fn remove(&mut self, slot: u32) -> bool {
        let Some(row) = self.at.take(slot).map(|row| row.get() as usize - 1) else { return false };
        let last = self.len - 1;
        if row != last {
            let (from, start) = (last / CHUNK, last % CHUNK * self.dimension);
            let (moved, range) = (self.chunks[from].slots[last % CHUNK], start..start + self.dimension);
            if from == row / CHUNK {
                self.chunks[from].numbers.copy_within(range, row % CHUNK * self.dimension);
            } else {
                let (before, rest) = self.chunks.split_at_mut(from);
                before[row / CHUNK].numbers[row % CHUNK * self.dimension..][..self.dimension]
                    .copy_from_slice(&rest[0].numbers[range]);
            }
            self.place(moved, row);
        }
        self.len = last;
        if last.is_multiple_of(CHUNK) {
            self.chunks.pop();
            if self.chunks.len() * 4 <= self.chunks.capacity() {
                self.chunks.shrink_to(self.chunks.len() * 2);
            }
        }
        true
    }

    fn place(&mut self, slot: u32, row: usize) {
        self.chunks[row / CHUNK].slots[row % CHUNK] = slot;
        if let Some(row) = u32::try_from(row + 1).ok().and_then(NonZeroU32::new) {
            self.at.set(slot, row);
        }
    }

    /// Slots with a vector from this one on, in their order.
    pub(super) fn slots_from(&self, slot: u32) -> impl Iterator<Item = u32> {
        self.at.from(slot).map(|(slot, _)| slot)
    }

    /// Slots in the order of rows.
    pub(super) fn slot_of(&self, row: usize) -> Option<u32> {
        (row < self.len).then(|| self.chunks[row / CHUNK].slots[row % CHUNK])
    }

    /// Bytes of the vectors, and of what finds them.
    pub(super) fn bytes(&self) -> (usize, usize) {
        let chunks = self.chunks.len() * CHUNK;
        let found = self.chunks.capacity() * size_of::<Chunk>() + chunks * size_of::<u32>() + self.at.bytes();
        (chunks * self.dimension * size_of::<f32>(), found)
    }
}
