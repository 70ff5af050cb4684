//! What can be recommended: catalogs, their items, and in which order both changed.

use crate::{Result, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use recommend::{CatalogDefinition, Item, Serving};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Most catalogs.
pub const MAX_CATALOGS: usize = 100;

/// Most ids in one change.
const MOST_IDS: usize = 10_000;

/// Catalogs and items by id, and a log of their changes that replicas follow.
///
/// A change is noted after it is made. So whoever reads a change and then what it is about sees that change or a later
/// one, and once all changes are read, what was made last. What [`Catalogs::remove_expired`] removes is not noted.
#[async_trait]
pub trait Catalogs: Send + Sync {
    /// All catalogs, in order of id.
    async fn catalogs(&self) -> Result<Vec<Catalog>>;

    /// Makes or replaces a catalog's definition; its items stay. Safe when it returns, with the number of the change. If it
    /// fails it may be kept all the same, and not be noted: put it again.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] when there are [`MAX_CATALOGS`] others, or when what is
    /// [fixed](CatalogDefinition::fixed) would change while it has items.
    ///
    /// A catalog that goes by the vectors of a model goes on with that one, whatever the definition says of it: only
    /// [`Catalogs::serve`] changes that.
    async fn put_catalog(&self, catalog: &Catalog) -> Result<u64>;

    /// Makes a catalog's lists go by another model, if its definition still names the embedder and dimension of `wanted`; the
    /// number of the change, none if it names others.
    ///
    /// # Errors
    /// [`crate::StoreError::Missing`] when there is no such catalog.
    async fn serve(&self, wanted: &Catalog, serving: &Serving) -> Result<Option<u64>>;

    /// Removes a catalog, its items and what is popular in it; the number of the change, none if there was no such
    /// catalog. A removal that was cut off is completed by the next, and nothing that it left is in a catalog that is made
    /// under its name.
    async fn remove_catalog(&self, id: &str) -> Result<Option<u64>>;

    /// Keeps items, each in place of that of its id; all are safe when it returns, with the number of the last change, of
    /// which there are several for very many items. Ids are distinct. If it fails, some may be kept, and not be noted: put
    /// them again. No items are no change. Vectors are kept as they are, whatever their length.
    ///
    /// An item with a text has the vectors of the item that it takes the place of, also such as are made meanwhile, where it
    /// brings none of its model; and is as new as that one. A text that did not change needs no other vector, and one that did
    /// keeps its place in lists until its own is made.
    ///
    /// # Errors
    /// [`crate::StoreError::Missing`] when there is no such catalog, [`crate::StoreError::Conflict`] when it was removed, or
    /// replaced by one of another dimension or metric, meanwhile.
    async fn put_items(&self, catalog: &str, items: &[Item]) -> Result<u64>;

    /// Keeps the second of each pair in place of the first, where that is what is kept still, to the byte; for each pair
    /// whether it was done. Both of a pair have one id, and ids are distinct. What was done is safe and noted when it
    /// returns. If it fails, some may be kept, and not be noted; or told as not done though it was.
    ///
    /// # Errors
    /// As [`Catalogs::put_items`].
    async fn replace_items(&self, catalog: &str, pairs: &[(Item, Item)]) -> Result<Vec<bool>>;

    /// Removes items; those that are not there change nothing. As with putting them, and with the same errors.
    async fn remove_items(&self, catalog: &str, ids: &[String]) -> Result<u64>;

    /// Items by id, in the order asked; none for those that are not there, all of them if there is no such catalog.
    async fn items(&self, catalog: &str, ids: &[String]) -> Result<Vec<Option<Kept>>>;

    /// Items after one id, in the store's own order, at most `limit`: pages of all. Items that are put or removed
    /// meanwhile may be missed or seen; their changes say so.
    async fn page_of_items(&self, catalog: &str, after: Option<&str>, limit: usize) -> Result<Vec<Kept>>;

    /// Removes items whose `expires_at` is before a moment, one page at a time: of those after one id, in the store's own
    /// order, `limit` are looked at, one at least. Nothing if there is no such catalog. An item that cannot be read stays,
    /// and whoever reads it says so.
    ///
    /// An item that is put meanwhile, with a later expiry or none, is never removed: each goes only if it is still one
    /// that expired, at the moment it goes. What is put again with an expiry before the moment may go as well.
    ///
    /// Nothing is noted, since no reader can tell. Whoever follows changes leaves an item that has expired out by its own
    /// clock, whether the store has it or not: read after a later change, such an item and none are the same to it. One
    /// whose clock is behind `before` shows the item for as long as it would have anyway. And notes would have every
    /// replica ask for a million items a week that are not there.
    ///
    /// # Errors
    /// When the store fails; what was removed until then is, and the same call may be made again.
    async fn remove_expired(
        &self,
        catalog: &str,
        before: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Removed>;

    /// What tells this log of changes from every other: the same for as long as the store is there.
    async fn log_id(&self) -> Result<String>;

    /// Number of the last change; 0 before the first.
    async fn last_change(&self) -> Result<u64>;

    /// Changes after number `after`, oldest first, at most `limit`; fewer do not say that there are no more, none at all do.
    /// None if the change after `after` was let go of already, or if `after` is a number that this log has not given yet:
    /// everything is to be read anew.
    async fn changes_since(&self, after: u64, limit: usize) -> Result<Option<Vec<CatalogChange>>>;

    /// Resolves when a change after `after` may have been noted, at the latest after about a second; where the store
    /// cannot tell, after a short while.
    async fn changed(&self, after: u64);

    /// Keeps what is popular in a catalog, in place of what was, and notes the change. Best first; scores are finite.
    ///
    /// # Errors
    /// As [`Catalogs::put_items`].
    async fn put_popular(&self, catalog: &str, popular: &[Popular]) -> Result<u64>;

    /// What is popular in a catalog, as last kept; nothing if there is no such catalog.
    async fn popular(&self, catalog: &str) -> Result<Vec<Popular>>;
}

/// A catalog.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    /// Its name.
    pub id: String,
    /// What it is.
    pub definition: CatalogDefinition,
}

/// An item as it is kept. One that cannot be read spoils none beside it, and stays until it is put again or removed.
pub type Kept = std::result::Result<Item, Unreadable>;

/// An item that is there, and cannot be read: damaged, or of a newer release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its id.
    pub id: String,
    /// What is wrong with it.
    pub why: String,
}

impl From<Unreadable> for StoreError {
    fn from(Unreadable { id, why }: Unreadable) -> Self {
        Self::Damaged(format!("item '{}': {why}", id.escape_debug()))
    }
}

/// The id of an item, whether or not it can be read.
#[must_use]
pub fn id_of(kept: &Kept) -> &str {
    kept.as_ref().map_or_else(|unreadable| &*unreadable.id, |item| &*item.id)
}

/// An item with a text, as it takes the place of another: see [`Catalogs::put_items`].
pub(crate) fn in_place_of(new: &Item, standing: Item) -> Item {
    let mut next = Item { added_at: standing.added_at, ..new.clone() };
    if let (Some(text), Some(before)) = (&mut next.text, standing.text) {
        let lacking =
            before.vectors.into_iter().filter(|made| new.text.as_ref().is_none_or(|t| t.vector(&made.model).is_none()));
        text.vectors.extend(lacking);
    }
    next
}

/// What one call of [`Catalogs::remove_expired`] came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Items that it removed. One whose removal was repeated because an answer was lost may not be counted.
    pub count: u64,
    /// After which item to go on; none at the end of the catalog.
    pub next: Option<String>,
}

/// One item of a list of what is popular.
#[derive(Debug, Clone, PartialEq)]
pub struct Popular {
    /// The item's id.
    pub id: String,
    /// Views, older ones counting less.
    pub score: f64,
}

/// A change, by its number: 1, 2, 3 and so on without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogChange {
    /// Its number.
    pub number: u64,
    /// The catalog.
    pub catalog: Arc<str>,
    /// What changed.
    pub what: Changed,
}

/// What changed in a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// Its definition, or that there is one.
    Definition,
    /// Items with these ids were put or removed.
    Items(Vec<String>),
    /// What is popular.
    Popular,
}

/// Changes that name these items, each a bounded number of them.
pub(crate) fn changes_of_items<'a>(ids: impl Iterator<Item = &'a String>) -> Vec<Changed> {
    let ids: Vec<_> = ids.cloned().collect();
    ids.chunks(MOST_IDS).map(|ids| Changed::Items(ids.to_vec())).collect()
}

/// A fresh hasher has a random key: nobody else has this id.
pub(crate) fn new_log_id() -> String {
    let number = || RandomState::new().hash_one("log");
    format!("{:016x}{:016x}", number(), number())
}

pub(crate) fn too_many(id: &str) -> StoreError {
    StoreError::Conflict(format!("catalog '{id}' cannot be made: there are {MAX_CATALOGS} catalogs already"))
}

pub(crate) fn has_items(id: &str) -> StoreError {
    StoreError::Conflict(format!(
        "catalog '{id}' has items: dimension and metric, and whether there is an embedder, are fixed until they are removed, or \
         take another catalog"
    ))
}

/// A definition that takes the place of another: what its lists go by stays, if the space of its items does.
pub(crate) fn succeeding(new: &CatalogDefinition, standing: Option<&CatalogDefinition>) -> CatalogDefinition {
    let mut next = new.clone();
    if let Some(old) = standing
        && old.fixed() == new.fixed()
        && old.serving.is_some()
    {
        next.serving.clone_from(&old.serving);
    }
    next
}

/// The definition of a catalog once its lists go by another model; none if what it names is not what is `wanted` any more.
pub(crate) fn served_by(
    standing: &CatalogDefinition,
    wanted: &CatalogDefinition,
    serving: &Serving,
) -> Option<CatalogDefinition> {
    let names = |d: &CatalogDefinition| (d.embedder.clone(), d.dimension);
    (names(standing) == names(wanted)).then(|| CatalogDefinition {
        dimension: serving.dimension,
        serving: Some(serving.clone()),
        ..standing.clone()
    })
}
