//! The event log: records under consecutive numbers, behind a mark that acknowledging moves.

use super::Embedded;
use super::writer::Op;
use crate::events::{Delivery, EventLog, Poison, Receipt};
use crate::format::{decode_event, encode_event};
use crate::{Result, StoreError};
use async_trait::async_trait;
use bandit::Event;
use fjall::{AbstractTree, Keyspace};
use std::sync::{MutexGuard, PoisonError};

/// Under which the number of the last acknowledged record is kept.
const ACKNOWLEDGED: &[u8] = b"log-acknowledged";
/// Acknowledged records after which their space is given back: about a file of them.
const DROP_EVERY: u64 = 20_000;

/// Where the log begins and ends.
pub(super) struct LogState {
    /// Number of the next record.
    next: u64,
    /// Number of the last record that was acknowledged.
    acknowledged: u64,
}

impl LogState {
    pub(super) fn backlog(&self) -> u64 {
        self.next - 1 - self.acknowledged
    }

    pub(super) fn recover(log: &Keyspace, meta: &Keyspace) -> Result<Self> {
        let acknowledged = meta.get(ACKNOWLEDGED)?.map_or(Ok(0), |bytes| number(&bytes))?;
        let last = match log.last_key_value() {
            Some(guard) => number(&guard.key()?)?,
            None => 0,
        };
        Ok(Self { next: last.max(acknowledged) + 1, acknowledged })
    }
}

impl Embedded {
    fn log_state(&self) -> MutexGuard<'_, LogState> {
        self.log_state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of the records that wait to be acknowledged. Reads them all.
    #[cfg(feature = "cloud")]
    pub(crate) fn waiting_bytes(&self) -> Result<u64> {
        let from = self.log_state().acknowledged + 1;
        self.log.range(from.to_be_bytes()..).try_fold(0, |sum, guard| Ok(sum + u64::from(guard.size()?)))
    }
}

/// Gives back the space of records up to `last`, file by file. Tombstones would keep the bytes of what they hide until
/// levels are merged, and a log that is only appended to gives no reason to merge.
fn drop_up_to(log: &Keyspace, meta: &Keyspace, last: u64) -> Result<()> {
    log.tree.drop_range(..=last.to_be_bytes()).map_err(fjall::Error::from)?;
    // Files leave the disk with the version that held them, which fjall lets go when it rotates a memory table. That
    // of the mark is the smallest, and no other flush would free the journals that it is in.
    meta.rotate_memtable()?;
    Ok(())
}

fn number(bytes: &[u8]) -> Result<u64> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Damaged("a number of the event log".into()))
}

#[async_trait]
impl EventLog for Embedded {
    async fn append(&self, events: &[Event]) -> Result<()> {
        self.append_traced(events, None).await
    }

    async fn append_traced(&self, events: &[Event], trace: Option<&str>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let values: Vec<Vec<u8>> = events.iter().map(|event| encode_event(event, trace)).collect::<Result<_>>()?;
        let durable = self.writer.with(|pending| {
            let mut state = self.log_state();
            let first = state.next;
            let op = |(n, value): (u64, _)| Op::put(&self.log, n.to_be_bytes(), value);
            let ops = (first..).zip(values).map(op);
            let durable = pending.add(ops)?;
            state.next += events.len() as u64;
            Ok(durable)
        })?;
        durable.wait().await
    }

    async fn pull(&self, max: usize) -> Result<Delivery> {
        let acknowledged = Receipt(self.log_state().acknowledged);
        self.pull_behind(acknowledged, max).await
    }

    async fn pull_behind(&self, receipt: Receipt, max: usize) -> Result<Delivery> {
        let from = receipt.0 + 1;
        let mut delivery = Delivery::default();
        for guard in self.log.range(from.to_be_bytes()..).take(max) {
            let (key, value) = guard.into_inner()?;
            delivery.receipt = Some(Receipt(number(&key)?));
            let poison =
                |e: StoreError| Poison { reason: e.to_string(), body: String::from_utf8_lossy(&value).into_owned() };
            delivery.events.push(match decode_event(&value) {
                Ok((event, trace)) => {
                    delivery.traces.extend(trace);
                    Ok(event)
                }
                Err(e) => Err(poison(e)),
            });
        }
        Ok(delivery)
    }

    async fn acknowledge(&self, receipt: Receipt) -> Result<()> {
        // One at a time, so that the mark never moves back.
        let mut dropped = self.dropped.lock().await;
        if receipt.0 <= self.log_state().acknowledged {
            return Ok(());
        }
        let mark = Op::put(&self.meta, ACKNOWLEDGED, receipt.0.to_be_bytes().to_vec());
        self.writer.with(|pending| pending.add_mark([mark]))?.wait().await?;
        self.log_state().acknowledged = receipt.0;
        if receipt.0 >= *dropped + DROP_EVERY {
            let (log, meta) = (self.log.clone(), self.meta.clone());
            let gone = tokio::task::spawn_blocking(move || drop_up_to(&log, &meta, receipt.0));
            gone.await.map_err(|e| StoreError::Embedded(e.to_string()))??;
            *dropped = receipt.0;
        }
        Ok(())
    }

    async fn check(&self) -> Result<()> {
        self.writer.check()
    }

    async fn backlog(&self) -> Result<Option<u64>> {
        Ok(Some(self.log_state().backlog()))
    }
}
