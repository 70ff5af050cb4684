//! One list, pure: a pool with what is known of it, and a seed, go in; an order with its probabilities comes out.

use super::CandidateArms;
use crate::beta::Beta;
use crate::draw::Odds;
use crate::experiment::Experiment;
use crate::key::DecisionId;
use crate::policy::{PolicyKind, generator, rank, shuffled};
use rand::RngExt;

/// Rate of a catalog that nothing is known of, and the trials that this guess counts for: few, so that a shop's first hour
/// outweighs it.
const USUAL: (f64, f64) = (0.05, 20.0);
/// Bounds of a prior's rate, and the least of its parameters, within which quadrature is exact.
const LEAST_RATE: f64 = 1e-6;
const LEAST: f64 = 1e-3;

/// How often anything of a catalog succeeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BaseRate(f64);

impl BaseRate {
    /// From the weighted successes and failures of all arms.
    #[must_use]
    pub fn of(successes: f64, failures: f64) -> Self {
        let (rate, trials) = USUAL;
        Self((successes + rate * trials) / (successes + failures + trials))
    }

    /// The rate, between 0 and 1.
    #[must_use]
    pub fn rate(self) -> f64 {
        self.0
    }
}

/// How the items of one pool are put in order.
///
/// An item's prior has the base rate's log-odds, raised by `similarity_weight` for each standard deviation of similarity
/// within the pool, and counts for `strength` trials. Thompson sampling orders draws from prior and counts; `fixed` keeps
/// the pool's own order. Instead of that, a floor f gives a uniformly random order to a share K f of lists of K items, and
/// the holdout keeps the pool's order. So the probability of item i at position j is
/// h [i = j] + (1 − h)(K f / K + (1 − K f) πᵢⱼ), with holdout share h and the rule's own πᵢⱼ.
#[derive(Debug, Clone)]
pub struct CandidatePolicy {
    /// What is drawn from, in the pool's order.
    beliefs: Vec<Beta>,
    thompson: bool,
    explore: f64,
    holdout: f64,
}

impl CandidatePolicy {
    /// For a pool in the order that it has without the experiment: each item's similarity, and its weighted successes and
    /// failures. None unless the experiment takes candidates.
    #[must_use]
    pub fn new(experiment: &Experiment, base: BaseRate, pool: &[(f64, [f64; 2])]) -> Option<Self> {
        let spec = experiment.candidates.as_ref()?;
        let similarities: Vec<f64> = pool.iter().map(|(similarity, _)| *similarity).collect();
        let by = experiment.policy.posterior_scale().powi(2);
        let belief = |(prior, (_, [successes, failures])): (Beta, &(f64, [f64; 2]))| Beta {
            alpha: ((prior.alpha + successes) / by).max(LEAST),
            beta: ((prior.beta + failures) / by).max(LEAST),
        };
        Some(Self {
            beliefs: priors(spec, base, &similarities).into_iter().zip(pool).map(belief).collect(),
            thompson: experiment.policy.kind == PolicyKind::Thompson,
            explore: (count(pool.len()) * experiment.policy.floor).min(1.0),
            holdout: experiment.holdout,
        })
    }

    /// What draws are from, in the pool's order.
    #[must_use]
    pub fn beliefs(&self) -> &[Beta] {
        &self.beliefs
    }

    /// Deals the first `length` places: indices into the pool. Seeded as every draw is.
    #[must_use]
    pub fn draw(&self, id: DecisionId, version: u64, held_out: bool, length: usize) -> Vec<usize> {
        let (items, mut rng) = (self.beliefs.len(), generator(id, version));
        let length = length.min(items);
        let plain = (0..items).collect();
        if held_out {
            return (0..length).collect();
        }
        if self.explore > 0.0 && rng.random::<f64>() < self.explore {
            return shuffled(plain, length, &mut rng);
        }
        if !self.thompson {
            return (0..length).collect();
        }
        let draws: Vec<f64> = self.beliefs.iter().map(|b| Odds::new(b).sample_log(&mut rng)).collect();
        let mut order = plain;
        order.sort_by(|&a, &b| draws[b].total_cmp(&draws[a]));
        order.truncate(length);
        order
    }

    /// The probability of each item of a list at its position.
    #[must_use]
    pub fn propensities(&self, order: &[usize]) -> Vec<f64> {
        let own = if self.thompson {
            rank::of_order(&self.beliefs, order)
        } else {
            order.iter().enumerate().map(|(j, &i)| f64::from(u8::from(i == j))).collect()
        };
        order.iter().enumerate().zip(own).map(|((j, &i), own)| self.mixed(i, j, own)).collect()
    }

    /// Row j: the probability of each item of the pool at position j, for the first `length`.
    #[must_use]
    pub fn positions(&self, length: usize) -> Vec<Vec<f64>> {
        let (items, length) = (self.beliefs.len(), length.min(self.beliefs.len()));
        let own = if self.thompson {
            rank::of_betas(&self.beliefs, length)
        } else {
            (0..length).map(|j| (0..items).map(|i| f64::from(u8::from(i == j))).collect()).collect()
        };
        let row = |(j, row): (usize, Vec<f64>)| row.into_iter().enumerate().map(|(i, p)| self.mixed(i, j, p)).collect();
        own.into_iter().enumerate().map(row).collect()
    }

    fn mixed(&self, item: usize, position: usize, own: f64) -> f64 {
        let plain = f64::from(u8::from(item == position));
        let any = count(self.beliefs.len()).recip();
        self.holdout * plain + (1.0 - self.holdout) * (self.explore * any + (1.0 - self.explore) * own)
    }
}

/// Priors of a pool.
fn priors(spec: &CandidateArms, base: BaseRate, similarities: &[f64]) -> Vec<Beta> {
    let n = count(similarities.len().max(1));
    let mean = similarities.iter().sum::<f64>() / n;
    let deviation = (similarities.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n).sqrt();
    let prior = |similarity: &f64| {
        // Of a pool whose items are all alike, none is nearer.
        let z = if deviation > 0.0 && deviation.is_finite() { (similarity - mean) / deviation } else { 0.0 };
        let odds = (base.rate() / (1.0 - base.rate())).ln() + spec.similarity_weight * z;
        let rate = (1.0 + (-odds).exp()).recip().clamp(LEAST_RATE, 1.0 - LEAST_RATE);
        Beta { alpha: rate * spec.strength, beta: (1.0 - rate) * spec.strength }
    };
    similarities.iter().map(prior).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a pool is small")]
fn count(n: usize) -> f64 {
    n as f64
}
