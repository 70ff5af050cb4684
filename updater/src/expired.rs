//! Items that ended leave the state store: a walk over all catalogs, page by page, beside all else that the updater does.

use crate::{TICK, boundary};
use bandit::Clock;
use jiff::{SignedDuration, Timestamp};
use metrics::counter;
use std::time::Duration;
use store::{Catalogs, Result};
use tokio::sync::watch;

/// How long an item is kept after its end. Lists show it no more, but its page may be open still, and a seller may think
/// again: `GET` shows what it was, to be put once more. And no clock of a replica is behind by as much.
const KEPT_AFTER_END: SignedDuration = SignedDuration::from_hours(24);
/// Walks begin at multiples of it since 1970-01-01T00:00Z, and when an updater starts. Each reads all items, so there are
/// few; an item is kept for a quarter longer than it must be, at most.
const INTERVAL: SignedDuration = SignedDuration::from_hours(6);
/// Items of one call: a megabyte or two, of which the embedded store decodes the heads in a millisecond.
const PAGE: usize = 500;
/// Between two calls. A million items take 8 minutes or a little more.
const PAUSE: Duration = Duration::from_millis(500);

/// Walks whenever a walk is due and this updater is the one at work. It never ends; dropping it ends it anywhere.
///
/// It is no part of a round, so that none waits for it, nor fails with it: all that they share is the thread.
pub(crate) async fn keep_walking(catalogs: &dyn Catalogs, clock: &dyn Clock, mut at_work: watch::Receiver<bool>) {
    let mut last = None;
    loop {
        if at_work.wait_for(|at_work| *at_work).await.is_err() {
            // Nobody will tell any more, as at the end.
            return std::future::pending().await;
        }
        let due = boundary(clock.now(), INTERVAL);
        if last != Some(due) {
            last = Some(due);
            tokio::select! {
                () = walk(catalogs, clock.now(), PAUSE) => {}
                // Another is at work now.
                _ = at_work.wait_for(|at_work| !*at_work) => last = None,
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Walks over all catalogs. What fails is logged, and tried again on the next walk.
pub(crate) async fn walk(catalogs: &dyn Catalogs, now: Timestamp, pause: Duration) {
    let before = now.checked_sub(KEPT_AFTER_END).unwrap_or(Timestamp::MIN);
    let all = match catalogs.catalogs().await {
        Ok(all) => all,
        Err(e) => return tracing::error!("items that ended cannot be removed, and stay until the next time: {e}"),
    };
    for id in all.into_iter().map(|catalog| catalog.id) {
        match walk_over(catalogs, &id, before, pause).await {
            Ok(0) => {}
            Ok(count) => tracing::info!("{count} items of catalog '{id}' were removed, which ended before {before}"),
            Err(e) => tracing::error!("items of catalog '{id}' that ended stay until the next time: {e}"),
        }
    }
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
