//! Why a row is not loaded.

use super::mapping::Field;
use super::times;
use bandit::{IdError, UserEventKind};
use jiff::Timestamp;
use std::fmt;

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Line of a text file, from 1.
    Line(u64),
    /// Row of a Parquet file, from 1.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(n) => write!(f, "line {n}"),
            Self::Row(n) => write!(f, "row {n}"),
        }
    }
}

/// A row that is not loaded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct Refusal {
    /// Where.
    pub place: Place,
    /// Why.
    pub why: Why,
}

/// A value as messages show it: short, and safe for a terminal.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(String);

const LONGEST: usize = 60;

impl Shown {
    pub(crate) fn new(value: &str) -> Self {
        let mut shown: String = value.chars().take(LONGEST).flat_map(char::escape_debug).collect();
        if value.chars().nth(LONGEST).is_some() {
            shown.push('…');
        }
        Self(shown)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a row is not loaded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Why {
    /// A decision has no arm, or no moment.
    #[error("{0}: is required for a decision (a row of another kind says so in its 'type')")]
    Missing(Field),
    /// An event has no moment.
    #[error("at: is required, or 'reward_at', for {}", a(.0))]
    NoMoment(UserEventKind),
    /// An event does not say which decision it belongs to.
    #[error("decision_id: is required, or 'user', for {}", a(.0))]
    NoDecision(UserEventKind),
    /// The experiment is split by an attribute that the file has no column for.
    #[error("{0}: the experiment is split by it: say which column it is with --map {0}=COLUMN")]
    NoSegment(Field),
    /// The experiment has no such arm.
    #[error("arm: the experiment has no arm {value}; it has {arms}")]
    UnknownArm {
        /// What was given.
        value: Shown,
        /// Some that exist.
        arms: String,
    },
    /// A value cannot be the id of an arm.
    #[error("arm: {value} cannot be an arm's id, which {why}")]
    ArmId {
        /// What was given.
        value: Shown,
        /// The rule it breaks.
        why: IdError,
    },
    /// The row is of no kind that is loaded.
    #[error("type: {0} is not 'decision', 'reward' or 'exposure'")]
    UnknownType(Shown),
    /// A moment cannot be read.
    #[error("{field}: {value} is not a time: it may be {}", times::TAKEN)]
    NotATime {
        /// Which.
        field: Field,
        /// What was given.
        value: Shown,
    },
    /// A moment has not come yet.
    #[error("{field}: {at} is in the future")]
    Future {
        /// Which.
        field: Field,
        /// What was given.
        at: Timestamp,
    },
    /// A reward is not a number from 0 on.
    #[error("reward: {0} is not a number from 0 to 1e15")]
    Reward(Shown),
    /// A propensity is not a probability.
    #[error("propensity: {0} is not a number above 0 and at most 1")]
    Propensity(Shown),
    /// An identifier cannot be one.
    #[error("{field}: {why}")]
    Id {
        /// Which.
        field: Field,
        /// The rule it breaks.
        why: IdError,
    },
    /// Bytes are not text.
    #[error("{0}: is not UTF-8")]
    NotUtf8(Field),
    /// A list, an object or bytes where one value belongs.
    #[error("{0}: must be text, a number, true or false")]
    NotAValue(Field),
    /// A row of CSV has more or fewer values than the header.
    #[error("has {cells} values where the header has {columns}")]
    Ragged {
        /// Of the row.
        cells: usize,
        /// Of the header.
        columns: usize,
    },
    /// A line is not JSON.
    #[error("is not JSON: {0}")]
    Json(String),
    /// A line is JSON, but no object.
    #[error("is not a JSON object")]
    NotAnObject,
    /// A line is too long to be one record.
    #[error("is longer than {} bytes", super::source::LONGEST_ROW)]
    TooLong,
}

impl Why {
    /// The reason without the row's values, by which refusals are counted.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Missing(field) => format!("{field}: missing"),
            Self::NoMoment(_) => "at: missing".into(),
            Self::NoDecision(_) => "decision_id or user: missing".into(),
            Self::NoSegment(field) => format!("{field}: no column"),
            Self::UnknownArm { .. } => "arm: unknown".into(),
            Self::ArmId { why, .. } => format!("arm: {why}"),
            Self::UnknownType(_) => "type: unknown".into(),
            Self::NotATime { field, .. } => format!("{field}: not a time"),
            Self::Future { field, .. } => format!("{field}: in the future"),
            Self::Reward(_) => "reward: not a number from 0".into(),
            Self::Propensity(_) => "propensity: not above 0 and at most 1".into(),
            Self::Json(_) => "not JSON".into(),
            Self::Ragged { .. } => "not as many values as the header".into(),
            Self::Id { .. } | Self::NotUtf8(_) | Self::NotAValue(_) | Self::NotAnObject | Self::TooLong => {
                self.to_string()
            }
        }
    }
}

fn a(kind: &UserEventKind) -> &'static str {
    match kind {
        UserEventKind::Reward => "a reward",
        UserEventKind::Exposure => "an exposure",
        UserEventKind::View => "a view",
    }
}
