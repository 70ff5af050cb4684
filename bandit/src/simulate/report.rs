//! Regret over seeds.

use super::environment::Environment;
use super::run::Run;
use crate::policy::PolicySpec;
use crate::validate::FieldError;
use serde::Serialize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, available_parallelism};

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

/// Tries each policy on seeds from 0 (at least one), on as many threads as there are cores. `progress` is told of each run
/// that ended. What comes of it does not depend on the threads.
///
/// # Errors
/// What of a policy cannot be.
pub fn simulate(
    environment: &Environment,
    policies: &[PolicySpec],
    seeds: u64,
    progress: impl FnMut(),
) -> Result<Vec<Simulation>, Vec<FieldError>> {
    simulate_on(available_parallelism().map_or(1, usize::from), environment, policies, seeds.max(1), progress)
}

fn simulate_on(
    threads: usize,
    environment: &Environment,
    policies: &[PolicySpec],
    seeds: u64,
    progress: impl FnMut(),
) -> Result<Vec<Simulation>, Vec<FieldError>> {
    let mut runs = runs(threads, environment, policies, seeds, progress)?.into_iter();
    let mut all: Vec<Simulation> = Vec::with_capacity(policies.len());
    for policy in policies {
        let own = (0..seeds).map_while(|_| runs.next()).collect();
        all.push(Simulation::of(environment, policy, own, all.first()));
    }
    Ok(all)
}

/// Every run, by policy, then by seed.
fn runs(
    threads: usize,
    environment: &Environment,
    policies: &[PolicySpec],
    seeds: u64,
    mut progress: impl FnMut(),
) -> Result<Vec<Run>, Vec<FieldError>> {
    let tasks: Vec<(&PolicySpec, u64)> = policies.iter().flat_map(|p| (0..seeds).map(move |seed| (p, seed))).collect();
    let next = AtomicUsize::new(0);
    let (done, ended) = channel();
    let mut found: Vec<(usize, Result<Run, Vec<FieldError>>)> = thread::scope(|scope| {
        for _ in 0..threads.clamp(1, tasks.len().max(1)) {
            let (done, tasks, next) = (done.clone(), &tasks, &next);
            scope.spawn(move || {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some((policy, seed)) = tasks.get(i) else { return };
                    let run = environment.run(policy, *seed);
                    if run.is_err() {
                        next.store(tasks.len(), Ordering::Relaxed);
                    }
                    if done.send((i, run)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        ended.iter().inspect(|_| progress()).collect()
    });
    found.sort_by_key(|(i, _)| *i);
    found.into_iter().map(|(_, run)| run).collect()
}

impl Simulation {
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    fn of(environment: &Environment, policy: &PolicySpec, runs: Vec<Run>, first: Option<&Self>) -> Self {
        let regrets: Vec<f64> = runs.iter().map(Run::regret).collect();
        let Paired { mean, se } = Paired::of(&regrets);
        let difference = first.map(|first| {
            let each = regrets.iter().zip(&first.runs).map(|(mine, theirs)| mine - theirs.regret());
            Paired::of(&each.collect::<Vec<f64>>())
        });
        let rewards: f64 = runs.iter().map(|r| r.rewards as f64).sum();
        let reward_rate = rewards / (environment.trials() as f64 * runs.len() as f64);
        Self { policy: policy.clone(), regret: mean, regret_se: se, reward_rate, difference, runs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_change_nothing() {
        let text = r#"{"days": 2, "trials_per_hour": 20, "arms": 3, "segments": [2, 1],
            "phases": [{"rates": {"effects": {"mean": -2, "segments": 0.3, "arms": 0.3, "both": 0.2}}}]}"#;
        let environment: Environment = serde_json::from_str(text).unwrap();
        let policies = [PolicySpec::recommended(false), PolicySpec::default()];
        let on = |threads| {
            let mut ended = 0;
            let found = simulate_on(threads, &environment, &policies, 5, || ended += 1).unwrap();
            assert_eq!(ended, 10);
            found
        };
        let one = on(1);
        assert_eq!(one, on(4));
        assert_eq!(one[1].runs[3], environment.run(&policies[1], 3).unwrap());
        assert_eq!(one[1].runs.iter().map(|r| r.seed).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        let apart: Vec<f64> = one[1].runs.iter().zip(&one[0].runs).map(|(b, a)| b.regret() - a.regret()).collect();
        assert_eq!(one[1].difference, Some(Paired::of(&apart)));
    }

    #[test]
    fn a_policy_that_cannot_be_is_refused() {
        let text = r#"{"days": 1, "trials_per_hour": 1, "arms": 2, "phases": [{"rates": {"arms": [0.1, 0.2]}}]}"#;
        let environment: Environment = serde_json::from_str(text).unwrap();
        let wrong = PolicySpec { floor: 0.9, ..PolicySpec::default() };
        let errors = simulate(&environment, &[PolicySpec::default(), wrong], 50, || ()).unwrap_err();
        assert_eq!(errors[0].field, "policy.floor");
    }
}
