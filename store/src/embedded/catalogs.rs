//! Catalogs. Items are kept under the number of the change that made their catalog, so that a new catalog of an old name
//! never finds what the old one left.

use super::Embedded;
use super::changes::ChangeLog;
use super::writer::Op;
use crate::assignments::Durable;
use crate::catalogs::{
    Catalog, CatalogChange, Catalogs, Changed, Kept, MAX_CATALOGS, Popular, Removed, changes_of_items, in_place_of,
    served_by, succeeding,
};
use crate::format_catalogs::{
    decode_definition, decode_item, decode_popular, encode_definition, encode_item, encode_popular, identity,
};
use crate::{Result, StoreError};
use async_trait::async_trait;
use fjall::{Database, Keyspace};
use jiff::Timestamp;
use recommend::{CatalogDefinition, Item, Serving};
use std::ops::Bound;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::{RwLock, watch};

/// Longest that [`Catalogs::changed`] waits.
const WAIT: Duration = Duration::from_secs(1);

/// Where the id of the log of changes is, among what the store knows of itself.
const LOG_ID: &str = "changes-id";

/// Items of a removed catalog that go at once.
const REMOVED_AT_ONCE: usize = 1_000;

/// What catalogs keep. In `definitions` a letter begins each key, for what it is.
pub(super) struct CatalogKeyspaces {
    pub(super) definitions: Keyspace,
    pub(super) items: Keyspace,
    pub(super) changes: Keyspace,
    pub(super) log: Mutex<ChangeLog>,
    pub(super) noted: watch::Receiver<u64>,
    /// Held by whoever changes which catalogs there are or removes what expired, and shared by those who put items; with the last such change,
    /// which may be on its way still though its maker gave up.
    pub(super) editing: RwLock<Durable>,
}

impl CatalogKeyspaces {
    /// With where numbers of changes that became safe are to be told.
    pub(super) fn open(db: &Database) -> Result<(Self, watch::Sender<u64>)> {
        let keyspace = |name: &str| db.keyspace(name, super::options);
        let (definitions, items, changes) = (keyspace("catalogs")?, keyspace("items")?, keyspace("changes")?);
        let log = ChangeLog::recover(&changes)?;
        let (sender, noted) = watch::channel(log.last_number());
        let editing = RwLock::new(Durable::already());
        Ok((Self { definitions, items, changes, log: Mutex::new(log), noted, editing }, sender))
    }
}

fn of_catalog(id: &str) -> Vec<u8> {
    [b"d", id.as_bytes()].concat()
}

/// What is popular among the items kept under a number.
fn of_popular(kept_under: u64) -> Vec<u8> {
    [&b"p"[..], &kept_under.to_be_bytes()].concat()
}

/// That the items kept under a number are to be removed.
fn of_removed(kept_under: u64) -> Vec<u8> {
    [&b"r"[..], &kept_under.to_be_bytes()].concat()
}

pub(super) fn of_item(kept_under: u64, id: &str) -> Vec<u8> {
    [&kept_under.to_be_bytes(), id.as_bytes()].concat()
}

pub(super) fn id_in(key: &[u8], prefix: usize) -> Result<String> {
    let id = key.get(prefix..).and_then(|id| std::str::from_utf8(id).ok());
    id.map(Into::into).ok_or_else(|| StoreError::Damaged("a key of a catalog".into()))
}

impl Embedded {
    fn defined(&self, id: &str) -> Result<Option<(u64, CatalogDefinition)>> {
        self.catalogs.definitions.get(of_catalog(id))?.map(|bytes| decode_definition(&bytes)).transpose()
    }

    fn kept_under(&self, id: &str) -> Result<u64> {
        let defined = self.defined(id)?.ok_or_else(|| StoreError::Missing(format!("catalog '{id}'")))?;
        Ok(defined.0)
    }

    fn item(&self, kept_under: u64, id: &str) -> Result<Option<Kept>> {
        let bytes = self.catalogs.items.get(of_item(kept_under, id))?;
        Ok(bytes.map(|bytes| decode_item(id.into(), &bytes)))
    }

    /// Changes what is in a catalog that there is and stays: `ops` is told under which number its items are kept.
    async fn change_within(
        &self,
        catalog: &str,
        what: Vec<Changed>,
        ops: impl FnOnce(u64) -> Result<Vec<Op>> + Send,
    ) -> Result<u64> {
        let edited = self.catalogs.editing.read().await;
        // If it did not arrive, nothing that follows does either.
        let _ = edited.clone().wait().await;
        let ops = ops(self.kept_under(catalog)?)?;
        let (number, durable) = self.note(catalog, &what, |_| Ok(ops))?;
        drop(edited);
        durable.wait().await?;
        Ok(number)
    }

    /// Why a catalog cannot become `new`, if so.
    fn refusal(&self, new: &Catalog, standing: Option<&(u64, CatalogDefinition)>) -> Result<Option<StoreError>> {
        let Some((kept_under, old)) = standing else {
            let count = self.catalogs.definitions.prefix(b"d").count();
            return Ok((count >= MAX_CATALOGS).then(|| crate::catalogs::too_many(&new.id)));
        };
        let other_space = old.fixed() != new.definition.fixed();
        let has_items = other_space && self.catalogs.items.prefix(kept_under.to_be_bytes()).next().is_some();
        Ok(has_items.then(|| crate::catalogs::has_items(&new.id)))
    }

    /// Removes items of catalogs that are removed, of those that an earlier call did not come to as well.
    async fn sweep(&self) -> Result<()> {
        let removed = self.catalogs.definitions.prefix(b"r").map(|mark| Ok(mark.key()?));
        for mark in removed.collect::<Result<Vec<_>>>()? {
            let mut from = Bound::Included(mark[1..].to_vec());
            let end = mark[1..].iter().copied().chain([u8::MAX; 8]).collect::<Vec<_>>();
            loop {
                let page = self.catalogs.items.range((from, Bound::Excluded(end.clone()))).take(REMOVED_AT_ONCE);
                let keys = page.map(|item| Ok(item.key()?)).collect::<Result<Vec<_>>>()?;
                let Some(last) = keys.last() else { break };
                // Behind what is removed, which is still to be passed over there.
                from = Bound::Excluded(last.to_vec());
                let ops = keys.iter().map(|key| Op::remove(&self.catalogs.items, &key[..]));
                self.writer.with(|pending| pending.add(ops))?.wait().await?;
            }
            let done = Op::remove(&self.catalogs.definitions, &mark[..]);
            self.writer.with(|pending| pending.add([done]))?.wait().await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Catalogs for Embedded {
    async fn catalogs(&self) -> Result<Vec<Catalog>> {
        let all = self.catalogs.definitions.prefix(b"d").map(|guard| {
            let (key, bytes) = guard.into_inner()?;
            Ok(Catalog { id: id_in(&key, 1)?, definition: decode_definition(&bytes)?.1 })
        });
        all.collect()
    }

    async fn put_catalog(&self, catalog: &Catalog) -> Result<u64> {
        let mut edited = self.catalogs.editing.write().await;
        // What the last maker of a change did not wait for may be on its way still, items too.
        let _ = edited.clone().wait().await;
        let _ = self.last_noted().wait().await;
        let standing = self.defined(&catalog.id)?;
        if let Some(refusal) = self.refusal(catalog, standing.as_ref())? {
            return Err(refusal);
        }
        let definition = succeeding(&catalog.definition, standing.as_ref().map(|(_, old)| old));
        let (number, durable) = self.note(&catalog.id, &[Changed::Definition], |number| {
            let kept_under = standing.map_or(number, |(kept_under, _)| kept_under);
            let bytes = encode_definition(kept_under, &definition)?;
            Ok(vec![Op::put(&self.catalogs.definitions, of_catalog(&catalog.id), bytes)])
        })?;
        *edited = durable.clone();
        durable.wait().await?;
        Ok(number)
    }

    async fn serve(&self, wanted: &Catalog, serving: &Serving) -> Result<Option<u64>> {
        let catalog = wanted.id.as_str();
        let mut edited = self.catalogs.editing.write().await;
        let _ = edited.clone().wait().await;
        let standing = self.defined(catalog)?.ok_or_else(|| StoreError::Missing(format!("catalog '{catalog}'")))?;
        let (kept_under, definition) = standing;
        let Some(served) = served_by(&definition, &wanted.definition, serving) else { return Ok(None) };
        let bytes = encode_definition(kept_under, &served)?;
        let put = Op::put(&self.catalogs.definitions, of_catalog(catalog), bytes);
        let (number, durable) = self.note(catalog, &[Changed::Definition], |_| Ok(vec![put]))?;
        *edited = durable.clone();
        durable.wait().await?;
        Ok(Some(number))
    }

    async fn remove_catalog(&self, id: &str) -> Result<Option<u64>> {
        let mut edited = self.catalogs.editing.write().await;
        let _ = edited.clone().wait().await;
        let mut number = None;
        if let Some((kept_under, _)) = self.defined(id)? {
            let definitions = &self.catalogs.definitions;
            let ops = vec![
                Op::remove(definitions, of_catalog(id)),
                Op::remove(definitions, of_popular(kept_under)),
                Op::put(definitions, of_removed(kept_under), Vec::new()),
            ];
            let (noted, durable) = self.note(id, &[Changed::Definition], |_| Ok(ops))?;
            *edited = durable.clone();
            durable.wait().await?;
            number = Some(noted);
        }
        drop(edited);
        self.sweep().await?;
        Ok(number)
    }

    async fn put_items(&self, catalog: &str, items: &[Item]) -> Result<u64> {
        if items.is_empty() {
            self.kept_under(catalog)?;
            return self.last_change().await;
        }
        let what = changes_of_items(items.iter().map(|item| &item.id));
        let op = |kept_under| {
            move |item: &Item| {
                // Vectors come only by replacing items, which nobody does while something is put.
                let standing = if item.text.is_some() { self.item(kept_under, &item.id)? } else { None };
                let bytes = match standing {
                    Some(Ok(standing)) => encode_item(&in_place_of(item, standing))?,
                    _ => encode_item(item)?,
                };
                Ok(Op::put(&self.catalogs.items, of_item(kept_under, &item.id), bytes))
            }
        };
        self.change_within(catalog, what, |kept_under| items.iter().map(op(kept_under)).collect()).await
    }

    async fn replace_items(&self, catalog: &str, pairs: &[(Item, Item)]) -> Result<Vec<bool>> {
        // Nobody puts while this is held, and what was put is waited for: what is compared is what will be replaced.
        let mut edited = self.catalogs.editing.write().await;
        let _ = edited.clone().wait().await;
        let _ = self.last_noted().wait().await;
        let kept_under = self.kept_under(catalog)?;
        let (mut ops, mut ids, mut done) = (Vec::new(), Vec::new(), Vec::new());
        for (old, new) in pairs {
            let key = of_item(kept_under, &new.id);
            let standing = self.catalogs.items.get(&key)?;
            let same = match standing {
                Some(bytes) => identity(&bytes) == identity(&encode_item(old)?),
                None => false,
            };
            done.push(same);
            if same {
                ops.push(Op::put(&self.catalogs.items, key, encode_item(new)?));
                ids.push(new.id.clone());
            }
        }
        if !ids.is_empty() {
            let (_, durable) = self.note(catalog, &changes_of_items(ids.iter()), |_| Ok(ops))?;
            *edited = durable.clone();
            drop(edited);
            durable.wait().await?;
        }
        Ok(done)
    }

    async fn remove_items(&self, catalog: &str, ids: &[String]) -> Result<u64> {
        if ids.is_empty() {
            self.kept_under(catalog)?;
            return self.last_change().await;
        }
        let op = |kept_under| move |id: &String| Ok(Op::remove(&self.catalogs.items, of_item(kept_under, id)));
        let what = changes_of_items(ids.iter());
        self.change_within(catalog, what, |kept_under| ids.iter().map(op(kept_under)).collect()).await
    }

    async fn items(&self, catalog: &str, ids: &[String]) -> Result<Vec<Option<Kept>>> {
        let Some((kept_under, _)) = self.defined(catalog)? else { return Ok(vec![None; ids.len()]) };
        ids.iter().map(|id| self.item(kept_under, id)).collect()
    }

    async fn page_of_items(&self, catalog: &str, after: Option<&str>, limit: usize) -> Result<Vec<Kept>> {
        let Some((kept_under, _)) = self.defined(catalog)? else { return Ok(Vec::new()) };
        let from =
            after.map_or(Bound::Included(of_item(kept_under, "")), |id| Bound::Excluded(of_item(kept_under, id)));
        let page = self.catalogs.items.range((from, Bound::Excluded(of_item(kept_under + 1, "")))).take(limit);
        let item = |guard: fjall::Guard| {
            let (key, bytes) = guard.into_inner()?;
            Ok(decode_item(id_in(&key, 8)?, &bytes))
        };
        page.map(item).collect()
    }

    async fn remove_expired(
        &self,
        catalog: &str,
        before: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Removed> {
        let Some((kept_under, _)) = self.defined(catalog)? else { return Ok(Removed::default()) };
        self.remove_expired_under(kept_under, before, after, limit.max(1)).await
    }

    async fn log_id(&self) -> Result<String> {
        // As long as it is held nobody else makes one.
        let mut edited = self.catalogs.editing.write().await;
        let _ = edited.clone().wait().await;
        if let Some(id) = self.meta.get(LOG_ID)? {
            return String::from_utf8(id.to_vec()).map_err(|_| StoreError::Damaged("the id of the changes".into()));
        }
        let id = crate::catalogs::new_log_id();
        let put = Op::put(&self.meta, LOG_ID, id.clone().into_bytes());
        let durable = self.writer.with(|pending| pending.add([put]))?;
        *edited = durable.clone();
        durable.wait().await?;
        Ok(id)
    }

    async fn last_change(&self) -> Result<u64> {
        super::changes::last_kept(&self.catalogs.changes)
    }

    async fn changes_since(&self, after: u64, limit: usize) -> Result<Option<Vec<CatalogChange>>> {
        super::changes::since(&self.catalogs.changes, after, limit)
    }

    async fn changed(&self, after: u64) {
        let mut noted = self.catalogs.noted.clone();
        // Neither the end of the wait nor that of the store is a failure here.
        let _ = tokio::time::timeout(WAIT, noted.wait_for(|number| *number > after)).await;
    }

    async fn put_popular(&self, catalog: &str, popular: &[Popular]) -> Result<u64> {
        let bytes = encode_popular(popular)?;
        let put = |kept_under| Ok(vec![Op::put(&self.catalogs.definitions, of_popular(kept_under), bytes)]);
        self.change_within(catalog, vec![Changed::Popular], put).await
    }

    async fn popular(&self, catalog: &str) -> Result<Vec<Popular>> {
        let Some((kept_under, _)) = self.defined(catalog)? else { return Ok(Vec::new()) };
        let bytes = self.catalogs.definitions.get(of_popular(kept_under))?;
        bytes.map_or(Ok(Vec::new()), |bytes| decode_popular(&bytes))
    }
}
