//! Posterior sets: one row each, written whole, newest first.

use super::client::{Changed, Patience, Unless, cells_of, row, set_cell};
use super::rows::Row;
use super::schema::{self, HEAD, PART_BYTES, PARTS, SET_BYTES, posterior_key};
use super::{Bigtable, failure};
use crate::posteriors::PosteriorSets;
use crate::{Result, StoreError};
use api::row_filter::Filter;
use api::row_range::{EndKey, StartKey};
use async_trait::async_trait;
use bandit::PosteriorSet;
use googleapis_tonic_google_bigtable_v2::google::bigtable::v2 as api;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A version is polled several times a second.
const POLL: Patience = Patience { each: Duration::from_secs(1), all: Duration::from_secs(3) };

/// A large set takes a while.
const WHOLE: Patience = Patience { each: Duration::from_secs(20), all: Duration::from_secs(60) };

/// Versions `first` to `last`, the last first.
fn versions(experiment: &str, first: u64, last: u64) -> api::RowSet {
    let range = api::RowRange {
        start_key: Some(StartKey::StartKeyClosed(posterior_key(experiment, last))),
        end_key: Some(EndKey::EndKeyClosed(posterior_key(experiment, first))),
    };
    api::RowSet { row_keys: Vec::new(), row_ranges: vec![range] }
}

fn decode(row: Row) -> Result<PosteriorSet> {
    PosteriorSet::decode(&schema::join_parts(row)?).map_err(|e| StoreError::Damaged(e.to_string()))
}

impl Bigtable {
    async fn sets(&self, rows: api::RowSet, limit: i64) -> Result<Vec<PosteriorSet>> {
        let all = Filter::CellsPerColumnLimitFilter(1);
        let rows = self.client.read(&self.posteriors, WHOLE, rows, all, limit).await;
        rows.map_err(|e| failure::remote(&e))?.into_iter().map(decode).collect()
    }
}

#[async_trait]
impl PosteriorSets for Bigtable {
    async fn latest_version(&self, experiment: &str) -> Result<u64> {
        let rows = versions(experiment, 0, u64::MAX);
        let found = self.client.read(&self.posteriors, POLL, rows, cells_of(HEAD), 1).await;
        found.map_err(|e| failure::remote(&e))?.first().map_or(Ok(0), |row| schema::version(&row.key))
    }

    async fn latest(&self, experiment: &str) -> Result<Option<PosteriorSet>> {
        Ok(self.sets(versions(experiment, 0, u64::MAX), 1).await?.pop())
    }

    async fn at(&self, experiment: &str, version: u64) -> Result<Option<PosteriorSet>> {
        Ok(self.sets(row(&posterior_key(experiment, version)), 1).await?.pop())
    }

    async fn since(&self, experiment: &str, version: u64, limit: usize) -> Result<Vec<PosteriorSet>> {
        let (Some(first), 1..) = (version.checked_add(1), limit) else { return Ok(Vec::new()) };
        let last = version.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX));
        // No limit of rows: the range has that many versions at most.
        let mut sets = self.sets(versions(experiment, first, last), 0).await?;
        sets.reverse();
        Ok(sets)
    }

    /// Looks whether the latest is the one before, then writes the row unless it is there. Versions are never removed,
    /// so what was latest can only have been followed in between, and then the row is there.
    async fn publish(&self, set: &PosteriorSet) -> Result<()> {
        let latest = self.latest_version(&set.experiment).await?;
        let conflict = |latest: u64| {
            let (version, experiment) = (set.version, &set.experiment);
            StoreError::Conflict(format!("posterior set {version} of '{experiment}' cannot follow version {latest}"))
        };
        if latest.checked_add(1) != Some(set.version) {
            return Err(conflict(latest));
        }
        let bytes = set.encode().map_err(|e| StoreError::Damaged(e.to_string()))?;
        if bytes.len() > SET_BYTES {
            let why =
                format!("a posterior set of {} bytes is larger than {SET_BYTES}: use fewer segments", bytes.len());
            return Err(StoreError::Remote { service: "Bigtable", why });
        }
        // A fresh hasher has a random key: nobody else has this number.
        let head = schema::encode_head(bytes.len(), RandomState::new().hash_one(set.version));
        let parts = (0u32..).zip(bytes.chunks(PART_BYTES));
        let mut mutations = vec![set_cell(HEAD, HEAD.qualifier, head.clone())];
        mutations.extend(parts.map(|(n, part)| set_cell(PARTS, &n.to_be_bytes(), part.into())));
        drop(bytes);
        let key = posterior_key(&set.experiment, set.version);
        let change = Unless { row_key: key.clone(), exists: cells_of(HEAD), mutations };
        let written = self.client.change_unless(&self.posteriors, WHOLE, change).await;
        match written.map_err(|e| failure::remote(&e))? {
            Changed::Yes => return Ok(()),
            Changed::No => return Err(conflict(set.version)),
            Changed::Unclear => {}
        }
        let standing = self.client.read(&self.posteriors, POLL, row(&key), cells_of(HEAD), 1).await;
        let standing = standing.map_err(|e| failure::remote(&e))?;
        let ours = standing.iter().flat_map(|row| &row.cells).any(|cell| cell.value == head);
        if ours { Ok(()) } else { Err(conflict(set.version)) }
    }
}
