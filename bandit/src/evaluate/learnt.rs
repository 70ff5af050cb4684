//! Policies that learn from the log they are evaluated on.
//!
//! A trial is dealt by posteriors of the hours before its own, as the platform would have recomputed them on the hour. So
//! no trial is evaluated by a policy that knows its reward, and the estimate is of the policy as it learns, not as it is
//! in the end. What it learns from is what the log's policy dealt: had it dealt itself, it would know more of the arms it
//! likes.

use super::{Choices, Defined, TargetError, Trials};
use crate::experiment::{Arm, Experiment, Exposure, RewardKind, RewardSpec, Sticky};
use crate::learn::{Evidence, HourOutcome, hour_of, recompute};
use crate::policy::{PolicySpec, SegmentPolicy};
use crate::{Beta, validate};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// Of rewards; those of a log are final, so that it does not matter.
const WINDOW_HOURS: u32 = 24;

pub(super) fn choices(spec: &PolicySpec, trials: &Trials) -> Result<Choices, TargetError> {
    if trials.at.is_empty() {
        return Err(TargetError::NoTimes);
    }
    let experiment = experiment(spec, trials);
    validate(&experiment).map_err(TargetError::Rules)?;
    let mut lists = Vec::new();
    let mut of_row = vec![0; trials.len()];
    // What was learnt: trials and rewards by hour, segment and arm.
    let mut counts: BTreeMap<(i64, usize, usize), (u64, u64)> = BTreeMap::new();
    let mut evidence = Evidence::default();
    let mut row = 0;
    while row < trials.len() {
        let hour = hour_of(trials.at[row]);
        let end = row + trials.at[row..].partition_point(|at| hour_of(*at) == hour);
        let as_of = Timestamp::from_second(hour * 3_600).unwrap_or(Timestamp::MIN);
        // What a log says of rewards is final: every window has closed.
        evidence.latest = as_of.checked_add(SignedDuration::from_hours(i64::from(WINDOW_HOURS) + 1)).ok();
        let set = recompute(&experiment, 1, 0, &evidence, as_of);
        let mut known: HashMap<usize, usize> = HashMap::new();
        for (place, &segment) in of_row[row..end].iter_mut().zip(&trials.segment[row..end]) {
            *place = *known.entry(segment).or_insert_with(|| {
                lists.push(match set.segments.get(&trials.segments[segment]) {
                    Some(list) => list.iter().map(|arm| arm.propensity).collect(),
                    None => match &set.shared {
                        Some(shared) => shared.unseen.iter().map(|arm| arm.propensity).collect(),
                        None => untaught(&experiment),
                    },
                });
                lists.len() - 1
            });
        }
        counts.clear();
        for i in row..end {
            let cell = counts.entry((hour, trials.segment[i], trials.arm[i])).or_default();
            *cell = (cell.0 + 1, cell.1 + u64::from(trials.rewards[i] > 0.0));
        }
        evidence.outcomes.extend(counts.iter().map(|(&(hour, segment, arm), &(n, rewards))| HourOutcome {
            hour,
            segment: trials.segments[segment].clone(),
            arm,
            holdout: false,
            trials: n,
            rewards,
        }));
        row = end;
    }
    Ok(Choices::Lists { lists, of_row, beyond: 0.0 })
}

/// What a segment is dealt of which nothing was seen yet.
fn untaught(experiment: &Experiment) -> Vec<f64> {
    let priors: Vec<_> = experiment.arms.iter().filter_map(|a| Beta::new(a.prior.alpha, a.prior.beta)).collect();
    SegmentPolicy::new(experiment, &priors, None).propensities().to_vec()
}

/// An experiment with the log's arms and segments. Arms get ids of their own, since a log may call them anything.
fn experiment(spec: &PolicySpec, trials: &Trials) -> Experiment {
    let arm = |i: usize| {
        let Defined { prior, weight } = trials.defined.get(i).copied().unwrap_or_default();
        let (id, payload) = (format!("arm-{i}"), serde_json::Value::Null);
        Arm { id, control: false, payload, prior, enabled: true, weight }
    };
    Experiment {
        id: "evaluated".into(),
        name: String::new(),
        arms: (0..trials.arms.len()).map(arm).collect(),
        candidates: None,
        policy: spec.clone(),
        segment_by: trials.attributes.clone(),
        features: Vec::new(),
        sticky: Sticky::default(),
        reward: RewardSpec { event: "reward".into(), kind: RewardKind::Binary, window_hours: WINDOW_HOURS },
        guardrails: Vec::new(),
        traffic: 1.0,
        holdout: 0.0,
        exposure: Exposure::Decide,
        stopping: None,
    }
}
