//! What became of decisions.

use crate::{DayTraffic, Result};
use async_trait::async_trait;
use bandit::{ContextOutcome, DecisionId, DecisionRecord, Evidence, UserEvent};
use jiff::Timestamp;
use jiff::civil::Date;

/// Decisions and events from the log, joined and counted per hour of decision. Everything is idempotent by id,
/// and the order of arrival does not matter.
#[async_trait]
pub trait Outcomes: Send + Sync {
    /// Takes in a batch, in one transaction.
    async fn ingest(&self, batch: &Ingest) -> Result<Ingested>;

    /// The counts of one experiment, in order.
    async fn evidence(&self, experiment: &str) -> Result<Evidence>;

    /// The counts of one experiment with all hours before `since` added up as if they were the hour before it: of a long
    /// past a few rows remain. Results need no more, where `since` is the first hour whose windows are still open.
    async fn totals(&self, experiment: &str, since: i64) -> Result<Evidence>;

    /// The counts of some experiments by day, in order of experiment and day; in one query.
    async fn traffic(&self, experiments: &[String]) -> Result<Vec<DayTraffic>>;

    /// The trials of one experiment that were dealt from `from` on and before `until`, one by one, as they are counted.
    async fn trials(&self, experiment: &str, from: Timestamp, until: Timestamp) -> Result<Vec<Trial>>;

    /// The same counts, made anew from the decisions and events: equal to [`Outcomes::evidence`] unless
    /// something is broken.
    async fn recount(&self, experiment: &str) -> Result<Evidence>;

    /// The counts of one experiment by the features of its decisions, for those that have them: the newest `most` of
    /// them, newest hour first, then by the features' JSON and by arm. The database groups them, so that here is room for
    /// `most` and no more.
    async fn context_outcomes(&self, experiment: &str, most: usize) -> Result<Vec<ContextOutcome>>;

    /// Loads a historic log whole or not at all: an error among `batches` undoes it. A name that was used
    /// before changes nothing.
    async fn import(
        &self,
        import: &Import,
        batches: &mut (dyn Iterator<Item = std::result::Result<Ingest, String>> + Send),
    ) -> Result<ImportOutcome>;

    /// Lets go of decisions from before a day (UTC) with what they counted for, and of events from before the day
    /// before, since a reward may be stamped shortly before its decision.
    ///
    /// Posteriors that are computed afterwards know nothing of those hours, and counts and recount agree. A late reward
    /// of a forgotten decision counts for nothing; a decision that is delivered again after it was forgotten is a new
    /// one, so keep days for longer than the log delivers.
    ///
    /// # Errors
    /// In PostgreSQL also when somebody reads for so long that a partition cannot be dropped: what was done stays so,
    /// and the next time does the rest.
    async fn forget(&self, before: Date) -> Result<()>;

    /// Records that were set aside, newest first; those before number `before`, if one is given.
    async fn dead_letters(&self, before: Option<i64>, limit: usize) -> Result<Vec<DeadLetter>>;
}

/// A decision that counts as a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// When it was dealt.
    pub at: Timestamp,
    /// Its segment.
    pub segment: String,
    /// Index of its arm in the definition.
    pub arm: usize,
    /// Probability with which the arm was dealt.
    pub propensity: f64,
    /// Whether a reward came in its window.
    pub rewarded: bool,
}

/// A batch from the log.
#[derive(Debug, Clone, Default)]
pub struct Ingest {
    /// When it was read.
    pub at: Timestamp,
    /// First decisions.
    pub decisions: Vec<DecisionRecord>,
    /// Decisions that were told ahead of being shown: trials once an exposure says so, or the same comes as a decision.
    pub offers: Vec<DecisionRecord>,
    /// Events, each with the decisions it may belong to.
    pub events: Vec<(UserEvent, Vec<DecisionId>)>,
    /// Records that cannot be taken: reason and text.
    pub set_aside: Vec<(String, String)>,
}

/// What was new in a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Decisions.
    pub decisions: u64,
    /// Events.
    pub events: u64,
    /// Records set aside: those of the batch, and decisions whose experiment or arm is unknown.
    pub set_aside: u64,
}

/// Names a load.
#[derive(Debug, Clone)]
pub struct Import {
    /// Its name: the same name is never loaded twice.
    pub name: String,
    /// The experiment that the rows are of.
    pub experiment: String,
    /// SHA-256 of the source, to tell a repetition from a mistake.
    pub digest: [u8; 32],
    /// Who loads.
    pub who: String,
    /// When.
    pub at: Timestamp,
}

/// How a load ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// Loaded now.
    Loaded(Ingested),
    /// The same source had been loaded under this name.
    Repeated(Timestamp),
    /// Another source had been loaded under this name.
    NameTaken {
        /// For which experiment.
        experiment: String,
        /// When.
        at: Timestamp,
    },
}

/// A record that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// The record as text.
    pub body: String,
}
