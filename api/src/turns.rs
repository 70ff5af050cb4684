//! What computes long, a few at a time: others wait for it here rather than every request behind it for the processor.

use crate::problem::Problem;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Reads of administrators and pages of the dashboard that wait for their turn, and for how long.
const READERS: usize = 100;
const READERS_WAIT: Duration = Duration::from_secs(10);

/// Turns, and who waits for one.
pub(crate) struct Turns {
    turns: Semaphore,
    waiting: AtomicUsize,
    most: usize,
    patience: Duration,
}

/// Counts one that waits.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Turns {
    /// `at_once` have their turn, at most `most` wait for theirs, and none longer than `patience`.
    pub(crate) fn new(at_once: usize, most: usize, patience: Duration) -> Self {
        Self { turns: Semaphore::new(at_once), waiting: AtomicUsize::new(0), most, patience }
    }

    /// A turn, until it is dropped; none if too many wait, or it took too long.
    pub(crate) async fn take(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Some(turn);
        }
        let before = self.waiting.fetch_add(1, Relaxed);
        let _waits = Waits(&self.waiting);
        if before >= self.most {
            return None;
        }
        // It is never closed.
        tokio::time::timeout(self.patience, self.turns.acquire()).await.ok()?.ok()
    }
}

/// How many threads compute here at the same time.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Answers reads of these routes as many at a time as there are cores: each may compute for a tenth of a second, and
/// together they must not take the processor from decisions.
pub fn in_turn<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    let turns = Arc::new(Turns::new(cores(), READERS, READERS_WAIT));
    router.layer(from_fn_with_state(turns, take_turn))
}

async fn take_turn(State(turns): State<Arc<Turns>>, request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    match turns.take().await {
        Some(_turn) => next.run(request).await,
        None => Problem::overloaded().into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::join;

    #[tokio::test]
    async fn others_wait_for_their_turn_in_order_and_not_too_many_do() {
        let turns = Turns::new(1, 2, Duration::from_secs(600));
        let first = turns.take().await.unwrap();
        let (mut second, mut third) = (Box::pin(turns.take()), Box::pin(turns.take()));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        assert!(turns.take().await.is_none(), "two wait already");
        drop(first);
        assert!((&mut third).now_or_never().is_none(), "the second is before it");
        drop(second.await.unwrap());
        assert!(third.await.is_some());
        assert_eq!(turns.waiting.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn who_has_no_patience_goes_without() {
        let turns = Turns::new(1, 2, Duration::ZERO);
        let _held = turns.take().await.unwrap();
        let (one, other) = join(turns.take(), turns.take()).await;
        assert!(one.is_none() && other.is_none());
    }
}
