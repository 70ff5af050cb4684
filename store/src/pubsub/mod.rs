//! The event log in Pub/Sub, with a spool on this machine's disk for when it does not answer.
//!
//! An append returns once Pub/Sub has acknowledged its events, or the spool has them on disk. While the spool holds
//! anything, whatever comes goes there too, without waiting; a task of ours publishes it in order. So the order of a
//! user's events holds, as far as they pass one process.
//!
//! All of an append is kept, or none, unless the process ends in the middle of it: then Pub/Sub may have some. Its
//! caller was not told that they are safe, and sends them again.

mod admin;
mod client;
mod consuming;
mod dead;
mod message;
mod metrics;
mod publishing;
mod room;
#[cfg(test)]
mod tests;

pub(crate) use admin::{check_topics, create_topics};
#[cfg(any(test, feature = "conformance"))]
pub(crate) use message::again;
pub(crate) use metrics::describe_metrics;

use crate::embedded::Embedded;
use crate::locations::{InProject, Locations};
use crate::{Delivery, EventLog, Receipt, Result, StoreError};
use async_trait::async_trait;
use bandit::Event;
use client::Client;
use consuming::{Bounds, Consuming};
use dead::DeadLetters;
use publishing::Publishing;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::task::AbortHandle;

/// The log of one topic.
pub(crate) struct PubSub {
    client: Client,
    publishing: Arc<Publishing>,
    replay: AbortHandle,
    /// Made on first use: a server that only answers requests never reads.
    consuming: OnceCell<Consuming>,
    bounds: Bounds,
}

/// What tests set otherwise.
struct Tuning {
    /// How long Pub/Sub may take to acknowledge an append, before its events go into the spool.
    deadline: Duration,
    /// What a reader holds.
    bounds: Bounds,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { deadline: Duration::from_millis(300), bounds: Bounds::default() }
    }
}

impl PubSub {
    /// Opens the log. A service that does not answer is no failure: events wait in the spool.
    ///
    /// # Errors
    /// When a person has to help: no credentials, no topic or subscription, no access, a spool that is in use or cannot
    /// be written.
    pub(crate) async fn open(topic: &InProject, locations: &Locations) -> Result<Self> {
        Self::tuned(topic, locations, Tuning::default()).await
    }

    async fn tuned(topic: &InProject, locations: &Locations, tuning: Tuning) -> Result<Self> {
        let client = Client::new(topic, locations)?;
        match client.check().await {
            Ok(()) => {}
            Err(e @ StoreError::Setting { .. }) => return Err(e),
            Err(e) => tracing::warn!("{e}: events will wait in the spool until it answers"),
        }
        let spool = Embedded::open("spool", &locations.spool, locations.durability).map_err(of_its_own)?;
        let publishing =
            Arc::new(Publishing::new(client.clone(), spool, locations.spool_bytes, tuning.deadline).await?);
        let replaying = publishing.clone();
        let replay = tokio::spawn(async move { replaying.replay().await }).abort_handle();
        Ok(Self { client, publishing, replay, consuming: OnceCell::new(), bounds: tuning.bounds })
    }

    async fn consuming(&self) -> Result<&Consuming> {
        let start = async || {
            let (subscriber, dead) = (self.client.subscriber().await?, DeadLetters::open(&self.client).await?);
            Consuming::start(subscriber, self.client.subscription(), dead, self.bounds)
        };
        self.consuming.get_or_try_init(start).await
    }
}

/// Says that each process needs a spool directory of its own, should that be the matter.
fn of_its_own(e: StoreError) -> StoreError {
    match e {
        StoreError::Setting { setting, value, reason } => {
            let reason = format!("{reason}; each process needs a spool directory of its own");
            StoreError::Setting { setting, value, reason }
        }
        other => other,
    }
}

impl Drop for PubSub {
    fn drop(&mut self) {
        // What it was at stays in the spool.
        self.replay.abort();
    }
}

#[async_trait]
impl EventLog for PubSub {
    async fn append(&self, events: &[Event]) -> Result<()> {
        self.append_traced(events, None).await
    }

    async fn append_traced(&self, events: &[Event], trace: Option<&str>) -> Result<()> {
        self.publishing.append(events, trace).await
    }

    async fn pull(&self, max: usize) -> Result<Delivery> {
        self.consuming().await?.pull(max).await
    }

    async fn acknowledge(&self, receipt: Receipt) -> Result<()> {
        self.consuming().await?.acknowledge(receipt).await
    }

    async fn check(&self) -> Result<()> {
        // A spool that cannot be written matters only while it is needed.
        match self.publishing.room().away() {
            Some(_) => self.publishing.spool().check().await,
            None => Ok(()),
        }
    }

    async fn backlog(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    fn trouble(&self) -> Option<String> {
        let (room, why) = (self.publishing.room(), self.publishing.room().away()?);
        Some(format!("Pub/Sub is away, {} events wait in the spool: {why}", room.waiting().events))
    }

    fn spooled(&self) -> Option<u64> {
        Some(self.publishing.room().waiting().events)
    }

    async fn close(&self) {
        if let Some(consuming) = self.consuming.get() {
            consuming.close().await;
        }
        self.publishing.flush().await;
    }
}
