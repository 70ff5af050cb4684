//! The confidence sequence of one policy, and why there is none.

use super::EvaluateArgs;
use bandit::evaluate::{Choices, ConfidenceSequence, Trials};

/// Level of every interval.
pub(super) const LEVEL: f64 = 0.95;

/// Bounds that hold whenever one looks.
pub(super) struct Sequence {
    /// Or why there are none.
    pub(super) interval: Result<[f64; 2], String>,
    /// What they rest on.
    pub(super) max_reward: f64,
    /// Bound on all weights, if a floor was given.
    pub(super) max_weight: Option<f64>,
}

impl Sequence {
    pub(super) fn of(args: &EvaluateArgs, trials: &Trials, choices: &Choices, evaluated: &[f64]) -> Self {
        let max_reward = args.max_reward.unwrap_or(1.0);
        let max_weight = args.floor.map(|floor| (choices.largest() / floor).max(1.0));
        let interval = || {
            let mut sequence = ConfidenceSequence::new(LEVEL, max_reward, max_weight).map_err(|e| e.to_string())?;
            for ((reward, p), e) in trials.rewards.iter().zip(&trials.propensities).zip(evaluated) {
                if *reward > max_reward && args.max_reward.is_none() {
                    return Err("rewards are larger than 1: say with --max-reward how large they can be".to_owned());
                }
                if args.floor.is_some_and(|floor| *p < floor * (1.0 - 1e-9)) {
                    return Err(format!("the log has a propensity of {p}, below --floor"));
                }
                sequence.push(*reward, e / p).map_err(|e| e.to_string())?;
            }
            Ok(sequence.interval())
        };
        Self { interval: interval(), max_reward, max_weight }
    }
}
