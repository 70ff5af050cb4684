//! Items: a row each, written and read in batches.

use super::catalogs::CatalogTables;
use super::client::{Patience, RowChange, cells_of, chain, delete_row, row, rows_between, set_cell};
use super::failure;
use super::rows::Row;
use super::schema::{CATALOGS_ROW, ITEM, ITEM_PREFIX, item_key, popular_key};
use crate::catalogs::in_place_of;
use crate::format_catalogs::{decode_item, encode_item, identity};
use crate::{Kept, Result, StoreError, Unreadable};
use api::row_filter::Filter;
use api::row_range::StartKey;
use api::value_range::{EndValue, StartValue};
use futures::{StreamExt, TryStreamExt};
use googleapis_tonic_google_bigtable_v2::google::bigtable::v2 as api;
use recommend::Item;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// A batch is megabytes.
const BATCH: Patience = Patience { each: Duration::from_secs(20), all: Duration::from_secs(60) };

/// Most rows of one call, and most bytes of those it writes, but for the last.
const ROWS: usize = 1_000;
const BYTES: usize = 8 << 20;

/// Looks at what an item takes the place of, after which it is put whatever was made of that meanwhile: a vector that is lost
/// is made again.
const LOOKS: usize = 20;

/// Calls at once.
const AT_ONCE: usize = 4;

/// Changes of items, encoded: ready to be made under any number.
pub(super) enum Edit {
    Put(Vec<(String, Vec<u8>)>),
    /// Those with a text, which keep vectors of what they take the place of.
    PutTexts(Vec<Item>),
    Remove(Vec<String>),
}

impl Edit {
    pub(super) fn put(items: &[Item]) -> Result<Self> {
        if items.iter().any(|item| item.text.is_some()) {
            return Ok(Self::PutTexts(items.to_vec()));
        }
        items.iter().map(|item| Ok((item.id.clone(), encode_item(item)?))).collect::<Result<_>>().map(Self::Put)
    }

    /// Makes it; removals, too, of what was put.
    pub(super) async fn make(&self, tables: &CatalogTables, kept_under: u64) -> Result<()> {
        let mut batch = Batch { tables, rows: Vec::new(), bytes: 0 };
        match self {
            Self::Put(items) => {
                for (id, bytes) in items {
                    batch.put(kept_under, id, bytes.clone()).await?;
                }
            }
            Self::PutTexts(items) => tables.put_texts(kept_under, items, &mut batch).await?,
            Self::Remove(ids) => {
                for id in ids {
                    batch.add(delete_row(item_key(kept_under, id.as_bytes())), 0).await?;
                }
            }
        }
        batch.send().await
    }

    pub(super) fn ids(&self) -> Vec<String> {
        match self {
            Self::Put(items) => items.iter().map(|(id, _)| id.clone()).collect(),
            Self::PutTexts(items) => items.iter().map(|item| item.id.clone()).collect(),
            Self::Remove(ids) => ids.clone(),
        }
    }
}

/// Rows that are sent once they are many.
struct Batch<'a> {
    tables: &'a CatalogTables,
    rows: Vec<RowChange>,
    bytes: usize,
}

impl Batch<'_> {
    async fn put(&mut self, kept_under: u64, id: &str, item: Vec<u8>) -> Result<()> {
        let (row_key, bytes) = (item_key(kept_under, id.as_bytes()), item.len());
        self.add(RowChange { row_key, mutations: vec![set_cell(ITEM, ITEM.qualifier, item)] }, bytes).await
    }

    async fn add(&mut self, row: RowChange, bytes: usize) -> Result<()> {
        self.rows.push(row);
        self.bytes += bytes;
        if self.rows.len() >= ROWS || self.bytes >= BYTES { self.send().await } else { Ok(()) }
    }

    async fn send(&mut self) -> Result<()> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        let sent = self.tables.client.change_rows(&self.tables.items, BATCH, rows).await;
        sent.map_err(|e| failure::remote(&e))
    }
}

/// The id in an item's key.
pub(super) fn id_of(key: &[u8]) -> Result<String> {
    let id = key.get(ITEM_PREFIX..).and_then(|id| std::str::from_utf8(id).ok());
    id.map(Into::into).ok_or_else(|| StoreError::Damaged("a key of an item".into()))
}

fn decode(row: &Row) -> Result<Kept> {
    let id = id_of(&row.key)?;
    Ok(match row.cells.first() {
        Some(cell) => decode_item(id, &cell.value),
        None => Err(Unreadable { id, why: "it has no cell".into() }),
    })
}

/// The newest cell: items are written again, and collection takes its time.
fn newest() -> Filter {
    chain([cells_of(ITEM), Filter::CellsPerColumnLimitFilter(1)])
}

/// Values that begin with these bytes, of which one at least is not 255.
fn beginning_with(bytes: &[u8]) -> Filter {
    let mut end = bytes.to_vec();
    while end.pop_if(|last| *last == u8::MAX).is_some() {}
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    Filter::ValueRangeFilter(api::ValueRange {
        start_value: Some(StartValue::StartValueClosed(bytes.to_vec())),
        end_value: Some(EndValue::EndValueOpen(end)),
    })
}

impl CatalogTables {
    /// Items of these ids that are there.
    pub(super) async fn items_of(&self, kept_under: u64, ids: &[String]) -> Result<HashMap<String, Kept>> {
        // In order, which is how they lie, and each once.
        let keys: BTreeSet<_> = ids.iter().map(|id| item_key(kept_under, id.as_bytes())).collect();
        let keys: Vec<_> = keys.into_iter().collect();
        let read = |row_keys: &[Vec<u8>]| {
            let rows = api::RowSet { row_keys: row_keys.to_vec(), row_ranges: Vec::new() };
            async move {
                let rows = self.client.read(&self.items, BATCH, rows, newest(), 0).await;
                let rows = rows.map_err(|e| failure::remote(&e))?;
                rows.iter().map(decode).collect::<Result<Vec<_>>>()
            }
        };
        let reads: Vec<_> = keys.chunks(ROWS).map(read).collect();
        let found: Vec<Vec<Kept>> = futures::stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().map(|kept| (crate::id_of(&kept).to_owned(), kept)).collect())
    }

    /// Puts items with the vectors of those that they take the place of. What has a text is replaced only while it is what
    /// its vectors were read of; else it is looked at again.
    async fn put_texts(&self, kept_under: u64, items: &[Item], batch: &mut Batch<'_>) -> Result<()> {
        let mut left: Vec<&Item> = items.iter().collect();
        for look in 1.. {
            let ids: Vec<String> = left.iter().map(|item| item.id.clone()).collect();
            let mut standing = self.items_of(kept_under, &ids).await?;
            let mut pairs = Vec::new();
            for item in &left {
                match standing.remove(&item.id) {
                    Some(Ok(standing)) if look <= LOOKS && standing.text.is_some() => {
                        let new = in_place_of(item, standing.clone());
                        pairs.push((standing, new));
                    }
                    Some(Ok(standing)) => {
                        let new = encode_item(&in_place_of(item, standing))?;
                        batch.put(kept_under, &item.id, new).await?;
                    }
                    _ => batch.put(kept_under, &item.id, encode_item(item)?).await?,
                }
            }
            let done = self.replace_if_same(kept_under, &pairs).await?;
            let beaten: HashSet<&str> =
                pairs.iter().zip(done).filter(|(_, done)| !done).map(|((_, new), _)| &*new.id).collect();
            left.retain(|item| beaten.contains(&*item.id));
            if left.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Replaces the items that are still what the first of each pair says; for each whether it was done.
    pub(super) async fn replace_if_same(&self, kept_under: u64, pairs: &[(Item, Item)]) -> Result<Vec<bool>> {
        let replace = |(old, new): &(Item, Item)| {
            let encoded = encode_item(old).and_then(|old| Ok((old, encode_item(new)?)));
            let row_key = item_key(kept_under, new.id.as_bytes());
            async move {
                let (old, new) = encoded?;
                let change = RowChange { row_key, mutations: vec![set_cell(ITEM, ITEM.qualifier, new)] };
                let same = chain([newest(), beginning_with(identity(&old))]);
                let done = self.client.change_if(&self.items, BATCH, same, change).await;
                done.map_err(|e| failure::remote(&e))
            }
        };
        let replacements: Vec<_> = pairs.iter().map(replace).collect();
        futures::stream::iter(replacements).buffered(2 * AT_ONCE).try_collect().await
    }

    /// Rows after an item, without what `filter` leaves out.
    async fn rows_after(&self, kept_under: u64, after: Option<&str>, limit: usize, filter: Filter) -> Result<Vec<Row>> {
        let start = match after {
            None => StartKey::StartKeyClosed(item_key(kept_under, b"")),
            Some(id) => StartKey::StartKeyOpen(item_key(kept_under, id.as_bytes())),
        };
        // 0 would be no limit.
        let (1.., Ok(limit)) = (limit, i64::try_from(limit)) else { return Ok(Vec::new()) };
        let rows = rows_between(start, item_key(kept_under, &[u8::MAX]));
        let rows = self.client.read(&self.items, BATCH, rows, filter, limit).await;
        rows.map_err(|e| failure::remote(&e))
    }

    pub(super) async fn page(&self, kept_under: u64, after: Option<&str>, limit: usize) -> Result<Vec<Kept>> {
        self.newest_after(kept_under, after, limit).await?.iter().map(decode).collect()
    }

    /// Rows after an item, of each the newest cell.
    pub(super) async fn newest_after(&self, kept_under: u64, after: Option<&str>, limit: usize) -> Result<Vec<Row>> {
        self.rows_after(kept_under, after, limit, newest()).await
    }

    /// Ids of items alone.
    pub(super) async fn ids(&self, kept_under: u64, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        let names = chain([newest(), Filter::StripValueTransformer(true)]);
        self.rows_after(kept_under, after, limit, names).await?.iter().map(|row| id_of(&row.key)).collect()
    }

    /// Removes all that is kept under a number.
    pub(super) async fn clear(&self, kept_under: u64) -> Result<()> {
        let mut last: Option<String> = None;
        loop {
            let ids = self.ids(kept_under, last.as_deref(), ROWS).await?;
            let Some(next) = ids.last() else { break };
            last = Some(next.clone());
            Edit::Remove(ids).make(self, kept_under).await?;
        }
        self.drop_popular(kept_under).await
    }

    /// The same, and then the mark that it is to be removed.
    pub(super) async fn sweep(&self, kept_under: u64) -> Result<()> {
        self.clear(kept_under).await?;
        let unmarked = RowChange { row_key: CATALOGS_ROW.into(), mutations: vec![super::registry::unmark(kept_under)] };
        let done = self.client.change_rows(&self.registry, BATCH, vec![unmarked]).await;
        done.map_err(|e| failure::remote(&e))
    }

    pub(super) async fn popular_cell(&self, kept_under: u64) -> Result<Option<Vec<u8>>> {
        let newest = chain([cells_of(super::schema::POPULAR), Filter::CellsPerColumnLimitFilter(1)]);
        let rows = self.client.read(&self.registry, BATCH, row(&popular_key(kept_under)), newest, 1).await;
        Ok(rows.map_err(|e| failure::remote(&e))?.pop().and_then(|row| row.cells.into_iter().next()).map(|c| c.value))
    }

    pub(super) async fn set_popular(&self, kept_under: u64, bytes: Vec<u8>) -> Result<()> {
        let family = super::schema::POPULAR;
        let mutations = vec![set_cell(family, family.qualifier, bytes)];
        let change = RowChange { row_key: popular_key(kept_under), mutations };
        let done = self.client.change_rows(&self.registry, BATCH, vec![change]).await;
        done.map_err(|e| failure::remote(&e))
    }

    pub(super) async fn drop_popular(&self, kept_under: u64) -> Result<()> {
        let done = self.client.change_rows(&self.registry, BATCH, vec![delete_row(popular_key(kept_under))]).await;
        done.map_err(|e| failure::remote(&e))
    }
}
