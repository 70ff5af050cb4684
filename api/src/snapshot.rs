//! What decisions are made from: every experiment with its posteriors, immutable, replaced whole.

use bandit::{Decider, Experiment, Explorer, Status};
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use store::{ExperimentRecord, PosteriorSets, Result, StoreError, Stores};

/// Experiments read at a time.
const PAGE: usize = 500;

/// Posterior versions asked for at a time: a store in another house answers in milliseconds.
const AT_ONCE: usize = 16;

/// In place of a number of publications.
const UNKNOWN: u64 = 0;

/// One consistent view. A request works with the view it began with.
#[derive(Default)]
pub(crate) struct Snapshot {
    experiments: HashMap<String, Dealer>,
    /// By catalog, what orders its lists.
    explorers: HashMap<String, Arc<Explorer>>,
    /// Number of the last change of an experiment that is in it; none if one could not be taken in.
    changes: Option<u64>,
    /// How much had been published when versions were last asked for, or [`UNKNOWN`].
    published: AtomicU64,
}

/// An experiment, ready to deal one arm or a list.
#[derive(Clone)]
enum Dealer {
    Arms(Arc<Decider>),
    Lists(Arc<Explorer>),
}

impl Dealer {
    fn experiment(&self) -> &Experiment {
        match self {
            Self::Arms(d) => d.experiment(),
            Self::Lists(e) => e.experiment(),
        }
    }

    fn status(&self) -> Status {
        match self {
            Self::Arms(d) => d.status(),
            Self::Lists(e) => e.status(),
        }
    }

    fn posterior_version(&self) -> u64 {
        match self {
            Self::Arms(d) => d.posterior_version(),
            Self::Lists(e) => e.posterior_version(),
        }
    }

    /// Whether it still is what `record` and the latest posterior version make.
    fn is(&self, record: &ExperimentRecord, version: Option<u64>) -> bool {
        let (revision, frozen) = match self {
            Self::Arms(d) => (d.revision(), d.is_frozen()),
            Self::Lists(e) => (e.revision(), e.is_frozen()),
        };
        revision == record.revision
            && self.status() == record.status
            && frozen == record.frozen_at.is_some()
            && (record.status != Status::Running || version == Some(self.posterior_version()))
    }
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
        match self.experiments.get(experiment)? {
            Dealer::Arms(decider) => Some(decider),
            Dealer::Lists(_) => None,
        }
    }

    /// What deals arms, in order of experiments' ids.
    pub(crate) fn deciders(&self) -> Vec<Arc<Decider>> {
        let arms = |dealer: &Dealer| match dealer {
            Dealer::Arms(decider) => Some(decider.clone()),
            Dealer::Lists(_) => None,
        };
        let mut all: Vec<_> = self.experiments.values().filter_map(arms).collect();
        all.sort_unstable_by(|a, b| a.experiment().id.cmp(&b.experiment().id));
        all
    }

    /// Whether there is such an experiment, of whatever kind.
    pub(crate) fn knows(&self, experiment: &str) -> bool {
        self.experiments.contains_key(experiment)
    }

    /// The catalog whose lists an experiment orders, if it is such a one.
    pub(crate) fn orders(&self, experiment: &str) -> Option<&str> {
        match self.experiments.get(experiment)? {
            Dealer::Arms(_) => None,
            Dealer::Lists(explorer) => Some(&explorer.spec().catalog),
        }
    }

    /// What orders the lists of a catalog now.
    pub(crate) fn explorer(&self, catalog: &str) -> Option<&Arc<Explorer>> {
        self.explorers.get(catalog)
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

    /// Looks for changes, and reads no more than what has changed, unless that is much; all else is shared with this view.
    ///
    /// # Errors
    /// When experiments cannot be read.
    pub(crate) async fn next(&self, stores: &Stores) -> Result<Look> {
        let changes = stores.experiments.changes().await?;
        let mut trouble = None;
        let (versions, published) = self.versions_now(stores, &mut trouble).await;
        let newer =
            |id: &&String| self.experiments.get(*id).map(Dealer::posterior_version) != versions.get(*id).copied();
        let mut stale: BTreeSet<String> = versions.keys().filter(newer).cloned().collect();
        if stale.is_empty() && self.changes == Some(changes) {
            self.published.store(published, Relaxed);
            return Ok(Look { next: None, trouble });
        }
        let changed = match self.changes {
            Some(known) => stores.experiments.changed(known, PAGE).await?,
            None => None,
        };
        stale.extend(changed.iter().flatten().cloned());
        let mut next = Self { changes: Some(changes), published: AtomicU64::new(published), ..Self::default() };
        if changed.is_some() && stale.len() <= PAGE {
            next.experiments = self.experiments.clone();
            for id in stale {
                match stores.experiments.get(&id).await? {
                    Some(record) => next.take_in(self, stores, record, &versions, &mut trouble).await,
                    None => drop(next.experiments.remove(&id)),
                }
            }
        } else {
            let mut after: Option<String> = None;
            loop {
                let page = stores.experiments.list(after.as_deref(), PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.definition.id.clone());
                for record in page {
                    next.take_in(self, stores, record, &versions, &mut trouble).await;
                }
            }
        }
        let explores = |dealer: &Dealer| match dealer {
            Dealer::Lists(e) if e.status() == Status::Running => Some((e.spec().catalog.clone(), e.clone())),
            _ => None,
        };
        next.explorers = next.experiments.values().filter_map(explores).collect();
        Ok(Look { next: Some(next), trouble })
    }

    /// The latest posterior version of each running experiment, or of none, if nothing was published since all were asked
    /// for; and how much has been published.
    async fn versions_now(&self, stores: &Stores, trouble: &mut Option<StoreError>) -> (HashMap<String, u64>, u64) {
        // Before versions are read: what comes meanwhile is looked at again.
        let published = stores.posteriors.publications().map_or(UNKNOWN, |n| n + 1);
        let mut versions = HashMap::new();
        if published != UNKNOWN && published == self.published.load(Relaxed) {
            return (versions, published);
        }
        let running: Vec<_> = self.experiments.values().filter(|d| d.status() == Status::Running).cloned().collect();
        let asked = running.into_iter().map(|d| ask(stores.posteriors.clone(), d));
        let answers: Vec<_> = futures::stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        let mut all = published;
        for (decider, answer) in answers {
            let version = answer.unwrap_or_else(|e| {
                trouble.get_or_insert(e);
                all = UNKNOWN;
                decider.posterior_version()
            });
            versions.insert(decider.experiment().id.clone(), version);
        }
        (versions, all)
    }

    /// Takes in one experiment as it is now, or leaves it as it was `before` if nothing has changed.
    async fn take_in(
        &mut self,
        before: &Self,
        stores: &Stores,
        record: ExperimentRecord,
        versions: &HashMap<String, u64>,
        trouble: &mut Option<StoreError>,
    ) {
        let id = record.definition.id.clone();
        let known = before.experiments.get(&id);
        let version = versions.get(&id).copied().or(known.map(Dealer::posterior_version));
        let dealer = match known {
            Some(now) if now.is(&record, version) => Some(now.clone()),
            // One that cannot be read must not hold up the others; it stays as it was, until the next look.
            _ => compile(stores, record).await.map_or_else(
                |e| {
                    tracing::error!("experiment '{id}' cannot be decided as it is now: {e}");
                    trouble.get_or_insert(e);
                    (self.changes, self.published) = (None, AtomicU64::new(UNKNOWN));
                    known.cloned()
                },
                Some,
            ),
        };
        self.experiments.extend(dealer.map(|d| (id, d)));
    }
}

async fn ask(posteriors: Arc<dyn PosteriorSets>, decider: Dealer) -> (Dealer, Result<u64>) {
    let version = posteriors.latest_version(&decider.experiment().id).await;
    (decider, version)
}

async fn compile(stores: &Stores, record: ExperimentRecord) -> Result<Dealer> {
    let set = match stores.posteriors.latest(&record.definition.id).await {
        // Only a draw needs posteriors: a pause must not wait for them.
        Err(_) if record.status != Status::Running => None,
        read => read?,
    };
    // Propensities that were not published with the set take quadrature: not on a thread that answers others.
    let compiled = tokio::task::spawn_blocking(move || {
        let ExperimentRecord { definition, status, winner, revision, frozen_at, .. } = record;
        let frozen = frozen_at.is_some();
        if definition.candidates.is_some() {
            let explorer = Explorer::new(definition, status, revision, set.as_ref())?;
            return Ok(Dealer::Lists(Arc::new(explorer.frozen(frozen))));
        }
        let decider = Decider::new(definition, status, winner.as_deref(), revision, set.as_ref())?;
        Ok(Dealer::Arms(Arc::new(decider.frozen(frozen))))
    });
    let decider = compiled.await.map_err(|e| StoreError::Damaged(e.to_string()))?;
    decider.map_err(StoreError::Damaged)
}
