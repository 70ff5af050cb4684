//! What decisions are made from: every experiment with its posteriors, immutable, replaced whole.

use bandit::{Decider, Status};
use futures::StreamExt;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use store::{ExperimentRecord, PosteriorSets, Result, StoreError, Stores};

/// Experiments read at a time.
const PAGE: usize = 500;

/// Posterior versions asked for at a time: a store in another house answers in milliseconds.
const AT_ONCE: usize = 16;

/// One consistent view. A request works with the view it began with.
#[derive(Default)]
pub(crate) struct Snapshot {
    experiments: HashMap<String, Arc<Decider>>,
    /// Number of the last change of an experiment that is in it; none if one could not be taken in.
    changes: Option<u64>,
}

/// What a look for changes found.
pub(crate) struct Look {
    /// The next view, or none if nothing has changed.
    pub(crate) next: Option<Snapshot>,
    /// Why posteriors could not all be read: those concerned stay as they were.
    pub(crate) trouble: Option<StoreError>,
}

impl Snapshot {
    pub(crate) fn get(&self, experiment: &str) -> Option<&Arc<Decider>> {
        self.experiments.get(experiment)
    }

    pub(crate) fn len(&self) -> usize {
        self.experiments.len()
    }

    /// Whether it has every experiment that there was when it was made.
    pub(crate) fn is_complete(&self) -> bool {
        self.changes.is_some()
    }

    /// Posterior versions of running experiments, by id; the first `most`.
    pub(crate) fn versions(&self, most: usize) -> BTreeMap<String, u64> {
        let running = self.experiments.iter().filter(|(_, d)| d.status() == Status::Running);
        let mut all: Vec<(&String, u64)> = running.map(|(id, d)| (id, d.posterior_version())).collect();
        all.sort_unstable();
        all.into_iter().take(most).map(|(id, version)| (id.clone(), version)).collect()
    }

    /// Looks for changes. What has not changed is shared with this view.
    ///
    /// # Errors
    /// When experiments cannot be read.
    pub(crate) async fn next(&self, stores: &Stores) -> Result<Look> {
        let changes = stores.experiments.changes().await?;
        let mut trouble = None;
        let running: Vec<_> = self.experiments.values().filter(|d| d.status() == Status::Running).cloned().collect();
        let asked = running.into_iter().map(|d| ask(stores.posteriors.clone(), d));
        let answers: Vec<_> = futures::stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        let mut stale = self.changes != Some(changes);
        let mut versions = HashMap::new();
        for (decider, answer) in answers {
            let version = answer.unwrap_or_else(|e| {
                trouble.get_or_insert(e);
                decider.posterior_version()
            });
            stale |= version != decider.posterior_version();
            versions.insert(decider.experiment().id.clone(), version);
        }
        if !stale {
            return Ok(Look { next: None, trouble });
        }
        let mut next = Self { experiments: HashMap::new(), changes: Some(changes) };
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
                    // One that cannot be read must not hold up the others; it stays as it was, until the next look.
                    _ => compile(stores, record).await.map_or_else(
                        |e| {
                            tracing::error!("experiment '{id}' cannot be decided as it is now: {e}");
                            trouble.get_or_insert(e);
                            next.changes = None;
                            known.cloned()
                        },
                        Some,
                    ),
                };
                next.experiments.extend(decider.map(|d| (id, d)));
            }
        }
        Ok(Look { next: Some(next), trouble })
    }
}

async fn ask(posteriors: Arc<dyn PosteriorSets>, decider: Arc<Decider>) -> (Arc<Decider>, Result<u64>) {
    let version = posteriors.latest_version(&decider.experiment().id).await;
    (decider, version)
}

/// Whether a decider still is what `record` and the latest posterior version make.
fn same(now: &Decider, record: &ExperimentRecord, version: Option<u64>) -> bool {
    now.revision() == record.revision
        && now.status() == record.status
        && now.is_frozen() == record.frozen_at.is_some()
        && (record.status != Status::Running || version == Some(now.posterior_version()))
}

async fn compile(stores: &Stores, record: ExperimentRecord) -> Result<Arc<Decider>> {
    let set = match stores.posteriors.latest(&record.definition.id).await {
        // Only a draw needs posteriors: a pause must not wait for them.
        Err(_) if record.status != Status::Running => None,
        read => read?,
    };
    // Propensities that were not published with the set take quadrature: not on a thread that answers others.
    let compiled = tokio::task::spawn_blocking(move || {
        let ExperimentRecord { definition, status, winner, revision, frozen_at, .. } = record;
        Decider::new(definition, status, winner.as_deref(), revision, set.as_ref())
            .map(|decider| decider.frozen(frozen_at.is_some()))
    });
    let decider = compiled.await.map_err(|e| StoreError::Damaged(e.to_string()))?;
    decider.map(Arc::new).map_err(StoreError::Damaged)
}
