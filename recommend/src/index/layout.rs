//! Where the lists of an index are.

/// What training finds: the centres that lists are around, and how far from a query lists are searched.
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

impl Layout {
    pub(super) fn centres(&self) -> impl Iterator<Item = &[f32]> {
        self.numbers.chunks_exact(self.dimension.max(1))
    }

    pub(super) fn bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<f32>()
    }
}
