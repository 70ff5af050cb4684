//! The event log: records under consecutive numbers, removed once acknowledged.

use super::Embedded;
use super::format::{decode_event, encode_event};
use super::writer::Op;
use crate::events::{Delivery, EventLog, Poison, Receipt};
use crate::{Result, StoreError};
use async_trait::async_trait;
use bandit::Event;
use fjall::Keyspace;
use std::sync::PoisonError;

/// Under which the number of the last acknowledged record is kept.
const ACKNOWLEDGED: &[u8] = b"log-acknowledged";

/// Where the log begins and ends.
pub(super) struct LogState {
    /// Number of the next record.
    next: u64,
    /// Number of the last record that was acknowledged.
    acknowledged: u64,
}

impl LogState {
    pub(super) fn recover(log: &Keyspace, meta: &Keyspace) -> Result<Self> {
        let acknowledged = meta.get(ACKNOWLEDGED)?.map_or(Ok(0), |bytes| number(&bytes))?;
        let last = match log.last_key_value() {
            Some(guard) => number(&guard.key()?)?,
            None => 0,
        };
        Ok(Self { next: last.max(acknowledged) + 1, acknowledged })
    }
}

fn number(bytes: &[u8]) -> Result<u64> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Damaged("a number of the event log".into()))
}

#[async_trait]
impl EventLog for Embedded {
    async fn append(&self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let values: Vec<Vec<u8>> = events.iter().map(encode_event).collect::<Result<_>>()?;
        let durable = self.writer.with(|pending| {
            let mut state = self.log_state.lock().unwrap_or_else(PoisonError::into_inner);
            let first = state.next;
            let ops = (first..).zip(values).map(|(n, v)| Op::Insert(self.log.clone(), n.to_be_bytes().to_vec(), v));
            let durable = pending.add(ops)?;
            state.next += events.len() as u64;
            Ok(durable)
        })?;
        durable.wait().await?;
        self.arrived.notify_one();
        Ok(())
    }

    async fn pull(&self, max: usize) -> Result<Delivery> {
        let from = self.log_state.lock().unwrap_or_else(PoisonError::into_inner).acknowledged + 1;
        let mut delivery = Delivery { events: Vec::new(), receipt: None };
        for guard in self.log.range(from.to_be_bytes()..).take(max) {
            let (key, value) = guard.into_inner()?;
            delivery.receipt = Some(Receipt(number(&key)?));
            delivery.events.push(decode_event(&value).map_err(|e| Poison {
                reason: e.to_string(),
                body: String::from_utf8_lossy(&value).into_owned(),
            }));
        }
        Ok(delivery)
    }

    async fn acknowledge(&self, receipt: Receipt) -> Result<()> {
        let from = self.log_state.lock().unwrap_or_else(PoisonError::into_inner).acknowledged + 1;
        if receipt.0 < from {
            return Ok(());
        }
        let durable = self.writer.with(|pending| {
            let mark = Op::Insert(self.meta.clone(), ACKNOWLEDGED.to_vec(), receipt.0.to_be_bytes().to_vec());
            let gone = (from..=receipt.0).map(|n| Op::Remove(self.log.clone(), n.to_be_bytes().to_vec()));
            pending.add(gone.chain([mark]))
        })?;
        durable.wait().await?;
        let mut state = self.log_state.lock().unwrap_or_else(PoisonError::into_inner);
        state.acknowledged = state.acknowledged.max(receipt.0);
        Ok(())
    }

    async fn wait(&self) {
        self.arrived.notified().await;
    }

    async fn backlog(&self) -> Result<u64> {
        let state = self.log_state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(state.next - 1 - state.acknowledged)
    }
}
