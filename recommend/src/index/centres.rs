//! The centres that lists are around.

use super::block::{Coded, List};
use super::code::{Query, ROWS};
use super::kernel::Kernel;

/// Centres as searches of the nearest read them: their codes, and half the squares of their lengths.
#[derive(Debug, Default)]
pub(super) struct Centres {
    codes: List,
    half_squares: Vec<f32>,
}

impl Centres {
    pub(super) fn new<'a>(centres: impl Iterator<Item = &'a [f32]>) -> Self {
        let mut all = Self::default();
        for (number, centre) in (0_u32..).zip(centres) {
            all.codes.push(&Coded::new(number, centre));
            all.half_squares.push(centre.iter().map(|v| v * v).sum::<f32>() / 2.0);
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.half_squares.len()
    }

    /// The number of the nearest centre by the distance, 0 if there is none. The square of the distance is least where
    /// the inner product less half the square of the centre's length is greatest. By codes alone: a list that is next
    /// to the nearest does as well.
    pub(super) fn nearest(&self, kernel: Kernel, vector: &[f32]) -> u32 {
        if self.len() <= 1 {
            return 0;
        }
        let query = Query::new(vector.to_vec());
        #[expect(clippy::cast_possible_truncation, reason = "an estimate")]
        let length = query.length as f32;
        let (mut nearest, mut greatest) = (0, f32::NEG_INFINITY);
        for ((block, used), half) in self.codes.blocks().zip(self.half_squares.chunks(ROWS)) {
            let scores = kernel.estimates(block, &query);
            for ((number, score), half) in block.slot.iter().zip(scores).zip(half).take(used) {
                let score = score * length - half;
                if score > greatest {
                    (nearest, greatest) = (*number, score);
                }
            }
        }
        nearest
    }

    /// Scores of the centres with a query at length 1, and their numbers.
    pub(super) fn scores(&self, kernel: Kernel, query: &Query) -> Vec<(f32, u32)> {
        let mut scores = Vec::with_capacity(self.len());
        for (block, used) in self.codes.blocks() {
            scores.extend(kernel.estimates(block, query).into_iter().zip(block.slot).take(used));
        }
        scores
    }

    pub(super) fn bytes(&self, dimension: usize) -> usize {
        self.codes.bytes(dimension) + self.half_squares.capacity() * size_of::<f32>()
    }
}
