//! Items that expired are removed, a page at a time, each only if it is still one that expired.

use super::catalogs::CatalogTables;
use super::client::{Patience, RowChange, cells_of, chain, delete_row};
use super::failure;
use super::items::id_of;
use super::schema::ITEM;
use crate::format_catalogs::expired_head;
use crate::{Removed, Result};
use api::row_filter::Filter;
use api::value_range::{EndValue, StartValue};
use futures::{StreamExt, TryStreamExt};
use googleapis_tonic_google_bigtable_v2::google::bigtable::v2 as api;
use jiff::Timestamp;
use std::time::Duration;

const PATIENCE: Patience = Patience { each: Duration::from_secs(2), all: Duration::from_secs(10) };

/// Removals at once: nobody waits for them, and requests have the same servers.
const AT_ONCE: usize = 8;

impl CatalogTables {
    /// As [`crate::Catalogs::remove_expired`], of the items kept under a number. Each row goes by a conditional mutation.
    /// That asks for the item's head and not for the cell's time: two puts of one millisecond have the same.
    pub(super) async fn remove_expired(
        &self,
        kept_under: u64,
        before: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Removed> {
        let rows = self.newest_after(kept_under, after, limit).await?;
        let last = rows.last().filter(|_| rows.len() >= limit);
        let next = last.map(|row| id_of(&row.key)).transpose()?;
        let heads = rows.iter().filter_map(|row| {
            let head = expired_head(&row.cells.first()?.value, before)?;
            Some((delete_row(row.key.clone()), head.to_vec()))
        });
        let heads: Vec<_> = heads.collect();
        drop(rows);
        let removals = heads.into_iter().map(|(removal, head)| self.remove_if(removal, head));
        let done: Vec<bool> = futures::stream::iter(removals).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(Removed { count: done.into_iter().filter(|gone| *gone).count() as u64, next })
    }

    /// Removes an item if it begins like this; whether it did.
    async fn remove_if(&self, removal: RowChange, head: Vec<u8>) -> Result<bool> {
        let mut end = head.clone();
        // Heads end in JSON, which has no byte 255.
        if let Some(last) = end.last_mut() {
            *last = last.saturating_add(1);
        }
        let alike = Filter::ValueRangeFilter(api::ValueRange {
            start_value: Some(StartValue::StartValueClosed(head)),
            end_value: Some(EndValue::EndValueOpen(end)),
        });
        let exists = chain([cells_of(ITEM), Filter::CellsPerColumnLimitFilter(1), alike]);
        let gone = self.client.change_if(&self.items, PATIENCE, exists, removal).await;
        gone.map_err(|e| failure::remote(&e))
    }
}
