//! A log in columns: what is known of each trial.

use super::{ArmRates, Bootstrap, Choices, EvaluateError, Evaluation, Log, Predictions, Tuning, count, evaluate};
use crate::experiment::{Arm, Prior};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Trials, one value of each column for each, in the order of the log.
#[derive(Debug, Clone, Default)]
pub struct Trials {
    /// Names of arms, of which `arm` has the places.
    pub arms: Vec<String>,
    /// Index of the dealt arm.
    pub arm: Vec<usize>,
    /// What came of it.
    pub rewards: Vec<f64>,
    /// Probability with which the arm was dealt.
    pub propensities: Vec<f64>,
    /// Names of segments, of which `segment` has the places.
    pub segments: Vec<String>,
    /// Index of the segment.
    pub segment: Vec<usize>,
    /// When each was dealt; empty if the log does not say.
    pub at: Vec<Timestamp>,
    /// What an experiment says of its arms; empty if the log is of none.
    pub defined: Vec<Defined>,
    /// Attributes that make segments, in the order of their names there.
    pub attributes: Vec<String>,
    /// Further columns that policies asked for.
    pub columns: BTreeMap<String, Vec<f64>>,
    /// Trials that were left out because their rewards may still come.
    pub open: u64,
}

/// What a definition says of an arm that policies go by.
#[derive(Debug, Clone, Copy)]
pub struct Defined {
    /// Belief before any outcome.
    pub prior: Prior,
    /// Share under the `fixed` policy.
    pub weight: f64,
}

impl Default for Defined {
    /// As of an arm of which nothing else is said.
    fn default() -> Self {
        Self { prior: Prior::default(), weight: 1.0 }
    }
}

impl From<&Arm> for Defined {
    fn from(arm: &Arm) -> Self {
        Self { prior: arm.prior, weight: arm.weight }
    }
}

impl Trials {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.arm.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arm.is_empty()
    }

    /// Mean reward of the policy that dealt them; 0 for none.
    #[must_use]
    pub fn mean_reward(&self) -> f64 {
        self.rewards.iter().sum::<f64>() / count(self.len().max(1))
    }

    /// What they say of a policy that would have made `choices`, with `rates` as the model of rewards.
    ///
    /// # Errors
    /// As [`evaluate`].
    pub fn evaluate(
        &self,
        choices: &Choices,
        rates: &ArmRates,
        tuning: Tuning,
        bootstrap: Option<Bootstrap>,
    ) -> Result<Evaluation, EvaluateError> {
        let evaluated = choices.of_logged(self);
        let logged: Vec<f64> = self.arm.iter().enumerate().map(|(row, &arm)| rates.of_row(row)[arm]).collect();
        let expected = choices.expected(self, rates);
        let log = Log {
            rewards: &self.rewards,
            propensities: &self.propensities,
            evaluated: &evaluated,
            model: expected.as_ref().map(|expected| Predictions { logged: &logged, expected }),
            unsupported: choices.unsupported(self),
        };
        evaluate(&log, tuning, bootstrap)
    }

    /// Puts arms in their order, of numbers if they are numbers, else of the alphabet.
    pub fn sort_arms(&mut self) {
        let mut order: Vec<usize> = (0..self.arms.len()).collect();
        if self.arms.iter().all(|a| a.parse::<u64>().is_ok()) {
            order.sort_by_key(|&i| self.arms[i].parse::<u64>().ok());
        } else {
            order.sort_by(|&i, &j| self.arms[i].cmp(&self.arms[j]));
        }
        let mut place = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            place[old] = new;
        }
        self.arms = order.iter().map(|&old| self.arms[old].clone()).collect();
        self.defined = order.iter().filter_map(|&old| self.defined.get(old).copied()).collect();
        self.arm.iter_mut().for_each(|arm| *arm = place[*arm]);
    }

    /// Puts trials in the order of time, if the log says when they were.
    pub fn sort_by_time(&mut self) {
        if self.at.is_sorted() {
            return;
        }
        let mut order: Vec<usize> = (0..self.at.len()).collect();
        order.sort_by_key(|&i| self.at[i]);
        fn permuted<T: Copy>(column: &mut Vec<T>, order: &[usize]) {
            *column = order.iter().map(|&i| column[i]).collect();
        }
        permuted(&mut self.arm, &order);
        permuted(&mut self.rewards, &order);
        permuted(&mut self.propensities, &order);
        permuted(&mut self.segment, &order);
        permuted(&mut self.at, &order);
        self.columns.values_mut().for_each(|column| permuted(column, &order));
    }

    /// How often each arm was dealt in each segment.
    #[must_use]
    pub fn dealt(&self) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; self.arms.len()]; self.segments.len()];
        for (&arm, &segment) in self.arm.iter().zip(&self.segment) {
            counts[segment][arm] += 1;
        }
        counts
    }
}

/// Names with their places, in the order in which they came.
#[derive(Debug, Default)]
pub struct Names {
    places: HashMap<String, usize>,
    /// The names.
    pub names: Vec<String>,
}

impl Names {
    /// The name's place, a new one if it is new.
    pub fn place(&mut self, name: &str) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        self.places.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.names.len() - 1
    }
}
