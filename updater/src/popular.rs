//! What is popular: from views by hour into a list for each catalog, which replicas serve to who is new.

use crate::Work;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use store::{Catalog, Popular, Result, StoreError};

/// Longest list of a catalog.
const LONGEST: usize = 500;

/// From what it was last told: events taken in by then, and the hour of the clock. With both as they were, the order is.
pub(crate) type Told = Mutex<Option<(u64, i64)>>;

impl Work {
    fn views_now(&self) -> (u64, i64) {
        (self.taken_in.load(Ordering::Relaxed), bandit::hour_of(self.clock.now()))
    }

    /// Whether no views came and the hour did not turn since it was told.
    pub(crate) fn nothing_viewed(&self) -> bool {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) == Some(self.views_now())
    }

    /// Tells what is popular in each catalog.
    ///
    /// # Errors
    /// When a store fails; lists told until then stand.
    pub(crate) async fn tell_popular(&self) -> Result<()> {
        let (of, mut failure) = (self.views_now(), None);
        self.shelf.catch_up(&*self.stores.catalogs, &*self.clock).await?;
        for catalog in self.stores.catalogs.catalogs().await? {
            match self.tell_popular_in(&catalog).await {
                // One that was removed meanwhile has nothing to tell.
                Ok(()) | Err(StoreError::Missing(_) | StoreError::Conflict(_)) => {}
                // The others must not wait for this one.
                Err(e) => drop(failure.get_or_insert(e)),
            }
        }
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = failure.is_none().then_some(of);
        failure.map_or(Ok(()), Err)
    }

    async fn tell_popular_in(&self, catalog: &Catalog) -> Result<()> {
        let popular = self.popular_in(catalog).await?;
        if self.stores.catalogs.popular(&catalog.id).await? != popular {
            self.stores.catalogs.put_popular(&catalog.id, &popular).await?;
        }
        Ok(())
    }

    /// The most viewed of the catalog's live items; views do not say in which catalog an item is.
    async fn popular_in(&self, catalog: &Catalog) -> Result<Vec<Popular>> {
        let half_life = catalog.definition.popular_half_life_hours;
        // One that was removed since has none.
        let Some(candidates) = self.shelf.get(&catalog.id) else { return Ok(Vec::new()) };
        let now = self.clock.now();
        let live = |id: &str| candidates.is_live(id, now);
        self.stores.item_views.most_viewed(now, half_life, LONGEST, &live).await
    }
}
