//! Who was dealt what.

use crate::Result;
use crate::error::Unwritten;
use async_trait::async_trait;
use bandit::{Assignment, AssignmentKey};
use jiff::civil::Date;
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// Assignments by key. The first to put one wins; all others learn what it put. Moments are kept to the millisecond.
#[async_trait]
pub trait Assignments: Send + Sync {
    /// What the key was dealt, if anything. What is returned is durable.
    async fn get(&self, key: &AssignmentKey) -> Result<Option<Assignment>>;

    /// Atomically keeps `new` unless its key has an assignment already, and returns the one that stands.
    async fn put_if_absent(&self, new: &Assignment) -> Result<Put>;

    /// Lets go of assignments of days before `day`; or does nothing, where they go by themselves.
    async fn expire(&self, day: Date) -> Result<()>;

    /// Removes assignments that were safe before the call; those that are not there are none.
    async fn remove(&self, keys: &[AssignmentKey]) -> Result<()>;

    /// Fails if assignments cannot be read, without changing any.
    async fn check(&self) -> Result<()>;
}

/// The outcome of a put. Who won is known at once; it may be told only when `durable`.
#[derive(Debug)]
pub struct Put {
    /// The assignment that stands.
    pub standing: Assignment,
    /// Whether it is the one that was put.
    pub won: bool,
    /// Resolves when the standing assignment is safe.
    pub durable: Durable,
}

/// Resolves once something is safe.
#[derive(Debug, Clone)]
pub struct Durable(Option<Arc<Group>>);

impl Durable {
    /// Already safe.
    #[must_use]
    pub fn already() -> Self {
        Self(None)
    }

    pub(crate) fn with(group: Arc<Group>) -> Self {
        Self(Some(group))
    }

    /// Waits until it is safe.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn wait(self) -> Result<()> {
        match self.0 {
            None => Ok(()),
            Some(group) => group.wait().await,
        }
    }
}

/// Writes that become safe together, by one synchronisation of the disk.
#[derive(Debug, Default)]
pub(crate) struct Group {
    done: OnceLock<std::result::Result<(), Unwritten>>,
    wake: Notify,
}

impl Group {
    pub(crate) fn finish(&self, result: std::result::Result<(), Unwritten>) {
        // A group is finished once, by the writer that took it.
        let _ = self.done.set(result);
        self.wake.notify_waiters();
    }

    async fn wait(&self) -> Result<()> {
        let woken = self.wake.notified();
        tokio::pin!(woken);
        // Listen first, look second: a finish in between is not missed.
        woken.as_mut().enable();
        if self.done.get().is_none() {
            woken.await;
        }
        match self.done.get() {
            Some(Ok(())) => Ok(()),
            Some(Err(why)) => Err(why.clone().into()),
            None => Err(crate::StoreError::Embedded("a write was abandoned".into())),
        }
    }
}
