//! Which catalogs there are: one row, changed by one at a time.

use super::catalogs::CatalogTables;
use super::client::{Changed, Patience, Unless, cells_of, chain, delete_cell, family_of, row, set_cell};
use super::failure;
use super::rows::Row;
use super::schema::{CATALOG, CATALOGS_ROW, LOG_ROW};
use crate::format_catalogs::{decode_definition, encode_definition};
use crate::{Result, StoreError};
use api::row_filter::Filter;
use api::value_range::StartValue;
use googleapis_tonic_google_bigtable_v2::google::bigtable::v2 as api;
use recommend::CatalogDefinition;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const PATIENCE: Patience = Patience { each: Duration::from_secs(2), all: Duration::from_secs(10) };

/// The row as it was read.
#[derive(Default)]
pub(super) struct Registry {
    /// Grows with each change.
    pub(super) revision: u64,
    /// By id: under which number items are kept, and the definition.
    pub(super) catalogs: BTreeMap<String, (u64, CatalogDefinition)>,
    /// Numbers whose items are to be removed, with the id that their catalog had.
    pub(super) removed: Vec<(u64, String)>,
}

fn damaged() -> StoreError {
    StoreError::Damaged("the row of the catalogs".into())
}

fn text(bytes: &[u8]) -> Result<String> {
    std::str::from_utf8(bytes).map(Into::into).map_err(|_| damaged())
}

fn number(bytes: &[u8]) -> Result<u64> {
    bytes.first_chunk().map(|n| u64::from_be_bytes(*n)).ok_or_else(damaged)
}

impl Registry {
    fn decode(row: Row) -> Result<Self> {
        let mut registry = Self::default();
        for cell in row.cells {
            match cell.qualifier.split_first() {
                Some((b'r', [])) => registry.revision = number(&cell.value)?,
                Some((b'd', id)) => {
                    registry.catalogs.insert(text(id)?, decode_definition(&cell.value)?);
                }
                Some((b'x', kept_under)) => registry.removed.push((number(kept_under)?, text(&cell.value)?)),
                _ => return Err(damaged()),
            }
        }
        Ok(registry)
    }

    /// Under which number a catalog's items are kept.
    pub(super) fn kept_under(&self, catalog: &str) -> Result<u64> {
        let found = self.catalogs.get(catalog);
        found.map(|found| found.0).ok_or_else(|| StoreError::Missing(format!("catalog '{catalog}'")))
    }
}

/// Sets a catalog.
pub(super) fn define(id: &str, kept_under: u64, definition: &CatalogDefinition) -> Result<api::Mutation> {
    Ok(set_cell(CATALOG, &[b"d", id.as_bytes()].concat(), encode_definition(kept_under, definition)?))
}

/// Removes a catalog, and marks what it leaves.
pub(super) fn undefine(id: &str, kept_under: u64) -> Vec<api::Mutation> {
    vec![delete_cell(CATALOG, &[b"d", id.as_bytes()].concat()), mark(id, kept_under)]
}

/// Marks what is kept under a number as to be removed.
pub(super) fn mark(id: &str, kept_under: u64) -> api::Mutation {
    set_cell(CATALOG, &removed(kept_under), id.into())
}

/// Forgets that anything of a number is to be removed.
pub(super) fn unmark(kept_under: u64) -> api::Mutation {
    delete_cell(CATALOG, &removed(kept_under))
}

fn removed(kept_under: u64) -> Vec<u8> {
    [&b"x"[..], &kept_under.to_be_bytes()].concat()
}

impl CatalogTables {
    pub(super) async fn read_registry(&self) -> Result<Registry> {
        let all = chain([family_of(CATALOG), Filter::CellsPerColumnLimitFilter(1)]);
        let rows = self.client.read(&self.registry, PATIENCE, row(CATALOGS_ROW), all, 1).await;
        rows.map_err(|e| failure::remote(&e))?.pop().map_or_else(|| Ok(Registry::default()), Registry::decode)
    }

    /// The id of the log of changes: whoever asks first gives it, in a row of its own.
    pub(super) async fn log_id(&self) -> Result<String> {
        let newest = || chain([cells_of(CATALOG), Filter::CellsPerColumnLimitFilter(1)]);
        let read = async || {
            let rows = self.client.read(&self.registry, PATIENCE, row(LOG_ROW), newest(), 1).await;
            let rows = rows.map_err(|e| failure::remote(&e))?;
            rows.iter().flat_map(|row| &row.cells).next().map(|cell| text(&cell.value)).transpose()
        };
        if let Some(id) = read().await? {
            return Ok(id);
        }
        let id = crate::catalogs::new_log_id();
        let mutations = vec![set_cell(CATALOG, CATALOG.qualifier, id.clone().into_bytes())];
        let change = Unless { row_key: LOG_ROW.into(), exists: newest(), mutations };
        let changed = self.client.change_unless(&self.registry, PATIENCE, change).await;
        match changed.map_err(|e| failure::remote(&e))? {
            Changed::Yes => Ok(id),
            Changed::No | Changed::Unclear => read().await?.ok_or_else(damaged),
        }
    }

    /// Changes the row unless somebody did since it was read; whether it was done. If that cannot be known it may have
    /// been, though it is denied.
    pub(super) async fn edit(&self, seen: &Registry, mut mutations: Vec<api::Mutation>) -> Result<bool> {
        let revision = (seen.revision + 1).to_be_bytes();
        // A fresh hasher has a random key: nobody else has this number.
        let ours = [revision, RandomState::new().hash_one(revision).to_be_bytes()].concat();
        mutations.push(set_cell(CATALOG, CATALOG.qualifier, ours.clone()));
        let later =
            api::ValueRange { start_value: Some(StartValue::StartValueClosed(revision.into())), end_value: None };
        let exists = chain([cells_of(CATALOG), Filter::CellsPerColumnLimitFilter(1), Filter::ValueRangeFilter(later)]);
        let change = Unless { row_key: CATALOGS_ROW.into(), exists, mutations };
        let changed = self.client.change_unless(&self.registry, PATIENCE, change).await;
        match changed.map_err(|e| failure::remote(&e))? {
            Changed::Yes => Ok(true),
            Changed::No => Ok(false),
            Changed::Unclear => {
                let newest = chain([cells_of(CATALOG), Filter::CellsPerColumnLimitFilter(1)]);
                let standing = self.client.read(&self.registry, PATIENCE, row(CATALOGS_ROW), newest, 1).await;
                let standing = standing.map_err(|e| failure::remote(&e))?;
                Ok(standing.iter().flat_map(|row| &row.cells).any(|cell| cell.value == ours))
            }
        }
    }
}
