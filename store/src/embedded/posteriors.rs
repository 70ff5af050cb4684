//! Posterior sets under experiment and version.

use super::Embedded;
use super::writer::Op;
use crate::posteriors::PosteriorSets;
use crate::{Result, StoreError};
use async_trait::async_trait;
use bandit::PosteriorSet;
use std::sync::atomic::Ordering;

/// Experiment ids have no NUL, so prefixes do not overlap.
fn key(experiment: &str, version: u64) -> Vec<u8> {
    [experiment.as_bytes(), &[0], &version.to_be_bytes()].concat()
}

fn decode(bytes: &[u8]) -> Result<PosteriorSet> {
    PosteriorSet::decode(bytes).map_err(|e| StoreError::Damaged(e.to_string()))
}

#[async_trait]
impl PosteriorSets for Embedded {
    async fn latest_version(&self, experiment: &str) -> Result<u64> {
        let Some(last) = self.posteriors.range(key(experiment, 0)..=key(experiment, u64::MAX)).next_back() else {
            return Ok(0);
        };
        let last = last.key()?;
        let version = last.len().checked_sub(8).and_then(|at| last[at..].try_into().ok());
        version.map(u64::from_be_bytes).ok_or_else(|| StoreError::Damaged("a key of a posterior set".into()))
    }

    fn publications(&self) -> Option<u64> {
        Some(self.published.load(Ordering::Acquire))
    }

    async fn latest(&self, experiment: &str) -> Result<Option<PosteriorSet>> {
        let last = self.posteriors.range(key(experiment, 0)..=key(experiment, u64::MAX)).next_back();
        last.map(|guard| decode(&guard.value()?)).transpose()
    }

    async fn at(&self, experiment: &str, version: u64) -> Result<Option<PosteriorSet>> {
        self.posteriors.get(key(experiment, version))?.map(|bytes| decode(&bytes)).transpose()
    }

    async fn since(&self, experiment: &str, version: u64, limit: usize) -> Result<Vec<PosteriorSet>> {
        let range = key(experiment, version.saturating_add(1))..=key(experiment, u64::MAX);
        self.posteriors.range(range).take(limit).map(|guard| decode(&guard.value()?)).collect()
    }

    async fn publish(&self, set: &PosteriorSet) -> Result<()> {
        // Reading the latest version and writing the next is one step in this process, and there is no other.
        let mut last = self.publishing.lock().await;
        // Whoever published last may have given up waiting, and its set be on its way still; if it did not
        // arrive, there is no version of it either.
        let _ = last.clone().wait().await;
        let latest = self.latest_version(&set.experiment).await?;
        if set.version != latest + 1 {
            return Err(StoreError::Conflict(format!(
                "posterior set {} of '{}' cannot follow version {latest}",
                set.version, set.experiment
            )));
        }
        let bytes = set.encode().map_err(|e| StoreError::Damaged(e.to_string()))?;
        let op = Op::put(&self.posteriors, key(&set.experiment, set.version), bytes);
        *last = self.writer.with(|pending| pending.add([op]))?;
        // Counted once it is visible, also where whoever publishes gives up waiting.
        let (durable, published) = (last.clone(), self.published.clone());
        let visible = tokio::spawn(async move {
            let written = durable.wait().await;
            published.fetch_add(1, Ordering::Release);
            written
        });
        visible.await.map_err(|e| StoreError::Embedded(e.to_string()))?
    }
}
