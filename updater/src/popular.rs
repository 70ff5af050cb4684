//! What is popular: from views by hour into a list for each catalog, which replicas serve to who is new.

use crate::Updater;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use store::{Catalog, Popular, Result, StoreError};

/// Between two looks, at least; and this many times what a look takes, so that it stays a small part of the work.
const PACE: Duration = Duration::from_secs(5);
const SHARE: u32 = 20;
/// Most viewed items that are looked at, of all catalogs together.
const MOST_VIEWED: usize = 50_000;
/// Longest list of a catalog.
const LONGEST: usize = 500;
/// Items asked for at a time.
const AT_ONCE: usize = 250;

/// When what is popular was last told, and from what.
#[derive(Debug, Default)]
pub(crate) struct LastTold {
    next: Option<Instant>,
    /// Events taken in by then, and the hour of the clock: with both as they were, the order is as it was.
    of: Option<(u64, i64)>,
}

impl Updater {
    /// Tells what is popular, if views came or the hour turned, and the last time is a while ago.
    pub(crate) async fn tell_popular_if_due(&mut self) {
        let now = self.clock.now();
        let of = (self.taken_in, bandit::hour_of(now));
        if self.told.of == Some(of) || self.told.next.is_some_and(|next| Instant::now() < next) {
            return;
        }
        let began = Instant::now();
        // Posteriors do not wait for it, nor fail with it.
        let told = self.tell_popular().await;
        if let Err(e) = &told {
            tracing::error!("what is popular cannot be told, and is tried again: {e}");
        }
        let of = told.is_ok().then_some(of);
        self.told = LastTold { next: Some(Instant::now() + PACE.max(began.elapsed() * SHARE)), of };
    }

    /// Tells what is popular in each catalog.
    ///
    /// # Errors
    /// When a store fails; lists told until then stand.
    pub(crate) async fn tell_popular(&self) -> Result<()> {
        let mut failure = None;
        for catalog in self.stores.catalogs.catalogs().await? {
            match self.tell_popular_in(&catalog).await {
                // One that was removed meanwhile has nothing to tell.
                Ok(()) | Err(StoreError::Missing(_) | StoreError::Conflict(_)) => {}
                // The others must not wait for this one.
                Err(e) => drop(failure.get_or_insert(e)),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn tell_popular_in(&self, catalog: &Catalog) -> Result<()> {
        let popular = self.popular_in(catalog).await?;
        if self.stores.catalogs.popular(&catalog.id).await? != popular {
            self.stores.catalogs.put_popular(&catalog.id, &popular).await?;
        }
        Ok(())
    }

    /// The most viewed items that the catalog has; views do not say in which catalog an item is.
    async fn popular_in(&self, catalog: &Catalog) -> Result<Vec<Popular>> {
        let half_life = catalog.definition.popular_half_life_hours;
        let viewed = self.stores.item_views.most_viewed(self.clock.now(), half_life, MOST_VIEWED).await?;
        let mut popular = Vec::new();
        for some in viewed.chunks(AT_ONCE) {
            let ids: Vec<String> = some.iter().map(|p| p.id.clone()).collect();
            let there = self.stores.catalogs.items(&catalog.id, &ids).await?;
            let now = self.clock.now();
            let live: HashSet<String> =
                there.into_iter().flatten().filter(|item| !item.has_ended(now)).map(|item| item.id).collect();
            popular.extend(some.iter().filter(|p| live.contains(&p.id)).cloned());
            if popular.len() >= LONGEST {
                break;
            }
        }
        popular.truncate(LONGEST);
        Ok(popular)
    }
}
