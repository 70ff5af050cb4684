//! How often the service is called.

use crate::EmbedError;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter, clock};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;

/// The runtime's clock, as the limiter reads it: the time since it was made.
#[derive(Clone)]
struct Ticks(Instant);

impl clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

pub(super) struct Rate {
    limiter: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>,
    clock: Ticks,
    patience: Duration,
}

impl Rate {
    /// `per_minute` calls, a second's worth of them at once; who would wait longer than `patience` is told so.
    pub(super) fn new(per_minute: NonZeroU32, patience: Duration) -> Self {
        let clock = Ticks(Instant::now());
        let burst = NonZeroU32::new(per_minute.get() / 60).unwrap_or(NonZeroU32::MIN);
        let limiter = RateLimiter::direct_with_clock(Quota::per_minute(per_minute).allow_burst(burst), clock.clone());
        Self { limiter, clock, patience }
    }

    /// Ends when a call may be made.
    pub(super) async fn wait(&self) -> Result<(), EmbedError> {
        let deadline = Instant::now() + self.patience;
        while let Err(full) = self.limiter.check() {
            let wait = full.wait_time_from(clock::Clock::now(&self.clock));
            if Instant::now() + wait > deadline {
                let why = "as many calls to the embeddings endpoint as may be made in a minute are on their way".into();
                return Err(EmbedError::Later { why, after: Some(wait) });
            }
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_are_spread_over_the_minute() {
        let rate = Rate::new(NonZeroU32::new(120).unwrap(), Duration::from_secs(60));
        let start = Instant::now();
        for _ in 0..62 {
            rate.wait().await.unwrap();
        }
        // Two at once, then one each half second.
        assert_eq!(start.elapsed().as_secs(), 30);
        let hasty = Rate::new(NonZeroU32::MIN, Duration::from_secs(1));
        hasty.wait().await.unwrap();
        let EmbedError::Later { after, .. } = hasty.wait().await.unwrap_err() else { panic!("not later") };
        assert_eq!(after.unwrap().as_secs_f64().round(), 60.0);
    }
}
