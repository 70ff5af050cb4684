//! What a policy would have dealt to the trials of a log.

use super::{ArmRates, Trials};
use std::collections::BTreeMap;

/// What a policy would have dealt to each trial.
#[derive(Debug, Clone, PartialEq)]
pub enum Choices {
    /// The probability of the logged arm, and nothing of the others.
    Column(Vec<f64>),
    /// Lists of probabilities by arm, and which is each trial's.
    Lists {
        /// Each has a place for each arm.
        lists: Vec<Vec<f64>>,
        /// By trial.
        of_row: Vec<usize>,
        /// Share of choices, over all trials, that are arms of which the log has none.
        beyond: f64,
    },
}

impl Choices {
    /// Probabilities of the logged arms.
    #[must_use]
    pub fn of_logged(&self, trials: &Trials) -> Vec<f64> {
        match self {
            Self::Column(column) => column.clone(),
            Self::Lists { lists, of_row, .. } => {
                of_row.iter().zip(&trials.arm).map(|(&list, &arm)| lists[list][arm]).collect()
            }
        }
    }

    /// Rewards that `rates` expect under the policy.
    #[must_use]
    pub fn expected(&self, trials: &Trials, rates: &ArmRates) -> Option<Vec<f64>> {
        let Self::Lists { lists, of_row, .. } = self else { return None };
        let folds = rates.folds();
        // Each list with each fold once, not for each trial.
        let known: Vec<f64> = lists.iter().flat_map(|list| (0..folds).map(|fold| rates.expected(fold, list))).collect();
        Some((0..trials.len()).map(|row| known[of_row[row] * folds + row % folds]).collect())
    }

    /// Share of choices that fall on arms that were never dealt in the trial's segment.
    #[must_use]
    pub fn unsupported(&self, trials: &Trials) -> Option<f64> {
        let Self::Lists { lists, of_row, beyond } = self else { return None };
        let dealt = trials.dealt();
        let mut pairs = BTreeMap::<(usize, usize), f64>::new();
        for pair in of_row.iter().copied().zip(trials.segment.iter().copied()) {
            *pairs.entry(pair).or_default() += 1.0;
        }
        let missing = |list: usize, segment: usize| -> f64 {
            lists[list].iter().zip(&dealt[segment]).filter(|(_, n)| **n == 0).map(|(p, _)| p).sum()
        };
        let sum: f64 = pairs.iter().map(|((list, segment), rows)| rows * missing(*list, *segment)).sum();
        let rows: f64 = pairs.values().sum();
        Some(beyond + sum / rows)
    }

    /// The policy's largest probability of any arm.
    #[must_use]
    pub fn largest(&self) -> f64 {
        match self {
            Self::Column(_) => 1.0,
            Self::Lists { lists, .. } => lists.iter().flatten().copied().fold(0.0, f64::max),
        }
    }
}
