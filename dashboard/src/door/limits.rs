//! How often a password may be tried, for a name and from an address. What is remembered is bounded: the names and
//! addresses that were longest not heard of are forgotten first.

use super::digest;
use bandit::Clock;
use governor::clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use quick_cache::sync::Cache;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// Names, and addresses, that are remembered.
const REMEMBERED: usize = 10_000;
/// Attempts at once, and the time after which there is one more. An office shares an address.
const FOR_A_NAME: (u32, Duration) = (10, Duration::from_secs(60));
const FROM_AN_ADDRESS: (u32, Duration) = (30, Duration::from_secs(10));

/// The injected clock, as the limiter reads it.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.now().as_millisecond()).unwrap_or(0))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>;

/// Attempts of late.
pub(crate) struct Limits {
    names: Cache<[u8; 32], Arc<Limiter>>,
    addresses: Cache<IpAddr, Arc<Limiter>>,
    clock: Ticks,
}

impl Limits {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { names: Cache::new(REMEMBERED), addresses: Cache::new(REMEMBERED), clock: Ticks(clock) }
    }

    /// Counts an attempt before its password is looked at.
    ///
    /// # Errors
    /// With the seconds to wait, if there were too many.
    pub(crate) fn attempt(&self, name: &str, address: Option<IpAddr>) -> Result<(), u64> {
        self.count(&self.addresses, network(address), FROM_AN_ADDRESS)?;
        self.count(&self.names, digest(name), FOR_A_NAME)
    }

    /// Whoever knows the password was no guesser.
    pub(crate) fn forget(&self, name: &str) {
        self.names.remove(&digest(name));
    }

    fn count<K: std::hash::Hash + Eq + Clone>(
        &self,
        all: &Cache<K, Arc<Limiter>>,
        key: K,
        (burst, period): (u32, Duration),
    ) -> Result<(), u64> {
        let Some(quota) = Quota::with_period(period) else { return Ok(()) };
        let quota = quota.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN));
        let made = || Ok::<_, Infallible>(Arc::new(RateLimiter::direct_with_clock(quota, self.clock.clone())));
        let Ok(limiter) = all.get_or_insert_with(&key, made);
        let now = clock::Clock::now(&self.clock);
        // Rounded up: who waits that long is let try.
        limiter.check().map_err(|until| (until.wait_time_from(now) + Duration::from_millis(999)).as_secs().max(1))
    }
}

/// What one client has of addresses: of IPv6 a network of 64 bits.
fn network(address: Option<IpAddr>) -> IpAddr {
    match address {
        Some(IpAddr::V6(v6)) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        Some(v4) => v4,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}
