//! The plane that the map of a catalog is drawn on, worked out anew when its items changed.

use crate::Work;
use recommend::index::unit;
use recommend::{Metric, Projection};
use std::collections::HashSet;
use store::{Catalog, CatalogMap, Changed, Result, StoreError, id_of};

/// Items read at a time, and at most of one catalog: of a larger one the map is of the first in the store's order.
const PAGE: usize = 1_000;
const MOST_READ: usize = 30_000;
/// Vectors that the plane is worked out from, and numbers in all of them together: a second's work at most.
const VECTORS: usize = 3_000;
const NUMBERS: usize = 600_000;
/// Changes read at a time, and pages of them before it is taken that something changed.
const CHANGES: usize = 1_000;
const PAGES_OF_CHANGES: usize = 20;

impl Work {
    /// Draws the maps of catalogs whose items changed, and takes those of removed catalogs away.
    ///
    /// # Errors
    /// When a store fails; maps drawn until then stand.
    pub(crate) async fn draw_maps(&self) -> Result<()> {
        let catalogs = self.stores.catalogs.catalogs().await?;
        let there: HashSet<&str> = catalogs.iter().map(|c| c.id.as_str()).collect();
        for gone in self.stores.list_hours.mapped().await?.iter().filter(|id| !there.contains(id.as_str())) {
            self.stores.list_hours.keep_map(gone, None).await?;
        }
        for catalog in &catalogs {
            // Before items are read: what changes meanwhile is seen the next time.
            let change = self.stores.catalogs.last_change().await?;
            if let Some(map) = self.stores.list_hours.map(&catalog.id).await?
                && !self.items_changed(&catalog.id, map.change).await?
            {
                continue;
            }
            let sample = self.sample(catalog).await?;
            let drawn = tokio::task::spawn_blocking(move || Projection::of(&sample)).await;
            let drawn = drawn.map_err(|e| StoreError::Damaged(format!("the map of '{}': {e}", catalog.id)))?;
            let map = drawn.map(|projection| CatalogMap { at: self.clock.now(), change, projection });
            self.stores.list_hours.keep_map(&catalog.id, map.as_ref()).await?;
        }
        Ok(())
    }

    async fn items_changed(&self, catalog: &str, mut since: u64) -> Result<bool> {
        for _ in 0..PAGES_OF_CHANGES {
            let Some(changes) = self.stores.catalogs.changes_since(since, CHANGES).await? else { return Ok(true) };
            if changes.iter().any(|c| &*c.catalog == catalog && c.what != Changed::Popular) {
                return Ok(true);
            }
            let Some(last) = changes.last() else { return Ok(false) };
            since = last.number;
        }
        Ok(true)
    }

    /// Vectors of some items, evenly spread over those read, as searches see them.
    async fn sample(&self, catalog: &Catalog) -> Result<Vec<Vec<f32>>> {
        let most = (NUMBERS / catalog.definition.indexed_dimension().max(1)).clamp(2, VECTORS);
        let (mut sample, mut after, mut read, mut step) = (Vec::new(), None::<String>, 0_usize, 1);
        while read < MOST_READ {
            let page = self.stores.catalogs.page_of_items(&catalog.id, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(id_of(last).to_owned());
            let now = self.clock.now();
            for item in page.into_iter().flatten() {
                if read.is_multiple_of(step) && !item.has_ended(now) {
                    let vector = item.vector_in(&catalog.definition);
                    sample.extend(match catalog.definition.metric {
                        _ if vector.is_empty() => None,
                        Metric::Cosine => unit(vector),
                        Metric::InnerProduct => Some(vector.to_vec()),
                    });
                }
                read += 1;
            }
            while sample.len() > most {
                // Every other one of what is there, and of what comes.
                sample = sample.into_iter().step_by(2).collect();
                step *= 2;
            }
        }
        Ok(sample)
    }
}
