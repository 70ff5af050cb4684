//! The stream of what happened, between the API that appends and the updater that consumes.

use crate::Result;
use async_trait::async_trait;
use bandit::Event;

/// A durable log, consumed at least once.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends; safe when it returns. Either all or none are kept.
    async fn append(&self, events: &[Event]) -> Result<()>;

    /// The oldest events that are not acknowledged, at most `max`; empty if there are none.
    async fn pull(&self, max: usize) -> Result<Delivery>;

    /// Never delivers again what `receipt` stands for: call it once its effects are durable elsewhere.
    async fn acknowledge(&self, receipt: Receipt) -> Result<()>;

    /// Fails if appends fail, without appending.
    async fn check(&self) -> Result<()>;

    /// Events that wait to be acknowledged.
    async fn backlog(&self) -> Result<u64>;
}

/// A batch of events to work on.
#[derive(Debug)]
pub struct Delivery {
    /// In order of appending; an event that cannot be read comes with the reason.
    pub events: Vec<std::result::Result<Event, Poison>>,
    /// What to acknowledge; none if there were no events.
    pub receipt: Option<Receipt>,
}

/// A record that is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// Why it cannot be read.
    pub reason: String,
    /// What it is, as text.
    pub body: String,
}

/// Stands for delivered events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt(pub(crate) u64);
