//! Which items wait for vectors of their texts, and what keeps them.
//!
//! It is in the database: what is due, by when and how often it was tried is asked for in many ways, and a row for each
//! item is written a thousand at a time. That no item is forgotten does not rest on whoever puts it: a put is in the log of
//! changes before it is acknowledged, and rows are noted in one transaction with how far that log was read.

use crate::Result;
use async_trait::async_trait;
use jiff::Timestamp;

/// Work of the updater, by catalog and item.
#[async_trait]
pub trait VectorWork: Send + Sync {
    /// Number of the last change of catalogs that was looked at; none before the first.
    async fn looked_at(&self) -> Result<Option<u64>>;

    /// Notes that items of a catalog wait, each anew, and that changes up to a number were looked at: both or nothing.
    async fn note(&self, items: &[(String, Vec<String>)], change: u64, now: Timestamp) -> Result<()>;

    /// Forgets all walks, since changes were missed, and that changes up to a number were looked at: both or nothing.
    async fn begin_anew(&self, change: u64) -> Result<()>;

    /// How far the walk over a catalog came; none if there was none.
    async fn walk(&self, catalog: &str) -> Result<Option<Walk>>;

    /// Notes how far a walk came, and that items that it found wait, those that do already as they are: both or nothing.
    async fn walked(&self, catalog: &str, walk: &Walk, found: &[String], now: Timestamp) -> Result<()>;

    /// Items whose turn has come, the longest waiting first.
    async fn due(&self, catalog: &str, now: Timestamp, limit: usize) -> Result<Vec<Waiting>>;

    /// Forgets items that wait no more, except those that were noted again meanwhile; and how many texts a second got
    /// vectors of late.
    async fn settle(&self, catalog: &str, items: &[Waiting], rate: f64, now: Timestamp) -> Result<()>;

    /// Notes that items have no vectors yet and why, except of those that were noted again meanwhile: they are tried again
    /// at a moment, or else are set aside.
    async fn fail(
        &self,
        catalog: &str,
        items: &[Waiting],
        why: &str,
        again: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()>;

    /// Notes what keeps a catalog as a whole from getting vectors; none: nothing.
    async fn trouble(&self, catalog: &str, why: Option<&str>) -> Result<()>;

    /// Has items that were set aside tried again, one or all; how many.
    async fn retry(&self, catalog: &str, item: Option<&str>, now: Timestamp) -> Result<u64>;

    /// How far it is, with so many of those set aside, the latest first.
    async fn standing(&self, catalog: &str, most: usize) -> Result<VectorStanding>;

    /// Forgets all of a catalog that is there no more, or makes no vectors.
    async fn forget_catalog(&self, catalog: &str) -> Result<()>;
}

/// An item that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub item: String,
    /// How often it was noted: grows when it is noted again.
    pub noted: i64,
    /// How often it was tried in vain since.
    pub attempts: u32,
}

/// A walk over the items of a catalog, for those that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// What they are to have vectors of.
    pub models: String,
    /// After which item it goes on.
    pub after: Option<String>,
    /// Whether it has come to its end.
    pub done: bool,
}

/// How far a catalog is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VectorStanding {
    /// Items that wait.
    pub waiting: u64,
    /// Items that were set aside.
    pub set_aside: u64,
    /// Some of these.
    pub aside: Vec<SetAside>,
    /// Texts that got vectors each second, when some last did.
    pub rate: f64,
    /// When that was.
    pub at: Option<Timestamp>,
    /// Whether all items were looked at for what they should have.
    pub walked: bool,
    /// What keeps the catalog as a whole.
    pub trouble: Option<String>,
}

/// An item that is not tried again by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Its id.
    pub item: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub at: Timestamp,
}
