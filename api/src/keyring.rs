//! The keys that are valid, as this replica knows them.

use crate::limits::Limit;
use arc_swap::ArcSwap;
use bandit::Clock;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use store::{Key, Keys};
use subtle::ConstantTimeEq;

/// Keys, replaced whole when one is made or revoked.
#[derive(Default)]
pub struct Keyring(ArcSwap<Ring>);

#[derive(Default)]
struct Ring {
    keys: Vec<Arc<KnownKey>>,
    /// The pages that any of them is for.
    origins: HashSet<String>,
}

/// A key, and what is counted of it here.
pub(crate) struct KnownKey {
    pub(crate) key: Key,
    pub(crate) name: Arc<str>,
    pub(crate) limit: Option<Limit>,
    used: AtomicBool,
    /// The last hour, in milliseconds, that was written down.
    noted: AtomicI64,
}

impl KnownKey {
    fn new(key: Key, clock: &Arc<dyn Clock>) -> Self {
        Self {
            name: key.name.as_str().into(),
            limit: key.per_minute.and_then(|n| Limit::new(n, clock.clone())),
            used: AtomicBool::new(false),
            noted: AtomicI64::new(key.used_at.map_or(i64::MIN, Timestamp::as_millisecond)),
            key,
        }
    }

    /// Remembers that it was used. Read first, so that a busy key is not written by all threads at once.
    pub(crate) fn touch(&self) {
        if !self.used.load(Relaxed) {
            self.used.store(true, Relaxed);
        }
    }
}

impl Keyring {
    /// Reads which keys are valid, and writes down which were used in this hour.
    ///
    /// # Errors
    /// When they cannot be read; those known before stay.
    pub(crate) async fn refresh(&self, keys: &dyn Keys, clock: &Arc<dyn Clock>) -> store::Result<()> {
        let valid = keys.valid_keys().await?;
        let known = self.0.load_full();
        if !known.keys.iter().map(|k| k.key.id).eq(valid.iter().map(|k| k.id)) {
            // What was counted of a key goes on.
            let of = |key: Key| {
                let known = known.keys.iter().find(|k| k.key.id == key.id);
                known.cloned().unwrap_or_else(|| Arc::new(KnownKey::new(key, clock)))
            };
            let origins = valid.iter().flat_map(|key| key.origins.iter().cloned()).collect();
            self.0.store(Arc::new(Ring { keys: valid.into_iter().map(of).collect(), origins }));
        }
        let now = clock.now();
        let hour = now.round(TimestampRound::new().smallest(Unit::Hour).mode(RoundMode::Trunc));
        let hour = hour.unwrap_or(now);
        let used: Vec<i64> = known
            .keys
            .iter()
            .filter(|k| {
                k.used.swap(false, Relaxed) && k.noted.fetch_max(hour.as_millisecond(), Relaxed) < hour.as_millisecond()
            })
            .map(|k| k.key.id)
            .collect();
        // Nothing depends on it.
        if let Err(e) = keys.use_keys(&used, hour).await {
            tracing::warn!("when keys were used is not written down: {e}");
        }
        Ok(())
    }

    /// The key of this hash. All are compared, each in constant time and whatever the others gave, so that the time it takes
    /// tells how many keys there are and nothing of which came close.
    pub(crate) fn find(&self, hash: &[u8; 32]) -> Option<Arc<KnownKey>> {
        let ring = self.0.load();
        let mut found = None;
        for known in &ring.keys {
            if bool::from(known.key.hash.ct_eq(hash)) {
                found = Some(known);
            }
        }
        found.cloned()
    }

    /// Whether any key is for pages of an origin.
    pub(crate) fn is_for(&self, origin: &str) -> bool {
        self.0.load().origins.contains(origin)
    }
}
