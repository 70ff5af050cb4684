//! The centres that lists are around.

use super::block::{Coded, List};
use super::code::{Query, ROWS};
use super::kernel::Kernel;

/// Centres as searches of the nearest read them: their codes, and half the squares of their lengths.
#[derive(Debug, Default)]
pub(super) struct Centres {
    codes: List,
    /// By blocks; endless where a block has no centre.
    half_squares: Vec<[f32; ROWS]>,
}

impl Centres {
    pub(super) fn new<'a>(centres: impl Iterator<Item = &'a [f32]>) -> Self {
        let mut all = Self::default();
        for (number, centre) in (0_u32..).zip(centres) {
            all.codes.push(&Coded::new(number, centre));
            let lane = number as usize % ROWS;
            if lane == 0 {
                all.half_squares.push([f32::INFINITY; ROWS]);
            }
            if let Some(last) = all.half_squares.last_mut() {
                last[lane] = centre.iter().map(|v| v * v).sum::<f32>() / 2.0;
            }
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.codes.len()
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
        // The best of each lane, and its number: no branch until all are seen.
        let (mut greatest, mut numbers) = ([f32::NEG_INFINITY; ROWS], [0_u32; ROWS]);
        for ((block, _), half) in self.codes.blocks().zip(&self.half_squares) {
            let scores = kernel.estimates(block, &query);
            for i in 0..ROWS {
                let score = scores[i] * length - half[i];
                let better = score > greatest[i];
                greatest[i] = if better { score } else { greatest[i] };
                numbers[i] = if better { block.slot[i] } else { numbers[i] };
            }
        }
        let lanes = greatest.into_iter().zip(numbers);
        lanes.min_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))).map_or(0, |(_, number)| number)
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
        self.codes.bytes(dimension) + self.half_squares.capacity() * size_of::<[f32; ROWS]>()
    }
}
