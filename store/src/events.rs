//! The stream of what happened, between the API that appends and the updater that consumes.

use crate::Result;
use async_trait::async_trait;
use bandit::Event;

/// A durable log, consumed at least once.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Appends; safe when it returns. All are kept, now or, if this fails half-way, some time later, or none.
    async fn append(&self, events: &[Event]) -> Result<()>;

    /// Appends likewise, with the W3C `traceparent` of the request that they came with, if its trace is collected. Who consumes
    /// them learns it, where the log keeps it.
    async fn append_traced(&self, events: &[Event], trace: Option<&str>) -> Result<()> {
        let _ = trace;
        self.append(events).await
    }

    /// Events that are not acknowledged, the oldest first where the log has one order, at most `max`; empty if there are
    /// none, as far as the log can tell in a moment.
    async fn pull(&self, max: usize) -> Result<Delivery>;

    /// Events behind those of `receipt`, at most `max`, to be read while these are worked on. Empty as well if the log keeps them
    /// for the next [`pull`](Self::pull).
    async fn pull_behind(&self, receipt: Receipt, max: usize) -> Result<Delivery> {
        let _ = (receipt, max);
        Ok(Delivery::default())
    }

    /// Never delivers again what `receipt` stands for: call it once its effects are durable elsewhere.
    async fn acknowledge(&self, receipt: Receipt) -> Result<()>;

    /// Fails if appends fail and go on failing until a person helps, without appending.
    async fn check(&self) -> Result<()>;

    /// Events that wait to be acknowledged; none if the log cannot count them.
    async fn backlog(&self) -> Result<Option<u64>>;

    /// What is wrong although appends succeed, in one line for whoever looks after it. Asks nobody.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Events that wait on this machine's disk until the log takes them; none if it has no such place. Asks nobody.
    fn spooled(&self) -> Option<u64> {
        None
    }

    /// Ends what goes on behind calls: what was acknowledged is told to whom it concerns. A process that consumes calls it
    /// before it ends, or what it acknowledged last may be delivered again.
    async fn close(&self) {}
}

/// A batch of events to work on.
#[derive(Debug, Default)]
pub struct Delivery {
    /// In order of appending; an event that cannot be read comes with the reason.
    pub events: Vec<std::result::Result<Event, Poison>>,
    /// `traceparent` of each event that was appended with one.
    pub traces: Vec<String>,
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
