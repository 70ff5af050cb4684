//! How often items were looked at, from the log.

use crate::{Popular, Result};
use async_trait::async_trait;
use jiff::Timestamp;

/// Half-lives after which a view counts no more: less than a thousandth.
pub(crate) const HALF_LIVES: f64 = 10.0;

/// Views by item and hour, as the log was consumed: each event id counts once.
#[async_trait]
pub trait ItemViews: Send + Sync {
    /// The most viewed of those items that `counts` says yes to, best first, equal ones in order of id, at most `limit`: anybody
    /// may tell of views of anything, and what nobody has takes no place. A view counts 2^(−a/h), where it was
    /// in the hour that began a hours before that of `now` (at least 0) and h is `half_life_hours`; after ten half-lives,
    /// nothing.
    async fn most_viewed(
        &self,
        now: Timestamp,
        half_life_hours: f64,
        limit: usize,
        counts: &(dyn for<'a> Fn(&'a str) -> bool + Sync),
    ) -> Result<Vec<Popular>>;
}
