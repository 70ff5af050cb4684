//! What takes in thousands of rows, which each database does in its own way.

use super::evaluate::{Counts, OFFERED, source_number};
use crate::{Result, StoreError};
use bandit::{DecisionId, DecisionRecord, UserEvent, delay_bucket, hour_of};
use std::collections::{BTreeMap, HashMap};

pub(super) type Id = [u8; 16];

/// Where a decision is counted: experiment, hour, segment, arm, holdout.
pub(super) type Cell = (i64, i64, i64, i64, bool);

/// By how much trials and rewards of a cell move.
pub(super) type Move = (i64, i64);

/// Where the delay of a reward is counted: experiment, hour of decision, bucket.
pub(super) type Wait = (i64, i64, i64);

/// By how much a batch moves the counts.
#[derive(Default)]
pub(super) struct Moves {
    cells: BTreeMap<Cell, Move>,
    waits: BTreeMap<Wait, i64>,
    /// Experiment → its newest trial of the batch, in milliseconds.
    newest: BTreeMap<i64, i64>,
}

impl Moves {
    /// A decision of `cell`, made at a moment in milliseconds, counts for `now` instead of `before`.
    pub(super) fn add(&mut self, cell: Cell, at: i64, before: Counts, now: Counts) {
        let delta = |now: bool, before: bool| i64::from(now) - i64::from(before);
        let moved = self.cells.entry(cell).or_default();
        moved.0 += delta(now.trial, before.trial);
        moved.1 += delta(now.reward, before.reward);
        for (delay, by) in [(before.delay, -1), (now.delay, 1)] {
            if let Some(ms) = delay {
                *self.waits.entry((cell.0, cell.1, bucket_of(ms))).or_default() += by;
            }
        }
        if now.trial {
            let newest = self.newest.entry(cell.0).or_insert(at);
            *newest = at.max(*newest);
        }
    }

    pub(super) fn cells(&self) -> Vec<(Cell, Move)> {
        self.cells.iter().filter(|(_, by)| **by != (0, 0)).map(|(cell, by)| (*cell, *by)).collect()
    }

    pub(super) fn waits(&self) -> Vec<(Wait, i64)> {
        self.waits.iter().filter(|(_, by)| **by != 0).map(|(wait, by)| (*wait, *by)).collect()
    }

    pub(super) fn newest(&self) -> Vec<(i64, i64)> {
        self.newest.iter().map(|(experiment, at)| (*experiment, *at)).collect()
    }
}

/// The bucket of a delay, as its table has it.
pub(super) fn bucket_of(delay_ms: i64) -> i64 {
    i64::try_from(delay_bucket(delay_ms)).unwrap_or(i64::MAX)
}

/// A decision on its way into its table.
pub(super) struct DecisionRow<'a> {
    pub(super) experiment: i64,
    pub(super) segment: i64,
    pub(super) arm: i64,
    /// What it counts for before any event.
    pub(super) trial: bool,
    /// Whether it is a trial only once it was seen, whatever the definition says.
    pub(super) offered: bool,
    pub(super) decision: &'a DecisionRecord,
}

impl DecisionRow<'_> {
    pub(super) fn id(&self) -> Id {
        self.decision.decision_id.0
    }

    /// JSON of the features, whose keys are in order: alike if and only if they are the same.
    pub(super) fn features(&self) -> Option<String> {
        self.decision.features.as_ref().and_then(|f| serde_json::to_string(f).ok())
    }

    /// Its place in its list, if it is of one.
    pub(super) fn position(&self) -> Option<i64> {
        self.decision.position.map(i64::from)
    }

    /// The name of its list.
    pub(super) fn list(&self) -> Option<Id> {
        self.decision.list.map(|list| list.0)
    }

    /// The number of who chose.
    pub(super) fn source(&self) -> i64 {
        source_number(self.decision.source) + if self.offered { OFFERED } else { 0 }
    }

    pub(super) fn cell(&self) -> Cell {
        let d = self.decision;
        (self.experiment, hour_of(d.at), self.segment, self.arm, d.source == bandit::Source::Holdout)
    }
}

/// An event on its way into its table, with the decisions that it claims.
pub(super) struct EventRow<'a> {
    pub(super) key: Id,
    pub(super) event: &'a UserEvent,
    pub(super) decisions: &'a [DecisionId],
}

/// A decision with one of the events that claim it, or none.
#[derive(sqlx::FromRow)]
pub(super) struct ClaimedRow {
    pub(super) id: Vec<u8>,
    pub(super) experiment: i64,
    pub(super) segment: i64,
    pub(super) arm: i64,
    pub(super) source: i64,
    pub(super) at: i64,
    pub(super) counted_trial: bool,
    pub(super) counted_reward: bool,
    pub(super) counted_delay: Option<i64>,
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) only: Option<String>,
    pub(super) value: Option<f64>,
    pub(super) event_at: Option<i64>,
}

/// What a decision counts for from now on.
pub(super) struct Settled {
    pub(super) id: Id,
    /// Moment of the decision, in milliseconds.
    pub(super) at: i64,
    pub(super) counts: Counts,
}

/// A record that is set aside.
pub(super) struct Aside<'a> {
    pub(super) reason: &'a str,
    pub(super) body: &'a str,
}

/// Statements on many rows, on a connection inside a transaction.
pub(super) trait Bulk {
    /// Lets those of `ids` that were offers be decisions, and returns them. `ids` are in order.
    async fn take_up(&mut self, ids: &[Id]) -> Result<Vec<Id>>;

    /// Inserts the decisions whose ids are new, and returns them, with the ids of those that an event claims already.
    /// `rows` have an id each, and are in its order.
    async fn insert_decisions<'a>(&mut self, rows: Vec<DecisionRow<'a>>) -> Result<(Vec<DecisionRow<'a>>, Vec<Id>)>;

    /// The arms that those of `ids` have which are decisions. `ids` are in order.
    async fn arms(&mut self, ids: &[Id]) -> Result<Vec<(Id, i64)>>;

    /// The numbers of arms by id, given to those that have none; each is of decisions up to a day (since 1970), which is
    /// noted. `arms` have an id each, and are in order.
    async fn number_arms(&mut self, experiment: i64, arms: &[(&str, i64)]) -> Result<HashMap<String, i64>>;

    /// Inserts the events whose keys are new with their claims, and returns them. `rows` have a key each, and are in
    /// its order.
    async fn insert_events<'a>(&mut self, rows: Vec<EventRow<'a>>) -> Result<Vec<EventRow<'a>>>;

    /// Those of `ids` that are decisions and may yet count for more, with their events; of decisions that count in full
    /// those with events from before the counted reward, and only these events. Rows of one decision stand together.
    async fn read_claimed(&mut self, ids: &[Id]) -> Result<Vec<ClaimedRow>>;

    /// Notes what decisions count for.
    async fn mark(&mut self, settled: &[Settled]) -> Result<()>;

    /// Moves counts.
    async fn move_counts(&mut self, moved: &[(Cell, Move)]) -> Result<()>;

    /// Moves counts of delays.
    async fn move_waits(&mut self, moved: &[(Wait, i64)]) -> Result<()>;

    /// Sets records aside at a moment in milliseconds; returns how many were new.
    async fn set_aside(&mut self, at: i64, records: &[Aside<'_>]) -> Result<u64>;
}

/// An id as it was written.
pub(super) fn id(bytes: &[u8]) -> Result<Id> {
    bytes.try_into().map_err(|_| StoreError::Damaged("an id of a decision or event is not 16 bytes".into()))
}
