//! Of several updaters one works.

use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Leases, Result, StoreError};

/// The lease's name in the database.
const NAME: &str = "updater";
/// How long an updater is believed to live after its last word; then another takes over.
const LENGTH: Duration = Duration::from_secs(15);
/// How often it says so.
const RENEWAL: Duration = Duration::from_secs(5);
/// How often one that waits looks again.
const POLL: Duration = Duration::from_millis(500);

/// This process's hold on it.
pub(crate) struct Lease {
    leases: Arc<dyn Leases>,
    holder: String,
    /// When it was last asked for with success.
    held: Option<Instant>,
    stands_by: bool,
}

impl Lease {
    pub(crate) fn new(leases: Arc<dyn Leases>, holder: String) -> Self {
        Self { leases, holder, held: None, stands_by: false }
    }

    /// Takes or keeps it; false while another has it.
    pub(crate) async fn hold(&mut self) -> Result<bool> {
        if self.held.is_some_and(|t| t.elapsed() < RENEWAL) {
            return Ok(true);
        }
        let asked = Instant::now();
        let held = self.leases.hold(NAME, &self.holder, LENGTH).await?;
        if held == self.stands_by {
            tracing::info!(
                "{}",
                if held { "no other updater is at work now" } else { "another updater is at work; standing by" }
            );
        }
        self.stands_by = !held;
        self.held = held.then_some(asked);
        Ok(held)
    }

    /// Takes it, if need be after the death of who has it.
    pub(crate) async fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        while !self.hold().await? {
            if begun.elapsed() > LENGTH {
                return Err(StoreError::Conflict("another updater is at work; it does what is due".into()));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Does `work` and keeps the lease meanwhile; lets go of the work if the lease is lost. Work that is cut off anywhere
    /// leaves nothing half-done: transactions roll back, and what was not acknowledged comes again.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let keep = async {
            loop {
                tokio::time::sleep(RENEWAL).await;
                match self.hold().await {
                    Ok(true) => {}
                    Ok(false) => return StoreError::Conflict("another updater has taken over".into()),
                    Err(e) if self.held.is_none_or(|t| t.elapsed() > LENGTH) => return e,
                    Err(e) => tracing::warn!("the updater's lease cannot be renewed yet: {e}"),
                }
            }
        };
        tokio::select! {
            done = work => done,
            lost = keep => Err(lost),
        }
    }

    /// Gives it back, so that another need not wait.
    pub(crate) async fn release(self) {
        if self.held.is_some()
            && let Err(e) = self.leases.release(NAME, &self.holder).await
        {
            tracing::warn!("the updater's lease was not given back, another takes over in {} s: {e}", LENGTH.as_secs());
        }
    }
}
