//! What a process knows of catalogs: every one's live items, followed change by change.

use crate::{Catalog, CatalogChange, Catalogs, Changed, Result};
use arc_swap::ArcSwap;
use bandit::Clock;
use recommend::Candidates;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

/// Items read at a time.
const PAGE: usize = 1_000;
/// Changes read at a time.
const CHANGES: usize = 100;
/// How often expired items are taken out of memory. Lists show none of them anyway.
const SWEEP: Duration = Duration::from_secs(1);
/// How long a store is left alone that failed.
const RECOVERY: Duration = Duration::from_secs(1);

/// Live items by catalog.
#[derive(Debug, Default)]
pub struct Shelf {
    catalogs: ArcSwap<HashMap<String, Arc<Candidates>>>,
    /// Number of the last change that is in it; none before all was read.
    at: Mutex<Option<u64>>,
    loaded: AtomicBool,
}

impl Shelf {
    /// A catalog's live items; none if there is no such catalog, or it was not read yet.
    #[must_use]
    pub fn get(&self, catalog: &str) -> Option<Arc<Candidates>> {
        self.catalogs.load().get(catalog).cloned()
    }

    /// All of them, in order of id.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Arc<Candidates>> {
        self.catalogs.load().iter().map(|(id, c)| (id.clone(), c.clone())).collect()
    }

    /// Whether everything was read once.
    pub fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Relaxed)
    }

    /// Bytes that all catalogs take in memory.
    pub fn bytes(&self) -> usize {
        self.catalogs.load().values().map(|c| c.bytes()).sum()
    }

    /// Takes in every change that was noted before the call.
    ///
    /// # Errors
    /// When the store cannot be read; what was taken in until then stays.
    pub async fn catch_up(&self, store: &dyn Catalogs, clock: &dyn Clock) -> Result<()> {
        let mut at = self.at.lock().await;
        loop {
            let Some(from) = *at else {
                *at = Some(self.load(store, clock).await?);
                self.loaded.store(true, Ordering::Relaxed);
                continue;
            };
            match store.changes_since(from, CHANGES).await? {
                // They were let go of: this replica was away for days.
                None => *at = None,
                Some(changes) => match changes.last() {
                    None => return Ok(()),
                    Some(last) => {
                        self.apply(store, clock, &changes).await?;
                        *at = Some(last.number);
                    }
                },
            }
        }
    }

    /// Follows changes and takes out what expired, until the future is dropped.
    pub async fn follow(&self, store: &dyn Catalogs, clock: &dyn Clock) {
        let mut well = true;
        let mut sweeps = tokio::time::interval(SWEEP);
        sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let result = self.catch_up(store, clock).await;
            match &result {
                Err(e) if well => tracing::error!("cannot follow changes of catalogs, lists are of what is known: {e}"),
                Ok(()) if !well => tracing::info!("changes of catalogs can be followed again"),
                _ => {}
            }
            well = result.is_ok();
            let known = self.at.lock().await.unwrap_or(0);
            let wait = async { if well { store.changed(known).await } else { tokio::time::sleep(RECOVERY).await } };
            tokio::select! {
                () = wait => {}
                _ = sweeps.tick() => self.sweep(clock),
            }
        }
    }

    fn sweep(&self, clock: &dyn Clock) {
        for candidates in self.catalogs.load().values() {
            candidates.sweep(clock.now());
        }
    }

    /// Reads everything anew, and tells the number of the last change that is in it.
    async fn load(&self, store: &dyn Catalogs, clock: &dyn Clock) -> Result<u64> {
        // First, so that what changes while pages are read is taken in again.
        let from = store.last_change().await?;
        let mut all = HashMap::new();
        for catalog in store.catalogs().await? {
            all.insert(catalog.id.clone(), fill(store, clock, &catalog).await?);
        }
        self.catalogs.store(Arc::new(all));
        Ok(from)
    }

    async fn apply(&self, store: &dyn Catalogs, clock: &dyn Clock, changes: &[CatalogChange]) -> Result<()> {
        let mut definitions = Vec::new();
        let mut popular = Vec::new();
        let mut items: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for change in changes {
            match &change.what {
                Changed::Definition => definitions.push(&*change.catalog),
                Changed::Popular => popular.push(&*change.catalog),
                Changed::Items(ids) => items.entry(&change.catalog).or_default().extend_from_slice(ids),
            }
        }
        if !definitions.is_empty() {
            // All of its items are read anew: it may have been removed, and made again.
            let mut next = HashMap::clone(&self.catalogs.load());
            next.retain(|id, _| !definitions.contains(&id.as_str()));
            for catalog in store.catalogs().await?.iter().filter(|c| definitions.contains(&c.id.as_str())) {
                next.insert(catalog.id.clone(), fill(store, clock, catalog).await?);
            }
            self.catalogs.store(Arc::new(next));
        }
        for (catalog, mut ids) in items {
            let Some(candidates) = self.get(catalog) else { continue };
            // Each once, where it changed last: lists know the newest items by the order of their coming.
            let mut later = HashSet::new();
            ids.reverse();
            ids.retain(|id| later.insert(id.clone()));
            ids.reverse();
            for ids in ids.chunks(PAGE) {
                let found = store.items(catalog, ids).await?;
                let now = clock.now();
                for (id, item) in ids.iter().zip(found) {
                    match item {
                        Some(item) => candidates.put(&item, now),
                        None => drop(candidates.remove(id)),
                    }
                    // Putting takes microseconds, of a thousand they are milliseconds that others wait.
                    tokio::task::consume_budget().await;
                }
            }
        }
        for catalog in popular {
            if let Some(candidates) = self.get(catalog) {
                set_popular(store, catalog, &candidates).await?;
            }
        }
        Ok(())
    }
}

async fn fill(store: &dyn Catalogs, clock: &dyn Clock, catalog: &Catalog) -> Result<Arc<Candidates>> {
    let candidates = Candidates::new(catalog.definition.clone());
    let mut after: Option<String> = None;
    loop {
        let page = store.page_of_items(&catalog.id, after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        let now = clock.now();
        for item in &page {
            candidates.put(item, now);
            tokio::task::consume_budget().await;
        }
    }
    set_popular(store, &catalog.id, &candidates).await?;
    Ok(Arc::new(candidates))
}

async fn set_popular(store: &dyn Catalogs, catalog: &str, candidates: &Candidates) -> Result<()> {
    let popular = store.popular(catalog).await?;
    candidates.set_popular(popular.into_iter().map(|p| (p.id.into(), p.score)).collect());
    Ok(())
}
