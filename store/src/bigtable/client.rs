//! Calls of Bigtable's data service: one attempt, and attempts until one succeeds or time is up.

use super::channels::{Channels, routing};
use super::failure::transient;
use super::rows::{Row, Rows};
use super::schema::{FamilySpec, TableSpec};
use crate::locations::InProject;
use api::bigtable_client::BigtableClient;
use api::column_range::{EndQualifier, StartQualifier};
use api::mutate_rows_request::Entry;
use api::mutation::{DeleteFromColumn, DeleteFromRow, Mutation, SetCell};
use api::row_filter::{Chain, Filter};
use api::row_range::{EndKey, StartKey};
use googleapis_tonic_google_bigtable_v2::google::bigtable::v2 as api;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Status};

/// Largest answer: a row has 256 MB at most.
const LARGEST: usize = 256 << 20;

/// How long to wait for one attempt, and for all of them together.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    pub(super) each: Duration,
    pub(super) all: Duration,
}

/// A table as calls name it.
pub(super) struct Table {
    name: String,
    routing: MetadataValue<Ascii>,
}

impl Table {
    pub(super) fn new(instance: &InProject, spec: &TableSpec) -> Self {
        let name = format!("projects/{}/instances/{}/tables/{}", instance.project, instance.name, spec.id);
        // The empty profile is the instance's default.
        let routing = routing(&[("table_name", &name), ("app_profile_id", "")]);
        Self { name, routing }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// A change of a row that is made only if no cell matches the predicate.
pub(super) struct Unless {
    pub(super) row_key: Vec<u8>,
    pub(super) exists: Filter,
    pub(super) mutations: Vec<api::Mutation>,
}

/// Changes of one row.
pub(super) struct RowChange {
    pub(super) row_key: Vec<u8>,
    pub(super) mutations: Vec<api::Mutation>,
}

/// What became of a conditional change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    /// It was made.
    Yes,
    /// A cell matched: another's.
    No,
    /// A cell matched when it was repeated: another's, or that of an earlier attempt whose answer was lost.
    Unclear,
}

/// The client.
pub(super) struct Client {
    channels: Channels,
    round_trips: AtomicU64,
}

impl Client {
    pub(super) fn new(channels: Channels) -> Self {
        Self { channels, round_trips: AtomicU64::new(0) }
    }

    /// Requests sent so far, repeated ones included.
    #[cfg(test)]
    pub(super) fn round_trips(&self) -> u64 {
        self.round_trips.load(Relaxed)
    }

    /// Rows in order of their keys. Reading may be repeated.
    pub(super) async fn read(
        &self,
        table: &Table,
        patience: Patience,
        rows: api::RowSet,
        filter: Filter,
        limit: i64,
    ) -> Result<Vec<Row>, Status> {
        let message = api::ReadRowsRequest {
            table_name: table.name.clone(),
            rows: Some(rows),
            filter: Some(api::RowFilter { filter: Some(filter) }),
            rows_limit: limit,
            ..api::ReadRowsRequest::default()
        };
        let message = &message;
        until_done(patience, |_, deadline| async move {
            let request = self.channels.request(message.clone(), &table.routing, deadline).await?;
            let mut answers = self.bigtable().read_rows(request).await?.into_inner();
            let mut rows = Rows::default();
            while let Some(answer) = answers.message().await? {
                answer.chunks.into_iter().try_for_each(|chunk| rows.push(chunk))?;
            }
            rows.finish()
        })
        .await
    }

    /// Changes a row unless a cell matches.
    ///
    /// It may be repeated although an earlier attempt may have been carried out after all, since the attempt's own
    /// cells then match: nothing is written twice, and whoever is told "unclear" looks whose cell it is.
    pub(super) async fn change_unless(
        &self,
        table: &Table,
        patience: Patience,
        change: Unless,
    ) -> Result<Changed, Status> {
        let (filter, changes) = (change.exists, change.mutations);
        let outcome = self.conditional(table, patience, change.row_key, filter, (Vec::new(), changes)).await?;
        Ok(match outcome {
            (false, _) => Changed::Yes,
            (true, 0) => Changed::No,
            (true, 1..) => Changed::Unclear,
        })
    }

    /// Changes a row if a cell matches, and tells whether one did. It may be repeated as well; the attempt that comes after
    /// one that was carried out is told that none does, if the change takes the cell away.
    pub(super) async fn change_if(
        &self,
        table: &Table,
        patience: Patience,
        exists: Filter,
        change: RowChange,
    ) -> Result<bool, Status> {
        let mutations = (change.mutations, Vec::new());
        self.conditional(table, patience, change.row_key, exists, mutations).await.map(|(matched, _)| matched)
    }

    /// Makes the first changes if a cell matches, the second if none does; whether one did, and how many attempts failed
    /// before.
    async fn conditional(
        &self,
        table: &Table,
        patience: Patience,
        row_key: Vec<u8>,
        filter: Filter,
        (true_mutations, false_mutations): (Vec<api::Mutation>, Vec<api::Mutation>),
    ) -> Result<(bool, u32), Status> {
        let message = api::CheckAndMutateRowRequest {
            table_name: table.name.clone(),
            row_key,
            predicate_filter: Some(api::RowFilter { filter: Some(filter) }),
            true_mutations,
            false_mutations,
            ..api::CheckAndMutateRowRequest::default()
        };
        let message = &message;
        until_done(patience, |failures, deadline| async move {
            let request = self.channels.request(message.clone(), &table.routing, deadline).await?;
            let answer = self.bigtable().check_and_mutate_row(request).await?;
            Ok((answer.into_inner().predicate_matched, failures))
        })
        .await
    }

    /// Changes rows, each whole or not at all; all are changed when it succeeds. What came to nothing is repeated, which
    /// sets the same cells again.
    pub(super) async fn change_rows(
        &self,
        table: &Table,
        patience: Patience,
        rows: Vec<RowChange>,
    ) -> Result<(), Status> {
        if rows.is_empty() {
            return Ok(());
        }
        let entry = |row: RowChange| Entry { row_key: row.row_key, mutations: row.mutations, idempotency: None };
        let left: Mutex<Vec<Entry>> = Mutex::new(rows.into_iter().map(entry).collect());
        let left = &left;
        until_done(patience, |_, deadline| async move {
            let entries = left.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut failures: Vec<_> = entries.iter().map(|_| Some(Status::unavailable("no word of a row"))).collect();
            let message =
                api::MutateRowsRequest { table_name: table.name.clone(), entries, ..api::MutateRowsRequest::default() };
            let request = self.channels.request(message, &table.routing, deadline).await?;
            let mut answers = self.bigtable().mutate_rows(request).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                for row in answer.entries {
                    // Each row has a status of its own.
                    if let Some(failure) = usize::try_from(row.index).ok().and_then(|n| failures.get_mut(n)) {
                        *failure = row
                            .status
                            .filter(|s| Code::from(s.code) != Code::Ok)
                            .map(|s| Status::new(Code::from(s.code), s.message));
                    }
                }
            }
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            let mut undone = failures.iter().map(Option::is_some);
            left.retain(|_| undone.next().unwrap_or(true));
            // What no repetition mends comes first.
            let mut failures: Vec<_> = failures.into_iter().flatten().collect();
            failures.sort_by_key(transient);
            failures.into_iter().next().map_or(Ok(()), Err)
        })
        .await
    }

    fn bigtable(&self) -> BigtableClient<tonic::transport::Channel> {
        self.round_trips.fetch_add(1, Relaxed);
        BigtableClient::new(self.channels.next()).max_decoding_message_size(LARGEST)
    }
}

/// Attempts, each told how many failed and how long it has, until one succeeds, fails for good, or no time is left for
/// another. Dropping the future ends it at any point: each attempt stands alone.
pub(super) async fn until_done<T, F: Future<Output = Result<T, Status>>>(
    patience: Patience,
    attempt: impl Fn(u32, Duration) -> F,
) -> Result<T, Status> {
    let end = Instant::now() + patience.all;
    let mut failures = 0;
    loop {
        let deadline = patience.each.min(end - Instant::now());
        let failed = match timeout(deadline, attempt(failures, deadline)).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded(format!("no answer within {} ms", deadline.as_millis())),
        };
        let pause = pause(failures);
        if !transient(&failed) || Instant::now() + pause >= end {
            return Err(failed);
        }
        sleep(pause).await;
        failures += 1;
    }
}

/// Up to 20 ms after the first failure, twice that after the next and so on to 1.28 s; anything from nothing up to it,
/// so that replicas that failed together do not come back together.
fn pause(failures: u32) -> Duration {
    let most = 20_000 << failures.min(6);
    // A fresh hasher has a random key.
    Duration::from_micros(RandomState::new().hash_one(failures) % most)
}

/// The cells of a family's qualifier. A range, not a pattern: it fails where the family is missing, and does not find
/// nothing.
pub(super) fn cells_of(family: FamilySpec) -> Filter {
    Filter::ColumnRangeFilter(api::ColumnRange {
        family_name: family.id.into(),
        start_qualifier: Some(StartQualifier::StartQualifierClosed(family.qualifier.into())),
        end_qualifier: Some(EndQualifier::EndQualifierClosed(family.qualifier.into())),
    })
}

/// All cells of a family, likewise.
pub(super) fn family_of(family: FamilySpec) -> Filter {
    Filter::ColumnRangeFilter(api::ColumnRange {
        family_name: family.id.into(),
        start_qualifier: None,
        end_qualifier: None,
    })
}

/// One filter after the other.
pub(super) fn chain<const N: usize>(filters: [Filter; N]) -> Filter {
    let filters = filters.map(|filter| api::RowFilter { filter: Some(filter) });
    Filter::Chain(Chain { filters: filters.into() })
}

/// Rows from a start to an end that is left out.
pub(super) fn rows_between(start: StartKey, end: Vec<u8>) -> api::RowSet {
    let range = api::RowRange { start_key: Some(start), end_key: Some(EndKey::EndKeyOpen(end)) };
    api::RowSet { row_keys: Vec::new(), row_ranges: vec![range] }
}

pub(super) fn row(key: &[u8]) -> api::RowSet {
    api::RowSet { row_keys: vec![key.into()], row_ranges: Vec::new() }
}

/// Sets a cell, stamped by the server.
pub(super) fn set_cell(family: FamilySpec, qualifier: &[u8], value: Vec<u8>) -> api::Mutation {
    let cell =
        SetCell { family_name: family.id.into(), column_qualifier: qualifier.into(), timestamp_micros: -1, value };
    api::Mutation { mutation: Some(Mutation::SetCell(cell)) }
}

/// Removes a column's cells.
pub(super) fn delete_cell(family: FamilySpec, qualifier: &[u8]) -> api::Mutation {
    api::Mutation {
        mutation: Some(Mutation::DeleteFromColumn(DeleteFromColumn {
            family_name: family.id.into(),
            column_qualifier: qualifier.into(),
            time_range: None,
        })),
    }
}

/// Removes a row.
pub(super) fn delete_row(row_key: Vec<u8>) -> RowChange {
    let mutation = Some(Mutation::DeleteFromRow(DeleteFromRow {}));
    RowChange { row_key, mutations: vec![api::Mutation { mutation }] }
}
