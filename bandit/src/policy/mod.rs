//! Policies, compiled for one segment: draws in about a microsecond, propensities exact.

mod bayes_ucb;
mod positions;
pub(crate) mod rank;
mod spec;
mod step;
mod top_two;

pub use positions::ListPolicy;
pub use spec::{OnChange, PolicyKind, PolicySpec, Pooling, from_json};
pub use step::Step;

use crate::beta::Beta;
use crate::compare::p_best;
use crate::draw::Odds;
use crate::experiment::Experiment;
use crate::key::DecisionId;
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
    Thompson { explore: f64, draws: Vec<Odds>, tame: bool },
    /// Known shares of the enabled arms, summed up.
    Shares(Vec<f64>),
}

impl SegmentPolicy {
    /// Compiles the policy of `experiment` for posteriors in the definition's order. `known`
    /// propensities, as published for the same definition, save the quadrature.
    #[must_use]
    pub fn new(experiment: &Experiment, posteriors: &[Beta], known: Option<Vec<f64>>) -> Self {
        Self::paced(experiment, posteriors, 1.0, known)
    }

    /// The same for a segment that explores with `scale` times the standard deviation.
    #[must_use]
    pub fn paced(experiment: &Experiment, posteriors: &[Beta], scale: f64, known: Option<Vec<f64>>) -> Self {
        let enabled = enabled(experiment);
        let live: Vec<Beta> = enabled.iter().map(|&i| posteriors[i]).collect();
        let k = count(enabled.len());
        let floor = experiment.policy.floor.min(1.0 / k);
        let h = experiment.holdout;
        let thompson = experiment.policy.kind == PolicyKind::Thompson;
        let shares: Vec<f64> = match &known {
            // Thompson sampling needs no shares to draw: only the quadrature behind propensities that nobody published.
            Some(_) if thompson => Vec::new(),
            // Whoever is dealt by the rule is outside the holdout.
            Some(all) if h < 1.0 => enabled.iter().map(|&i| ((all[i] - h / k) / (1.0 - h)).max(0.0)).collect(),
            _ => {
                let own = own_shares(experiment, &enabled, &live, scale, evidence(experiment, posteriors));
                own.iter().map(|p| floor + (1.0 - k * floor) * p).collect()
            }
        };
        let propensities = known.unwrap_or_else(|| {
            let mut all = vec![0.0; experiment.arms.len()];
            for (&i, share) in enabled.iter().zip(&shares) {
                all[i] = h / k + (1.0 - h) * share;
            }
            all
        });
        let rule = if thompson {
            let draws: Vec<Odds> = scaled(experiment, &live, scale).iter().map(Odds::new).collect();
            Rule::Thompson { explore: k * floor, tame: draws.iter().all(Odds::is_tame), draws }
        } else {
            let mut sum = 0.0;
            let add = |share: &f64| {
                sum += share;
                sum
            };
            Rule::Shares(shares.iter().map(add).collect())
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
        self.draw_seen(id, version, holdout, &mut |_| ())
    }

    /// The same, telling each step.
    pub(crate) fn draw_seen(&self, id: DecisionId, version: u64, holdout: bool, see: &mut impl FnMut(Step)) -> usize {
        let mut rng = generator(id, version);
        if holdout {
            see(Step::Holdout);
            return self.any(&mut rng);
        }
        match &self.rule {
            Rule::Thompson { explore, draws, tame } => {
                if *explore > 0.0 {
                    let drawn = rng.random::<f64>();
                    see(Step::Floor { drawn, below: *explore });
                    if drawn < *explore {
                        return self.any(&mut rng);
                    }
                }
                self.enabled[if *tame {
                    highest(draws, |i, d| {
                        let odds = d.sample(&mut rng);
                        see(Step::Value { arm: self.enabled[i], value: odds / (1.0 + odds) });
                        odds
                    })
                } else {
                    highest(draws, |i, d| {
                        let log = d.sample_log(&mut rng);
                        see(Step::Value { arm: self.enabled[i], value: (1.0 + (-log).exp()).recip() });
                        log
                    })
                }]
            }
            Rule::Shares(sums) => {
                let u = rng.random::<f64>() * sums.last().copied().unwrap_or(1.0);
                see(Step::Share { drawn: u });
                self.enabled[sums.partition_point(|&s| s <= u).min(sums.len() - 1)]
            }
        }
    }

    /// The shares between which a uniform number chooses, by arm, if that is how the rule deals.
    pub(crate) fn shares(&self) -> Option<Vec<(usize, f64)>> {
        let Rule::Shares(sums) = &self.rule else { return None };
        let mut before = 0.0;
        let share = |(&arm, &sum): (&usize, &f64)| (arm, sum - std::mem::replace(&mut before, sum));
        Some(self.enabled.iter().zip(sums).map(share).collect())
    }

    fn any(&self, rng: &mut impl Rng) -> usize {
        self.enabled[rng.random_range(0..self.enabled.len())]
    }
}

fn enabled(experiment: &Experiment) -> Vec<usize> {
    (0..experiment.arms.len()).filter(|&i| experiment.arms[i].enabled).collect()
}

/// The generator's seed: the assignment, the posterior version, and zeros.
pub(crate) fn seed(id: DecisionId, version: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&id.0);
    seed[16..24].copy_from_slice(&version.to_le_bytes());
    seed
}

/// The generator of every draw.
pub(crate) fn generator(id: DecisionId, version: u64) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(seed(id, version))
}

/// The first `length` of a uniformly random order.
pub(crate) fn shuffled(mut all: Vec<usize>, length: usize, rng: &mut impl Rng) -> Vec<usize> {
    let k = all.len();
    for j in 0..length {
        all.swap(j, rng.random_range(j..k));
    }
    all.truncate(length);
    all
}

fn highest(draws: &[Odds], mut sample: impl FnMut(usize, &Odds) -> f64) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (i, d) in draws.iter().enumerate() {
        let draw = sample(i, d);
        if draw > best.1 {
            best = (i, draw);
        }
    }
    best.0
}

/// What is drawn from: posteriors with `posterior_scale` times their standard deviation, Beta(α/s², β/s²) (posterior
/// reshaping: Chapelle & Li 2011, "An empirical evaluation of Thompson sampling", §3).
pub(crate) fn scaled(experiment: &Experiment, live: &[Beta], scale: f64) -> Vec<Beta> {
    let by = (scale * experiment.policy.posterior_scale()).powi(2);
    live.iter().map(|b| Beta { alpha: b.alpha / by, beta: b.beta / by }).collect()
}

/// Trials behind the posteriors: what all arms, disabled ones too, hold beyond their priors.
fn evidence(experiment: &Experiment, posteriors: &[Beta]) -> f64 {
    let of_arm = |(b, a): (&Beta, &crate::Arm)| b.alpha + b.beta - a.prior.alpha - a.prior.beta;
    posteriors.iter().zip(&experiment.arms).map(of_arm).sum::<f64>().max(0.0)
}

/// The rule's own probabilities of the enabled arms, before floor and holdout.
fn own_shares(experiment: &Experiment, enabled: &[usize], live: &[Beta], scale: f64, evidence: f64) -> Vec<f64> {
    let policy = &experiment.policy;
    match policy.kind {
        // What a contextual policy deals depends on the request: this is what is known without it.
        PolicyKind::Thompson | PolicyKind::LogisticThompson | PolicyKind::LinearThompson => {
            p_best(&scaled(experiment, live, scale))
        }
        PolicyKind::TopTwoThompson => top_two::shares(&scaled(experiment, live, scale), policy.leader_share()),
        PolicyKind::EpsilonGreedy => {
            let even = policy.epsilon() / count(live.len());
            even_among_highest(&means(live)).iter().map(|p| even + (1.0 - policy.epsilon()) * p).collect()
        }
        PolicyKind::BayesUcb => even_among_highest(&bayes_ucb::indices(live, evidence)),
        PolicyKind::Fixed => {
            let weight = |&i: &usize| experiment.arms[i].weight;
            let total: f64 = enabled.iter().map(weight).sum();
            enabled.iter().map(|i| weight(i) / total).collect()
        }
    }
}

fn means(live: &[Beta]) -> Vec<f64> {
    live.iter().map(Beta::mean).collect()
}

/// All to the highest; equal shares where several are.
fn even_among_highest(scores: &[f64]) -> Vec<f64> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let leaders = count(scores.iter().filter(|s| **s >= top).count());
    scores.iter().map(|&s| if s >= top { leaders.recip() } else { 0.0 }).collect()
}

#[expect(clippy::cast_precision_loss, reason = "at most 100 arms")]
fn count(n: usize) -> f64 {
    n as f64
}
