//! What to expect of an experiment before it starts: planned runs over seeds, policy beside policy.

use super::environment::Environment;
use super::plan::Planned;
use super::report::Paired;
use crate::beta::Beta;
use crate::policy::PolicySpec;
use crate::validate::FieldError;

/// One policy over several seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// The policy.
    pub policy: PolicySpec,
    /// Each seed.
    pub runs: Vec<Planned>,
    /// Regret against the first policy, seed by seed; none for the first.
    pub difference: Option<Paired>,
}

impl Outlook {
    /// Share of runs that were decided when `day` had passed.
    #[must_use]
    pub fn decided_by(&self, day: u32) -> f64 {
        self.share(|run| run.decided.is_some_and(|d| d.day <= day))
    }

    /// Share of runs that ended with an arm that none is better than, and where that probability lies with 95 %: between
    /// both ends, or beyond one where all runs were alike, as an interval without the share itself would contradict it.
    #[must_use]
    pub fn right(&self) -> (f64, [f64; 2]) {
        let n = count(self.runs.len());
        let right = count(self.runs.iter().filter(|run| run.right()).count());
        let (none, all) = (right == 0.0, right == n);
        let level = if none || all { 2.0 * crate::INTERVAL_LEVEL - 1.0 } else { crate::INTERVAL_LEVEL };
        let [low, high] = Beta::new(right + 1.0, n - right + 1.0).map_or([0.0, 1.0], |beta| beta.interval(level));
        (right / n.max(1.0), [if none { 0.0 } else { low }, if all { 1.0 } else { high }])
    }

    /// The day by which a share `q` of runs was decided; none if fewer were until the end.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
    pub fn day(&self, q: f64) -> Option<u32> {
        let mut days: Vec<u32> = self.runs.iter().filter_map(|run| Some(run.decided?.day)).collect();
        days.sort_unstable();
        let rank = (q * count(self.runs.len())).ceil().max(1.0) as usize;
        days.get(rank - 1).copied()
    }

    /// Regret when `day` had passed, from 1.
    #[must_use]
    pub fn regret_by(&self, day: u32) -> Paired {
        let until = |run: &Planned| run.regret_by_day.get(day.saturating_sub(1) as usize).copied().unwrap_or_default();
        Paired::of(&self.runs.iter().map(until).collect::<Vec<f64>>())
    }

    /// Regret at the end.
    #[must_use]
    pub fn regret(&self) -> Paired {
        Paired::of(&self.runs.iter().map(Planned::regret).collect::<Vec<f64>>())
    }

    fn share(&self, of: impl Fn(&Planned) -> bool) -> f64 {
        count(self.runs.iter().filter(|run| of(run)).count()) / count(self.runs.len().max(1))
    }
}

impl Environment {
    /// Plans each policy on seeds from 0, at least two, on this thread.
    ///
    /// # Errors
    /// What of a policy cannot be.
    pub fn outlook(&self, policies: &[PolicySpec], seeds: u64) -> Result<Vec<Outlook>, Vec<FieldError>> {
        let mut all: Vec<Outlook> = Vec::with_capacity(policies.len());
        for policy in policies {
            let runs = (0..seeds.max(2)).map(|seed| self.plan(policy, seed)).collect::<Result<Vec<_>, _>>()?;
            let difference = all.first().map(|first| {
                let apart = runs.iter().zip(&first.runs).map(|(mine, theirs)| mine.regret() - theirs.regret());
                Paired::of(&apart.collect::<Vec<f64>>())
            });
            all.push(Outlook { policy: policy.clone(), runs, difference });
        }
        Ok(all)
    }
}

#[expect(clippy::cast_precision_loss, reason = "seeds are few")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::super::plan::Decided;
    use super::*;

    fn run(seed: u64, decided: Option<(u32, bool)>) -> Planned {
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let regret = seed as f64;
        let decided = decided.map(|(day, right)| Decided { day, arm: 0, right });
        Planned { seed, regret_by_day: vec![regret, 3.0 * regret], decided }
    }

    #[test]
    fn runs_without_a_decision_are_later_than_all_others() {
        let runs = vec![run(0, Some((9, true))), run(1, None), run(2, Some((7, false))), run(3, Some((8, true)))];
        let outlook = Outlook { policy: PolicySpec::default(), runs, difference: None };
        assert_eq!([0.0, 0.25, 0.5, 0.75, 0.9].map(|q| outlook.day(q)), [Some(7), Some(7), Some(8), Some(9), None]);
        assert_eq!((outlook.decided_by(6), outlook.decided_by(8), outlook.decided_by(90)), (0.0, 0.5, 0.75));
        let (share, [low, high]) = outlook.right();
        assert!(share == 0.5 && low < 0.3 && high > 0.7);
        for (right, [low, high]) in
            [(true, [0.05_f64.powf(1.0 / 19.0), 1.0]), (false, [0.0, 1.0 - 0.05_f64.powf(1.0 / 19.0)])]
        {
            let runs = (0..18).map(|seed| run(seed, Some((7, right)))).collect();
            let (share, within) = Outlook { runs, ..outlook.clone() }.right();
            assert_eq!(share, f64::from(u8::from(right)));
            assert!((within[0] - low).abs() < 1e-9 && (within[1] - high).abs() < 1e-9, "{within:?}");
        }
        assert_eq!((outlook.regret_by(1).mean, outlook.regret().mean), (1.5, 4.5));
    }
}
