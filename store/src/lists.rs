//! Lists made ahead of requests, beside the views that they were made from: both are read at once.

use crate::{Result, Seen, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use recommend::MadeAhead;
use sha2::{Digest, Sha256};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::sync::Arc;

/// Lists by visitor and catalog, and the walk over all visitors.
#[async_trait]
pub trait Lists: Send + Sync {
    /// What a visitor looked at, as [`crate::Views::recent`] gives all that is kept, and the list of one catalog, read at
    /// once: the list is of these views if its stamp is theirs.
    async fn visit(&self, visitor: &Visitor, catalog: &str) -> Result<Visit>;

    /// Keeps lists, each in place of the one of its visitor and catalog; unless that one was made of views that were read
    /// later, which stays. Visible when it returns. They go with their visitor's views, and some time after 90 days.
    async fn put_lists(&self, lists: &[NewList]) -> Result<()>;

    /// Visitors after one, in the store's own order, whose newest view is not before `since`, with their views. `limit`
    /// are looked at, one at least.
    async fn visitors(&self, after: Option<&Visitor>, since: Timestamp, limit: usize) -> Result<Visitors>;
}

/// A visitor, as lists and views are kept under: the first half of a SHA-256 of the id. The id does not follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Visitor(pub(crate) [u8; 16]);

impl Visitor {
    /// The visitor of an id.
    #[must_use]
    pub fn of(user: &str) -> Self {
        Self(crate::format_views::user_key(user))
    }
}

/// 32 hexadecimal digits.
impl Display for Visitor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for Visitor {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self> {
        let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
        number.map(|n| Self(n.to_be_bytes())).ok_or_else(|| StoreError::Damaged("a visitor's key".into()))
    }
}

/// A list made ahead, and of what.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredList {
    /// When the views were read, to the millisecond.
    pub made_at: Timestamp,
    /// Of which views, see [`stamp`].
    pub stamp: u64,
    /// Number of a change of catalogs: that one and all before it are in the list.
    pub change: u64,
    /// The list.
    pub made: MadeAhead,
}

/// A list to keep.
#[derive(Debug, Clone)]
pub struct NewList {
    /// Whose.
    pub visitor: Visitor,
    /// Of which catalog.
    pub catalog: Arc<str>,
    /// The list.
    pub list: StoredList,
}

/// What is known of a visitor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Visit {
    /// Views, newest first, of each item the newest alone.
    pub seen: Vec<Seen>,
    /// The list, if there is one. One that cannot be read is none.
    pub list: Option<StoredList>,
}

/// What one call of [`Lists::visitors`] came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Visitors {
    /// Each with what [`crate::Views::recent`] gives.
    pub visitors: Vec<(Visitor, Vec<Seen>)>,
    /// After whom to go on; none at the end.
    pub next: Option<Visitor>,
}

/// A number that two different pasts of a visitor do not share: the first eight bytes of a SHA-256 over all of it.
#[must_use]
pub fn stamp(seen: &[Seen]) -> u64 {
    let mut hash = Sha256::new();
    for Seen { item, at } in seen {
        hash.update(at.as_millisecond().to_be_bytes());
        hash.update((item.len() as u64).to_be_bytes());
        hash.update(item.as_bytes());
    }
    hash.finalize().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
