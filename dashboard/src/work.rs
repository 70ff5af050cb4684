//! Work that takes longer than a page may: done once, one piece at a time, off the threads that answer requests, and kept
//! for whoever asks for the same.

use crate::failure::Failure;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Pieces that are kept.
const KEPT: usize = 64;
/// Pieces that may wait or be under way.
const WAITING: usize = 8;
/// What a page waits for: its first byte comes within 150 ms.
pub(crate) const PAGE: Duration = Duration::from_millis(60);
/// What a plot or a file waits for.
pub(crate) const PART: Duration = Duration::from_secs(20);

/// One after the other, whatever it is: this process also decides.
pub(crate) type Turn = Arc<Semaphore>;

pub(crate) fn turn() -> Turn {
    Arc::new(Semaphore::new(1))
}

/// Results by key.
pub(crate) struct Works<T> {
    kept: Mutex<VecDeque<(String, State<T>)>>,
    turn: Turn,
}

/// None while it is under way.
type State<T> = watch::Receiver<Option<Result<Arc<T>, Failure>>>;

/// What there is to show.
pub(crate) enum Found<T> {
    /// The result.
    Done(Arc<T>),
    /// Not yet: whoever asks again gets it.
    UnderWay,
}

impl<T> Found<T> {
    /// The result, if it is there.
    pub(crate) fn done(self) -> Option<Arc<T>> {
        match self {
            Self::Done(result) => Some(result),
            Self::UnderWay => None,
        }
    }

    /// The result, for an answer that cannot do without.
    pub(crate) fn needed(self) -> Result<Arc<T>, Failure> {
        self.done().ok_or_else(Failure::busy)
    }
}

impl<T: Send + Sync + 'static> Works<T> {
    pub(crate) fn new(turn: Turn) -> Self {
        Self { kept: Mutex::default(), turn }
    }

    /// The result of `key`, made by `work` if nobody asked before; waits for it no longer than `patience`. Work that began
    /// goes on when nobody waits any more.
    pub(crate) async fn get<F>(&self, key: &str, patience: Duration, work: F) -> Result<Found<T>, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let mut state = self.begin(key, work)?;
        let done = tokio::time::timeout(patience, state.wait_for(Option::is_some)).await;
        match done {
            Err(_) => Ok(Found::UnderWay),
            Ok(Ok(result)) => match &*result {
                Some(Ok(result)) => Ok(Found::Done(result.clone())),
                Some(Err(failure)) => Err(failure.clone()),
                None => Ok(Found::UnderWay),
            },
            // Its task is gone without a word.
            Ok(Err(_)) => Err(Failure::Internal),
        }
    }

    fn begin<F>(&self, key: &str, work: F) -> Result<State<T>, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        // Nothing that is done under the lock panics.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // What failed is tried again.
        let failed = |state: &State<T>| match &*state.borrow() {
            Some(result) => result.is_err(),
            None => state.has_changed().is_err(),
        };
        kept.retain(|(_, state)| !failed(state));
        if let Some((_, state)) = kept.iter().find(|(other, _)| other == key) {
            return Ok(state.clone());
        }
        let waiting = kept.iter().filter(|(_, state)| state.borrow().is_none()).count();
        if waiting >= WAITING {
            return Err(Failure::busy());
        }
        if kept.len() >= KEPT
            && let Some(oldest) = kept.iter().position(|(_, state)| state.borrow().is_some())
        {
            kept.remove(oldest);
        }
        let (sender, state) = watch::channel(None);
        let turn = self.turn.clone();
        tokio::spawn(async move {
            let Ok(_turn) = turn.acquire_owned().await else { return };
            let result = work.await.map(Arc::new);
            sender.send_replace(Some(result));
        });
        kept.push_back((key.to_owned(), state.clone()));
        Ok(state)
    }
}

/// Computes off the threads that answer requests.
pub(crate) async fn computed<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Failure::internal(&e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Notify;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn done_once_and_kept() {
        let works = Works::new(turn());
        let times = Arc::new(AtomicU32::new(0));
        for _ in 0..3 {
            let times = times.clone();
            let work = async move { Ok(times.fetch_add(1, Ordering::SeqCst)) };
            assert_eq!(*works.get("a", LONG, work).await.unwrap().done().unwrap(), 0);
        }
        let failing = || async { Err::<u32, _>(Failure::page()) };
        assert!(works.get("b", LONG, failing()).await.is_err());
        assert_eq!(*works.get("b", LONG, async { Ok(7) }).await.unwrap().done().unwrap(), 7, "a failure is not kept");
    }

    #[tokio::test]
    async fn one_at_a_time_and_not_too_many() {
        let works = Works::new(turn());
        let (go, none) = (Arc::new(Notify::new()), Duration::ZERO);
        for n in 0..WAITING {
            let go = go.clone();
            let work = async move {
                go.notified().await;
                Ok(n)
            };
            assert!(works.get(&n.to_string(), none, work).await.unwrap().done().is_none());
        }
        assert!(matches!(works.get("more", none, async { Ok(0) }).await, Err(Failure::Busy)));
        let other = Works::new(works.turn.clone());
        assert!(other.get("x", none, async { Ok(0) }).await.unwrap().done().is_none(), "another's turn");
        for n in 0..WAITING {
            go.notify_one();
            assert_eq!(*works.get(&n.to_string(), LONG, async { Ok(99) }).await.unwrap().done().unwrap(), n);
        }
        assert_eq!(*other.get("x", LONG, async { Ok(1) }).await.unwrap().done().unwrap(), 0);
    }

    #[tokio::test]
    async fn the_oldest_makes_room() {
        let works = Works::new(turn());
        for n in 0..=KEPT {
            works.get(&n.to_string(), LONG, async move { Ok(n) }).await.unwrap();
        }
        assert_eq!(*works.get("1", LONG, async { Ok(99) }).await.unwrap().done().unwrap(), 1);
        assert_eq!(*works.get("0", LONG, async { Ok(99) }).await.unwrap().done().unwrap(), 99);
    }
}
