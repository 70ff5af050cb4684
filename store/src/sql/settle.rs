//! What decisions count for now, and by how much that moves the counts.

use super::bulk::{Bulk, Cell, ClaimedRow, Id, Moves, Settled, id};
use super::evaluate::{Claim, Counts, Decided, is_offer, source_of};
use super::{Tx, damaged, moment};
use crate::{Result, StoreError};
use bandit::{Experiment, hour_of};
use std::collections::{BTreeSet, HashMap};

/// Evaluates decisions anew and notes by how much counts move.
pub(super) async fn settle(tx: &mut Tx, ids: &BTreeSet<Id>, moved: &mut Moves) -> Result<()> {
    let ids: Vec<Id> = ids.iter().copied().collect();
    let rows = on!(&mut *tx, db => db.read_claimed(&ids).await?);
    let mut experiments: HashMap<i64, Experiment> = HashMap::new();
    let mut settled = Vec::new();
    let mut rows = rows.into_iter().peekable();
    while let Some(row) = rows.next() {
        let mut claimed = Claimed::of(row)?;
        while let Some(row) = rows.next_if(|row| row.id == claimed.id) {
            claimed.add(row);
        }
        let num = claimed.cell.0;
        let experiment = match experiments.entry(num) {
            std::collections::hash_map::Entry::Occupied(e) => e.into_mut(),
            std::collections::hash_map::Entry::Vacant(e) => e.insert(definition(tx, num).await?),
        };
        let counts = claimed.decided.counts(experiment, &claimed.claims, claimed.counted);
        if counts != claimed.counted {
            settled.push(Settled { id: claimed.id, at: claimed.decided.at, counts });
            moved.add(claimed.cell, claimed.decided.at, claimed.counted, counts);
        }
    }
    on!(tx, db => db.mark(&settled).await)
}

async fn definition(tx: &mut Tx, num: i64) -> Result<Experiment> {
    let text: String = on!(tx, db => {
        sqlx::query_scalar("SELECT definition FROM experiments WHERE num = $1").bind(num).fetch_one(&mut **db).await?
    });
    serde_json::from_str(&text).map_err(damaged("definition"))
}

/// One decision with its events.
pub(super) struct Claimed {
    pub(super) id: Id,
    pub(super) cell: Cell,
    pub(super) decided: Decided,
    counted: Counts,
    pub(super) claims: Vec<Claim>,
}

impl Claimed {
    /// The decision of a row, with the row's event.
    pub(super) fn of(row: ClaimedRow) -> Result<Self> {
        let source =
            source_of(row.source).ok_or_else(|| StoreError::Damaged(format!("source {} of a decision", row.source)))?;
        let holdout = source == bandit::Source::Holdout;
        let mut claimed = Self {
            id: id(&row.id)?,
            cell: (row.experiment, hour_of(moment(row.at)?), row.segment, row.arm, holdout),
            decided: Decided { source, offered: is_offer(row.source), at: row.at },
            counted: Counts { trial: row.counted_trial, reward: row.counted_reward, delay: row.counted_delay },
            claims: Vec::new(),
        };
        claimed.add(row);
        Ok(claimed)
    }

    /// Adds the event of a row, if it has one.
    pub(super) fn add(&mut self, row: ClaimedRow) {
        if let (Some(kind), Some(name), Some(value), Some(at)) = (row.kind, row.name, row.value, row.event_at) {
            self.claims.push(Claim { kind, name, experiment: row.only, value, at });
        }
    }
}
