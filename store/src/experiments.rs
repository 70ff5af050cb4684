//! Experiments and the record of every change to them.

use crate::{Found, Result, Search};
use async_trait::async_trait;
use bandit::{Experiment, Status};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// Definitions with their state. Every change is audited in the same transaction.
#[async_trait]
pub trait Experiments: Send + Sync {
    /// Creates a draft.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] when the id is or was in use.
    async fn create(&self, definition: &Experiment, change: &Change) -> Result<ExperimentRecord>;

    /// One experiment.
    async fn get(&self, id: &str) -> Result<Option<ExperimentRecord>>;

    /// Experiments in order of id, after `after`.
    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<ExperimentRecord>>;

    /// Experiments that are looked for, with what a list shows of each; in two queries.
    async fn search(&self, search: &Search) -> Result<Found>;

    /// Replaces the definition if it is still at `revision` and in `status`, by which it was judged what may change.
    /// What was frozen goes on.
    async fn replace(
        &self,
        definition: &Experiment,
        revision: u64,
        status: Status,
        change: &Change,
    ) -> Result<ExperimentRecord>;

    /// Deals the control to everyone new from now on, until somebody changes the definition or the status. Nothing that
    /// is frozen already is frozen again.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] when it is not running, or no longer at `revision`.
    async fn freeze(&self, id: &str, revision: u64, change: &Change) -> Result<ExperimentRecord>;

    /// Moves from one status to another, with a winner if it is stopped with one. What was frozen goes on.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] when it is not in `from`, or `from` may not become `to`.
    async fn set_status(
        &self,
        id: &str,
        from: Status,
        to: Status,
        winner: Option<&str>,
        change: &Change,
    ) -> Result<ExperimentRecord>;

    /// Removes an experiment that is not running. The id of one that has decisions stays taken, since
    /// they live on.
    async fn delete(&self, id: &str, change: &Change) -> Result<()>;

    /// Closes the database in order. Nothing may be asked of it afterwards.
    async fn close(&self) {}

    /// A number that grows with every change of any experiment.
    async fn changes(&self) -> Result<u64>;

    /// Ids of the experiments that were changed after that number, those that are gone too; none if there are more than
    /// `most`.
    async fn changed(&self, after: u64, most: usize) -> Result<Option<Vec<String>>>;

    /// Puts a change of something else than an experiment into the audit log.
    async fn note(&self, note: &Note<'_>, change: &Change) -> Result<()>;

    /// The newest changes, of one experiment or of everything, before entry `before`.
    async fn audit(&self, experiment: Option<&str>, before: Option<i64>, limit: usize) -> Result<Vec<AuditEntry>>;

    /// Of an experiment's changes that are one of `actions`, made `until` then at the latest, the one that `newer` others
    /// followed.
    async fn noted(
        &self,
        experiment: &str,
        actions: &[&str],
        until: Option<Timestamp>,
        newer: u64,
    ) -> Result<Option<AuditEntry>>;
}

/// An experiment as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ExperimentRecord {
    /// What its owner wrote.
    #[serde(flatten)]
    pub definition: Experiment,
    /// Where it is in its life.
    pub status: Status,
    /// The arm that everyone gets since it was stopped.
    pub winner: Option<String>,
    /// Grows with each change of the definition.
    pub revision: u64,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When it was first started.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it was stopped.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub stopped_at: Option<Timestamp>,
    /// Since when a breached guardrail deals the control to everyone new.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub frozen_at: Option<Timestamp>,
}

/// Who changes something, when and why.
#[derive(Debug, Clone)]
pub struct Change {
    /// Name of the key or person.
    pub who: String,
    /// The reason given, or empty.
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// Id of the request that asked for it, or empty.
    pub request: String,
}

/// What was changed that is no experiment.
#[derive(Debug, Clone)]
pub struct Note<'a> {
    /// What was done, as `key.create`.
    pub action: &'a str,
    /// To which thing of its kind.
    pub subject: &'a str,
    /// What else there is to say.
    pub document: serde_json::Value,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its number.
    pub id: i64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// Of an experiment: `create`, `replace`, `freeze`, `running`, `paused`, `stopped`, `delete`, `import`. Of other things
    /// their kind as well, as `key.create`, `catalog.put`, `items.put`, `person.add`, `user.erase`.
    pub action: String,
    /// Which experiment; empty where it is about something else.
    pub experiment: String,
    /// Which other thing.
    pub subject: String,
    /// Id of the request that asked for it, if one did.
    pub request: String,
    /// The definition afterwards, or what else the action is about.
    #[schema(value_type = Option<Object>)]
    pub document: serde_json::Value,
}
