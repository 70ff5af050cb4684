//! Policies, compiled for one segment: draws in well under a microsecond, propensities exact.

use crate::beta::{Beta, LogOdds};
use crate::experiment::{Experiment, PolicyKind};
use crate::key::DecisionId;
use crate::quadrature::compare;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The policy of one segment, ready to deal.
///
/// The probability of enabled arm i is h/K + (1 − h)(f + (1 − K f) πᵢ), with holdout share h, floor f,
/// K enabled arms, and πᵢ the rule's own probability: P(best) under Thompson sampling.
#[derive(Debug, Clone)]
pub struct SegmentPolicy {
    /// Indices of the arms that may be dealt.
    enabled: Vec<usize>,
    rule: Rule,
    /// Per arm of the definition, holdout and floor included; 0 for disabled arms.
    propensities: Vec<f64>,
}

#[derive(Debug, Clone)]
enum Rule {
    /// With probability `explore` any enabled arm, else the highest draw.
    Thompson { explore: f64, posteriors: Vec<LogOdds> },
    /// Known shares of the enabled arms, summed up.
    Shares(Vec<f64>),
}

impl SegmentPolicy {
    /// Compiles the policy of `experiment` for posteriors in the definition's order. `known`
    /// propensities, as published for the same definition, save the quadrature.
    #[must_use]
    pub fn new(experiment: &Experiment, posteriors: &[Beta], known: Option<Vec<f64>>) -> Self {
        let enabled: Vec<usize> = (0..experiment.arms.len()).filter(|&i| experiment.arms[i].enabled).collect();
        let live: Vec<Beta> = enabled.iter().map(|&i| posteriors[i]).collect();
        let k = count(enabled.len());
        let floor = experiment.policy.floor.min(1.0 / k);
        let draws: Option<Vec<_>> = live.iter().map(LogOdds::new).collect();
        let thompson = experiment.policy.kind == PolicyKind::Thompson && draws.is_some();
        // Thompson sampling needs no shares to draw: only the quadrature behind propensities that nobody published.
        let shares = if thompson && known.is_some() {
            Vec::new()
        } else {
            own_shares(experiment, &enabled, &live).iter().map(|p| floor + (1.0 - k * floor) * p).collect()
        };
        let propensities = known.unwrap_or_else(|| {
            let h = experiment.holdout;
            let mut all = vec![0.0; experiment.arms.len()];
            for (&i, share) in enabled.iter().zip(&shares) {
                all[i] = h / k + (1.0 - h) * share;
            }
            all
        });
        let rule = match draws {
            Some(posteriors) if thompson => Rule::Thompson { explore: k * floor, posteriors },
            _ => Rule::Shares(
                shares
                    .iter()
                    .scan(0.0, |sum, s| {
                        *sum += s;
                        Some(*sum)
                    })
                    .collect(),
            ),
        };
        Self { enabled, rule, propensities }
    }

    /// Probability that each arm of the definition is dealt to a participant.
    #[must_use]
    pub fn propensities(&self) -> &[f64] {
        &self.propensities
    }

    /// Deals an arm. The generator is seeded by the assignment and the posterior version alone, so that a
    /// draw can be repeated from the log, and replicas agree without asking each other.
    #[must_use]
    pub fn draw(&self, id: DecisionId, version: u64, holdout: bool) -> usize {
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(&id.0);
        seed[16..24].copy_from_slice(&version.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(seed);
        if holdout {
            return self.any(&mut rng);
        }
        match &self.rule {
            Rule::Thompson { explore, posteriors } => {
                if *explore > 0.0 && rng.random::<f64>() < *explore {
                    return self.any(&mut rng);
                }
                let mut best = (0, f64::NEG_INFINITY);
                for (i, posterior) in posteriors.iter().enumerate() {
                    let draw = posterior.sample(&mut rng);
                    if draw > best.1 {
                        best = (i, draw);
                    }
                }
                self.enabled[best.0]
            }
            Rule::Shares(sums) => {
                let u = rng.random::<f64>() * sums.last().copied().unwrap_or(1.0);
                self.enabled[sums.partition_point(|&s| s <= u).min(sums.len() - 1)]
            }
        }
    }

    fn any(&self, rng: &mut impl Rng) -> usize {
        self.enabled[rng.random_range(0..self.enabled.len())]
    }
}

/// The rule's own probabilities of the enabled arms, before floor and holdout.
fn own_shares(experiment: &Experiment, enabled: &[usize], live: &[Beta]) -> Vec<f64> {
    match experiment.policy.kind {
        // What a contextual policy deals depends on the request: this is what is known without it.
        PolicyKind::Thompson | PolicyKind::LogisticThompson | PolicyKind::LinearThompson => compare(live).p_best,
        PolicyKind::Fixed => {
            let weight = |&i: &usize| experiment.arms[i].weight;
            let total: f64 = enabled.iter().map(weight).sum();
            enabled.iter().map(|i| weight(i) / total).collect()
        }
        PolicyKind::EpsilonGreedy => {
            let epsilon = experiment.policy.epsilon();
            let top = live.iter().map(Beta::mean).fold(0.0, f64::max);
            let leads: Vec<bool> = live.iter().map(|b| b.mean() >= top).collect();
            let leaders = count(leads.iter().filter(|l| **l).count());
            let even = epsilon / count(live.len());
            leads.iter().map(|&l| even + if l { (1.0 - epsilon) / leaders } else { 0.0 }).collect()
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 100 arms")]
fn count(n: usize) -> f64 {
    n as f64
}
