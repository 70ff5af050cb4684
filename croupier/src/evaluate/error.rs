//! Why a log is not evaluated.

use crate::import::{ImportError, Refusal, Shown};
use crate::rule::RuleError;
use std::path::PathBuf;
use store::StoreError;

/// Why a log is not evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// A setting is not what it may be.
    #[error("--{setting} {value}: must be {must}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        must: &'static str,
    },
    /// A policy cannot be understood.
    #[error("--policy {given}: {why}")]
    Policy {
        /// As it was given.
        given: Shown,
        /// Why.
        why: String,
    },
    /// A rule that learns cannot be had.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The format is neither given nor told by the name.
    #[error("{}: what it is cannot be told from its name: say --input csv, ndjson or parquet", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// A row of the log cannot be read.
    #[error("{}: {refusal}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Where and why.
        refusal: Refusal,
    },
    /// A row's probability cannot be one.
    #[error("{}: {place}: column '{column}': {value} is not a number from 0 to 1", path.display())]
    Probability {
        /// The file.
        path: PathBuf,
        /// Line or row.
        place: crate::import::Place,
        /// Which column.
        column: String,
        /// What is there.
        value: Shown,
    },
    /// A field that every row needs is empty.
    #[error("{}: {place}: {field}: is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// Line or row.
        place: crate::import::Place,
        /// Which field.
        field: crate::import::Field,
    },
    /// A column is not there.
    #[error("--policy column:{column}: there is no column '{column}'; there are {there}")]
    NoColumn {
        /// Which.
        column: String,
        /// Some that there are.
        there: String,
    },
    /// Too many different arms.
    #[error("{}: column '{column}' has more than {most} different values: is it the arm?", path.display())]
    TooManyArms {
        /// The file.
        path: PathBuf,
        /// The column of arms.
        column: String,
        /// How many are taken.
        most: usize,
    },
    /// A log of events is about several experiments.
    #[error("{}: decisions are of {found}: say which with --experiment ID", path.display())]
    WhichExperiment {
        /// The file.
        path: PathBuf,
        /// Those that there are.
        found: String,
    },
    /// A log of events has several rewards.
    #[error("{}: rewards are called {found}: say which count with --reward-event EVENT", path.display())]
    WhichReward {
        /// The file.
        path: PathBuf,
        /// Those that there are.
        found: String,
    },
    /// There is no such experiment.
    #[error("experiment '{0}' does not exist: 'croupier evaluate' without LOG reads the database")]
    NoExperiment(String),
    /// Its log is of places in lists.
    #[error("experiment '{0}' orders lists: its propensities are of places in them, and 'evaluate' reads single arms")]
    Lists(String),
    /// There is nothing to evaluate.
    #[error("{log}: has no two trials to evaluate{}", still_open(*left_out))]
    NoTrials {
        /// Where the log is.
        log: String,
        /// Trials whose rewards may still come.
        left_out: u64,
    },
    /// Lists are not tried.
    #[error(transparent)]
    Recommendations(#[from] super::recommendations::RecommendationsError),
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] ImportError),
    /// Columns do not make a log.
    #[error(transparent)]
    Log(#[from] bandit::evaluate::EvaluateError),
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn still_open(left_out: u64) -> String {
    if left_out == 0 {
        return String::new();
    }
    format!(" ({left_out} are left out, since their rewards may still come)")
}

impl EvaluateError {
    /// Whether arguments are to blame rather than the log.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Setting { .. } | Self::Policy { .. } | Self::Format { .. } | Self::NoColumn { .. } => true,
            Self::Rule(e) => e.is_usage(),
            Self::Recommendations(e) => e.is_usage(),
            Self::File(e) => e.is_usage(),
            Self::Store(e) => matches!(e, StoreError::Setting { .. }),
            _ => false,
        }
    }
}
