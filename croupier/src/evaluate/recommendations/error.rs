//! Why lists are not tried.

use crate::import::{ImportError, Place, Refusal, Shown};
use recommend::ItemError;
use std::path::PathBuf;

/// Why lists are not tried.
#[derive(Debug, thiserror::Error)]
pub enum RecommendationsError {
    /// A setting is not what it may be.
    #[error("--{setting}: {why}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What it may be.
        why: String,
    },
    /// A column is not there.
    #[error("{}: there is no column '{column}': say which it is with --{setting}; there are {there}", path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// Which.
        column: String,
        /// The option that names it.
        setting: &'static str,
        /// Those that there are.
        there: String,
    },
    /// A row cannot be read.
    #[error("{}: {refusal}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Where and why.
        refusal: Refusal,
    },
    /// A cell cannot be read.
    #[error("{}: {place}: column '{column}': {fault}", path.display())]
    Cell {
        /// The file.
        path: PathBuf,
        /// Line or row.
        place: Place,
        /// Which column.
        column: String,
        /// What is wrong.
        fault: Fault,
    },
    /// More than is taken.
    #[error("{}: has more than {most} {what}", path.display())]
    TooMany {
        /// The file.
        path: PathBuf,
        /// Of what.
        what: &'static str,
        /// How many are taken.
        most: usize,
    },
    /// There are no items.
    #[error("{}: has no items", path.display())]
    NoItems {
        /// The file.
        path: PathBuf,
    },
    /// Nobody looked at anything after something else.
    #[error(
        "{}: no visitor looked at an item after another one ({rows} rows, {unknown} of unknown items)",
        path.display()
    )]
    NoMoments {
        /// The log.
        path: PathBuf,
        /// Its rows.
        rows: u64,
        /// Those of items that are not among the items.
        unknown: u64,
    },
    /// A model cannot be used.
    #[error("--static-model: {0}")]
    Model(#[from] embed::ModelError),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] ImportError),
}

/// What is wrong with a cell.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nothing is there.
    #[error("is empty")]
    Empty,
    /// Bytes are not text.
    #[error("is not UTF-8")]
    NotUtf8,
    /// A list, an object or bytes where one value belongs.
    #[error("must be text, a number, true or false")]
    NotAValue,
    /// A moment cannot be read.
    #[error("{0} is not a time: it may be {taken}", taken = crate::import::times::TAKEN)]
    Time(Shown),
    /// A number cannot be read.
    #[error("{0} is not a number")]
    Number(Shown),
    /// A mark is neither yes nor no.
    #[error("{0} is not 0, 1, true or false")]
    Mark(Shown),
    /// A vector cannot be read.
    #[error("{value} is not a JSON array of numbers: {why}")]
    Vector {
        /// What is there.
        value: Shown,
        /// Why it is none.
        why: String,
    },
    /// A vector cannot be one of the catalog's.
    #[error("{0}")]
    Item(ItemError),
    /// Tags cannot be read.
    #[error("{0} is not a JSON array of texts")]
    Tags(Shown),
    /// A text has no token that the model knows a direction for.
    #[error("{0} has no vector by the model")]
    Text(Shown),
    /// Two items have one id.
    #[error("{0} is the id of an earlier row too")]
    Twice(Shown),
}

impl RecommendationsError {
    /// Whether arguments are to blame rather than files.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Setting { .. } | Self::NoColumn { .. } => true,
            Self::File(e) => e.is_usage(),
            _ => false,
        }
    }
}
