//! Catalogs. What changes them goes on to its end also if nobody waits for it any more, so that what was written is noted.

use super::changes::ChangeLog;
use super::client::{Client, Table};
use super::items::Edit;
use super::registry::{Registry, define, mark, undefine, unmark};
use super::{Bigtable, failure, schema};
use crate::catalogs::{
    Catalog, CatalogChange, Catalogs, Changed, Kept, MAX_CATALOGS, Popular, Removed, changes_of_items, served_by,
    succeeding,
};
use crate::format_catalogs::{decode_popular, encode_popular};
use crate::locations::InProject;
use crate::{Result, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use recommend::{Item, Serving};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a replica waits before it asks again whether anything changed: 25 reads of one small cell a second, of some
/// ten thousand that a node answers, for being on average 20 ms behind.
const ASK_AGAIN: Duration = Duration::from_millis(40);

/// The tables of catalogs.
pub(super) struct CatalogTables {
    pub(super) client: Arc<Client>,
    pub(super) registry: Table,
    pub(super) items: Table,
    pub(super) log: Arc<ChangeLog>,
    /// Held by whoever changes which catalogs there are, so that this process has no rival in itself.
    editing: Arc<Mutex<()>>,
}

impl CatalogTables {
    pub(super) fn new(client: Arc<Client>, instance: &InProject) -> Self {
        Self {
            registry: Table::new(instance, &schema::CATALOGS),
            items: Table::new(instance, &schema::ITEMS),
            log: Arc::new(ChangeLog::new(client.clone(), Table::new(instance, &schema::CHANGES))),
            editing: Arc::default(),
            client,
        }
    }

    async fn put_catalog(&self, catalog: &Catalog) -> Result<u64> {
        let id = &*catalog.id;
        loop {
            let seen = self.read_registry().await?;
            let standing = seen.catalogs.get(id);
            if standing.is_none() && seen.catalogs.len() >= MAX_CATALOGS {
                return Err(crate::catalogs::too_many(id));
            }
            let moves = standing.filter(|(_, old)| old.fixed() != catalog.definition.fixed());
            let definition = succeeding(&catalog.definition, standing.map(|(_, old)| old));
            if let Some((old, _)) = moves
                && !self.ids(*old, None, 1).await?.is_empty()
            {
                return Err(crate::catalogs::has_items(id));
            }
            // Items of another space have another number, so that whoever put some meanwhile finds that out.
            let kept_under = standing.filter(|_| moves.is_none()).map_or(seen.revision + 1, |found| found.0);
            if !self.edit(&seen, vec![define(id, kept_under, &definition)?]).await? {
                continue;
            }
            if let Some((old, definition)) = moves {
                // Who read the old number before has written by now, and is seen here; or reads the new one then.
                if !self.ids(*old, None, 1).await?.is_empty() {
                    self.restore(id, kept_under, (*old, definition)).await?;
                    return Err(crate::catalogs::has_items(id));
                }
                self.drop_popular(*old).await?;
            }
            return self.log.note(id, Changed::Definition).await;
        }
    }

    async fn serve(&self, wanted: &Catalog, serving: &Serving) -> Result<Option<u64>> {
        let id = wanted.id.as_str();
        loop {
            let seen = self.read_registry().await?;
            let standing = seen.catalogs.get(id).ok_or_else(|| StoreError::Missing(format!("catalog '{id}'")))?;
            let (kept_under, definition) = standing;
            let Some(served) = served_by(definition, &wanted.definition, serving) else { return Ok(None) };
            if self.edit(&seen, vec![define(id, *kept_under, &served)?]).await? {
                return self.log.note(id, Changed::Definition).await.map(Some);
            }
        }
    }

    async fn replace_items(&self, catalog: &str, pairs: &[(Item, Item)]) -> Result<Vec<bool>> {
        let kept_under = self.read_registry().await?.kept_under(catalog)?;
        let done = self.replace_if_same(kept_under, pairs).await?;
        self.still_under(kept_under, catalog).await?;
        // Also those that were told as not done: an attempt may have been made whose answer was lost.
        for what in changes_of_items(pairs.iter().map(|(_, new)| &new.id)) {
            self.log.note(catalog, what).await?;
        }
        Ok(done)
    }

    /// Gives a catalog its old items back, if it still has a number that it was given since.
    async fn restore(&self, id: &str, given: u64, old: (u64, &recommend::CatalogDefinition)) -> Result<()> {
        loop {
            let seen = self.read_registry().await?;
            if seen.catalogs.get(id).is_none_or(|now| now.0 != given)
                || self.edit(&seen, vec![define(id, old.0, old.1)?, unmark(old.0)]).await?
            {
                return Ok(());
            }
        }
    }

    async fn remove_catalog(&self, id: &str) -> Result<Option<u64>> {
        let mut tried = false;
        let seen = loop {
            let seen = self.read_registry().await?;
            match seen.catalogs.get(id) {
                None => break seen,
                Some((kept_under, _)) => self.edit(&seen, undefine(id, *kept_under)).await?,
            };
            tried = true;
        };
        // Marks are this removal's, or of others that were cut off and may not have been noted.
        let mut names: BTreeSet<&str> = seen.removed.iter().map(|(_, of)| &**of).collect();
        let ours = names.remove(id) || tried;
        for name in names {
            self.log.note(name, Changed::Definition).await?;
        }
        let number = if ours { Some(self.log.note(id, Changed::Definition).await?) } else { None };
        for (kept_under, _) in &seen.removed {
            self.sweep(*kept_under).await?;
        }
        Ok(number)
    }

    /// Makes a change of items and notes it.
    async fn edit_items(&self, catalog: &str, edit: Edit) -> Result<u64> {
        let kept_under = self.read_registry().await?.kept_under(catalog)?;
        edit.make(self, kept_under).await?;
        self.still_under(kept_under, catalog).await?;
        let mut number = 0;
        for what in changes_of_items(edit.ids().iter()) {
            number = self.log.note(catalog, what).await?;
        }
        Ok(number)
    }

    /// Fails if nothing leads any more to what was written under a number, and sees to it that it goes.
    async fn still_under(&self, kept_under: u64, catalog: &str) -> Result<()> {
        let seen = self.read_registry().await?;
        match seen.kept_under(catalog) {
            Ok(now) if now == kept_under => return Ok(()),
            // It may yet be given back: whoever does that takes the mark away, and the next removal heeds it.
            Ok(_) => drop(self.edit(&seen, vec![mark(catalog, kept_under)]).await?),
            // Numbers of what was removed do not come back, and the removal may be through already.
            Err(_) => self.clear(kept_under).await?,
        }
        Err(StoreError::Conflict(format!(
            "catalog '{catalog}' was removed or replaced meanwhile: try again if it is there"
        )))
    }

    async fn put_popular(&self, catalog: &str, bytes: Vec<u8>) -> Result<u64> {
        let kept_under = self.read_registry().await?.kept_under(catalog)?;
        self.set_popular(kept_under, bytes).await?;
        self.still_under(kept_under, catalog).await?;
        self.log.note(catalog, Changed::Popular).await
    }
}

/// Goes on to the end whether or not it is waited for.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let cut_off = |e: tokio::task::JoinError| StoreError::Remote { service: "Bigtable", why: e.to_string() };
    tokio::spawn(work).await.map_err(cut_off)?
}

impl Bigtable {
    async fn registry(&self) -> Result<Registry> {
        self.catalogs.read_registry().await
    }

    /// If there is nothing to do in a catalog: the last change, if there is the catalog.
    async fn nothing(&self, catalog: &str) -> Result<u64> {
        self.registry().await?.kept_under(catalog)?;
        self.last_change().await
    }

    async fn edit_items(&self, catalog: &str, edit: Edit) -> Result<u64> {
        let (tables, catalog) = (self.catalogs.clone(), catalog.to_owned());
        to_the_end(async move { tables.edit_items(&catalog, edit).await }).await
    }
}

#[async_trait]
impl Catalogs for Bigtable {
    async fn catalogs(&self) -> Result<Vec<Catalog>> {
        let all = self.registry().await?.catalogs;
        Ok(all.into_iter().map(|(id, (_, definition))| Catalog { id, definition }).collect())
    }

    async fn put_catalog(&self, catalog: &Catalog) -> Result<u64> {
        let (tables, catalog) = (self.catalogs.clone(), catalog.clone());
        let alone = tables.editing.clone().lock_owned().await;
        to_the_end(async move {
            let _alone = alone;
            tables.put_catalog(&catalog).await
        })
        .await
    }

    async fn serve(&self, wanted: &Catalog, serving: &Serving) -> Result<Option<u64>> {
        let (tables, wanted, serving) = (self.catalogs.clone(), wanted.clone(), serving.clone());
        let alone = tables.editing.clone().lock_owned().await;
        to_the_end(async move {
            let _alone = alone;
            tables.serve(&wanted, &serving).await
        })
        .await
    }

    async fn replace_items(&self, catalog: &str, pairs: &[(Item, Item)]) -> Result<Vec<bool>> {
        let (tables, catalog, pairs) = (self.catalogs.clone(), catalog.to_owned(), pairs.to_vec());
        to_the_end(async move { tables.replace_items(&catalog, &pairs).await }).await
    }

    async fn remove_catalog(&self, id: &str) -> Result<Option<u64>> {
        let (tables, id) = (self.catalogs.clone(), id.to_owned());
        let alone = tables.editing.clone().lock_owned().await;
        to_the_end(async move {
            let _alone = alone;
            tables.remove_catalog(&id).await
        })
        .await
    }

    async fn put_items(&self, catalog: &str, items: &[Item]) -> Result<u64> {
        match items {
            [] => self.nothing(catalog).await,
            items => self.edit_items(catalog, Edit::put(items)?).await,
        }
    }

    async fn remove_items(&self, catalog: &str, ids: &[String]) -> Result<u64> {
        match ids {
            [] => self.nothing(catalog).await,
            ids => self.edit_items(catalog, Edit::Remove(ids.to_vec())).await,
        }
    }

    async fn items(&self, catalog: &str, ids: &[String]) -> Result<Vec<Option<Kept>>> {
        let Ok(kept_under) = self.registry().await?.kept_under(catalog) else { return Ok(vec![None; ids.len()]) };
        let found = self.catalogs.items_of(kept_under, ids).await?;
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    async fn page_of_items(&self, catalog: &str, after: Option<&str>, limit: usize) -> Result<Vec<Kept>> {
        let Ok(kept_under) = self.registry().await?.kept_under(catalog) else { return Ok(Vec::new()) };
        self.catalogs.page(kept_under, after, limit).await
    }

    async fn remove_expired(
        &self,
        catalog: &str,
        before: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Removed> {
        let Ok(kept_under) = self.registry().await?.kept_under(catalog) else { return Ok(Removed::default()) };
        self.catalogs.remove_expired(kept_under, before, after, limit.max(1)).await
    }

    async fn log_id(&self) -> Result<String> {
        self.catalogs.log_id().await
    }

    async fn last_change(&self) -> Result<u64> {
        self.catalogs.log.last().await.map_err(|e| failure::remote(&e))
    }

    async fn changes_since(&self, after: u64, limit: usize) -> Result<Option<Vec<CatalogChange>>> {
        self.catalogs.log.since(after, limit).await
    }

    async fn changed(&self, _: u64) {
        tokio::time::sleep(ASK_AGAIN).await;
    }

    async fn put_popular(&self, catalog: &str, popular: &[Popular]) -> Result<u64> {
        let (tables, catalog, bytes) = (self.catalogs.clone(), catalog.to_owned(), encode_popular(popular)?);
        to_the_end(async move { tables.put_popular(&catalog, bytes).await }).await
    }

    async fn popular(&self, catalog: &str) -> Result<Vec<Popular>> {
        let Ok(kept_under) = self.registry().await?.kept_under(catalog) else { return Ok(Vec::new()) };
        let bytes = self.catalogs.popular_cell(kept_under).await?;
        bytes.map_or(Ok(Vec::new()), |bytes| decode_popular(&bytes))
    }
}
