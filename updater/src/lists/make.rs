//! The work of a page on some threads, behind everything else that runs here, with pauses.

use jiff::Timestamp;
use recommend::{Candidates, MadeAhead};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use store::{Seen, ages};

/// Visitors whose lists are made at once: their codes and a block of rows fit into the nearest cache together, and others
/// wait for the items for about a millisecond.
const AT_ONCE: usize = 16;

/// How hard lists are worked on.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Threads; 0: one for each core.
    pub threads: usize,
    /// Part of the time that each works, 1 to 100 percent; it rests for the others.
    pub percent: u32,
}

impl Default for Pace {
    /// All cores for a quarter of the time.
    fn default() -> Self {
        Self { threads: 0, percent: 25 }
    }
}

impl Pace {
    fn threads(self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        if self.threads == 0 { cores() } else { self.threads }
    }

    /// How long to rest after work that took so long.
    fn rest(self, took: Duration) -> Duration {
        let percent = self.percent.clamp(1, 100);
        took * (100 - percent) / percent
    }
}

/// Lists of visitors, in their order, by what each looked at; none for whoever looked at nothing that is known.
#[must_use]
pub fn make(candidates: &Candidates, past: &[&[Seen]], now: Timestamp, pace: Pace) -> Vec<Option<MadeAhead>> {
    let next = AtomicUsize::new(0);
    let made = Mutex::new(vec![None; past.len()]);
    let work = || {
        store::yield_to_all();
        loop {
            let first = next.fetch_add(AT_ONCE, Ordering::Relaxed);
            let Some(some) = past.get(first..).filter(|rest| !rest.is_empty()) else { return };
            let some = &some[..AT_ONCE.min(some.len())];
            let began = Instant::now();
            let some: Vec<Vec<(&str, f64)>> = some.iter().map(|seen| ages(seen, now)).collect();
            let lists = candidates.for_visitors(&some, now);
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            made[first..][..lists.len()].clone_from_slice(&lists);
            drop(made);
            std::thread::sleep(pace.rest(began.elapsed()));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..pace.threads().min(past.len().div_ceil(AT_ONCE)) {
            // Threads of its own, since their priority stays as it is.
            scope.spawn(work);
        }
    });
    made.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_rests_in_proportion() {
        let ms = Duration::from_millis;
        for (percent, rest) in [(100, 0), (50, 10), (25, 30), (1, 990), (0, 990), (999, 0)] {
            assert_eq!(Pace { threads: 1, percent }.rest(ms(10)), ms(rest), "{percent} %");
        }
    }
}
