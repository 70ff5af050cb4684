//! How often a key may ask. Each replica counts for itself, so that a request waits for nobody.

use bandit::Clock;
use governor::clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The injected clock, as the limiter reads it.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.now().as_millisecond()).unwrap_or(0))
    }
}

/// The requests of one key: a minute's worth at once, and then as they come back evenly (GCRA).
pub(crate) struct Limit(RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>, Ticks);

impl Limit {
    /// None if so many are none.
    pub(crate) fn new(per_minute: u32, clock: Arc<dyn Clock>) -> Option<Self> {
        let (quota, clock) = (Quota::per_minute(NonZeroU32::new(per_minute)?), Ticks(clock));
        Some(Self(RateLimiter::direct_with_clock(quota, clock.clone()), clock))
    }

    /// Counts a request.
    ///
    /// # Errors
    /// With the seconds to wait, rounded up: who waits that long is let in.
    pub(crate) fn count(&self) -> Result<(), u64> {
        let now = clock::Clock::now(&self.1);
        self.0.check().map_err(|until| (until.wait_time_from(now) + Duration::from_millis(999)).as_secs().max(1))
    }
}
