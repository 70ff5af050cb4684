//! The processes at work, as they say themselves.

use crate::Result;
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What each process last said of itself. Who says nothing for long is taken to be gone, by the database's clock.
#[async_trait]
pub trait Replicas: Send + Sync {
    /// Notes what `name` says, which holds for `length` from now on; those whose word has run out are forgotten.
    async fn beat(&self, name: &str, report: &ReplicaReport, length: Duration) -> Result<()>;

    /// Those whose word holds, in order of name, at most `limit`.
    async fn replicas(&self, limit: usize) -> Result<Vec<Replica>>;
}

/// A process, and how long ago it spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// What it is called; an updater holds its lease under this name.
    pub name: String,
    /// Since it last spoke.
    pub silent: Duration,
    /// What it said.
    pub report: ReplicaReport,
}

/// What a process says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReplicaReport {
    /// `api`, `updater`, `dashboard`.
    pub roles: Vec<String>,
    /// When it began, by its clock.
    pub started_at: Option<Timestamp>,
    /// When it last read experiments, posteriors and keys with success; none if it decides nothing, or never did.
    pub fresh_at: Option<Timestamp>,
    /// Posterior versions that it decides from, of running experiments; not all if there are many.
    pub versions: BTreeMap<String, u64>,
    /// Requests since it began.
    pub total: Tally,
    /// Requests of the last minute, or since it began.
    pub last_minute: Tally,
    /// Events that wait on its disk for the log; none if it has no spool.
    pub spooled: Option<u64>,
    /// What is wrong with its event log although it works.
    pub trouble: Option<String>,
}

/// Requests, by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Decisions told, repeated ones included.
    pub decides: u64,
    /// Of these, those that a store did not keep in time.
    pub fallbacks: u64,
    /// Events accepted.
    pub events: u64,
    /// Events that were refused, each with a reason to its sender.
    pub rejected: u64,
    /// Requests refused since too much was waiting.
    pub refused: u64,
}

impl Tally {
    /// What was added since an earlier one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            decides: self.decides.saturating_sub(earlier.decides),
            fallbacks: self.fallbacks.saturating_sub(earlier.fallbacks),
            events: self.events.saturating_sub(earlier.events),
            rejected: self.rejected.saturating_sub(earlier.rejected),
            refused: self.refused.saturating_sub(earlier.refused),
        }
    }
}
