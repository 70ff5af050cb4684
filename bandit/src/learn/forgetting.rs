//! Changes of the arms' rates, segment by segment.
//!
//! Arms are compared within a segment, so changes are looked for there: over all segments an arm's rate moves with the mix
//! of segments that a learning policy gives it, though no rate has changed. So it does under a contextual policy, where none
//! are looked for.

use super::outcome::{Evidence, HourOutcome};
use super::posteriors::Arrivals;
use crate::experiment::Experiment;
use crate::health::{ChangeConfig, ChangePoint, HourCount, changes, homogeneous_since};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Segments in which changes are looked for: those with most trials. Segments come from requests, so that anyone can make
/// up more.
pub const WATCHED_SEGMENTS: usize = 20;
/// Hours of which a smaller share of rewards has come are left for later: they say little, and what they say depends on the
/// delays' estimate.
const ARRIVED: f64 = 0.5;

/// The changes found in each segment, in the order in which they were found. The probability of any false alarm in the
/// experiment is that of [`ChangeConfig::default`]: segments share it.
#[must_use]
pub fn segment_changes(
    experiment: &Experiment,
    evidence: &Evidence,
    as_of: Timestamp,
) -> BTreeMap<String, Vec<ChangePoint>> {
    if experiment.policy.kind.is_contextual() {
        return BTreeMap::new();
    }
    let arms = experiment.arms.len();
    let arrivals = Arrivals::of(experiment, evidence, as_of);
    let mut counts: BTreeMap<&str, Vec<HourCount>> = BTreeMap::new();
    for o in evidence.outcomes.iter().filter(|o| o.arm < arms) {
        let arrived = arrivals.arrived(o.hour).unwrap_or(1.0);
        let list = counts.entry(&o.segment).or_default();
        if arrived >= ARRIVED {
            list.push(so_far(o, arrived));
        }
    }
    let mut counts: Vec<(&str, Vec<HourCount>)> = counts.into_iter().collect();
    let trials = |list: &[HourCount]| list.iter().map(|c| c.trials).sum::<f64>();
    // Stable, and names are in order.
    counts.sort_by(|a, b| trials(&b.1).total_cmp(&trials(&a.1)));
    counts.truncate(WATCHED_SEGMENTS);
    let mut config = ChangeConfig::default();
    if !experiment.segment_by.is_empty() {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let shared_by = WATCHED_SEGMENTS as f64;
        config.false_alarms /= shared_by;
    }
    counts
        .into_iter()
        .map(|(segment, list)| (segment.to_owned(), changes(&list, arms, &config)))
        .filter(|(_, found)| !found.is_empty())
        .collect()
}

/// The hour since which each segment's rates are not known to have changed.
pub(super) fn homogeneous(experiment: &Experiment, evidence: &Evidence, as_of: Timestamp) -> BTreeMap<String, i64> {
    let since = |(segment, found): (String, Vec<ChangePoint>)| homogeneous_since(&found).map(|hour| (segment, hour));
    segment_changes(experiment, evidence, as_of).into_iter().filter_map(since).collect()
}

/// An hour's counts, in which a trial without a reward counts as far as its reward would have arrived.
#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn so_far(o: &HourOutcome, arrived: f64) -> HourCount {
    let rewards = o.rewards.min(o.trials);
    HourCount {
        hour: o.hour,
        arm: o.arm,
        trials: rewards as f64 + arrived * (o.trials - rewards) as f64,
        rewards: rewards as f64,
    }
}
