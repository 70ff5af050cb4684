//! The log of changes to catalogs: notes under consecutive numbers, given out under the writer's lock, of which the oldest go.

use super::Embedded;
use super::writer::Op;
use crate::assignments::Durable;
use crate::format_catalogs::{decode_change, encode_change};
use crate::{CatalogChange, Changed, Result, StoreError};
use fjall::Keyspace;
use std::sync::{MutexGuard, PoisonError};

/// Changes kept: hours of a busy catalog, and a replica that follows is behind by less than a second.
const CHANGES_KEPT: u64 = 100_000;

/// Where the log ends.
pub(super) struct ChangeLog {
    /// Number of the next change.
    next: u64,
    /// The group of the last, which all before it are in or behind.
    last: Durable,
    /// How many changes are kept.
    pub(super) kept: u64,
}

impl ChangeLog {
    pub(super) fn recover(changes: &Keyspace) -> Result<Self> {
        Ok(Self { next: last_kept(changes)? + 1, last: Durable::already(), kept: CHANGES_KEPT })
    }

    pub(super) fn last_number(&self) -> u64 {
        self.next - 1
    }
}

impl Embedded {
    pub(super) fn change_log(&self) -> MutexGuard<'_, ChangeLog> {
        self.catalogs.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When everything that was noted so far is safe, and visible.
    pub(super) fn last_noted(&self) -> Durable {
        self.change_log().last.clone()
    }

    /// Makes changes and notes them, all or nothing, in the group that is being collected. `ops`, which are some, are told
    /// the first number; the last is returned.
    pub(super) fn note(
        &self,
        catalog: &str,
        what: &[Changed],
        ops: impl FnOnce(u64) -> Result<Vec<Op>>,
    ) -> Result<(u64, Durable)> {
        let values = what.iter().map(|what| encode_change(catalog, what)).collect::<Result<Vec<_>>>()?;
        let changes = &self.catalogs.changes;
        self.writer.with(|pending| {
            let mut log = self.change_log();
            let first = log.next;
            let last = first + values.len() as u64 - 1;
            let gone = (first..=last).filter_map(|n| n.checked_sub(log.kept).filter(|gone| *gone > 0));
            let gone = gone.map(|n| Op::remove(changes, n.to_be_bytes()));
            let notes = (first..).zip(values).map(|(n, value)| Op::put(changes, n.to_be_bytes(), value));
            let durable = pending.add_noted(ops(first)?, notes.chain(gone), last)?;
            log.next = last + 1;
            log.last = durable.clone();
            Ok((last, durable))
        })
    }
}

fn number(key: &[u8]) -> Result<u64> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Damaged("a number of a change".into()))
}

/// Number of the last change; 0 before the first.
pub(super) fn last_kept(changes: &Keyspace) -> Result<u64> {
    changes.last_key_value().map_or(Ok(0), |guard| number(&guard.key()?))
}

/// As [`crate::Catalogs::changes_since`].
pub(super) fn since(changes: &Keyspace, after: u64, limit: usize) -> Result<Option<Vec<CatalogChange>>> {
    let last = last_kept(changes)?;
    if after >= last {
        return Ok((after == last).then(Vec::new));
    }
    let mut found = Vec::new();
    // One at least, to know whether it is the next.
    for (expected, guard) in (after + 1..).zip(changes.range((after + 1).to_be_bytes()..)).take(limit.max(1)) {
        let (key, value) = guard.into_inner()?;
        if number(&key)? != expected {
            break;
        }
        found.push(decode_change(expected, &value)?);
    }
    let gone = found.is_empty();
    found.truncate(limit);
    Ok((!gone).then_some(found))
}
