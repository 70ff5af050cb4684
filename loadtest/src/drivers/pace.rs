//! When requests are due.

use super::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// The pacer wakes at most so often; what is due in between goes together.
const QUANTUM: Duration = Duration::from_micros(100);
/// It looks at least so often whether the run is over.
const LONGEST_NAP: Duration = Duration::from_millis(50);

/// Absolute deadlines: request i is due at `begun + i / rate`, however late those before it were.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) begun: Instant,
    pub(crate) rate: f64,
    pub(crate) requests: u64,
}

impl Schedule {
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    pub(crate) fn due(&self, index: u64) -> Instant {
        self.begun + Duration::from_secs_f64(index as f64 / self.rate)
    }

    /// How many requests are due by `now`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturating")]
    fn due_by(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.begun).as_secs_f64();
        ((elapsed * self.rate) as u64).saturating_add(1).min(self.requests)
    }
}

/// Hands out a permit for each request when it is due. A thread of its own: the runtime's timers tick in
/// milliseconds and would send in bursts that queue at the target.
pub(crate) struct Pacer {
    stop: Arc<AtomicBool>,
}

impl Pacer {
    /// Starts pacing; after the last request come `workers` more permits, so that every worker learns of the end.
    pub(crate) fn start(schedule: Schedule, permits: Arc<Semaphore>, workers: usize) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = stop.clone();
        let pace = move || {
            let mut released = 0;
            while released < schedule.requests && !theirs.load(Ordering::Relaxed) {
                let now = Instant::now();
                let due = schedule.due_by(now);
                permits.add_permits(usize::try_from(due - released).unwrap_or(usize::MAX));
                released = due;
                let nap = schedule.due(due).saturating_duration_since(now);
                std::thread::sleep(nap.clamp(QUANTUM, LONGEST_NAP));
            }
            permits.add_permits(workers);
        };
        let thread = std::thread::Builder::new().name("loadtest-pacer".into()).spawn(pace);
        thread.map(|_| Self { stop }).map_err(|e| Error::Generator(e.to_string()))
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        // It ends within a nap; nothing is gained by waiting for it.
        self.stop.store(true, Ordering::Relaxed);
    }
}
