//! Vectors of one dimension under numbers ("slots") that the caller gives out, searched by inner product or cosine.

mod best;
mod block;
mod centres;
mod code;
mod kernel;
mod layout;
mod lists;
mod memory;
mod rows;
mod slots;
#[cfg(test)]
mod tests;
mod training;

use crate::Metric;
use best::Best;
use block::Coded;
use code::Query;
use kernel::Kernel;
pub use layout::{Layout, LayoutError, Placements};
use lists::Lists;
pub use memory::Memory;
use rows::Rows;
pub use training::Training;

/// A vector that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Whose it is.
    pub slot: u32,
    /// Its inner product with the query; under [`Metric::Cosine`] of both at length 1.
    pub score: f32,
}

/// Vectors, and how the nearest are found.
#[derive(Debug)]
pub struct Index {
    metric: Metric,
    kernel: Kernel,
    rows: Rows,
    lists: Lists,
    /// How many trainings were begun.
    epoch: u64,
    /// Slots that were changed while there is a training.
    noted: Option<Vec<u32>>,
    /// How many vectors were put in since lists were made.
    fresh: u64,
}

/// The vector at length 1; none if it has no direction in single precision.
#[must_use]
pub fn unit(vector: &[f32]) -> Option<Vec<f32>> {
    let square: f64 = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
    let length = square.sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "vectors are of single precision")]
    let scaled: Vec<f32> = vector.iter().map(|v| (f64::from(*v) / length) as f32).collect();
    (length > 0.0 && scaled.iter().all(|v| v.is_finite())).then_some(scaled)
}

impl Index {
    /// An empty index.
    #[must_use]
    pub fn new(dimension: usize, metric: Metric) -> Self {
        Self {
            metric,
            kernel: Kernel::best(),
            rows: Rows::new(dimension),
            lists: Lists::new(None),
            epoch: 0,
            noted: None,
            fresh: 0,
        }
    }

    /// How many vectors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }

    /// Puts a vector that passed [`crate::check_vector`] in its slot, in place of what was there.
    pub fn insert(&mut self, slot: u32, vector: &[f32]) {
        let vector = self.placed(vector);
        let list = self.lists.centres().nearest(self.kernel, &vector);
        self.put(slot, &vector, list);
    }

    fn put(&mut self, slot: u32, vector: &[f32], list: u32) {
        self.remove(slot);
        self.fresh += 1;
        self.note(slot);
        self.rows.insert(slot, vector);
        self.lists.push(list, &Coded::new(slot, vector));
    }

    /// Empties a slot; false if it was.
    pub fn remove(&mut self, slot: u32) -> bool {
        self.lists.remove(slot);
        let was = self.rows.remove(slot);
        if was {
            self.note(slot);
        }
        was
    }

    fn note(&mut self, slot: u32) {
        if let Some(noted) = &mut self.noted {
            noted.push(slot);
        }
    }

    /// A slot's vector as searches see it: under [`Metric::Cosine`] at length 1.
    #[must_use]
    pub fn vector(&self, slot: u32) -> Option<&[f32]> {
        self.rows.get(slot)
    }

    /// The best `k` among those that `accept` takes, best first, equal ones by slot. `accept` is asked for those alone
    /// that would be among the best.
    pub fn search(&self, query: &[f32], k: usize, accept: impl Fn(u32) -> bool) -> Vec<Hit> {
        if k == 0 {
            return Vec::new();
        }
        let query = Query::new(self.placed(query));
        let best = self.lists.search(self.kernel, &query, k, accept);
        self.rescore(best, &query)
    }

    fn rescore(&self, best: Best, query: &Query) -> Vec<Hit> {
        let ahead = |slot| {
            if let Some(row) = self.rows.get(slot) {
                self.kernel.prefetch(row);
            }
        };
        best.exact(query.length, ahead, |slot| self.exact(slot, &query.row))
    }

    /// Scores of these slots, those without a vector left out, in their order.
    pub fn score(&self, query: &[f32], slots: impl IntoIterator<Item = u32>) -> Vec<Hit> {
        let query = self.placed(query);
        let score = |slot: u32| Some(Hit { slot, score: self.exact(slot, &query)? });
        slots.into_iter().filter_map(score).collect()
    }

    /// The score that is told: the inner product in double precision, rounded; zeros have no sign.
    fn exact(&self, slot: u32, query: &[f32]) -> Option<f32> {
        #[expect(clippy::cast_possible_truncation, reason = "scores are of single precision")]
        let score = self.kernel.dot(self.rows.get(slot)?, query) as f32;
        Some(score + 0.0)
    }

    fn placed(&self, vector: &[f32]) -> Vec<f32> {
        match self.metric {
            Metric::Cosine => unit(vector).unwrap_or_else(|| vec![0.0; vector.len()]),
            Metric::InnerProduct => vector.to_vec(),
        }
    }
}
