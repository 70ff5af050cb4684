//! What decisions are made from: every experiment with its posteriors, immutable, replaced whole.

use bandit::{Decider, Status};
use std::collections::HashMap;
use std::sync::Arc;
use store::{ExperimentRecord, Result, StoreError, Stores};

/// Experiments read at a time.
const PAGE: usize = 500;

/// One consistent view. A request works with the view it began with.
#[derive(Default)]
pub(crate) struct Snapshot {
    experiments: HashMap<String, Arc<Decider>>,
    /// Number of the last change of an experiment that is in it.
    changes: u64,
}

impl Snapshot {
    pub(crate) fn get(&self, experiment: &str) -> Option<&Arc<Decider>> {
        self.experiments.get(experiment)
    }

    pub(crate) fn len(&self) -> usize {
        self.experiments.len()
    }

    /// The next view, or none if nothing has changed. What has not changed is shared with this one.
    pub(crate) async fn next(&self, stores: &Stores) -> Result<Option<Self>> {
        let changes = stores.experiments.changes().await?;
        let mut stale = changes != self.changes;
        let mut versions = HashMap::new();
        for (id, decider) in self.experiments.iter().filter(|(_, d)| d.status() == Status::Running) {
            let version = stores.posteriors.latest_version(id).await?;
            stale |= version != decider.posterior_version();
            versions.insert(id.clone(), version);
        }
        if !stale {
            return Ok(None);
        }
        let mut next = Self { experiments: HashMap::new(), changes };
        let mut after: Option<String> = None;
        loop {
            let page = stores.experiments.list(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.definition.id.clone());
            for record in page {
                let id = record.definition.id.clone();
                let known = self.experiments.get(&id);
                let decider = match known {
                    Some(now) if same(now, &record, versions.get(&id).copied()) => Some(now.clone()),
                    // One that cannot be read must not hold up the others; it stays as it was.
                    _ => compile(stores, record).await.map_or_else(
                        |e| {
                            tracing::error!("experiment '{id}' cannot be decided as it is now: {e}");
                            known.cloned()
                        },
                        Some,
                    ),
                };
                next.experiments.extend(decider.map(|d| (id, d)));
            }
        }
        Ok(Some(next))
    }
}

/// Whether a decider still is what `record` and the latest posterior version make.
fn same(now: &Decider, record: &ExperimentRecord, version: Option<u64>) -> bool {
    now.revision() == record.revision
        && now.status() == record.status
        && (record.status != Status::Running || version == Some(now.posterior_version()))
}

async fn compile(stores: &Stores, record: ExperimentRecord) -> Result<Arc<Decider>> {
    let set = stores.posteriors.latest(&record.definition.id).await?;
    // Propensities that were not published with the set take quadrature: not on a thread that answers others.
    let compiled = tokio::task::spawn_blocking(move || {
        let ExperimentRecord { definition, status, winner, revision, .. } = record;
        Decider::new(definition, status, winner.as_deref(), revision, set.as_ref())
    });
    let decider = compiled.await.map_err(|e| StoreError::Damaged(e.to_string()))?;
    decider.map(Arc::new).map_err(StoreError::Damaged)
}
