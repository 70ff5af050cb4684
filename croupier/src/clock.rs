//! The edge where the wall clock is read.

use bandit::Clock;
use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

/// The system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the edge")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that runs `factor` times as fast from `start`, for the demo.
pub(crate) struct AcceleratedClock {
    start: Timestamp,
    began: Instant,
    factor: i32,
}

impl AcceleratedClock {
    pub(crate) fn new(start: Timestamp, factor: i32) -> Self {
        Self { start, began: Instant::now(), factor }
    }
}

impl Clock for AcceleratedClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.began.elapsed()).unwrap_or(SignedDuration::MAX);
        let simulated = elapsed.checked_mul(self.factor).unwrap_or(SignedDuration::MAX);
        self.start.saturating_add(simulated).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accelerated_clock_runs_ahead_and_never_back() {
        let clock = AcceleratedClock::new(Timestamp::UNIX_EPOCH, 1_000_000);
        let first = clock.now();
        let began = Instant::now();
        while began.elapsed().as_micros() < 50 {}
        assert!(clock.now().duration_since(first) >= SignedDuration::from_secs(50));
    }
}
