//! Percentile bootstrap of whole estimators (Efron & Tibshirani 1993, "An introduction to the bootstrap", ch. 13).
//!
//! Numerators and denominators of self-normalised estimators are resampled together: holding Σ w fixed would leave out
//! a part of their variance. All estimators share one set of resamples.

use super::estimators::{Estimate, TERMS, Terms, Tuning};
use super::{Log, count};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution};
use std::collections::HashMap;

/// How to bootstrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// Resamples, at least 100; the bounds' Monte-Carlo error is about 1 % of the width with 10,000.
    pub resamples: usize,
    /// Equal seeds give equal intervals.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 10_000, seed: 0 }
    }
}

/// A binomial draw costs about as much as drawing this many rows.
const BINOMIAL_COST: usize = 16;

pub(super) fn add_intervals(estimates: &mut [Estimate], log: &Log<'_>, tuning: Tuning, bootstrap: Bootstrap) {
    let rows = log.rewards.len();
    let mut rng = ChaCha8Rng::seed_from_u64(bootstrap.seed);
    let resamples = bootstrap.resamples.max(100);
    let terms: Vec<Terms> = log.terms(tuning).collect();
    let mut values = vec![Vec::with_capacity(resamples); estimates.len()];
    let mut keep = |sums: &Terms| {
        for (estimate, values) in estimates.iter().zip(&mut values) {
            // A resample without weight has no ratio; it is left out.
            values.extend(sums.estimate(estimate.estimator, count(rows)));
        }
    };
    match groups(&terms) {
        Some(groups) => (0..resamples).for_each(|_| keep(&multinomial(&groups, rows as u64, &mut rng))),
        None => (0..resamples).for_each(|_| {
            let mut sums = Terms::default();
            for _ in 0..rows {
                sums.add(1.0, &terms[rng.random_range(0..rows)]);
            }
            keep(&sums);
        }),
    }
    for (estimate, mut values) in estimates.iter_mut().zip(values) {
        values.sort_unstable_by(f64::total_cmp);
        estimate.bootstrap = quantile(&values, 0.025).zip(quantile(&values, 0.975)).map(|(low, high)| [low, high]);
    }
}

/// Rows that add the same to every sum, with how many there are; none if there are too many different ones for this to
/// be faster. Resampling n rows is the same as drawing the groups' sizes from a multinomial: nothing is approximated.
fn groups(terms: &[Terms]) -> Option<Vec<(Terms, u64)>> {
    let most = terms.len() / BINOMIAL_COST;
    let mut places: HashMap<[u64; TERMS], usize> = HashMap::new();
    let mut groups: Vec<(Terms, u64)> = Vec::new();
    for t in terms {
        let known = groups.len();
        let place = *places.entry(t.0.map(f64::to_bits)).or_insert(known);
        match groups.get_mut(place) {
            Some((_, n)) => *n += 1,
            None if known == most => return None,
            None => groups.push((*t, 1)),
        }
    }
    // The largest first: what is left over for the many small ones is then often nothing.
    groups.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    Some(groups)
}

/// Sums over `rows` draws: sizes of the groups one after the other, each binomial given those before.
fn multinomial(groups: &[(Terms, u64)], rows: u64, rng: &mut ChaCha8Rng) -> Terms {
    let mut sums = Terms::default();
    let (mut left, mut behind) = (rows, rows);
    for (terms, size) in groups {
        if left == 0 {
            break;
        }
        #[expect(clippy::cast_precision_loss, reason = "rows stay below 2^53")]
        let share = (*size as f64 / behind as f64).min(1.0);
        // The last group's share is 1, and shares are probabilities, so that there always is a distribution.
        let n = Binomial::new(left, share).map_or(left, |b| b.sample(rng));
        #[expect(clippy::cast_precision_loss, reason = "rows stay below 2^53")]
        sums.add(n as f64, terms);
        (left, behind) = (left - n, behind - size);
    }
    sums
}

/// Quantile by linear interpolation between order statistics.
fn quantile(sorted: &[f64], p: f64) -> Option<f64> {
    let place = p * count(sorted.len().checked_sub(1)?);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let below = place as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    Some(low + (place - place.floor()) * (high - low))
}
