//! Posteriors from outcomes: always the whole sum, never a nudge.

#[cfg(doc)]
use super::DelayCurve;
use super::delay::HourDelay;
use super::posteriors::{Arrivals, Learnt, Posteriors, posteriors};
use crate::beta::Beta;
use crate::context::{ContextOutcome, recompute_model};
use crate::event::CLOCK_SKEW;
use crate::experiment::{Experiment, StickyBy};
use crate::key::{AssignmentKey, DecisionId};
use crate::policy::SegmentPolicy;
use crate::posterior::{ArmPosterior, PosteriorSet, Shared};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::collections::{BTreeMap, HashMap};

/// All that the posteriors of an experiment are a function of, beside its definition and the moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// Counts per hour of decision, in any order.
    pub outcomes: Vec<HourOutcome>,
    /// How long rewards took, in any order.
    pub delays: Vec<HourDelay>,
    /// Counts by the declared features, in any order; empty unless the policy is contextual.
    pub contexts: Vec<ContextOutcome>,
    /// Ids of the arms that `outcomes` are of, those with most trials first, where arms are candidates.
    pub candidates: Vec<String>,
    /// Moment of the newest trial.
    pub latest: Option<Timestamp>,
    /// When the experiment was stopped: evidence fades no further. Rewards may still come.
    pub ended: Option<Timestamp>,
}

impl Evidence {
    /// What is known of these candidates, in this order.
    #[must_use]
    pub fn of_candidates(&self, ids: &[String]) -> Self {
        let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
        let place = |o: &HourOutcome| places.get(self.candidates.get(o.arm)?.as_str()).copied();
        let outcomes = self.outcomes.iter().filter_map(|o| Some(HourOutcome { arm: place(o)?, ..o.clone() })).collect();
        Self { outcomes, candidates: ids.to_vec(), ..self.clone() }
    }
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
/// - With hierarchical pooling, priors are fitted to all segments; with `on_change: forget`, outcomes before the last change
///   that was found in a segment count nothing there.
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
    if experiment.candidates.is_some() && experiment.arms.is_empty() && !evidence.candidates.is_empty() {
        return recompute(&experiment.with_candidates(&evidence.candidates), revision, version, evidence, as_of);
    }
    let Posteriors { segments, unseen } = posteriors(experiment, evidence, as_of);
    let dealt = |learnt: &Learnt| {
        if experiment.candidates.is_some() {
            return shown(&learnt.arms);
        }
        let policy = SegmentPolicy::paced(experiment, &learnt.arms, learnt.scale, None);
        let posterior = |(b, &propensity): (&Beta, &f64)| ArmPosterior { alpha: b.alpha, beta: b.beta, propensity };
        learnt.arms.iter().zip(policy.propensities()).map(posterior).collect()
    };
    let learnt = most_evident(segments, MOST_POSTERIORS / experiment.arms.len().max(1));
    let segments = learnt.iter().map(|(segment, learnt)| (segment.clone(), dealt(learnt))).collect();
    let ids = experiment.arms.iter().map(|a| a.id.clone()).collect();
    let mut set = PosteriorSet::new(&experiment.id, version, revision, as_of, ids, segments);
    if experiment.policy.shares_segments() {
        let scales = learnt.iter().map(|(segment, learnt)| (segment.clone(), learnt.scale)).collect();
        set = set.with_shared(Shared { unseen: dealt(&unseen), unseen_scale: unseen.scale, scales });
    }
    let arrivals = Arrivals::of(experiment, evidence, as_of);
    let faded = evidence.ended.map_or(as_of, |end| as_of.min(end));
    let model = recompute_model(experiment, &evidence.contexts, faded, &|hour| arrivals.arrived(hour).unwrap_or(1.0));
    match model {
        Some(model) => set.with_model(experiment, model, &evidence.contexts),
        None => set,
    }
}

/// Posteriors of candidates. What is dealt depends on the visitor: in place of a probability stands the arm's share of
/// what was shown, weighted as its outcomes are.
fn shown(arms: &[Beta]) -> Vec<ArmPosterior> {
    let trials = |b: &Beta| (b.alpha + b.beta - 2.0).max(0.0);
    let all: f64 = arms.iter().map(trials).sum();
    let share = |b: &Beta| if all > 0.0 { (trials(b) / all).min(1.0) } else { 0.0 };
    arms.iter().map(|b| ArmPosterior { alpha: b.alpha, beta: b.beta, propensity: share(b) }).collect()
}

/// The `most` segments with most evidence; the first by name among equals.
fn most_evident(sums: BTreeMap<String, Learnt>, most: usize) -> BTreeMap<String, Learnt> {
    if sums.len() <= most {
        return sums;
    }
    let evidence = |learnt: &Learnt| learnt.arms.iter().map(|b| b.alpha + b.beta).sum::<f64>();
    let mut all: Vec<(String, Learnt)> = sums.into_iter().collect();
    // Stable, and names are in order.
    all.sort_by(|a, b| evidence(&b.1).total_cmp(&evidence(&a.1)));
    all.into_iter().take(most).collect()
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
        let one = |n: f64| Learnt { arms: vec![Beta { alpha: 1.0 + n, beta: 1.0 }], scale: 1.0 };
        let sums: BTreeMap<String, Learnt> =
            [("a", 0.0), ("b", 5.0), ("c", 0.0), ("d", 2.0)].map(|(s, n)| (s.into(), one(n))).into();
        assert_eq!(most_evident(sums.clone(), 3).into_keys().collect::<Vec<_>>(), ["a", "b", "d"]);
        assert_eq!(most_evident(sums.clone(), 4), sums);
    }
}
