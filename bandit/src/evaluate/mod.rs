//! Off-policy evaluation: what another policy would have earned on the traffic of a log.
//!
//! A row of the log is one trial: its reward, the probability with which its arm was dealt, and the probability with
//! which the evaluated policy would have dealt that arm. [`evaluate`] gives every estimator with its intervals, what the
//! log can support, and whether to trust the numbers. [`ConfidenceSequence`] gives bounds that hold at every moment of a
//! log that was dealt adaptively; the intervals of [`evaluate`] are for a log whose length was fixed beforehand.

mod bootstrap;
mod choices;
mod estimators;
mod gain;
mod learnt;
mod model;
mod sequence;
mod support;
mod target;
mod trials;

pub use bootstrap::Bootstrap;
pub use choices::Choices;
pub use estimators::{Estimate, Estimator, Tuning};
pub use gain::{Gain, PROPENSITY_EDGES, WeightSums, gain_over_uniform};
pub use model::{ArmRates, ModelSettings};
pub use sequence::{ConfidenceSequence, SequenceError};
pub use support::{ENOUGH_ROWS, Support, Warning};
pub use target::{Target, TargetError, some};
pub use trials::{Defined, Names, Trials};

use estimators::Terms;

/// Smallest propensity that is taken. No draw has one below it, and squares of weights stay finite.
pub const LEAST_PROPENSITY: f64 = 1e-100;
/// Largest absolute reward or prediction that is taken, as of events.
const LARGEST: f64 = 1e15;

/// A log in columns, one value per trial, all of the same length.
#[derive(Debug, Clone, Copy)]
pub struct Log<'a> {
    /// Rewards, 0 or more.
    pub rewards: &'a [f64],
    /// Probabilities with which the logged arms were dealt, above 0.
    pub propensities: &'a [f64],
    /// Probabilities of the logged arms under the evaluated policy.
    pub evaluated: &'a [f64],
    /// What a model of rewards says; without it there are no estimators that need one.
    pub model: Option<Predictions<'a>>,
    /// Share of the evaluated policy's choices that fall on arms which the log never dealt in the same circumstances,
    /// if known.
    pub unsupported: Option<f64>,
}

/// A reward model's predictions, one per trial.
#[derive(Debug, Clone, Copy)]
pub struct Predictions<'a> {
    /// Of the logged arm.
    pub logged: &'a [f64],
    /// Expected under the evaluated policy.
    pub expected: &'a [f64],
}

/// Why a log cannot be evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvaluateError {
    /// A standard error needs two rows.
    #[error("the log has {0} rows: at least 2 are needed")]
    TooFewRows(usize),
    /// Columns differ in length.
    #[error("columns differ in length: {column} has {length} values, rewards {rows}")]
    Lengths {
        /// Which column.
        column: &'static str,
        /// Its length.
        length: usize,
        /// The rewards'.
        rows: usize,
    },
    /// A row that no log can have.
    #[error("row {}: {why}", row + 1)]
    Row {
        /// Index of the row, from 0.
        row: usize,
        /// What is wrong with it.
        why: BadRow,
    },
    /// A setting is not what it may be.
    #[error("{name}: must be {must}, and is {value}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What it may be.
        must: &'static str,
        /// What it is.
        value: f64,
    },
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BadRow {
    /// Not a probability of something that happened.
    #[error("the logged propensity must be above 0 and at most 1, and is {0}")]
    Propensity(f64),
    /// Not a probability.
    #[error("the evaluated policy's probability must be from 0 to 1, and is {0}")]
    Evaluated(f64),
    /// Not a reward.
    #[error("the reward must be a number from 0 to 1e15, and is {0}")]
    Reward(f64),
    /// Not a prediction.
    #[error("the model's prediction must be a number up to 1e15, and is {0}")]
    Prediction(f64),
}

/// What a log says of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Every estimator that is defined for the log.
    pub estimates: Vec<Estimate>,
    /// How well the log supports the question.
    pub support: Support,
    /// What to know before reading the estimates.
    pub warnings: Vec<Warning>,
}

impl Evaluation {
    /// Whether the estimates may be read as an answer.
    #[must_use]
    pub fn trustworthy(&self) -> bool {
        !self.warnings.iter().any(Warning::disqualifies)
    }

    /// The estimate of one estimator.
    #[must_use]
    pub fn estimate(&self, estimator: Estimator) -> Option<&Estimate> {
        self.estimates.iter().find(|e| e.estimator == estimator)
    }
}

impl Log<'_> {
    fn check(&self) -> Result<(), EvaluateError> {
        let rows = self.rewards.len();
        if rows < 2 {
            return Err(EvaluateError::TooFewRows(rows));
        }
        let mut columns = vec![("propensities", self.propensities), ("evaluated", self.evaluated)];
        if let Some(model) = self.model {
            columns.extend([("model.logged", model.logged), ("model.expected", model.expected)]);
        }
        if let Some((column, values)) = columns.iter().find(|(_, values)| values.len() != rows) {
            return Err(EvaluateError::Lengths { column, length: values.len(), rows });
        }
        (0..rows).try_for_each(|row| self.check_row(row).map_err(|why| EvaluateError::Row { row, why }))
    }

    fn check_row(&self, row: usize) -> Result<(), BadRow> {
        let (p, e, r) = (self.propensities[row], self.evaluated[row], self.rewards[row]);
        // Sums of shares may pass 1 by rounding.
        if !(LEAST_PROPENSITY..=1.0 + 1e-9).contains(&p) {
            return Err(BadRow::Propensity(p));
        }
        if !(0.0..=1.0 + 1e-9).contains(&e) {
            return Err(BadRow::Evaluated(e));
        }
        if !(0.0..=LARGEST).contains(&r) {
            return Err(BadRow::Reward(r));
        }
        let Some(model) = self.model else { return Ok(()) };
        let wrong = [model.logged[row], model.expected[row]].into_iter().find(|q| !(-LARGEST..=LARGEST).contains(q));
        wrong.map_or(Ok(()), |q| Err(BadRow::Prediction(q)))
    }

    fn weight(&self, row: usize) -> f64 {
        self.evaluated[row] / self.propensities[row]
    }

    /// What each row adds to the estimators' sums.
    fn terms(&self, tuning: Tuning) -> impl Iterator<Item = Terms> {
        (0..self.rewards.len()).map(move |row| {
            let model = self.model.map_or((0.0, 0.0), |m| (m.logged[row], m.expected[row]));
            Terms::new(self.weight(row), self.rewards[row], model, tuning)
        })
    }
}

/// Estimates what the evaluated policy would have earned per trial; with bootstrap intervals if asked for.
///
/// # Errors
/// When columns do not fit each other, a row is impossible or a setting is.
pub fn evaluate(log: &Log<'_>, tuning: Tuning, bootstrap: Option<Bootstrap>) -> Result<Evaluation, EvaluateError> {
    tuning.check()?;
    log.check()?;
    let mut estimates = estimators::estimates(log, tuning);
    if let Some(bootstrap) = bootstrap {
        bootstrap::add_intervals(&mut estimates, log, tuning, bootstrap);
    }
    let support = Support::of(log);
    let warnings = support.warnings();
    Ok(Evaluation { estimates, support, warnings })
}

#[expect(clippy::cast_precision_loss, reason = "rows stay below 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}
