//! Posteriors from outcomes: always the whole sum, never a nudge.

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
/// per hour of decision. An outcome whose hour ended a hours before `as_of` weighs 2^(−a / half-life).
///
/// The order of `outcomes` does not matter: sums run over hours in order, so the bytes are always the same.
#[must_use]
pub fn recompute(
    experiment: &Experiment,
    revision: u64,
    version: u64,
    outcomes: &[HourOutcome],
    as_of: Timestamp,
) -> PosteriorSet {
    let arms = experiment.arms.len();
    let mut sorted: Vec<&HourOutcome> = outcomes.iter().filter(|o| o.arm < arms).collect();
    sorted.sort_unstable();
    let priors: Vec<Beta> = experiment.arms.iter().map(|a| prior_of(a.prior)).collect();
    let mut sums: BTreeMap<String, Vec<Beta>> = BTreeMap::new();
    if experiment.segment_by.is_empty() {
        sums.insert(WHOLE.into(), priors.clone());
    }
    let now = hour_of(as_of);
    for o in sorted {
        let weight = weight(experiment.policy.half_life_hours, now - o.hour - 1);
        if !sums.contains_key(&o.segment) {
            sums.insert(o.segment.clone(), priors.clone());
        }
        if let Some(beta) = sums.get_mut(&o.segment).map(|list| &mut list[o.arm]) {
            let rewards = o.rewards.min(o.trials);
            beta.alpha += weight * exact(rewards);
            beta.beta += weight * exact(o.trials - rewards);
        }
    }
    let segments = most_evident(sums, MOST_POSTERIORS / arms.max(1))
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

/// Weight of outcomes whose hour ended `age` hours ago.
#[expect(clippy::cast_precision_loss, reason = "ages in hours are small")]
fn weight(half_life_hours: Option<f64>, age: i64) -> f64 {
    half_life_hours.map_or(1.0, |h| (-(age.max(0) as f64) / h).exp2())
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
