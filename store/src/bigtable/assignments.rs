//! Assignments: one row each, written once.

use super::client::{Changed, Patience, Unless, cells_of, delete_row, row, set_cell};
use super::{Bigtable, failure, schema};
use crate::assignments::{Assignments, Durable, Put};
use crate::format::{decode_assignment, encode_assignment};
use crate::{Result, StoreError};
use async_trait::async_trait;
use bandit::{Assignment, AssignmentKey};
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::time::Duration;

/// A request waits for this; callers that wait less drop the call.
const PATIENCE: Patience = Patience { each: Duration::from_millis(1_000), all: Duration::from_millis(3_000) };

/// Whether Bigtable answers is asked often and must be known soon.
const CHECK: Patience = Patience { each: Duration::from_millis(500), all: Duration::from_millis(500) };

/// Who erases a user waits longer.
const REMOVE: Patience = Patience { each: Duration::from_secs(5), all: Duration::from_secs(20) };

/// Rows of one call.
const REMOVED_AT_ONCE: usize = 1_000;

impl Bigtable {
    async fn standing(&self, key: &AssignmentKey, patience: Patience) -> Result<Option<Assignment>> {
        let cells = cells_of(schema::family(key));
        let rows = self.client.read(&self.assignments, patience, row(&key.id.0), cells, 1).await;
        let cell = rows.map_err(|e| failure::remote(&e))?.into_iter().flat_map(|row| row.cells).next();
        cell.map(|cell| decode_assignment(*key, &cell.value)).transpose()
    }
}

/// What is acknowledged is on several disks: it is safe at once.
#[async_trait]
impl Assignments for Bigtable {
    async fn get(&self, key: &AssignmentKey) -> Result<Option<Assignment>> {
        self.standing(key, PATIENCE).await
    }

    /// Reads first: on a miss of the replica's memory the key is known to Bigtable more often than not, and reading
    /// tells in one round trip. A new key takes two.
    async fn put_if_absent(&self, new: &Assignment) -> Result<Put> {
        let lost = |standing| Put { standing, won: false, durable: Durable::already() };
        if let Some(standing) = self.get(&new.key).await? {
            return Ok(lost(standing));
        }
        let family = schema::family(&new.key);
        let change = Unless {
            row_key: new.key.id.0.into(),
            exists: cells_of(family),
            mutations: vec![set_cell(family, family.qualifier, encode_assignment(new)?)],
        };
        let changed = self.client.change_unless(&self.assignments, PATIENCE, change).await;
        let changed = changed.map_err(|e| failure::remote(&e))?;
        if changed == Changed::Yes {
            return Ok(Put { standing: new.clone(), won: true, durable: Durable::already() });
        }
        let standing = self.get(&new.key).await?.ok_or_else(|| StoreError::Remote {
            service: "Bigtable",
            why: "an assignment vanished while it was read".into(),
        })?;
        let same = encode_assignment(&standing)? == encode_assignment(new)?;
        Ok(Put { won: same && changed == Changed::Unclear, ..lost(standing) })
    }

    /// Days go by themselves: the family of daily assignments has a limit of age.
    async fn expire(&self, _: Date) -> Result<()> {
        Ok(())
    }

    /// A row has one family or the other: by its id it goes with either.
    async fn remove(&self, keys: &[AssignmentKey]) -> Result<()> {
        let ids: BTreeSet<[u8; 16]> = keys.iter().map(|key| key.id.0).collect();
        for ids in Vec::from_iter(ids).chunks(REMOVED_AT_ONCE) {
            let rows = ids.iter().map(|id| delete_row(id.to_vec())).collect();
            self.client.change_rows(&self.assignments, REMOVE, rows).await.map_err(|e| failure::remote(&e))?;
        }
        Ok(())
    }

    async fn check(&self) -> Result<()> {
        let nobody = AssignmentKey { id: bandit::DecisionId([0; 16]), day: None };
        self.standing(&nobody, CHECK).await.map(|_| ())
    }
}
