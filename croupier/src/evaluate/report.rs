//! The answer for programs.

use super::sequence::LEVEL;
use super::{Answer, Report};
use bandit::evaluate::Estimate;
use serde_json::{Value, json};

pub(super) fn json(report: &Report) -> Value {
    let trials = &report.trials;
    json!({
        "log": {
            "source": report.log,
            "trials": trials.len(),
            "left_out_with_open_window": trials.open,
            "arms": trials.arms,
            "segments": trials.segments.len(),
            "from": trials.at.first(),
            "to": trials.at.last(),
            "mean_reward": mean(&trials.rewards),
        },
        "level": LEVEL,
        "reward_model": {
            "kind": "smoothed_arm_means",
            "prior_rows": report.model.prior_rows,
            "folds": report.model.folds,
        },
        "policies": report.answers.iter().map(answer).collect::<Vec<_>>(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "rows stay below 2^53")]
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn answer(answer: &Answer) -> Value {
    let (evaluation, sequence) = (&answer.evaluation, &answer.sequence);
    let s = &evaluation.support;
    let warnings: Vec<Value> = evaluation
        .warnings
        .iter()
        .map(|w| json!({"kind": w.kind(), "disqualifies": w.disqualifies(), "detail": w.to_string()}))
        .collect();
    json!({
        "policy": answer.policy,
        "trustworthy": evaluation.trustworthy(),
        "warnings": warnings,
        "support": {
            "trials": s.rows,
            "rewarded_trials": s.rewarded_rows,
            "effective_sample_size": s.effective_rows,
            "effective_rewarded_trials": s.effective_rewarded_rows,
            "mean_weight": s.mean_weight,
            "mean_weight_se": s.mean_weight_se,
            "max_weight": s.max_weight,
            "top_1_percent_share": s.top_share,
            "zero_weight_share": s.zero_share,
            "min_propensity": s.min_propensity,
            "unsupported_share": s.unsupported,
        },
        "estimates": evaluation.estimates.iter().map(estimate).collect::<Vec<_>>(),
        "confidence_sequence": {
            "interval": sequence.interval.as_ref().ok(),
            "unavailable": sequence.interval.as_ref().err(),
            "max_reward": sequence.max_reward,
            "max_weight": sequence.max_weight,
        },
    })
}

fn estimate(e: &Estimate) -> Value {
    json!({
        "estimator": e.estimator.as_str(),
        "value": e.value,
        "se": e.se,
        "normal_interval": e.normal,
        "bootstrap_interval": e.bootstrap,
        "caveat": e.estimator.caveat(),
    })
}
