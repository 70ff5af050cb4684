//! Assignments: one keyspace for each day, so that a past day is let go whole.

use super::Embedded;
use super::writer::Op;
use crate::assignments::{Assignments, Durable, Put};
use crate::format::{decode_assignment, encode_assignment};
use crate::{EventLog, Result};
use async_trait::async_trait;
use bandit::{Assignment, AssignmentKey};
use jiff::civil::Date;
use std::sync::PoisonError;

const PREFIX: &str = "assignments-";

pub(super) fn keyspace_name(day: Option<Date>) -> String {
    day.map_or_else(|| format!("{PREFIX}lasting"), |d| format!("{PREFIX}{d}"))
}

#[async_trait]
impl Assignments for Embedded {
    async fn get(&self, key: &AssignmentKey) -> Result<Option<Assignment>> {
        let keyspace = self.day(key.day)?;
        if let Ok(put) = self.writer.with(|pending| Ok(pending.standing(key)))? {
            put.durable.wait().await?;
            return Ok(Some(put.standing));
        }
        keyspace.get(key.id.0)?.map(|bytes| decode_assignment(*key, &bytes)).transpose()
    }

    async fn put_if_absent(&self, new: &Assignment) -> Result<Put> {
        let keyspace = self.day(new.key.day)?;
        let op = Op::put(&keyspace, new.key.id.0, encode_assignment(new)?);
        let mut known = self.writer.with(|pending| Ok(pending.standing(&new.key)))?;
        loop {
            let ended = match known {
                Ok(put) => return Ok(put),
                Err(ended) => ended,
            };
            // Not under the writer's lock: the disk may make it wait.
            if let Some(bytes) = keyspace.get(new.key.id.0)? {
                let standing = decode_assignment(new.key, &bytes)?;
                return Ok(Put { standing, won: false, durable: Durable::already() });
            }
            known = self.writer.with(|pending| pending.put(new, op.clone(), ended))?;
        }
    }

    async fn remove(&self, keys: &[AssignmentKey]) -> Result<()> {
        let mut ops = Vec::with_capacity(keys.len());
        for key in keys {
            // Of a day that was let go nothing is left, and no keyspace is made for it.
            if self.db.keyspace_exists(&keyspace_name(key.day)) {
                ops.push(Op::remove(&self.day(key.day)?, key.id.0));
            }
        }
        if ops.is_empty() {
            return Ok(());
        }
        self.writer.with(|pending| pending.add(ops))?.wait().await?;
        self.writer.with(|pending| {
            pending.forget_written();
            Ok(())
        })
    }

    async fn check(&self) -> Result<()> {
        EventLog::check(self).await
    }

    async fn expire(&self, before: Date) -> Result<()> {
        self.old_views.expire(before)?;
        for name in self.db.list_keyspace_names() {
            let day = name.strip_prefix(PREFIX).and_then(|d| d.parse::<Date>().ok());
            if let Some(day) = day.filter(|d| *d < before) {
                let keyspace = self.day(Some(day))?;
                self.days.lock().unwrap_or_else(PoisonError::into_inner).remove(&Some(day));
                self.db.delete_keyspace(keyspace)?;
            }
        }
        self.writer.with(|pending| {
            pending.forget_written();
            Ok(())
        })
    }
}
