//! Lists that were served, counted by catalog and hour, and the planes that catalogs' maps are drawn on.

use crate::Result;
use async_trait::async_trait;
use jiff::Timestamp;
use recommend::{Distinct, Projection};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What processes counted of the lists that they served, and what the updater worked out for pages about catalogs.
#[async_trait]
pub trait ListHours: Send + Sync {
    /// Keeps what a process has counted of some hours so far, in place of what it said of them before.
    async fn keep_list_hours(&self, replica: &str, hours: &[ListHour]) -> Result<()>;

    /// Sums over all processes of one catalog, or of all, in some hours since 1970; in order of catalog and hour.
    async fn list_hours(&self, catalog: Option<&str>, hours: Range<i64>) -> Result<Vec<ListHour>>;

    /// Keeps a catalog's map in place of the one before; none: it has none any more.
    async fn keep_map(&self, catalog: &str, map: Option<&CatalogMap>) -> Result<()>;

    /// A catalog's map.
    async fn map(&self, catalog: &str) -> Result<Option<CatalogMap>>;

    /// Catalogs that have a map, in order of id.
    async fn mapped(&self) -> Result<Vec<String>>;
}

/// Lists of one hour.
#[derive(Debug, Clone, PartialEq)]
pub struct ListHour {
    /// The catalog.
    pub catalog: String,
    /// The hour, counted from 1970.
    pub hour: i64,
    /// Lists for visitors.
    pub lists: u64,
    /// Of these, those made from what the visitor looked at; the others are of what is popular.
    pub from_history: u64,
    /// Items in them, one that is in several lists as often.
    pub items: u64,
    /// Lists whose intra-list distance was measured.
    pub measured: u64,
    /// These distances, together.
    pub distance: f64,
    /// Items shown of which it is known when they were first put.
    pub dated: u64,
    /// Of these, those first put within 24 hours before they were shown.
    pub fresh: u64,
    /// Seconds from then until they were shown, of all of these together.
    pub age_seconds: f64,
    /// Which items were shown.
    pub shown: Distinct,
}

/// The plane of a map, and what it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogMap {
    /// When it was worked out.
    pub at: Timestamp,
    /// Number of the last change of catalogs then.
    pub change: u64,
    /// The plane.
    pub projection: Projection,
}

impl ListHour {
    /// An hour without lists, in a catalog of so many items.
    #[must_use]
    pub fn empty(catalog: &str, hour: i64, items: usize) -> Self {
        Self {
            catalog: catalog.into(),
            hour,
            lists: 0,
            from_history: 0,
            items: 0,
            measured: 0,
            distance: 0.0,
            dated: 0,
            fresh: 0,
            age_seconds: 0.0,
            shown: Distinct::for_at_most(items),
        }
    }

    /// Adds the lists of another hour or process.
    pub fn add(&mut self, other: &Self) {
        self.lists += other.lists;
        self.from_history += other.from_history;
        self.items += other.items;
        self.measured += other.measured;
        self.distance += other.distance;
        self.dated += other.dated;
        self.fresh += other.fresh;
        self.age_seconds += other.age_seconds;
        self.shown.merge(&other.shown);
    }

    /// The share of lists made from what the visitor looked at; none without lists.
    #[must_use]
    pub fn history_share(&self) -> Option<f64> {
        share(self.from_history, self.lists)
    }

    /// Mean intra-list distance of the lists that were measured.
    #[must_use]
    pub fn mean_distance(&self) -> Option<f64> {
        (self.measured > 0).then(|| self.distance / decimal(self.measured))
    }

    /// Of the items shown, each as often as it was, the share first put within 24 hours before.
    #[must_use]
    pub fn fresh_share(&self) -> Option<f64> {
        share(self.fresh, self.dated)
    }

    /// Mean hours from the first put of an item until it was shown.
    #[must_use]
    pub fn mean_age_hours(&self) -> Option<f64> {
        (self.dated > 0).then(|| self.age_seconds / 3_600.0 / decimal(self.dated))
    }

    /// Different items shown, as a share of so many live ones, at most 1.
    #[must_use]
    pub fn coverage(&self, live: usize) -> Option<f64> {
        (live > 0).then(|| (self.shown.estimate() / decimal(live as u64)).min(1.0))
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| decimal(part) / decimal(whole))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn decimal(n: u64) -> f64 {
    n as f64
}
