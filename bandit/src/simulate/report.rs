//! Regret over seeds.

use super::environment::Environment;
use super::run::Run;
use crate::experiment::PolicySpec;
use crate::validate::FieldError;
use serde::Serialize;

/// One policy over several seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Simulation {
    /// The policy.
    pub policy: PolicySpec,
    /// Mean pseudo-regret at the end.
    pub regret: f64,
    /// Its standard error over seeds; none for one seed.
    pub regret_se: Option<f64>,
    /// Share of trials rewarded.
    pub reward_rate: f64,
    /// Against the first policy, seed by seed; none for the first.
    pub difference: Option<Paired>,
    /// Each seed.
    pub runs: Vec<Run>,
}

/// A mean of differences on the same seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// Mean difference of regrets: negative is better.
    pub mean: f64,
    /// Its standard error; none for one seed.
    pub se: Option<f64>,
}

impl Paired {
    /// The mean of `values` with its standard error.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seeds are few")]
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Self { mean, se: (values.len() > 1).then(|| (squares / (n * (n - 1.0))).sqrt()) }
    }
}

/// Tries each policy on the same seeds. `progress` is told of each run that ended.
///
/// # Errors
/// What of a policy cannot be.
#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
pub fn simulate(
    environment: &Environment,
    policies: &[PolicySpec],
    seeds: u64,
    mut progress: impl FnMut(),
) -> Result<Vec<Simulation>, Vec<FieldError>> {
    let mut all: Vec<Simulation> = Vec::with_capacity(policies.len());
    for policy in policies {
        let runs = (0..seeds)
            .map(|seed| {
                let run = environment.run(policy, seed);
                progress();
                run
            })
            .collect::<Result<Vec<Run>, _>>()?;
        let regrets: Vec<f64> = runs.iter().map(Run::regret).collect();
        let Paired { mean, se } = Paired::of(&regrets);
        let difference = all.first().map(|first| {
            let each = regrets.iter().zip(&first.runs).map(|(mine, theirs)| mine - theirs.regret());
            Paired::of(&each.collect::<Vec<f64>>())
        });
        let rewards: u64 = runs.iter().map(|r| r.rewards).sum();
        let reward_rate = rewards as f64 / (environment.trials() * seeds) as f64;
        all.push(Simulation { policy: policy.clone(), regret: mean, regret_se: se, reward_rate, difference, runs });
    }
    Ok(all)
}
