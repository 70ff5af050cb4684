//! Which items wait: by the log of changes, and by walks over catalogs whose model changes.

use super::Vectors;
use super::models::Models;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use store::{Catalog, CatalogChange, Changed, Result, Walk, id_of};

/// Changes looked at at a time.
const CHANGES: usize = 100;
/// Items read at a time: some megabytes.
const PAGE: usize = 500;

impl Vectors {
    /// Looks at everything that changed before the call; whether anything had.
    pub(super) async fn follow(&self, models: &HashMap<String, Models>) -> Result<bool> {
        let last = self.stores.catalogs.last_change().await?;
        let mut any = false;
        while self.stores.vector_work.looked_at().await? != Some(last) && self.look_on(models).await? {
            any = true;
        }
        Ok(any)
    }

    /// Looks at the next changes; false if there are none.
    async fn look_on(&self, models: &HashMap<String, Models>) -> Result<bool> {
        let (catalogs, work) = (&self.stores.catalogs, &self.stores.vector_work);
        let changes = match work.looked_at().await? {
            Some(seen) => catalogs.changes_since(seen, CHANGES).await?,
            None => None,
        };
        let Some(changes) = changes else {
            // All that was put before this number is found by walks, all that comes by its change.
            work.begin_anew(catalogs.last_change().await?).await?;
            return Ok(true);
        };
        let Some(last) = changes.last() else { return Ok(false) };
        let mut noted = Vec::new();
        for (catalog, ids) in items_by_catalog(&changes) {
            let Some(models) = models.get(catalog) else { continue };
            let ids: Vec<String> = ids.into_iter().cloned().collect();
            let mut waiting = Vec::new();
            for ids in ids.chunks(PAGE) {
                let found = catalogs.items(catalog, ids).await?;
                let found = found.into_iter().flatten().flatten();
                waiting.extend(found.filter(|item| models.want(item)).map(|item| item.id));
            }
            if !waiting.is_empty() {
                noted.push((catalog.to_owned(), waiting));
            }
        }
        for change in changes.iter().filter(|change| change.what == Changed::Definition) {
            // It may be gone, or have begun again as another.
            if !models.contains_key(&*change.catalog) {
                work.forget_catalog(&change.catalog).await?;
            }
        }
        work.note(&noted, last.number, self.clock.now()).await?;
        Ok(true)
    }

    /// Goes on with the walk over a catalog, a page at a time; how far it is now.
    pub(super) async fn walk_on(&self, catalog: &Catalog, models: &Models) -> Result<Walk> {
        let work = &self.stores.vector_work;
        let name = models.name();
        let mut walk = match work.walk(&catalog.id).await? {
            Some(walk) if walk.models == name => walk,
            _ => {
                // Another model may take what the last one did not. Cut off after it, this is done again.
                work.retry(&catalog.id, None, self.clock.now()).await?;
                Walk { models: name, after: None, done: false }
            }
        };
        if walk.done {
            return Ok(walk);
        }
        let page = self.stores.catalogs.page_of_items(&catalog.id, walk.after.as_deref(), PAGE).await?;
        let found: Vec<String> =
            page.iter().flatten().filter(|item| models.want(item)).map(|item| item.id.clone()).collect();
        walk.done = page.is_empty();
        walk.after = page.last().map(|kept| id_of(kept).to_owned());
        work.walked(&catalog.id, &walk, &found, self.clock.now()).await?;
        Ok(walk)
    }
}

fn items_by_catalog(changes: &[CatalogChange]) -> BTreeMap<&str, BTreeSet<&String>> {
    let mut all: BTreeMap<&str, BTreeSet<&String>> = BTreeMap::new();
    for change in changes {
        if let Changed::Items(ids) = &change.what {
            all.entry(&change.catalog).or_default().extend(ids);
        }
    }
    all
}
