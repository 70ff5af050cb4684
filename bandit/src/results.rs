//! What an owner reads: arms beside each other.

use crate::beta::{Beta, Interval};
use crate::compare::compare;
use crate::experiment::Experiment;
use crate::learn::HourOutcome;
use crate::posterior::{ArmPosterior, PosteriorSet};
use crate::ratio::ratio_interval;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Level of the intervals that are shown: the mass of credible ones.
pub const INTERVAL_LEVEL: f64 = 0.95;

/// One arm's row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArmResult {
    /// Arm id.
    pub id: String,
    /// Exposed assignments.
    pub trials: u64,
    /// Trials without a reward whose window is still open, to the hour of decision.
    pub pending: u64,
    /// Trials with a reward in their window.
    pub rewards: u64,
    /// `rewards / trials`; none without trials.
    pub rate: Option<f64>,
    /// 95 % credible interval of the rate, equal-tailed.
    #[schema(value_type = Vec<f64>)]
    pub interval: Interval,
    /// Probability that no enabled arm has a higher rate; 0 for a disabled arm.
    pub p_best: f64,
    /// Expected rate lost per trial if only this arm were shown.
    pub expected_loss: f64,
    /// Probability that the arm is dealt to a participant; over several segments, weighted by their trials.
    pub allocation: f64,
    /// Relative to the control; none for the control itself.
    pub uplift: Option<Uplift>,
    /// The posterior behind the row.
    pub posterior: Beta,
}

/// Relative difference to the control's rate: 0.1 is ten percent more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Uplift {
    /// Posterior mean; none while the control has so few successes that it does not exist.
    pub mean: Option<f64>,
    /// 95 % credible interval, equal-tailed.
    #[schema(value_type = Vec<f64>)]
    pub interval: Interval,
}

/// How an arm stands beside the others: what follows from the posteriors alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// 95 % credible interval of the rate, equal-tailed.
    pub interval: Interval,
    /// Probability that no enabled arm has a higher rate.
    pub p_best: f64,
    /// Expected rate lost per trial if only this arm were shown.
    pub expected_loss: f64,
    /// Relative to the control; none for the control itself.
    pub uplift: Option<Uplift>,
}

/// Compares arms, by quadrature: about a millisecond each. `control` is an index into `betas`.
#[must_use]
pub fn judge(betas: &[Beta], enabled: &[bool], control: usize) -> Vec<Judgement> {
    let live: Vec<usize> = (0..betas.len()).filter(|&i| enabled.get(i).copied().unwrap_or(false)).collect();
    let compared = compare(&live.iter().map(|&i| betas[i]).collect::<Vec<_>>());
    let judgement = |(i, beta): (usize, &Beta)| {
        let place = live.iter().position(|&e| e == i);
        Judgement {
            interval: beta.interval(INTERVAL_LEVEL),
            p_best: place.map_or(0.0, |p| compared.p_best[p]),
            expected_loss: place
                .map_or_else(|| (compared.expected_max - beta.mean()).max(0.0), |p| compared.expected_loss[p]),
            uplift: betas.get(control).filter(|_| i != control).map(|control| uplift(*beta, *control)),
        }
    };
    betas.iter().enumerate().map(judgement).collect()
}

/// Sums up one segment, or the whole. `posteriors` and `outcomes` are of that segment or whole; a trial of hour
/// h is pending while h ≥ `open_since`.
#[must_use]
pub fn summarise(
    experiment: &Experiment,
    posteriors: &[ArmPosterior],
    outcomes: &[HourOutcome],
    open_since: i64,
) -> Vec<ArmResult> {
    let betas: Vec<Beta> = posteriors.iter().map(ArmPosterior::beta).collect();
    let enabled: Vec<bool> = experiment.arms.iter().map(|a| a.enabled).collect();
    let judged = judge(&betas, &enabled, experiment.control());
    summarise_judged(experiment, posteriors, &judged, outcomes, open_since)
}

/// The same of arms that were compared already.
#[must_use]
pub fn summarise_judged(
    experiment: &Experiment,
    posteriors: &[ArmPosterior],
    judged: &[Judgement],
    outcomes: &[HourOutcome],
    open_since: i64,
) -> Vec<ArmResult> {
    // Trials, rewards, pending.
    let mut counts = vec![(0_u64, 0_u64, 0_u64); posteriors.len()];
    for o in outcomes {
        if let Some((trials, rewards, pending)) = counts.get_mut(o.arm) {
            *trials += o.trials;
            *rewards += o.rewards;
            *pending += if o.hour >= open_since { o.trials - o.rewards.min(o.trials) } else { 0 };
        }
    }
    let rows = experiment.arms.iter().zip(posteriors).zip(judged).zip(counts);
    rows.map(|(((arm, posterior), judged), (trials, rewards, pending))| ArmResult {
        id: arm.id.clone(),
        trials,
        pending,
        rewards,
        rate: rate(rewards, trials),
        interval: judged.interval,
        p_best: judged.p_best,
        expected_loss: judged.expected_loss,
        allocation: posterior.propensity,
        uplift: judged.uplift.clone(),
        posterior: posterior.beta(),
    })
    .collect()
}

/// Trials of each segment.
#[must_use]
pub fn trials_by_segment(outcomes: &[HourOutcome]) -> BTreeMap<&str, u64> {
    let mut trials = BTreeMap::new();
    for o in outcomes {
        *trials.entry(o.segment.as_str()).or_default() += o.trials;
    }
    trials
}

/// The weight of each segment of `set`, in its order, where all are seen as one: its share of the trials, or equal
/// shares before there are any. Sums to 1.
#[must_use]
pub fn segment_weights(set: &PosteriorSet, trials: &BTreeMap<&str, u64>) -> Vec<f64> {
    let of = |segment: &String| trials.get(segment.as_str()).copied().unwrap_or(0);
    let seen: u64 = set.segments.keys().map(of).sum();
    let weight = |segment| rate(of(segment), seen).or_else(|| rate(1, set.segments.len() as u64)).unwrap_or(0.0);
    set.segments.keys().map(weight).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn rate(rewards: u64, trials: u64) -> Option<f64> {
    (trials > 0).then(|| rewards as f64 / trials as f64)
}

/// E[θ_a/θ_c] − 1 = E[θ_a] E[1/θ_c] − 1, where E[1/θ_c] = (α + β − 1) / (α − 1) exists for α > 1.
fn uplift(arm: Beta, control: Beta) -> Uplift {
    let inverse = (control.alpha > 1.0).then(|| (control.alpha + control.beta - 1.0) / (control.alpha - 1.0));
    let [low, high] = ratio_interval(arm, control, INTERVAL_LEVEL);
    Uplift { mean: inverse.map(|i| arm.mean() * i - 1.0), interval: [low - 1.0, high - 1.0] }
}
