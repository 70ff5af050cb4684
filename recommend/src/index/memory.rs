//! What an index takes.

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
