//! Runs of periodic work: what each read, changed and took.

use crate::Result;
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The history of runs and the requests for more.
#[async_trait]
pub trait Runs: Send + Sync {
    /// Asks the updater for a run of [`RunKind::Posteriors`]; returns its number.
    async fn request_run(&self, at: Timestamp) -> Result<i64>;

    /// Takes up what was requested, as one run that answers all requests; none if nothing was.
    async fn take_requested(&self, at: Timestamp) -> Result<Option<i64>>;

    /// Begins a run that nobody requested, of one catalog where it is of one. Of what is not of posteriors the newest
    /// [`RUNS_KEPT`] of a kind are kept.
    async fn start_run(&self, kind: RunKind, catalog: Option<&str>, trigger: Trigger, at: Timestamp) -> Result<i64>;

    /// Notes how far a run has come that is under way, and what it did so far: should it end there, another goes on from
    /// what [`Run::reached`] says.
    async fn note_run(&self, id: i64, reached: &str, report: &RunReport) -> Result<()>;

    /// Ends a run.
    ///
    /// # Errors
    /// [`crate::StoreError::Missing`] if there is none of that number.
    async fn finish_run(&self, id: i64, at: Timestamp, report: &RunReport) -> Result<()>;

    /// Marks runs that an updater left unfinished; what they noted stays.
    async fn abandon_runs(&self, at: Timestamp) -> Result<u64>;

    /// One run.
    async fn run(&self, id: i64) -> Result<Option<Run>>;

    /// The newest runs, newest first: of one kind, if one is given, and those before run `before`, if one is.
    async fn latest_runs(&self, kind: Option<RunKind>, before: Option<i64>, limit: usize) -> Result<Vec<Run>>;
}

/// Runs of one kind that are kept, at least; of posteriors all are.
pub const RUNS_KEPT: i64 = 1_000;

/// What a run is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// Posteriors of all experiments, and what follows from them.
    Posteriors,
    /// Vectors of items that came as text.
    Vectors,
    /// Lists of a catalog, made ahead for its visitors.
    Lists,
    /// What is popular.
    Popular,
    /// Maps of catalogs.
    Maps,
    /// Items that leave some time after their end.
    Expired,
}

impl RunKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Posteriors, Self::Vectors, Self::Lists, Self::Popular, Self::Maps, Self::Expired];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Posteriors => "posteriors",
            Self::Vectors => "vectors",
            Self::Lists => "lists",
            Self::Popular => "popular",
            Self::Maps => "maps",
            Self::Expired => "expired",
        }
    }
}

impl std::str::FromStr for RunKind {
    type Err = String;

    /// By its name.
    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let all = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| format!("must be one of {}", all()))
    }
}

/// Why a run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The clock.
    Schedule,
    /// A request over HTTP.
    Request,
    /// `updater --once`.
    Once,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Asked for.
    Requested,
    /// Begun.
    Running,
    /// Done.
    Done,
    /// Ended by an error.
    Failed,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunReport {
    /// To which moment ages were counted, or of which moment of the clock it is; none if it failed before.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub as_of: Option<Timestamp>,
    /// Events consumed since the last run.
    pub events_read: u64,
    /// Decisions among them that were new.
    pub decisions: u64,
    /// Rewards, exposures and views among them that were new.
    pub events: u64,
    /// Records that could not be taken, kept with the reason.
    pub set_aside: u64,
    /// Experiments whose posteriors were recomputed.
    pub recomputed: u64,
    /// Posterior sets that had changed and were published.
    pub published: u64,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// Rounds that failed since the last run, and were tried again.
    #[serde(default)]
    pub retries: u64,
    /// What it did one after the other, and how long each took.
    #[serde(default)]
    pub steps: Vec<RunStep>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A part of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunStep {
    /// `consume`, `forget`, `recompute`, `examine`, `remember`, `expire`; `popular`; `map`; `lists` and so on.
    pub name: String,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// What came of it, for people; may be empty.
    #[serde(default)]
    pub detail: String,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// What it is of.
    pub kind: RunKind,
    /// Of which catalog, where it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    /// How far it had come, if it noted that: from there another goes on.
    #[serde(skip)]
    pub reached: Option<String>,
    /// Why it began.
    pub trigger: Trigger,
    /// Where it is.
    pub status: RunStatus,
    /// When it was asked for or began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// What it did so far.
    #[serde(flatten)]
    pub report: RunReport,
}
