//! How often a password may be tried: from an address, for a name from an address, and for a name from wherever. Whoever
//! knows a name may use up what strangers have; who signed in from an address of late is none there. What is remembered is
//! bounded: what was longest not heard of is forgotten first.

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

/// Names, addresses, and both together, that are remembered of each.
const REMEMBERED: usize = 10_000;
/// Attempts at once, and the time after which there is one more. An office shares an address.
const FROM_AN_ADDRESS: (u32, Duration) = (30, Duration::from_secs(10));
const FOR_A_NAME_FROM_AN_ADDRESS: (u32, Duration) = (10, Duration::from_secs(60));
/// For a name from everywhere: guessers with ten addresses use it up, while a year of it is some three million attempts, of
/// which no password of twelve characters is afraid.
const FOR_A_NAME: (u32, Duration) = (100, Duration::from_secs(10));

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

/// Somebody's name at an address.
type Place = ([u8; 32], IpAddr);

/// Attempts of late.
pub(crate) struct Limits {
    addresses: Cache<IpAddr, Arc<Limiter>>,
    places: Cache<Place, Arc<Limiter>>,
    names: Cache<[u8; 32], Arc<Limiter>>,
    /// Where people have signed in.
    familiar: Cache<Place, ()>,
    clock: Ticks,
}

impl Limits {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            addresses: Cache::new(REMEMBERED),
            places: Cache::new(REMEMBERED),
            names: Cache::new(REMEMBERED),
            familiar: Cache::new(REMEMBERED),
            clock: Ticks(clock),
        }
    }

    /// Counts an attempt before its password is looked at. What one limit refuses is not counted by the next: one address
    /// alone never uses up a name.
    ///
    /// # Errors
    /// With the seconds to wait, if there were too many.
    pub(crate) fn attempt(&self, name: &str, address: Option<IpAddr>) -> Result<(), u64> {
        let place = place(name, address);
        self.count(&self.addresses, place.1, FROM_AN_ADDRESS)?;
        self.count(&self.places, place, FOR_A_NAME_FROM_AN_ADDRESS)?;
        if self.familiar.get(&place).is_some() { Ok(()) } else { self.count(&self.names, place.0, FOR_A_NAME) }
    }

    /// Whoever knows the password was no guesser, and is let try from there whoever else guesses.
    pub(crate) fn forgive(&self, name: &str, address: Option<IpAddr>) {
        let place = place(name, address);
        self.places.remove(&place);
        self.familiar.insert(place, ());
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

fn place(name: &str, address: Option<IpAddr>) -> Place {
    (digest(name), network(address))
}

/// What one client has of addresses: of IPv6 a network of 64 bits.
fn network(address: Option<IpAddr>) -> IpAddr {
    match address {
        Some(IpAddr::V6(v6)) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        Some(v4) => v4,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}
