//! Vectors of texts, made beside all else that the updater does.
//!
//! Puts are in the log of changes before they are acknowledged. What changed is looked at, what waits is noted in the
//! database, in one transaction with how far the log was read; batches of it get vectors, which are written into their
//! items if these are still the same; then they wait no more. Cut off anywhere, all of it may be done again: an item is in
//! the log ahead, or in the queue, or has its vectors.
//!
//! When a catalog is to go by another model, all of its items are walked over and get a vector of that one beside the old,
//! as do those that come meanwhile. Once none waits, one change makes lists go by the new model; another walk lets go of
//! the old vectors. A model that has no vector for what is in lists does not take them over.

mod batch;
mod follow;
mod make;
mod models;
mod patience;

use bandit::Clock;
use embed::Find;
use models::Models;
use patience::Patience;
use recommend::{Serving, Text};
use std::collections::HashMap;
use std::sync::Arc;
use store::{Catalog, Result, Stores};

/// Items set aside that are read at a time.
const PAGE: usize = 256;

/// Makes the vectors of catalogs that have an embedder.
pub struct Vectors {
    stores: Stores,
    models: Arc<dyn Find>,
    clock: Arc<dyn Clock>,
    /// Models that are left alone for a while, by version.
    patience: HashMap<String, Patience>,
    /// What was told of each catalog's trouble, none or some.
    told: HashMap<String, Option<String>>,
    /// Vectors made since this was last asked.
    made: u64,
}

impl Vectors {
    /// Of these stores, by these models.
    #[must_use]
    pub fn new(stores: Stores, models: Arc<dyn Find>, clock: Arc<dyn Clock>) -> Self {
        Self { stores, models, clock, patience: HashMap::new(), told: HashMap::new(), made: 0 }
    }

    /// How many vectors were made since this was last asked.
    pub(crate) fn take_made(&mut self) -> u64 {
        std::mem::take(&mut self.made)
    }

    /// One look at what changed, and one batch for each catalog; whether there is more to do at once.
    ///
    /// # Errors
    /// When a store fails; what was done until then stands.
    pub async fn pass(&mut self) -> Result<bool> {
        let catalogs = self.stores.catalogs.catalogs().await?;
        let catalogs: Vec<Catalog> = catalogs.into_iter().filter(|c| c.definition.embedder.model().is_some()).collect();
        let models = self.find_models(&catalogs).await;
        // Ahead of everything else: what was put before now waits then, or waits for nothing.
        let mut more = self.follow(&models).await?;
        for catalog in &catalogs {
            let Some(models) = models.get(&catalog.id) else { continue };
            let walk = self.walk_on(catalog, models).await?;
            more |= self.make_batch(catalog, models).await? || !walk.done;
            let mut trouble = models.trouble().map(str::to_owned);
            if walk.done {
                match self.serve_if_ready(catalog, models).await? {
                    Turn::NotYet => {}
                    Turn::Taken => more = true,
                    Turn::Held(why) => trouble = Some(why),
                }
            }
            self.tell(catalog, trouble).await?;
        }
        Ok(more)
    }

    /// The models of each catalog.
    async fn find_models(&self, catalogs: &[Catalog]) -> HashMap<String, Models> {
        let mut all = HashMap::new();
        for catalog in catalogs {
            all.insert(catalog.id.clone(), Models::find(&*self.models, &catalog.definition).await);
        }
        all
    }

    /// Notes for people what keeps a catalog from its model, once.
    async fn tell(&mut self, catalog: &Catalog, trouble: Option<String>) -> Result<()> {
        if self.told.get(&catalog.id) != Some(&trouble) {
            if let Some(why) = &trouble {
                tracing::error!("catalog '{}' gets no vectors of its model: {why}", catalog.id);
            }
            self.stores.vector_work.trouble(&catalog.id, trouble.as_deref()).await?;
            self.told.insert(catalog.id.clone(), trouble);
        }
        Ok(())
    }

    /// Makes lists go by the model that is wanted, if no item waits for its vector any more and none would be lost.
    async fn serve_if_ready(&self, catalog: &Catalog, models: &Models) -> Result<Turn> {
        let Some(wanted) = models.to_come() else { return Ok(Turn::NotYet) };
        if self.stores.vector_work.standing(&catalog.id, 0).await?.waiting > 0 {
            return Ok(Turn::NotYet);
        }
        if let Some((item, why)) = self.would_be_lost(catalog, wanted.version()).await? {
            return Ok(Turn::Held(format!(
                "lists stay as they are, since they would lose items that are set aside, as '{item}': {why}"
            )));
        }
        let serving = Serving {
            embedder: catalog.definition.embedder.clone(),
            version: wanted.version().to_owned(),
            dimension: wanted.dimension(),
        };
        let served = self.stores.catalogs.serve(catalog, &serving).await?;
        if served.is_some() {
            tracing::info!("lists of catalog '{}' go by {} from now on", catalog.id, serving.version);
            return Ok(Turn::Taken);
        }
        Ok(Turn::NotYet)
    }

    /// An item that lists have by the model that they go by, and would not have by another version, and why; none if there is
    /// none. Such items are all set aside, since none waits.
    async fn would_be_lost(&self, catalog: &Catalog, version: &str) -> Result<Option<(String, String)>> {
        let Some(serving) = &catalog.definition.serving else { return Ok(None) };
        let aside = self.stores.vector_work.standing(&catalog.id, usize::MAX).await?.aside;
        let now = self.clock.now();
        for aside in aside.chunks(PAGE) {
            let ids: Vec<String> = aside.iter().map(|aside| aside.item.clone()).collect();
            let items = self.stores.catalogs.items(&catalog.id, &ids).await?;
            for (aside, item) in aside.iter().zip(items) {
                let Some(Ok(item)) = item else { continue };
                let lost = |text: &Text| text.vector(&serving.version).is_some() && text.vector(version).is_none();
                if !item.has_ended(now) && item.text.as_deref().is_some_and(lost) {
                    return Ok(Some((item.id, aside.why.clone())));
                }
            }
        }
        Ok(None)
    }
}

/// Whether lists go by another model.
enum Turn {
    /// It is not time, or nothing is to change.
    NotYet,
    /// From now on.
    Taken,
    /// Not before somebody does something about this.
    Held(String),
}

#[cfg(test)]
mod tests;
