//! The distribution of every arm's rate, from evidence.

use super::delay::{DelayCurve, hours};
use super::forgetting::homogeneous;
use super::outcome::{Evidence, HourOutcome, hour_of};
use super::pending::{Pending, failures};
use super::pooling::{Pooled, pool};
use crate::beta::Beta;
use crate::decide::prior_of;
use crate::experiment::Experiment;
use crate::policy::OnChange;
use crate::segment::WHOLE;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// What is known of the arms' rates.
#[derive(Debug, Clone)]
pub(crate) struct Posteriors {
    /// By segment, in the definition's order of arms.
    pub(crate) segments: BTreeMap<String, Learnt>,
    /// For a segment that nothing is known of.
    pub(crate) unseen: Learnt,
}

/// What is known of one segment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Learnt {
    pub(crate) arms: Vec<Beta>,
    /// Factor on the standard deviation of draws: see [`crate::PolicySpec::pace_rewards`].
    pub(crate) scale: f64,
}

/// All posteriors of an experiment; see [`super::recompute`] for how outcomes count.
pub(crate) fn posteriors(experiment: &Experiment, evidence: &Evidence, as_of: Timestamp) -> Posteriors {
    let own: Vec<Beta> = experiment.arms.iter().map(|a| prior_of(a.prior)).collect();
    let mut sums = gather(experiment, evidence, as_of);
    let rewards: Vec<f64> = sums.values().map(|list| list.iter().map(|sum| sum.successes).sum()).collect();
    let total: f64 = rewards.iter().sum();
    let scale = |rewards: f64| pace(experiment.policy.pace_rewards, rewards, total);
    let Pooled { segments: priors, unseen } = if experiment.policy.pools_segments() {
        let counts = |list: &Vec<Sum>| list.iter().zip(&own).map(|(sum, prior)| sum.counts(*prior)).collect();
        pool(&own, &sums.values().map(counts).collect::<Vec<_>>())
    } else {
        Pooled { segments: vec![own.clone(); sums.len()], unseen: own }
    };
    let segments = std::mem::take(&mut sums)
        .into_iter()
        .zip(priors)
        .zip(rewards)
        .map(|(((segment, list), priors), rewards)| {
            let arms = list.iter().zip(&priors).map(|(sum, prior)| sum.posterior(*prior)).collect();
            (segment, Learnt { arms, scale: scale(rewards) })
        })
        .collect();
    Posteriors { segments, unseen: Learnt { arms: unseen, scale: scale(0.0) } }
}

/// The distribution of every arm's rate over all segments: their counts added up on the owner's prior.
#[must_use]
pub fn overall(experiment: &Experiment, evidence: &Evidence, as_of: Timestamp) -> Vec<Beta> {
    let mut all: Vec<Beta> = experiment.arms.iter().map(|a| prior_of(a.prior)).collect();
    let own = all.clone();
    for list in gather(experiment, evidence, as_of).values() {
        for ((sum, of_segment), prior) in all.iter_mut().zip(list).zip(&own) {
            let [successes, failures] = of_segment.counts(*prior);
            sum.alpha += successes;
            sum.beta += failures;
        }
    }
    all
}

/// How much of the posterior's standard deviation a segment explores with, after `rewards` of the experiment's `total`:
/// √(R / (R + pace · (1 − share))), with one more reward on both sides. What a segment explores pays off in that segment
/// only, and one that has seen few rewards so far will hardly see many: until then it does better by what others taught.
fn pace(pace: Option<f64>, rewards: f64, total: f64) -> f64 {
    let Some(pace) = pace else { return 1.0 };
    let others = if total > 0.0 { 1.0 - rewards / total } else { 0.0 };
    ((rewards + 1.0) / (rewards + 1.0 + pace * others)).sqrt()
}

/// Weighted counts by segment; each segment's list is in the order of arms.
fn gather(experiment: &Experiment, evidence: &Evidence, as_of: Timestamp) -> BTreeMap<String, Vec<Sum>> {
    let arms = experiment.arms.len();
    let mut sorted: Vec<&HourOutcome> = evidence.outcomes.iter().filter(|o| o.arm < arms).collect();
    sorted.sort_unstable();
    let nothing = vec![Sum::default(); arms];
    let mut sums: BTreeMap<String, Vec<Sum>> = BTreeMap::new();
    if experiment.segment_by.is_empty() {
        sums.insert(WHOLE.into(), nothing.clone());
    }
    let since = match experiment.policy.on_change {
        OnChange::Keep => BTreeMap::new(),
        OnChange::Forget => homogeneous(experiment, evidence, as_of),
    };
    let fading = Fading::of(experiment, evidence.ended.map_or(as_of, |end| as_of.min(end)));
    let arrivals = Arrivals::of(experiment, evidence, as_of);
    let mut hour = None;
    for o in sorted {
        // Hours are in order, and each is the same for all segments and arms.
        let (weight, arrived) = match hour {
            Some((known, weight, arrived)) if known == o.hour => (weight, arrived),
            _ => {
                let (weight, arrived) = (fading.weight(o.hour), arrivals.arrived(o.hour));
                hour = Some((o.hour, weight, arrived));
                (weight, arrived)
            }
        };
        if !sums.contains_key(&o.segment) {
            sums.insert(o.segment.clone(), nothing.clone());
        }
        let forgotten = since.get(&o.segment).is_some_and(|&since| o.hour < since);
        if let Some(sum) = sums.get_mut(&o.segment).filter(|_| !forgotten).map(|list| &mut list[o.arm]) {
            sum.add(o, weight, arrived);
        }
    }
    sums
}

/// What one arm has come to in one segment.
#[derive(Debug, Clone, Default)]
struct Sum {
    successes: f64,
    /// Of trials whose window has closed.
    failures: f64,
    pending: Vec<Pending>,
}

impl Sum {
    /// Adds an hour's outcomes, of which rewards would have arrived so far; none if all that will come has.
    fn add(&mut self, o: &HourOutcome, weight: f64, arrived: Option<f64>) {
        if weight <= 0.0 {
            return;
        }
        let rewards = o.rewards.min(o.trials);
        let others = weight * exact(o.trials - rewards);
        self.successes += weight * exact(rewards);
        match arrived {
            None => self.failures += others,
            Some(arrived) => self.pending.push(Pending { trials: others, arrived }),
        }
    }

    /// Successes and failures, pending ones as far as they are.
    fn counts(&self, prior: Beta) -> [f64; 2] {
        let Beta { alpha, beta } = prior;
        let pending = if self.pending.is_empty() {
            0.0
        } else {
            failures(alpha + self.successes, beta + self.failures, &self.pending)
        };
        [self.successes, self.failures + pending]
    }

    fn posterior(&self, prior: Beta) -> Beta {
        let [successes, failures] = self.counts(prior);
        Beta { alpha: prior.alpha + successes, beta: prior.beta + failures }
    }
}

/// How the past is weighed.
struct Fading {
    now: i64,
    half_life_hours: Option<f64>,
    window_hours: Option<u32>,
}

impl Fading {
    fn of(experiment: &Experiment, now: Timestamp) -> Self {
        let policy = &experiment.policy;
        Self { now: hour_of(now), half_life_hours: policy.half_life_hours, window_hours: policy.window_hours }
    }

    #[expect(clippy::cast_precision_loss, reason = "ages in hours are small")]
    fn weight(&self, hour: i64) -> f64 {
        // Hours since it ended.
        let age = (self.now - hour - 1).max(0);
        if self.window_hours.is_some_and(|most| age >= i64::from(most)) {
            return 0.0;
        }
        self.half_life_hours.map_or(1.0, |h| (-(age as f64) / h).exp2())
    }
}

/// How many rewards are still to come.
pub(crate) struct Arrivals {
    now: Timestamp,
    window: SignedDuration,
    curve: DelayCurve,
}

impl Arrivals {
    pub(crate) fn of(experiment: &Experiment, evidence: &Evidence, as_of: Timestamp) -> Self {
        let now = evidence.latest.map_or(as_of, |latest| as_of.max(latest));
        let window_hours = experiment.reward.window_hours;
        let curve = DelayCurve::estimate(&evidence.delays, window_hours, now);
        Self { now, window: SignedDuration::from_hours(window_hours.into()), curve }
    }

    /// The share of rewards that trials of an hour would have by now; none if all have: their windows have closed.
    pub(crate) fn arrived(&self, hour: i64) -> Option<f64> {
        let ms = |hour: i64| self.now.as_millisecond().saturating_sub(hour.saturating_mul(3_600_000));
        // Of the last trial of the hour, and the first.
        let (young, old) = (ms(hour.saturating_add(1)), ms(hour));
        let closed = i128::from(young) >= self.window.as_millis();
        (!closed).then(|| self.curve.mean_share(hours(young.max(0)), hours(old.max(0))))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn exact(n: u64) -> f64 {
    n as f64
}
