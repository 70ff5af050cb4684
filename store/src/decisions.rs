//! Decisions one by one, for people who look for them.

use crate::Result;
use async_trait::async_trait;
use bandit::{DecisionId, DecisionRecord, Experiment, Source};
use jiff::Timestamp;

/// Decisions as the database has them: what is told reaches it as soon as the log is read.
#[async_trait]
pub trait Decisions: Send + Sync {
    /// Those that match, newest first, from before a place; at most `limit`.
    ///
    /// Work is bounded: a search that would read too much ends with what it has found so far.
    async fn search(&self, wanted: &DecisionFilter, before: Cursor, limit: usize) -> Result<FoundDecisions>;

    /// One decision with what belongs to it.
    async fn decision(&self, id: &DecisionId) -> Result<Option<DecisionStory>>;
}

/// Which decisions are wanted; what is none does not matter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DecisionFilter {
    /// Id of the experiment.
    pub experiment: Option<String>,
    /// The visitor.
    pub user: Option<String>,
    /// The item.
    pub item: Option<String>,
    /// Index of the arm in the definition.
    pub arm: Option<usize>,
    /// The segment.
    pub segment: Option<String>,
    /// Who chose.
    pub source: Option<Source>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// Whether a reward was counted for it.
    pub rewarded: Option<bool>,
}

/// A place in the order of decisions: by moment, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The moment, in milliseconds.
    pub at: i64,
    /// The id.
    pub id: DecisionId,
}

impl Cursor {
    /// The place before everything of a moment.
    #[must_use]
    pub fn at(moment: Timestamp) -> Self {
        Self { at: moment.as_millisecond(), id: DecisionId([0; 16]) }
    }
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundDecisions {
    /// Newest first.
    pub decisions: Vec<LoggedDecision>,
    /// Where to go on; none if there are no more.
    pub next: Option<Cursor>,
    /// Whether it ended early, for it would have read too much: older ones that match may exist.
    pub gave_up: bool,
}

/// A decision, and what it counts for by now.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedDecision {
    /// As it was logged.
    pub record: DecisionRecord,
    /// Index of its arm in the definition.
    pub arm: usize,
    /// Whether it counts as a trial.
    pub trial: bool,
    /// Whether it counts as rewarded.
    pub rewarded: bool,
    /// Milliseconds to the first reward.
    pub delay_ms: Option<i64>,
}

/// A decision with what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionStory {
    /// The decision.
    pub decision: LoggedDecision,
    /// Its experiment's definition as it is now, or was when it was deleted.
    pub definition: Experiment,
    /// Its revision.
    pub revision: u64,
    /// The events that name it or may belong to it, the oldest first; the first of them if there are many.
    pub events: Vec<ClaimingEvent>,
}

/// An event that claims a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimingEvent {
    /// `reward`, `exposure` or `view`.
    pub kind: String,
    /// Name of a reward, else empty.
    pub name: String,
    /// Size of a reward.
    pub value: f64,
    /// When it happened.
    pub at: Timestamp,
    /// What it is for the decision.
    pub standing: ClaimStanding,
}

/// What an event is for a decision that it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimStanding {
    /// A reward inside the window. One is enough.
    Rewards,
    /// It shows that the arm was seen.
    Exposes,
    /// It is for another experiment only.
    OtherExperiment,
    /// It is no reward of this experiment's name.
    OtherEvent,
    /// A reward of nothing.
    Worthless,
    /// From before the decision.
    Early,
    /// From after the end of the window.
    Late,
}
