//! Views: a row for each visitor, newest first.

use super::client::{Patience, RowChange, chain, delete_cell, delete_row, family_of, row, set_cell};
use super::schema::VIEW;
use super::{Bigtable, failure};
use crate::Result;
use crate::format_views::{VIEW_FORMAT, decode_seen, newest_of_each, seen_key, trims, user_key};
use crate::views::{Seen, VIEWS_KEPT, View, Views};
use api::row_filter::Filter;
use async_trait::async_trait;
use googleapis_tonic_google_bigtable_v2::google::bigtable::v2 as api;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use tonic::Status;

/// A request waits for this; callers that wait less drop the call.
const READ: Patience = Patience { each: Duration::from_millis(1_000), all: Duration::from_millis(3_000) };

const WRITE: Patience = Patience { each: Duration::from_secs(5), all: Duration::from_secs(20) };

/// Views of one call.
const AT_ONCE: usize = 1_000;

/// Most views that go at once: a row takes 100,000 changes.
const REMOVED_AT_ONCE: i32 = 10_000;

pub(super) const KEPT: i32 = 400;
const _: () = assert!(KEPT as usize == VIEWS_KEPT, "as the service counts them");

/// Qualifiers alone, each once, though a view may have been kept twice.
pub(super) fn each_once(these: Filter) -> Filter {
    chain([family_of(VIEW), Filter::CellsPerColumnLimitFilter(1), these, Filter::StripValueTransformer(true)])
}

impl Bigtable {
    /// Lets go of a visitor's views beyond the newest.
    async fn trim(&self, user: &[u8; 16]) -> std::result::Result<(), Status> {
        let beyond = chain([Filter::CellsPerRowOffsetFilter(KEPT), Filter::CellsPerRowLimitFilter(REMOVED_AT_ONCE)]);
        let rows = self.client.read(&self.views, WRITE, row(user), each_once(beyond), 1).await?;
        let old = rows.iter().flat_map(|row| &row.cells).map(|cell| delete_cell(VIEW, &cell.qualifier));
        let mutations: Vec<api::Mutation> = old.collect();
        if mutations.is_empty() {
            return Ok(());
        }
        self.client.change_rows(&self.views, WRITE, vec![RowChange { row_key: user.into(), mutations }]).await
    }
}

#[async_trait]
impl Views for Bigtable {
    async fn append(&self, views: &[View]) -> Result<()> {
        let mut trimmed = HashSet::new();
        for views in views.chunks(AT_ONCE) {
            let mut rows: BTreeMap<[u8; 16], Vec<api::Mutation>> = BTreeMap::new();
            for view in views {
                let (user, seen) = (user_key(&view.user), seen_key(view));
                if trims(&user, &seen) {
                    trimmed.insert(user);
                }
                rows.entry(user).or_default().push(set_cell(VIEW, &seen, VIEW_FORMAT.into()));
            }
            let rows = rows.into_iter().map(|(user, mutations)| RowChange { row_key: user.into(), mutations });
            let kept = self.client.change_rows(&self.views, WRITE, rows.collect()).await;
            kept.map_err(|e| failure::remote(&e))?;
        }
        for user in trimmed {
            // The views are kept: that older ones are too is no failure, and a later one trims as well.
            if let Err(status) = self.trim(&user).await {
                tracing::warn!("old views stay in Bigtable: {}", failure::line(&status));
            }
        }
        Ok(())
    }

    async fn recent(&self, user: &str, limit: usize) -> Result<Vec<Seen>> {
        let newest = each_once(Filter::CellsPerRowLimitFilter(KEPT));
        let rows = self.client.read(&self.views, READ, row(&user_key(user)), newest, 1).await;
        let rows = rows.map_err(|e| failure::remote(&e))?;
        let cells = rows.iter().flat_map(|row| &row.cells);
        newest_of_each(cells.map(|cell| decode_seen(&cell.qualifier)), limit)
    }

    async fn forget_views(&self, user: &str) -> Result<()> {
        let gone = self.client.change_rows(&self.views, WRITE, vec![delete_row(user_key(user).into())]).await;
        gone.map_err(|e| failure::remote(&e))
    }
}
