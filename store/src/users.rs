//! What is known of one user in the database: to be told, and to be erased.

use crate::{Ingest, Result};
use async_trait::async_trait;
use bandit::DecisionRecord;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use utoipa::ToSchema;

/// How long an erasure is remembered: no log keeps a record for longer.
pub(crate) const REMEMBERED: SignedDuration = SignedDuration::from_hours(40 * 24);

/// One user's rows. Their decisions are found by [`crate::Decisions::search`].
#[async_trait]
pub trait Users: Send + Sync {
    /// Events that name the user, in order of their key, after one; at most `limit`.
    async fn user_events(&self, user: &str, after: Option<[u8; 16]>, limit: usize) -> Result<Vec<KeptEvent>>;

    /// Notes that a user is erased as of `at`. From when it returns, records of theirs up to then that come out of the log
    /// are left out of every batch.
    async fn begin_erasure(&self, user: &str, at: Timestamp) -> Result<()>;

    /// Takes the user off their decisions and events up to `at`, and removes records of theirs that were set aside.
    /// Decisions get a random id, since theirs can be computed from the user's name. What they count for stays, as sums
    /// and as rows that name nobody. Again, it finds nothing.
    async fn erase_user(&self, user: &str, at: Timestamp) -> Result<Erased>;

    /// The erasures that are remembered.
    async fn erasures(&self) -> Result<Erasures>;
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct KeptEvent {
    /// Hash of its id, in hexadecimal digits.
    #[serde(serialize_with = "hex")]
    #[schema(value_type = String)]
    pub key: [u8; 16],
    /// `reward`, `exposure` or `view`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of a reward, else empty.
    pub name: String,
    /// The item.
    pub item: Option<String>,
    /// The only experiment it is for.
    pub experiment: Option<String>,
    /// Size of a reward.
    pub value: f64,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

fn hex<S: serde::Serializer>(key: &[u8; 16], s: S) -> std::result::Result<S::Ok, S::Error> {
    s.collect_str(&format_args!("{:032x}", u128::from_be_bytes(*key)))
}

/// How much named the user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Decisions.
    pub decisions: u64,
    /// Events.
    pub events: u64,
    /// Records that had been set aside.
    pub set_aside: u64,
}

/// Whose records are left out, and up to when.
#[derive(Debug, Clone, Default)]
pub struct Erasures(pub(crate) HashMap<[u8; 32], i64>);

impl Erasures {
    /// Whether nobody is erased.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a decision is of before its user was erased.
    #[must_use]
    pub fn cover(&self, decision: &DecisionRecord) -> bool {
        self.has(&decision.user, decision.at)
    }

    /// What is left of a batch; none if all of it is.
    pub(crate) fn without_erased(&self, batch: &Ingest) -> Option<Ingest> {
        let event = |user: Option<&str>, at: Timestamp| user.is_some_and(|user| self.has(user, at));
        let gone = batch.decisions.iter().chain(&batch.offers).any(|d| self.cover(d))
            || batch.events.iter().any(|(e, _)| event(e.user.as_deref(), e.at));
        gone.then(|| {
            let mut left = batch.clone();
            left.decisions.retain(|d| !self.cover(d));
            left.offers.retain(|d| !self.cover(d));
            left.events.retain(|(e, _)| !event(e.user.as_deref(), e.at));
            left
        })
    }

    fn has(&self, user: &str, at: Timestamp) -> bool {
        !self.is_empty() && self.0.get(&hash(user)).is_some_and(|until| at.as_millisecond() <= *until)
    }
}

/// By which an erased user is known.
pub(crate) fn hash(user: &str) -> [u8; 32] {
    Sha256::digest(user.as_bytes()).into()
}
