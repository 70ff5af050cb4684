//! Why a log is not loaded.

use super::mapping::Field;
use super::refusal::Refusal;
use super::source::LONGEST_ROW;
use bandit::{FieldError, IdError, MAX_ARMS};
use jiff::Timestamp;
use std::path::PathBuf;
use store::StoreError;

/// Why a log is not loaded. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The load's name cannot be one.
    #[error("--name: {0}")]
    Name(IdError),
    /// A mapping has another form.
    #[error("--map {given}: must be FIELD=COLUMN, as arm=item_id")]
    Map {
        /// What was given.
        given: String,
    },
    /// A mapping names a field that rows do not have.
    #[error(
        "--map {name}=…: there is no field '{name}'; there are user, item, arm, at, reward, reward_at, propensity, \
         decision_id, type and context.NAME"
    )]
    NoField {
        /// What was given.
        name: String,
    },
    /// A field has two mappings.
    #[error("--map {field}=…: is given twice")]
    MappedTwice {
        /// The field.
        field: Field,
    },
    /// A mapping names a column that the file does not have.
    #[error("--map {field}={column}: there is no column '{column}'; there are {}", list(columns))]
    NoColumn {
        /// The field.
        field: Field,
        /// What was given.
        column: String,
        /// Those that there are.
        columns: Vec<String>,
    },
    /// A field that every row needs has no column.
    #[error("no column holds '{field}': say which does with --map {field}=COLUMN; there are {}", list(columns))]
    Unmapped {
        /// The field.
        field: Field,
        /// Those that there are.
        columns: Vec<String>,
    },
    /// A field's column is in the header twice.
    #[error("the column '{column}' of '{field}' is there more than once: rename one")]
    AmbiguousColumn {
        /// The field.
        field: Field,
        /// The column.
        column: String,
    },
    /// A mapping names an attribute that the experiment does not use.
    #[error(
        "--map context.{attribute}=…: the experiment is not split by '{attribute}'; it is split by {}",
        list(segment_by)
    )]
    NoSegment {
        /// The attribute.
        attribute: String,
        /// What splits the experiment.
        segment_by: Vec<String>,
    },
    /// The name of rewards is not one that the experiment counts.
    #[error("--reward-event {given}: the experiment counts '{own}': leave the option out, or change the experiment")]
    RewardEvent {
        /// What was given.
        given: String,
        /// The experiment's own.
        own: String,
    },
    /// The format is neither given nor told by the name.
    #[error(
        "{}: what it is cannot be told from its name: say --format csv, ndjson or parquet (and unpack it first)",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("{}: cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// The file is not sound Parquet.
    #[error("{}: is not Parquet, or damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What its reader said.
        why: String,
    },
    /// A record goes on for too long.
    #[error("{}: line {line}: is longer than {LONGEST_ROW} bytes: is a quote left open?", path.display())]
    LongRow {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        line: u64,
    },
    /// The file was written to while it was read.
    #[error("{}: changed while it was read: nothing was kept; load a copy that nobody writes to", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// There is not one row that can be loaded.
    #[error("{}: has no row that can be loaded{}: nothing was kept", path.display(), because(*.rows, first))]
    Nothing {
        /// The file.
        path: PathBuf,
        /// Rows read.
        rows: u64,
        /// The first refusal.
        first: Option<Refusal>,
    },
    /// A row was refused, and that was to be the end.
    #[error("{refusal}; nothing was kept (--strict)")]
    Refused {
        /// Where and why.
        refusal: Refusal,
    },
    /// There is no such experiment.
    #[error("experiment '{0}' does not exist: create it first, or let --create make it from the arms in the log")]
    NoExperiment(String),
    /// An arm of the log cannot be one of an experiment.
    #[error("{refusal}: create the experiment with arms of your own and rename them in the log")]
    ArmId {
        /// Where and why.
        refusal: Refusal,
    },
    /// The column of arms has too many values.
    #[error("column '{column}' has more than {MAX_ARMS} different values, as {}: is it the arm?", list(some))]
    TooManyArms {
        /// The column.
        column: String,
        /// Some of its values.
        some: Vec<String>,
    },
    /// The experiment that --create would make is not a valid one.
    #[error("experiment '{experiment}' cannot be made from the log: {}", mistakes(errors))]
    Definition {
        /// Its id.
        experiment: String,
        /// Every mistake.
        errors: Vec<FieldError>,
    },
    /// The name was used for something else.
    #[error("--name {name}: another log was loaded under this name on {at}, for '{experiment}': choose another name")]
    NameTaken {
        /// The name.
        name: String,
        /// For which experiment.
        experiment: String,
        /// When.
        at: Timestamp,
    },
    /// The experiment that was made for the log could not be removed again.
    #[error("{cause}; the experiment '{experiment}', made for it, could not be removed: {why}: delete it")]
    NotUndone {
        /// Its id.
        experiment: String,
        /// Why the log was not loaded.
        cause: Box<ImportError>,
        /// Why it is still there.
        why: StoreError,
    },
    /// The log is loaded, but its experiment is still a draft.
    #[error("the log is loaded, but experiment '{experiment}' is still a draft: {why}: repeat the command")]
    NotPaused {
        /// Its id.
        experiment: String,
        /// Why.
        why: StoreError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImportError {
    /// Whether arguments are to blame rather than the log or the stores.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Name(_)
            | Self::Map { .. }
            | Self::NoField { .. }
            | Self::MappedTwice { .. }
            | Self::NoColumn { .. }
            | Self::NoSegment { .. }
            | Self::RewardEvent { .. }
            | Self::Format { .. }
            | Self::NameTaken { .. } => true,
            Self::Store(e) => matches!(e, StoreError::Setting { .. }),
            _ => false,
        }
    }
}

/// Most names that a message lists.
const LISTED: usize = 50;

fn list(names: &[String]) -> String {
    let names: Vec<&String> = names.iter().filter(|name| !name.is_empty()).collect();
    let shown: Vec<String> = names.iter().take(LISTED).map(|n| n.escape_debug().to_string()).collect();
    match names.len() {
        0 => "none".into(),
        n if n > LISTED => format!("{} and {} more", shown.join(", "), n - LISTED),
        _ => shown.join(", "),
    }
}

fn because(rows: u64, first: &Option<Refusal>) -> String {
    match first {
        Some(refusal) => format!(" ({rows} refused, the first is {refusal})"),
        None => " (it is empty)".into(),
    }
}

fn mistakes(errors: &[FieldError]) -> String {
    errors.iter().map(|e| format!("{}: {}", e.field, e.why)).collect::<Vec<_>>().join("; ")
}
