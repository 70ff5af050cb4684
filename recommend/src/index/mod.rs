//! Vectors of one dimension under numbers ("slots") that the caller gives out, searched by inner product or cosine.
//!
//! # The exact search
//!
//! A scan is bound by how fast memory is read, so it reads codes of a byte a number instead of floats, and scores in
//! single precision only the rows that the codes cannot rule out. That is not a matter of luck, as each code comes with
//! a bound. A row is `x = s·c + r`, with `s` the row's scale, `c` whole numbers from -127 to 127 and `r` what rounding
//! left; the query at length 1 is `q = t·d + p`, with `d` of 13 bits. What a scan has is the whole number `c·d`. Then
//!
//! ```text
//! q·x − s·t·(c·d)  =  q·r + p·(s·c)                      since q·x = q·(s·c) + q·r  and  q·(s·c) = s·t·(c·d) + p·(s·c)
//! |q·x − s·t·(c·d)|  ≤  ‖q‖·‖r‖ + ‖p‖·‖s·c‖              Cauchy–Schwarz
//!                    ≤  ‖r‖ + s·127·√dimension·‖p‖       as ‖q‖ = 1 and no number of c is beyond 127
//! ```
//!
//! `‖r‖` is kept with each row (its `slack`), `127·√dimension·‖p‖` is known once for a query (its `reach`), and both
//! have room for the rounding of the bound itself and of the score. A row is among the best `k` only if its upper
//! bound reaches the `k`-th greatest lower bound of all; those rows are few (about `2k` in 512 dimensions), and are
//! scored in double precision. So what is found is what a scan in double precision would find, up to scores that
//! single precision cannot tell apart. Bounds that overflow rule nothing out.
//!
//! # The approximate search
//!
//! From [`MIN_LISTED`] rows on, they are worth being kept in lists, each around a centre that k-means found
//! on a sample (an inverted file). There are `4·√rows` of them. A search scores the centres, then scans lists as above,
//! the best centre's first, until the next centre scores more than a margin below the `k`-th best row so far. So a
//! query amid one cluster ends after a few lists, one between many goes on, and one whose filter takes few rows goes
//! on until it has `k` or the lists end. Training sets the margin: it searches everything for 256 vectors (rows, and
//! sums of two), and takes the margin that finds 99.7 % of their best ten. Within the lists that are scanned a
//! search is exact.
//!
//! Lists are dense, so a change costs microseconds, leaves nothing behind, and does not wear recall down; what makes
//! lists old is that rows are many more, many fewer, or others than when they were made ([`Index::training_due`]).
//!
//! # Training while in use
//!
//! ```
//! # use recommend::{Metric, index::Index};
//! # use std::sync::{PoisonError, RwLock};
//! # let lock = RwLock::new(Index::new(8, Metric::Cosine));
//! # let (read, write) = (|| lock.read().unwrap_or_else(PoisonError::into_inner), || lock.write().unwrap_or_else(PoisonError::into_inner));
//! if read().training_due() {
//!     let mut training = write().begin_training(); // microseconds
//!     while training.step(&read()) {} // some milliseconds each, and the lock is free between them
//!     let old = write().finish_training(training); // takes over what changed since the last step
//!     drop(old); // frees the former lists, without a lock
//! }
//! ```
//!
//! # Over a restart
//!
//! Keep [`Layout::to_bytes`] and the [`Index::placements`] beside the vectors; [`Index::with_layout`] and
//! [`Index::insert_at`] bring the index back without k-means and without looking for nearest centres.

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
pub(crate) use kernel::Kernel;
pub use layout::{Layout, LayoutError, Placements};
use lists::Lists;
pub use memory::Memory;
use rows::Rows;
pub use training::{MIN_LISTED, Training};

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

    /// Notes a change for the training. One that so many pass by was forgotten, or is out of date: it is given up.
    fn note(&mut self, slot: u32) {
        let Some(noted) = &mut self.noted else { return };
        noted.push(slot);
        if noted.len() > 2 * self.rows.len() + 100_000 {
            self.noted = None;
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

    /// What [`Self::search`] finds for each of these queries, `accept` being told which it is asked for. Rows that are
    /// scanned whole are read once for all of them, a block at a time, which stays in the nearest cache meanwhile.
    pub fn search_many(&self, queries: &[&[f32]], k: usize, accept: impl Fn(usize, u32) -> bool) -> Vec<Vec<Hit>> {
        if k == 0 {
            return vec![Vec::new(); queries.len()];
        }
        let queries: Vec<Query> = queries.iter().map(|query| Query::new(self.placed(query))).collect();
        let best = self.lists.search_many(self.kernel, &queries, k, accept);
        best.into_iter().zip(&queries).map(|(best, query)| self.rescore(best, query)).collect()
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
