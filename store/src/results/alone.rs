//! What one arm for everyone would be worth where segments are dealt their own.

use super::report::OneForAll;
use bandit::{ArmPosterior, Experiment, HourOutcome, PosteriorSet};
use std::collections::BTreeMap;

/// Trials of each arm from which a segment's posterior means are data rather than prior.
const FEWEST_TRIALS: u64 = 100;
/// Share of all trials that such segments must have, to speak for the whole.
const SPOKEN_FOR: f64 = 0.8;

/// None where there is one segment. Standardised over segments: an arm's rate over whom it happened to be dealt to is
/// confounded by what decides whom that is (Simpson's paradox).
pub(super) fn one_for_all(e: &Experiment, set: &PosteriorSet, outcomes: &[HourOutcome]) -> Option<Vec<OneForAll>> {
    if e.segment_by.is_empty() || set.segments.len() < 2 {
        return None;
    }
    let enabled: Vec<usize> = (0..e.arms.len()).filter(|&i| e.arms[i].enabled).collect();
    let mut trials: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for o in outcomes {
        let arms = trials.entry(&o.segment).or_insert_with(|| vec![0; e.arms.len()]);
        if let Some(of_arm) = arms.get_mut(o.arm) {
            *of_arm += o.trials;
        }
    }
    let known = |name: &str| trials.get(name).filter(|list| enabled.iter().all(|&i| list[i] >= FEWEST_TRIALS));
    let (mut rates, mut best, mut spoken_for) = (vec![0.0; e.arms.len()], 0.0, 0.0);
    for (name, list) in &set.segments {
        let Some(weight) = known(name).map(|list| sum(list)) else { continue };
        let mean = |i: usize| list.get(i).map_or(0.0, |p: &ArmPosterior| p.beta().mean());
        enabled.iter().for_each(|&i| rates[i] += weight * mean(i));
        best += weight * enabled.iter().map(|&i| mean(i)).fold(0.0, f64::max);
        spoken_for += weight;
    }
    let all: f64 = trials.values().map(|list| sum(list)).sum();
    if spoken_for == 0.0 || spoken_for < SPOKEN_FOR * all {
        return Some(Vec::new());
    }
    let of = |i: usize| OneForAll {
        arm: e.arms[i].id.clone(),
        rate: rates[i] / spoken_for,
        loss: (best - rates[i]) / spoken_for,
    };
    Some(enabled.into_iter().map(of).collect())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn sum(trials: &[u64]) -> f64 {
    trials.iter().sum::<u64>() as f64
}
