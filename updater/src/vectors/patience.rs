//! How long is waited before something that failed is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// The first wait is about a second; each is twice the one before, up to a quarter of an hour.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Longest that a service may ask to wait.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);
/// Longest that a model is left alone: its first batch afterwards shows whether it is back.
const LONGEST_ALONE: Duration = Duration::from_secs(30);
/// An item that was tried so often is set aside: some three hours after the first time.
const MOST_ATTEMPTS: u32 = 20;

/// How long to wait after so many failures, from half of the full wait to all of it by chance, and never less than was
/// asked for; none: it was tried often enough.
pub(super) fn wait(failures: u32, asked: Option<Duration>) -> Option<Duration> {
    (failures < MOST_ATTEMPTS).then(|| pause(failures, asked))
}

fn pause(failures: u32, asked: Option<Duration>) -> Duration {
    let full = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(LONGEST);
    // A fresh hasher has a random key.
    let part = u32::try_from(RandomState::new().hash_one(failures) % 1_000).unwrap_or(0);
    (full / 2 + full / 2_000 * part).max(asked.unwrap_or_default().min(LONGEST_ASKED))
}

/// A model that failed is left alone for a while, whatever waits for it.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: u32,
    until: Option<Instant>,
}

impl Patience {
    pub(super) fn is_over(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }

    pub(super) fn failed(&mut self, asked: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        let alone = pause(self.failures, None).min(LONGEST_ALONE).max(asked.unwrap_or_default().min(LONGEST_ASKED));
        self.until = Instant::now().checked_add(alone);
    }

    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_grow_within_bounds(failures in 1..40_u32, asked in proptest::option::of(0..10_000_u64)) {
            let waited = wait(failures, asked.map(Duration::from_secs));
            prop_assert_eq!(waited.is_some(), failures < MOST_ATTEMPTS);
            let Some(waited) = waited else { return Ok(()) };
            let full = (1_u64 << (failures - 1)).min(900) as f64;
            let asked = asked.unwrap_or(0).min(3_600) as f64;
            prop_assert!(waited.as_secs_f64() >= (full / 2.0).max(asked) - 1e-6);
            prop_assert!(waited.as_secs_f64() <= full.max(asked) + 1e-6);
        }
    }

    #[test]
    fn a_model_is_left_alone_until_it_works() {
        let mut patience = Patience::default();
        assert!(patience.is_over());
        patience.failed(Some(Duration::from_secs(3_000)));
        assert!(!patience.is_over() && patience.until.unwrap() > Instant::now() + Duration::from_secs(2_900));
        patience.worked();
        assert!(patience.is_over());
    }
}
