//! What becomes of an experiment that is stopped by the rule: when, with which arm, and what it costs until a day.

use super::environment::Environment;
use crate::policy::PolicySpec;
use crate::stopping::Verdict;
use crate::validate::FieldError;
use serde::Serialize;

/// One experiment that ran until the rule decided it, and its arm from then on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Planned {
    /// The seed.
    pub seed: u64,
    /// Pseudo-regret at the end of each day: of the policy until the decision, of the decided arm afterwards.
    pub regret_by_day: Vec<f64>,
    /// The decision, if there was one.
    pub decided: Option<Decided>,
}

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// Days that had passed.
    pub day: u32,
    /// Index of the arm that everyone gets from then on.
    pub arm: usize,
    /// Whether no arm has a higher rate then.
    pub right: bool,
}

impl Planned {
    /// Pseudo-regret at the end.
    #[must_use]
    pub fn regret(&self) -> f64 {
        self.regret_by_day.last().copied().unwrap_or(0.0)
    }

    /// Whether it was decided for an arm that none is better than.
    #[must_use]
    pub fn right(&self) -> bool {
        self.decided.is_some_and(|d| d.right)
    }
}

impl Environment {
    /// Runs `policy` under a seed until [`crate::verdict`], asked once a day, finds a winner or that no arm is worth
    /// it; then everyone gets that arm, or the control. One segment, and rates that stand still: those of the first phase.
    ///
    /// # Errors
    /// What of the policy cannot be.
    pub fn plan(&self, policy: &PolicySpec, seed: u64) -> Result<Planned, Vec<FieldError>> {
        let mut stopped = None;
        let run = self.walk(policy, seed, |learner, hours| {
            stopped = match learner.stops(hours) {
                Some((Verdict::Winner, champion)) => Some((hours / 24, champion)),
                Some((Verdict::Futile, _)) => Some((hours / 24, learner.control())),
                _ => None,
            };
            stopped.is_some()
        })?;
        let mut regret_by_day = run.regret_by_day;
        let world = self.world(seed);
        let rates = world.rates(&world.visitor(0), 0);
        let best = rates.iter().copied().fold(0.0, f64::max);
        let decided = stopped.map(|(day, arm)| Decided {
            day: u32::try_from(day).unwrap_or(u32::MAX),
            arm,
            right: rates[arm] >= best,
        });
        if let Some(Decided { arm, .. }) = decided {
            let daily = (best - rates[arm]) * 24.0 * f64::from(self.trials_per_hour);
            while regret_by_day.len() < self.days as usize {
                regret_by_day.push(regret_by_day.last().copied().unwrap_or(0.0) + daily);
            }
        }
        Ok(Planned { seed, regret_by_day, decided })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(rates: &str, arms: usize, hourly: u32, days: u32) -> Environment {
        let text = format!(
            r#"{{"days": {days}, "trials_per_hour": {hourly}, "arms": {arms}, "update_hours": 4,
                "phases": [{{"rates": {{"arms": {rates}}}}}], "delay": {{"median_minutes": 120, "sigma": 1}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_clear_case_is_decided_after_a_week_and_costs_nothing_afterwards() {
        let e = environment("[0.1, 0.3]", 2, 20, 20);
        let plan = e.plan(&PolicySpec::default(), 3).unwrap();
        assert_eq!(plan.decided, Some(Decided { day: 7, arm: 1, right: true }));
        let run = e.run(&PolicySpec::default(), 3).unwrap();
        assert_eq!(plan.regret_by_day[..7], run.regret_by_day[..7], "until then it is the run of that seed");
        assert!(plan.regret_by_day.len() == 20 && plan.regret_by_day[7..].iter().all(|r| *r == plan.regret_by_day[6]));
    }

    #[test]
    fn between_alike_arms_no_choice_is_wrong_or_costs_anything() {
        for seed in 0..5 {
            let plan = environment("[0.05, 0.05]", 2, 5, 8).plan(&PolicySpec::default(), seed).unwrap();
            assert!(plan.decided.is_none_or(|d| d.right) && plan.regret() == 0.0, "{plan:?}");
        }
    }
}
