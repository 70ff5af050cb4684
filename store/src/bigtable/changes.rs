//! The log of changes to catalogs: a row for each number, taken by whoever writes it first.

use super::client::{Changed as Written, Client, Patience, Table, Unless, cells_of, delete_row, row, set_cell};
use super::schema::{self, CHANGES_COUNTED, NUMBER, WHAT, change_key, change_number};
use crate::Result;
use crate::format_catalogs::{decode_change, encode_change};
use crate::{CatalogChange, Changed, StoreError};
use api::row_filter::Filter;
use api::row_range::{EndKey, StartKey};
use googleapis_tonic_google_bigtable_v2::google::bigtable::v2 as api;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::Status;

/// The last number is asked for many times a second.
const POLL: Patience = Patience { each: Duration::from_secs(1), all: Duration::from_secs(3) };

/// A change may name thousands of items.
const WRITE: Patience = Patience { each: Duration::from_secs(5), all: Duration::from_secs(30) };

/// Most ids of changes that are joined to one.
const MOST_IDS: usize = 10_000;

/// Every so many changes, so many old numbers go.
const LET_GO: u64 = 1_000;

/// A change that waits to be noted.
struct Waiting {
    catalog: String,
    what: Changed,
    told: oneshot::Sender<std::result::Result<u64, Status>>,
}

/// The log.
pub(super) struct ChangeLog {
    client: Arc<Client>,
    pub(super) table: Table,
    waiting: Mutex<VecDeque<Waiting>>,
    /// Held by whoever writes, so that this process has no rival in itself.
    writing: tokio::sync::Mutex<()>,
    /// Changes whose numbers are kept, and how many go at once.
    pub(super) counted: (u64, u64),
}

impl ChangeLog {
    pub(super) fn new(client: Arc<Client>, table: Table) -> Self {
        let counted = (CHANGES_COUNTED, LET_GO);
        Self { client, table, waiting: Mutex::default(), writing: tokio::sync::Mutex::new(()), counted }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a change, also if nobody waits for it any more, and tells its number.
    pub(super) async fn note(self: &Arc<Self>, catalog: &str, what: Changed) -> Result<u64> {
        let (told, number) = oneshot::channel();
        self.waiting().push_back(Waiting { catalog: catalog.into(), what, told });
        let log = self.clone();
        tokio::spawn(async move {
            let _alone = log.writing.lock().await;
            // One turn for each that waits: there may be none left.
            let Some(joined) = log.take() else { return };
            let written = log.write(&joined).await;
            for waiting in joined {
                // Who gave up need not know.
                let _ = waiting.told.send(written.clone());
            }
        });
        let lost = |_| StoreError::Remote { service: "Bigtable", why: "the change was not noted".into() };
        number.await.map_err(lost)?.map_err(|e| super::failure::remote(&e))
    }

    /// The one that waits longest, and all that are one change with it.
    fn take(&self) -> Option<Vec<Waiting>> {
        let mut waiting = self.waiting();
        let first = waiting.pop_front()?;
        let ids = |what: &Changed| if let Changed::Items(ids) = what { ids.len() } else { 0 };
        let mut count = ids(&first.what);
        let mut joined = vec![first];
        for other in std::mem::take(&mut *waiting) {
            let alike = other.catalog == joined[0].catalog
                && std::mem::discriminant(&other.what) == std::mem::discriminant(&joined[0].what);
            if alike && count + ids(&other.what) <= MOST_IDS {
                count += ids(&other.what);
                joined.push(other);
            } else {
                waiting.push_back(other);
            }
        }
        Some(joined)
    }

    /// Takes the next number, or the next after a rival's.
    async fn write(&self, joined: &[Waiting]) -> std::result::Result<u64, Status> {
        let what = match &joined[0].what {
            Changed::Items(_) => {
                let ids =
                    joined.iter().filter_map(|w| if let Changed::Items(ids) = &w.what { Some(ids) } else { None });
                Changed::Items(ids.flatten().cloned().collect())
            }
            one => one.clone(),
        };
        let what = encode_change(&joined[0].catalog, &what).map_err(|e| Status::internal(e.to_string()))?;
        // A fresh hasher has a random key: nobody else has this number.
        let writer = RandomState::new().hash_one(what.len()).to_be_bytes().to_vec();
        loop {
            let number = self.last().await? + 1;
            let mutations =
                vec![set_cell(NUMBER, NUMBER.qualifier, writer.clone()), set_cell(WHAT, WHAT.qualifier, what.clone())];
            let change = Unless { row_key: change_key(number), exists: cells_of(NUMBER), mutations };
            let ours = match self.client.change_unless(&self.table, WRITE, change).await? {
                Written::Yes => true,
                // Whoever was faster wrote one: this ends, since each turn is somebody's.
                Written::No => false,
                Written::Unclear => {
                    let key = change_key(number);
                    let standing = self.client.read(&self.table, POLL, row(&key), cells_of(NUMBER), 1).await?;
                    standing.iter().flat_map(|row| &row.cells).any(|cell| cell.value == writer)
                }
            };
            if ours {
                self.let_go(number).await;
                return Ok(number);
            }
        }
    }

    /// Lets go of old numbers, now and then. If it fails, some small cells stay.
    async fn let_go(&self, number: u64) {
        let (counted, at_once) = self.counted;
        if !number.is_multiple_of(at_once) {
            return;
        }
        let end = number.saturating_sub(counted);
        let old = (end.saturating_sub(at_once)..end).map(|n| delete_row(change_key(n))).collect();
        if let Err(status) = self.client.change_rows(&self.table, WRITE, old).await {
            tracing::warn!("old changes of catalogs stay in Bigtable: {}", super::failure::line(&status));
        }
    }

    /// Number of the last change: one read of one small cell.
    pub(super) async fn last(&self) -> std::result::Result<u64, Status> {
        let rows = numbers(0, u64::MAX);
        let found = self.client.read(&self.table, POLL, rows, cells_of(NUMBER), 1).await?;
        let number = found.first().map_or(Ok(0), |row| change_number(&row.key));
        number.map_err(|e| Status::data_loss(e.to_string()))
    }

    /// As [`crate::Catalogs::changes_since`].
    pub(super) async fn since(&self, after: u64, limit: usize) -> Result<Option<Vec<CatalogChange>>> {
        let last = self.last().await.map_err(|e| super::failure::remote(&e))?;
        if after >= last {
            return Ok((after == last).then(Vec::new));
        }
        // One at least, to know whether it is there.
        let most = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        let rows = numbers(after + 1, last.min(after.saturating_add(most)));
        let all = Filter::CellsPerColumnLimitFilter(1);
        let rows = self.client.read(&self.table, WRITE, rows, all, 0).await.map_err(|e| super::failure::remote(&e))?;
        let mut found = Vec::new();
        for (expected, row) in (after + 1..).zip(rows.iter().rev()) {
            let what = row.cells.iter().find(|cell| cell.family == WHAT.id);
            // Cells are collected some time, in any order: what follows one that is gone waits until it is asked for.
            let Some(what) = what.filter(|_| change_number(&row.key).is_ok_and(|n| n == expected)) else { break };
            found.push(decode_change(expected, &what.value)?);
        }
        let gone = found.is_empty();
        found.truncate(limit);
        Ok((!gone).then_some(found))
    }
}

/// Rows of changes, the last first.
fn numbers(first: u64, last: u64) -> api::RowSet {
    let range = api::RowRange {
        start_key: Some(StartKey::StartKeyClosed(schema::change_key(last))),
        end_key: Some(EndKey::EndKeyClosed(schema::change_key(first))),
    };
    api::RowSet { row_keys: Vec::new(), row_ranges: vec![range] }
}
