//! Lists made ahead: cells in the rows of their visitors' views, stamped with the moment that they were made of, so that
//! the newest is read whichever was written last.

use super::client::{Patience, RowChange, chain, row};
use super::rows::Row;
use super::schema::{LIST, VIEW};
use super::views::{KEPT, each_once};
use super::{Bigtable, failure};
use crate::format_lists::{decode_list, encode_list};
use crate::format_views::{decode_seen, newest_of_each};
use crate::lists::{Lists, NewList, Visit, Visitor, Visitors};
use crate::views::VIEWS_KEPT;
use crate::{Result, Seen, StoreError};
use api::column_range::{EndQualifier, StartQualifier};
use api::mutation::{Mutation, SetCell};
use api::row_filter::{Filter, Interleave};
use api::row_range::StartKey;
use async_trait::async_trait;
use googleapis_tonic_google_bigtable_v2::google::bigtable::v2 as api;
use jiff::Timestamp;
use std::time::Duration;

/// A request waits for this; callers that wait less drop the call.
const READ: Patience = Patience { each: Duration::from_millis(1_000), all: Duration::from_millis(3_000) };
/// Nobody waits for a walk.
const WALK: Patience = Patience { each: Duration::from_secs(10), all: Duration::from_secs(30) };
const WRITE: Patience = Patience { each: Duration::from_secs(5), all: Duration::from_secs(20) };

/// Lists of one call: half a megabyte.
const AT_ONCE: usize = 500;

fn newest_views() -> Filter {
    each_once(Filter::CellsPerRowLimitFilter(KEPT))
}

fn views_in(row: &Row) -> Result<Vec<Seen>> {
    let views = row.cells.iter().filter(|cell| cell.family == VIEW.id);
    newest_of_each(views.map(|cell| decode_seen(&cell.qualifier)), VIEWS_KEPT)
}

fn list_of(catalog: &str) -> Filter {
    let these = Filter::ColumnRangeFilter(api::ColumnRange {
        family_name: LIST.id.into(),
        start_qualifier: Some(StartQualifier::StartQualifierClosed(catalog.into())),
        end_qualifier: Some(EndQualifier::EndQualifierClosed(catalog.into())),
    });
    chain([these, Filter::CellsPerColumnLimitFilter(1)])
}

fn change(new: &NewList) -> Result<RowChange> {
    let cell = SetCell {
        family_name: LIST.id.into(),
        column_qualifier: new.catalog.as_bytes().into(),
        timestamp_micros: new.list.made_at.as_millisecond().max(0) * 1_000,
        value: encode_list(&new.list)?,
    };
    let mutations = vec![api::Mutation { mutation: Some(Mutation::SetCell(cell)) }];
    Ok(RowChange { row_key: new.visitor.0.into(), mutations })
}

#[async_trait]
impl Lists for Bigtable {
    async fn visit(&self, visitor: &Visitor, catalog: &str) -> Result<Visit> {
        let filters = [newest_views(), list_of(catalog)].map(|filter| api::RowFilter { filter: Some(filter) });
        let both = Filter::Interleave(Interleave { filters: filters.into() });
        let rows = self.client.read(&self.views, READ, row(&visitor.0), both, 1).await;
        let Some(row) = rows.map_err(|e| failure::remote(&e))?.pop() else { return Ok(Visit::default()) };
        let list = row.cells.iter().find(|cell| cell.family == LIST.id);
        Ok(Visit { seen: views_in(&row)?, list: list.and_then(|cell| decode_list(&cell.value)) })
    }

    async fn put_lists(&self, lists: &[NewList]) -> Result<()> {
        for lists in lists.chunks(AT_ONCE) {
            let changes = lists.iter().map(change).collect::<Result<Vec<_>>>()?;
            self.client.change_rows(&self.views, WRITE, changes).await.map_err(|e| failure::remote(&e))?;
        }
        Ok(())
    }

    async fn visitors(&self, after: Option<&Visitor>, since: Timestamp, limit: usize) -> Result<Visitors> {
        let start = after.map_or(StartKey::StartKeyClosed(Vec::new()), |v| StartKey::StartKeyOpen(v.0.into()));
        let range = api::RowRange { start_key: Some(start), end_key: None };
        let rest = api::RowSet { row_keys: Vec::new(), row_ranges: vec![range] };
        let limit = limit.max(1);
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.client.read(&self.views, WALK, rest, newest_views(), most).await;
        let rows = rows.map_err(|e| failure::remote(&e))?;
        let (mut found, mut next) = (Vec::new(), None);
        let full = rows.len() >= limit;
        for row in rows {
            let key = row.key.as_slice().try_into().map_err(|_| StoreError::Damaged("a key of a visitor".into()))?;
            let (visitor, seen) = (Visitor(key), views_in(&row)?);
            next = Some(visitor);
            if seen.first().is_some_and(|newest| newest.at >= since) {
                found.push((visitor, seen));
            }
        }
        Ok(Visitors { visitors: found, next: next.filter(|_| full) })
    }
}
