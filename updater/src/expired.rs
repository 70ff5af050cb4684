//! Items that ended leave the state store: a walk over all catalogs, page by page, every six
//! hours. Each reads all items, so walks are few; an item is kept for a quarter longer than it must be, at most.

use jiff::{SignedDuration, Timestamp};
use metrics::counter;
use std::time::Duration;
use store::{Catalogs, Result};

/// How long an item is kept after its end. Lists show it no more, but its page may be open still, and a seller may think
/// again: `GET` shows what it was, to be put once more. And no clock of a replica is behind by as much.
const KEPT_AFTER_END: SignedDuration = SignedDuration::from_hours(24);
/// Items of one call: a megabyte or two, of which the embedded store decodes the heads in a millisecond.
const PAGE: usize = 500;
/// Between two calls. A million items take 8 minutes or a little more.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// Walks over all catalogs. One that fails keeps no other from it.
///
/// # Errors
/// The first failure.
pub(crate) async fn walk(catalogs: &dyn Catalogs, now: Timestamp, pause: Duration) -> Result<()> {
    let before = now.checked_sub(KEPT_AFTER_END).unwrap_or(Timestamp::MIN);
    let mut failure = None;
    for id in catalogs.catalogs().await?.into_iter().map(|catalog| catalog.id) {
        match walk_over(catalogs, &id, before, pause).await {
            Ok(0) => {}
            Ok(count) => tracing::info!("{count} items of catalog '{id}' were removed, which ended before {before}"),
            Err(e) => {
                tracing::error!("items of catalog '{id}' that ended stay until the next time: {e}");
                failure.get_or_insert(e);
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn walk_over(catalogs: &dyn Catalogs, id: &str, before: Timestamp, pause: Duration) -> Result<u64> {
    let (mut after, mut count) = (None, 0);
    loop {
        let removed = catalogs.remove_expired(id, before, after.as_deref(), PAGE).await?;
        count += removed.count;
        counter!("croupier_updater_items_removed_total").increment(removed.count);
        if removed.next.is_none() {
            return Ok(count);
        }
        after = removed.next;
        // A page may never wait, and without a pause the lease is renewed here.
        tokio::task::yield_now().await;
        tokio::time::sleep(pause).await;
    }
}
