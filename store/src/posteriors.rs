//! Published posteriors.

use crate::Result;
use async_trait::async_trait;
use bandit::PosteriorSet;

/// Posterior sets by experiment and version, each written once, whole.
#[async_trait]
pub trait PosteriorSets: Send + Sync {
    /// Version of the newest set; 0 if none was published.
    async fn latest_version(&self, experiment: &str) -> Result<u64>;

    /// A number that grows with every set that has become visible, of whatever experiment, where that is known without
    /// asking of each: while it stands still, so do the latest versions.
    fn publications(&self) -> Option<u64> {
        None
    }

    /// The newest set.
    async fn latest(&self, experiment: &str) -> Result<Option<PosteriorSet>>;

    /// The set of one version.
    async fn at(&self, experiment: &str, version: u64) -> Result<Option<PosteriorSet>>;

    /// Sets after `version`, oldest first, at most `limit`.
    async fn since(&self, experiment: &str, version: u64, limit: usize) -> Result<Vec<PosteriorSet>>;

    /// Publishes a set whose version is the latest plus one; safe and visible when it returns.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] when another was published in between.
    async fn publish(&self, set: &PosteriorSet) -> Result<()>;
}
