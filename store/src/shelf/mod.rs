//! What a process knows of catalogs: every one's live items, followed change by change.

mod saved;
#[cfg(test)]
mod tests;

use crate::{Catalog, CatalogChange, Catalogs, Changed, Kept, Result, Unreadable, id_of};
use arc_swap::ArcSwap;
use bandit::Clock;
use recommend::Candidates;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// Items read at a time.
const PAGE: usize = 1_000;
/// Changes read at a time.
const CHANGES: usize = 100;
/// How often expired items are taken out of memory, of which lists show none anyway, and large catalogs are looked at for
/// whether the lists that searches go by should be made anew.
const TIDY: Duration = Duration::from_secs(1);
/// Changes before a start that are looked at for what was put by them: lists that were made ahead since are believed.
const LOOKED_BACK: u64 = 1_000;
/// How often what is known is saved, if it changed.
const SAVE: Duration = Duration::from_secs(300);
/// How long a store is left alone that failed.
const RECOVERY: Duration = Duration::from_secs(1);

/// Live items by catalog.
#[derive(Debug, Default)]
pub struct Shelf {
    catalogs: ArcSwap<HashMap<String, Arc<Candidates>>>,
    /// Number of the last change that is in it; none before all was read.
    at: Mutex<Option<u64>>,
    loaded: AtomicBool,
    /// The same number, or one before it, for whoever does not wait.
    reached: AtomicU64,
    /// What it begins with; none: nothing.
    file: Option<PathBuf>,
    /// Whether it saves what is known there.
    saves: bool,
    /// Number of the last change that was saved.
    saved: Mutex<Option<u64>>,
}

/// Tells threads that work for a shelf when nobody follows for it any more.
#[derive(Default)]
struct Followed(Arc<AtomicBool>);

impl Drop for Followed {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Shelf {
    /// A shelf that is saved in a file from time to time, and begins with what was.
    #[must_use]
    pub fn saved_in(file: PathBuf) -> Self {
        Self { file: Some(file), saves: true, ..Self::default() }
    }

    /// A shelf that begins with a file that another process saves.
    #[must_use]
    pub fn read_from(file: PathBuf) -> Self {
        Self { file: Some(file), ..Self::default() }
    }

    /// Number of a change: that one and all before it are in what [`Self::get`] gives from now on.
    pub fn reached(&self) -> u64 {
        self.reached.load(Ordering::Acquire)
    }

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
                let number = self.load(store, clock).await?;
                *at = Some(number);
                self.reached.store(number, Ordering::Release);
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
                        self.reached.store(last.number, Ordering::Release);
                    }
                },
            }
        }
    }

    /// Follows changes, keeps memory and searches in order and saves what is known, until the future is dropped.
    pub async fn follow(&self, store: &dyn Catalogs, clock: &dyn Clock) {
        futures::future::join3(self.follow_changes(store, clock), self.tidy(clock), self.save_at_times(store)).await;
    }

    async fn follow_changes(&self, store: &dyn Catalogs, clock: &dyn Clock) {
        let mut well = true;
        loop {
            let result = self.catch_up(store, clock).await;
            match &result {
                Err(e) if well => tracing::error!("cannot follow changes of catalogs, lists are of what is known: {e}"),
                Ok(()) if !well => tracing::info!("changes of catalogs can be followed again"),
                _ => {}
            }
            well = result.is_ok();
            let known = self.at.lock().await.unwrap_or(0);
            if well {
                store.changed(known).await;
            } else {
                tokio::time::sleep(RECOVERY).await;
            }
        }
    }

    async fn tidy(&self, clock: &dyn Clock) {
        let followed = Followed::default();
        let mut ticks = tokio::time::interval(TIDY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for candidates in self.all().into_values() {
                candidates.sweep(clock.now());
                if candidates.training_due() {
                    let over = followed.0.clone();
                    // One after the other, on a thread of its own; it ends early when nobody follows any more.
                    let work = move || candidates.train(|| !over.load(Ordering::Relaxed));
                    if let Err(e) = tokio::task::spawn_blocking(work).await {
                        tracing::error!("the lists of an index could not be made: {e}");
                    }
                }
            }
        }
    }

    /// Reads everything: what was saved, if the log of changes still knows how to go on from there; else all anew. Tells
    /// the number of the last change that is in it.
    async fn load(&self, store: &dyn Catalogs, clock: &dyn Clock) -> Result<u64> {
        // Once: whoever comes here again found that what was saved is too old.
        if !self.is_loaded()
            && let Some((number, catalogs)) = self.read_saved(&store.log_id().await?).await
            && store.changes_since(number, 1).await?.is_some()
        {
            for (id, (candidates, unreadable)) in &catalogs {
                // A release that reads them may have come.
                for ids in unreadable.chunks(PAGE) {
                    take_in(id, candidates, ids, store.items(id, ids).await?, clock).await;
                }
                set_popular(store, id, candidates).await?;
            }
            let catalogs = catalogs.into_iter().map(|(id, (candidates, _))| (id, candidates)).collect();
            look_back(store, &catalogs, number).await?;
            self.catalogs.store(Arc::new(catalogs));
            return Ok(number);
        }
        // First, so that what changes while pages are read is taken in again.
        let from = store.last_change().await?;
        let mut all = HashMap::new();
        for catalog in store.catalogs().await? {
            all.insert(catalog.id.clone(), fill(store, clock, &catalog).await?);
        }
        look_back(store, &all, from).await?;
        self.catalogs.store(Arc::new(all));
        Ok(from)
    }

    async fn apply(&self, store: &dyn Catalogs, clock: &dyn Clock, changes: &[CatalogChange]) -> Result<()> {
        let mut definitions = Vec::new();
        let mut popular = Vec::new();
        let mut items: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let last = changes.last().map_or(0, |last| last.number);
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
                let candidates = fill(store, clock, catalog).await?;
                // No list made before the definition changed is believed.
                candidates.begin_notes(last);
                next.insert(catalog.id.clone(), candidates);
            }
            self.catalogs.store(Arc::new(next));
        }
        // Before the items are put: a list that lacks one is none of those that are believed from then on.
        for change in changes {
            note(&self.catalogs.load(), change);
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
                take_in(catalog, &candidates, ids, found, clock).await;
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

/// Notes what a change put.
fn note(catalogs: &HashMap<String, Arc<Candidates>>, change: &CatalogChange) {
    if let (Changed::Items(ids), Some(candidates)) = (&change.what, catalogs.get(&*change.catalog)) {
        for id in ids {
            candidates.note(change.number, id);
        }
    }
}

/// Notes what was put by the last changes up to `number`, all of which are in these catalogs: back to the last change of
/// their definitions, or as far as the log goes.
async fn look_back(store: &dyn Catalogs, catalogs: &HashMap<String, Arc<Candidates>>, number: u64) -> Result<()> {
    let mut from = number.saturating_sub(LOOKED_BACK);
    let begin = |from| catalogs.values().for_each(|candidates| candidates.begin_notes(from));
    begin(from);
    while from < number {
        let Some(changes) = store.changes_since(from, CHANGES).await? else {
            begin(number);
            return Ok(());
        };
        for change in changes.iter().take_while(|change| change.number <= number) {
            note(catalogs, change);
            if let (Changed::Definition, Some(candidates)) = (&change.what, catalogs.get(&*change.catalog)) {
                candidates.begin_notes(change.number);
            }
        }
        let Some(last) = changes.last() else { break };
        from = last.number;
    }
    Ok(())
}

async fn fill(store: &dyn Catalogs, clock: &dyn Clock, catalog: &Catalog) -> Result<Arc<Candidates>> {
    let candidates = Candidates::new(catalog.definition.clone());
    let mut after: Option<String> = None;
    loop {
        let page = store.page_of_items(&catalog.id, after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(id_of(last).to_owned());
        let ids: Vec<String> = page.iter().map(|kept| id_of(kept).to_owned()).collect();
        take_in(&catalog.id, &candidates, &ids, page.into_iter().map(Some), clock).await;
    }
    set_popular(store, &catalog.id, &candidates).await?;
    Ok(Arc::new(candidates))
}

/// Takes in what was read of these ids. What cannot be read is left out and keeps nothing else from being taken in: whoever
/// puts it again, or removes it, heals that.
async fn take_in(
    catalog: &str,
    candidates: &Candidates,
    ids: &[String],
    found: impl IntoIterator<Item = Option<Kept>>,
    clock: &dyn Clock,
) {
    let now = clock.now();
    let (mut news, mut first) = (0_u64, None);
    for (id, kept) in ids.iter().zip(found) {
        match kept {
            Some(Ok(item)) => candidates.put(&item, now),
            Some(Err(Unreadable { why, .. })) => {
                if candidates.leave_out(id, &why) {
                    news += 1;
                    first.get_or_insert((id, why));
                }
            }
            None => drop(candidates.remove(id)),
        }
        // Putting takes microseconds, of a thousand they are milliseconds that others wait.
        tokio::task::consume_budget().await;
    }
    if let Some((id, why)) = first {
        tracing::error!(
            "{news} items of catalog '{catalog}' cannot be read and are in no list until they are put again or removed, as \
             item '{}': {why}",
            id.escape_debug()
        );
    }
}

async fn set_popular(store: &dyn Catalogs, catalog: &str, candidates: &Candidates) -> Result<()> {
    let popular = store.popular(catalog).await?;
    candidates.set_popular(popular.into_iter().map(|p| (p.id.into(), p.score)).collect());
    Ok(())
}
