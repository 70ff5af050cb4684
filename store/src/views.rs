//! What visitors looked at last.

use crate::Result;
use async_trait::async_trait;
use jiff::Timestamp;

/// Views kept of a visitor, at least: the newest. Somewhat more may be.
pub const VIEWS_KEPT: usize = 400;

/// Views by visitor, newest first.
#[async_trait]
pub trait Views: Send + Sync {
    /// Keeps views; safe and visible when it returns. The same view again (visitor, item, millisecond) changes nothing.
    /// After 90 days they go, some time later.
    async fn append(&self, views: &[View]) -> Result<()>;

    /// The newest views of a visitor, newest first, of each item the newest alone, at most `limit`, and from the newest
    /// [`VIEWS_KEPT`] views alone. Equal moments: in order of item.
    async fn recent(&self, user: &str, limit: usize) -> Result<Vec<Seen>>;

    /// Forgets a visitor: what was kept before the call, lists made ahead as well.
    async fn forget_views(&self, user: &str) -> Result<()>;
}

/// Somebody looked at something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Who.
    pub user: String,
    /// At what.
    pub item: String,
    /// When, to the millisecond.
    pub at: Timestamp,
}

/// What somebody looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The item's id.
    pub item: String,
    /// When, to the millisecond.
    pub at: Timestamp,
}

/// What was looked at, with the seconds since then, as lists are made of it.
#[must_use]
pub fn ages(seen: &[Seen], now: Timestamp) -> Vec<(&str, f64)> {
    seen.iter().map(|s| (s.item.as_str(), now.duration_since(s.at).as_secs_f64().max(0.0))).collect()
}
