//! What an index takes.
//!
//! A vector of dimension `d` takes `4·d + 8·⌈d / 8⌉ + 29` bytes, 669 for 128 numbers:
//!
//! | bytes | for |
//! |---|---|
//! | 4·d | the vector |
//! | 4 + 0.4 | its slot, and its share of a chunk's head |
//! | 8·⌈d / 8⌉ | its code |
//! | 4 + 4 + 4 + 0.5 | its scale, slack and slot in the list, and its share of a block's head |
//! | 4 + 8 | where the slot's vector is, and where its code |
//!
//! Beside that, what is begun and not full: up to 64 vectors, up to 32 codes for each list, up to 1,024 slots; and with
//! lists 4·d + 8·⌈d / 8⌉ + 16 bytes for each centre. A training takes as much as the codes again, and the sample: 40
//! vectors for each list.

/// Bytes that an index has allocated, by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// The vectors in single precision.
    pub vectors: usize,
    /// Their codes, with scales, bounds and slots.
    pub codes: usize,
    /// What finds a slot's vector and code, and the centres of the lists.
    pub places: usize,
    /// What is noted while there is a training.
    pub noted: usize,
}

impl Memory {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> usize {
        self.vectors + self.codes + self.places + self.noted
    }
}

impl super::Index {
    /// What it takes.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let (vectors, found) = self.rows.bytes();
        let (codes, places) = self.lists.bytes(self.rows.dimension());
        let noted = self.noted.as_ref().map_or(0, |noted| noted.capacity() * size_of::<u32>());
        Memory { vectors, codes, places: found + places, noted }
    }
}
