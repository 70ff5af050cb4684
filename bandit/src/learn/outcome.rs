//! Posteriors from outcomes: always the whole sum, never a nudge.

use super::delay::{DelayCurve, HourDelay, hours};
use super::pending::{Pending, failures};
use crate::beta::Beta;
use crate::decide::prior_of;
use crate::event::CLOCK_SKEW;
use crate::experiment::{Experiment, StickyBy};
use crate::key::{AssignmentKey, DecisionId};
use crate::policy::SegmentPolicy;
use crate::posterior::{ArmPosterior, PosteriorSet};
use crate::segment::WHOLE;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::collections::BTreeMap;

/// All that the posteriors of an experiment are a function of, beside its definition and the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Counts per hour of decision, in any order.
    pub outcomes: Vec<HourOutcome>,
    /// How long rewards took, in any order.
    pub delays: Vec<HourDelay>,
    /// Moment of the newest trial.
    pub latest: Option<Timestamp>,
    /// When the experiment was stopped: evidence fades no further. Rewards may still come.
    pub ended: Option<Timestamp>,
}

impl From<Vec<HourOutcome>> for Evidence {
    fn from(outcomes: Vec<HourOutcome>) -> Self {
        Self { outcomes, ..Self::default() }
    }
}

/// What became of the decisions of one hour, segment and arm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HourOutcome {
    /// Hour of decision, counted from 1970-01-01T00:00Z.
    pub hour: i64,
    /// The segment.
    pub segment: String,
    /// Index of the arm in the definition.
    pub arm: usize,
    /// Dealt by the holdout's uniform draw; evidence all the same.
    pub holdout: bool,
    /// Exposed assignments.
    pub trials: u64,
    /// Those with a reward in their window.
    pub rewards: u64,
}

/// Most posteriors, segments times arms, of a set. Segments come from requests, so that anyone can make them up; beyond
/// this many, those with least evidence are dealt from the prior.
const MOST_POSTERIORS: usize = 400_000;

/// The hour a moment falls into.
#[must_use]
pub fn hour_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3600)
}

/// Posterior set number `version` of `experiment` at `revision`: prior plus weighted successes and failures
/// per hour of decision.
///
/// - An outcome whose hour ended a hours before `as_of` weighs 2^(−a / half-life), and nothing once a reaches
///   `policy.window_hours`: that many full hours count, and the one under way. Hours are those since 1970, which no change
///   of clocks makes longer. After the end of the experiment both stand still.
/// - A trial without a reward is a failure in full once its reward window has closed. Until then it is one in part: as
///   far as its reward would have arrived by now ([`DelayCurve`]). Now is `as_of`, or the newest trial if that is later, as
///   when an update is asked for in the middle of an hour: a function of the log. Trials of an hour are taken to be
///   spread evenly over it.
///
/// The order of the evidence does not matter: sums run over hours in order, so the bytes are always the same.
#[must_use]
pub fn recompute(
    experiment: &Experiment,
    revision: u64,
    version: u64,
    evidence: &Evidence,
    as_of: Timestamp,
) -> PosteriorSet {
    let arms = experiment.arms.len();
    let segments = most_evident(posteriors(experiment, evidence, as_of), MOST_POSTERIORS / arms.max(1))
        .into_iter()
        .map(|(segment, betas)| {
            let policy = SegmentPolicy::new(experiment, &betas, None);
            let list = betas
                .iter()
                .zip(policy.propensities())
                .map(|(b, &propensity)| ArmPosterior { alpha: b.alpha, beta: b.beta, propensity })
                .collect();
            (segment, list)
        })
        .collect();
    let ids = experiment.arms.iter().map(|a| a.id.clone()).collect();
    PosteriorSet::new(&experiment.id, version, revision, as_of, ids, segments)
}

/// The distribution of every arm's rate, by segment.
fn posteriors(experiment: &Experiment, evidence: &Evidence, as_of: Timestamp) -> BTreeMap<String, Vec<Beta>> {
    let arms = experiment.arms.len();
    let mut sorted: Vec<&HourOutcome> = evidence.outcomes.iter().filter(|o| o.arm < arms).collect();
    sorted.sort_unstable();
    let priors: Vec<Sum> = experiment.arms.iter().map(|a| Sum::new(prior_of(a.prior))).collect();
    let mut sums: BTreeMap<String, Vec<Sum>> = BTreeMap::new();
    if experiment.segment_by.is_empty() {
        sums.insert(WHOLE.into(), priors.clone());
    }
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
            sums.insert(o.segment.clone(), priors.clone());
        }
        if let Some(sum) = sums.get_mut(&o.segment).map(|list| &mut list[o.arm]) {
            sum.add(o, weight, arrived);
        }
    }
    sums.into_iter().map(|(segment, list)| (segment, list.into_iter().map(Sum::posterior).collect())).collect()
}

/// What one arm has come to in one segment.
#[derive(Clone)]
struct Sum {
    /// What is certain: the prior, successes, and failures whose window has closed.
    certain: Beta,
    pending: Vec<Pending>,
}

impl Sum {
    fn new(prior: Beta) -> Self {
        Self { certain: prior, pending: Vec::new() }
    }

    /// Adds an hour's outcomes, of which rewards would have arrived so far; none if all that will come has.
    fn add(&mut self, o: &HourOutcome, weight: f64, arrived: Option<f64>) {
        if weight <= 0.0 {
            return;
        }
        let rewards = o.rewards.min(o.trials);
        let others = weight * exact(o.trials - rewards);
        self.certain.alpha += weight * exact(rewards);
        match arrived {
            None => self.certain.beta += others,
            Some(arrived) => self.pending.push(Pending { trials: others, arrived }),
        }
    }

    fn posterior(self) -> Beta {
        let Self { certain: Beta { alpha, beta }, pending } = self;
        Beta { alpha, beta: if pending.is_empty() { beta } else { beta + failures(alpha, beta, &pending) } }
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
struct Arrivals {
    now: Timestamp,
    window: SignedDuration,
    curve: DelayCurve,
}

impl Arrivals {
    fn of(experiment: &Experiment, evidence: &Evidence, as_of: Timestamp) -> Self {
        let now = evidence.latest.map_or(as_of, |latest| as_of.max(latest));
        let window_hours = experiment.reward.window_hours;
        let curve = DelayCurve::estimate(&evidence.delays, window_hours, now);
        Self { now, window: SignedDuration::from_hours(window_hours.into()), curve }
    }

    /// The share of rewards that trials of an hour would have by now; none if all have: their windows have closed.
    fn arrived(&self, hour: i64) -> Option<f64> {
        let ms = |hour: i64| self.now.as_millisecond().saturating_sub(hour.saturating_mul(3_600_000));
        // Of the last trial of the hour, and the first.
        let (young, old) = (ms(hour.saturating_add(1)), ms(hour));
        let closed = i128::from(young) >= self.window.as_millis();
        (!closed).then(|| self.curve.mean_share(hours(young.max(0)), hours(old.max(0))))
    }
}

/// The `most` segments with most evidence; the first by name among equals.
fn most_evident(sums: BTreeMap<String, Vec<Beta>>, most: usize) -> BTreeMap<String, Vec<Beta>> {
    if sums.len() <= most {
        return sums;
    }
    let evidence = |list: &[Beta]| list.iter().map(|b| b.alpha + b.beta).sum::<f64>();
    let mut all: Vec<(String, Vec<Beta>)> = sums.into_iter().collect();
    // Stable, and names are in order.
    all.sort_by(|a, b| evidence(&b.1).total_cmp(&evidence(&a.1)));
    all.into_iter().take(most).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn exact(n: u64) -> f64 {
    n as f64
}

/// The decisions of `experiment` that a reward of `user` and `item` at `at` may belong to: one for each day
/// on which a decision could have been made whose window holds `at`.
#[must_use]
pub fn candidate_decisions(experiment: &Experiment, user: &str, item: Option<&str>, at: Timestamp) -> Vec<DecisionId> {
    let window = SignedDuration::from_hours(i64::from(experiment.reward.window_hours));
    decisions_within(experiment, user, item, at, window)
}

/// The decision of `experiment` that `user` saw with `item` at `at`; two where clocks leave the day in doubt.
#[must_use]
pub fn seen_decisions(experiment: &Experiment, user: &str, item: Option<&str>, at: Timestamp) -> Vec<DecisionId> {
    decisions_within(experiment, user, item, at, CLOCK_SKEW)
}

fn decisions_within(
    experiment: &Experiment,
    user: &str,
    item: Option<&str>,
    at: Timestamp,
    window: SignedDuration,
) -> Vec<DecisionId> {
    let Ok(zone) = TimeZone::get(&experiment.sticky.time_zone) else { return Vec::new() };
    let day_of = |t: Timestamp| zone.to_datetime(t).date();
    let key = |day| AssignmentKey::new(&experiment.id, &experiment.sticky, user, item, day).id;
    let last = day_of(at.saturating_add(CLOCK_SKEW).unwrap_or(Timestamp::MAX));
    if !experiment.sticky.by.contains(&StickyBy::Day) {
        return vec![key(last)];
    }
    let first = day_of(at.saturating_sub(window).unwrap_or(Timestamp::MIN));
    first.series(jiff::Span::new().days(1)).take_while(|d| *d <= last).map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_segments_cannot_crowd_out_real_ones() {
        let one = |n: f64| vec![Beta { alpha: 1.0 + n, beta: 1.0 }];
        let sums: BTreeMap<String, Vec<Beta>> =
            [("a", 0.0), ("b", 5.0), ("c", 0.0), ("d", 2.0)].map(|(s, n)| (s.into(), one(n))).into();
        assert_eq!(most_evident(sums.clone(), 3).into_keys().collect::<Vec<_>>(), ["a", "b", "d"]);
        assert_eq!(most_evident(sums.clone(), 4), sums);
    }
}
