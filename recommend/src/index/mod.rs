//! Vectors of one dimension under numbers ("slots") that the caller gives out, searched by inner product or cosine.

use crate::Metric;
use std::collections::HashMap;

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
    rows: HashMap<u32, Vec<f32>>,
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
    pub fn new(_dimension: usize, metric: Metric) -> Self {
        Self { metric, rows: HashMap::new() }
    }

    /// How many vectors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Puts a vector that passed [`crate::check_vector`] in its slot, in place of what was there.
    pub fn insert(&mut self, slot: u32, vector: &[f32]) {
        self.rows.insert(slot, self.placed(vector));
    }

    /// Empties a slot; false if it was.
    pub fn remove(&mut self, slot: u32) -> bool {
        self.rows.remove(&slot).is_some()
    }

    /// A slot's vector as searches see it: under [`Metric::Cosine`] at length 1.
    #[must_use]
    pub fn vector(&self, slot: u32) -> Option<&[f32]> {
        self.rows.get(&slot).map(Vec::as_slice)
    }

    /// Bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.values().map(|row| row.len() * 4).sum()
    }

    /// The best `k` among those that `accept` takes, best first, equal ones by slot. `accept` is asked for those alone
    /// that would be among the best.
    pub fn search(&self, query: &[f32], k: usize, accept: impl Fn(u32) -> bool) -> Vec<Hit> {
        let accepted = self.rows.keys().copied().filter(|&slot| accept(slot));
        let mut hits = self.score(query, accepted);
        hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot)));
        hits.truncate(k);
        hits
    }

    /// Scores of these slots, those without a vector left out, in their order.
    pub fn score(&self, query: &[f32], slots: impl IntoIterator<Item = u32>) -> Vec<Hit> {
        let query = self.placed(query);
        let score = |slot: u32| {
            let row = self.rows.get(&slot)?;
            Some(Hit { slot, score: row.iter().zip(&query).map(|(a, b)| a * b).sum() })
        };
        slots.into_iter().filter_map(score).collect()
    }

    fn placed(&self, vector: &[f32]) -> Vec<f32> {
        match self.metric {
            Metric::Cosine => unit(vector).unwrap_or_else(|| vec![0.0; vector.len()]),
            Metric::InnerProduct => vector.to_vec(),
        }
    }
}
