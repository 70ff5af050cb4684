//! The best of a scan.

use super::Hit;
use std::cmp::Ordering;

/// A row, by the bounds of its score with a query at length 1.
#[derive(Debug, Clone, Copy)]
struct Bounded {
    lower: f32,
    upper: f32,
    slot: u32,
}

/// Rows that may be among the best `k` of those seen.
#[derive(Debug)]
pub(super) struct Best {
    k: usize,
    /// At least `k` rows have this score or more; endless below while there are fewer.
    floor: f32,
    rows: Vec<Bounded>,
    /// How many rows there may be before the floor is raised and those below it are dropped.
    limit: usize,
}

/// How many rows ahead vectors are brought from memory. What one takes to come is some two hundred nanoseconds, what
/// one takes to be scored a fifth of that.
const AHEAD: usize = 24;

/// Fewest rows between two raises of the floor.
const STRIDE: usize = 32;

impl Best {
    pub(super) fn new(k: usize) -> Self {
        Self { k, floor: f32::NEG_INFINITY, rows: Vec::new(), limit: k.saturating_add(k.max(STRIDE)) }
    }

    /// What a score must reach to be among the best.
    pub(super) fn floor(&self) -> f32 {
        self.floor
    }

    /// Adds a row that reaches the floor.
    pub(super) fn offer(&mut self, slot: u32, lower: f32, upper: f32) {
        let lower = if lower.is_nan() { f32::NEG_INFINITY } else { lower };
        self.rows.push(Bounded { lower, upper, slot });
        if self.rows.len() >= self.limit {
            self.raise();
            self.limit = (self.rows.len() + self.k.saturating_mul(2).max(STRIDE)).max(self.rows.len() * 3 / 2);
        }
    }

    /// Raises the floor to the `k`-th lower bound, and drops the rows that do not reach it. Whether there are `k`.
    pub(super) fn raise(&mut self) -> bool {
        if self.rows.len() < self.k {
            return false;
        }
        let (_, least, _) = self.rows.select_nth_unstable_by(self.k - 1, |a, b| b.lower.total_cmp(&a.lower));
        let floor = least.lower;
        // A bound that is not a number reaches everything.
        self.rows.retain(|row| row.upper.partial_cmp(&floor).is_none_or(Ordering::is_ge));
        self.floor = floor;
        true
    }

    /// The best by their exact scores, best first, equal ones by slot. The `k` with the greatest bounds are scored
    /// first: the least of them spares most of the others the same. `length` is the query's.
    pub(super) fn exact(mut self, length: f64, ahead: impl Fn(u32), score: impl Fn(u32) -> Option<f32>) -> Vec<Hit> {
        self.raise();
        let first = self.k.min(self.rows.len());
        if first < self.rows.len() {
            self.rows.select_nth_unstable_by(first, |a, b| b.upper.total_cmp(&a.upper));
        }
        let mut rest = self.rows.split_off(first);
        let mut hits = Vec::with_capacity(2 * first);
        let mut add = |rows: &[Bounded]| {
            rows.iter().take(AHEAD).for_each(|row| ahead(row.slot));
            for (i, row) in rows.iter().enumerate() {
                if let Some(next) = rows.get(i + AHEAD) {
                    ahead(next.slot);
                }
                hits.extend(score(row.slot).map(|score| Hit { slot: row.slot, score }));
            }
            hits.iter().map(|hit| f64::from(hit.score)).fold(f64::INFINITY, f64::min)
        };
        let least = add(&self.rows);
        // A query of zeros scores 0 with every row.
        let least = if length > 0.0 { least / length } else { 0.0 };
        rest.retain(|row| row.upper.is_nan() || f64::from(row.upper) >= least);
        add(&rest);
        let order = |a: &Hit, b: &Hit| b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot));
        if self.k < hits.len() {
            hits.select_nth_unstable_by(self.k, order);
            hits.truncate(self.k);
        }
        hits.sort_unstable_by(order);
        hits
    }
}
