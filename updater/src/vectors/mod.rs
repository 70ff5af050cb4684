//! Vectors of texts, made beside all else that the updater does.
//!
//! Puts are in the log of changes before they are acknowledged. What changed is looked at, what waits is noted in the
//! database, in one transaction with how far the log was read; batches of it get vectors, which are written into their
//! items if these are still the same; then they wait no more. Cut off anywhere, all of it may be done again: an item is in
//! the log ahead, or in the queue, or has its vectors.
//!
//! When a catalog is to go by another model, all of its items are walked over and get a vector of that one beside the old,
//! as do those that come meanwhile. Once none waits, one change makes lists go by the new model; another walk lets go of
//! the old vectors.

mod batch;
mod follow;
mod make;
mod models;
mod patience;

use bandit::Clock;
use embed::Find;
use models::Models;
use patience::Patience;
use recommend::Serving;
use std::collections::HashMap;
use std::sync::Arc;
use store::{Catalog, Result, Stores};

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
        let models = self.find_models(&catalogs).await?;
        // Ahead of everything else: what was put before now waits then, or waits for nothing.
        let mut more = self.follow(&models).await?;
        for catalog in &catalogs {
            let Some(models) = models.get(&catalog.id) else { continue };
            let walk = self.walk_on(catalog, models).await?;
            more |= self.make_batch(catalog, models).await? || !walk.done;
            if walk.done {
                more |= self.serve_if_ready(catalog, models).await?;
            }
        }
        Ok(more)
    }

    /// The models of each catalog. What keeps one from its model is noted for people.
    async fn find_models(&mut self, catalogs: &[Catalog]) -> Result<HashMap<String, Models>> {
        let mut all = HashMap::new();
        for catalog in catalogs {
            let (models, trouble) = Models::find(&*self.models, &catalog.definition).await;
            if self.told.get(&catalog.id) != Some(&trouble) {
                if let Some(why) = &trouble {
                    tracing::error!("catalog '{}' gets no vectors of its model: {why}", catalog.id);
                }
                self.stores.vector_work.trouble(&catalog.id, trouble.as_deref()).await?;
                self.told.insert(catalog.id.clone(), trouble);
            }
            all.insert(catalog.id.clone(), models);
        }
        Ok(all)
    }

    /// Makes lists go by the model that is wanted, if no item waits for its vector any more; whether that was done.
    async fn serve_if_ready(&self, catalog: &Catalog, models: &Models) -> Result<bool> {
        let Some(wanted) = models.to_come() else { return Ok(false) };
        if self.stores.vector_work.standing(&catalog.id, 0).await?.waiting > 0 {
            return Ok(false);
        }
        let embedder = &catalog.definition.embedder;
        let (version, dimension) = (wanted.version().to_owned(), wanted.dimension());
        let serving = Serving { embedder: embedder.clone(), version, dimension };
        let served = self.stores.catalogs.serve(&catalog.id, embedder, &serving).await?;
        if served.is_some() {
            tracing::info!("lists of catalog '{}' go by {} from now on", catalog.id, serving.version);
        }
        Ok(served.is_some())
    }
}

#[cfg(test)]
mod tests;
