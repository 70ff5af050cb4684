//! Assignments: one keyspace for each day, so that a past day is let go whole.

use super::Embedded;
use super::format::{decode_assignment, encode_assignment};
use super::writer::Op;
use crate::Result;
use crate::assignments::{Assignments, Durable, Put};
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
        let pending = self.writer.with(|p| Ok(p.assignments.get(&key.id).cloned()))?;
        if let Some((assignment, group)) = pending {
            Durable::with(group).wait().await?;
            return Ok(Some(assignment));
        }
        keyspace.get(key.id.0)?.map(|bytes| decode_assignment(*key, &bytes)).transpose()
    }

    async fn put_if_absent(&self, new: &Assignment) -> Result<Put> {
        let keyspace = self.day(new.key.day)?;
        // Most that are not new are on disk already; reading them must not hold up the writers.
        if let Some(bytes) = keyspace.get(new.key.id.0)? {
            return Ok(Put { standing: decode_assignment(new.key, &bytes)?, won: false, durable: Durable::already() });
        }
        // Under the writer's lock nothing moves from "on its way" to "in the database": a key is in one of them.
        self.writer.with(|pending| {
            if let Some((standing, group)) = pending.assignments.get(&new.key.id) {
                return Ok(Put { standing: standing.clone(), won: false, durable: Durable::with(group.clone()) });
            }
            if let Some(bytes) = keyspace.get(new.key.id.0)? {
                return Ok(Put {
                    standing: decode_assignment(new.key, &bytes)?,
                    won: false,
                    durable: Durable::already(),
                });
            }
            let op = Op { keyspace, key: new.key.id.0.to_vec(), value: encode_assignment(new)? };
            Ok(Put { standing: new.clone(), won: true, durable: pending.add_assignment(new, op)? })
        })
    }

    async fn expire(&self, before: Date) -> Result<()> {
        for name in self.db.list_keyspace_names() {
            let day = name.strip_prefix(PREFIX).and_then(|d| d.parse::<Date>().ok());
            if let Some(day) = day.filter(|d| *d < before) {
                let keyspace = self.day(Some(day))?;
                self.days.lock().unwrap_or_else(PoisonError::into_inner).remove(&Some(day));
                self.db.delete_keyspace(keyspace)?;
            }
        }
        Ok(())
    }
}
