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
use std::time::Duration;
use store::{Catalog, Result, Stores};
use tokio::sync::watch;

/// Between two looks for what changed, at least: with what the store takes to tell, a text is in lists within a second.
const PACE: Duration = Duration::from_millis(400);
/// How long a store is left alone that failed.
const RECOVERY: Duration = Duration::from_secs(1);

/// Makes the vectors of catalogs that have an embedder.
pub struct Vectors {
    stores: Stores,
    models: Arc<dyn Find>,
    clock: Arc<dyn Clock>,
    /// Models that are left alone for a while, by version.
    patience: HashMap<String, Patience>,
    /// What was told of each catalog's trouble, none or some.
    told: HashMap<String, Option<String>>,
}

/// Makes vectors whenever this updater is the one at work. It never ends; dropping it ends it anywhere.
pub(crate) async fn keep_making(vectors: Option<Vectors>, mut at_work: watch::Receiver<bool>) {
    let Some(mut vectors) = vectors else { return std::future::pending().await };
    loop {
        if at_work.wait_for(|at_work| *at_work).await.is_err() {
            // Nobody will tell any more, as at the end.
            return std::future::pending().await;
        }
        tokio::select! {
            () = vectors.keep() => {}
            // Another is at work now. Were both, one would do again what the other did.
            _ = at_work.wait_for(|at_work| !*at_work) => {}
        }
    }
}

impl Vectors {
    /// Of these stores, by these models.
    #[must_use]
    pub fn new(stores: Stores, models: Arc<dyn Find>, clock: Arc<dyn Clock>) -> Self {
        Self { stores, models, clock, patience: HashMap::new(), told: HashMap::new() }
    }

    async fn keep(&mut self) {
        loop {
            match self.pass().await {
                Ok(true) => tokio::task::yield_now().await,
                Ok(false) => {
                    let seen = self.stores.vector_work.looked_at().await.ok().flatten().unwrap_or_default();
                    tokio::join!(tokio::time::sleep(PACE), self.stores.catalogs.changed(seen));
                }
                Err(e) => {
                    tracing::error!("vectors of texts cannot be made, which is tried again in a second: {e}");
                    tokio::time::sleep(RECOVERY).await;
                }
            }
        }
    }

    /// Makes all that are due now.
    ///
    /// # Errors
    /// When a store fails; what was done until then stands.
    pub async fn make_all(&mut self) -> Result<()> {
        while self.pass().await? {}
        Ok(())
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
