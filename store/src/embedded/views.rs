//! Views: a key for each, under its visitor, newest first.

use super::Embedded;
use super::lists::LISTS;
use super::writer::Op;
use crate::format_lists::list_made;
use crate::format_views::{VIEW_FORMAT, VIEW_KEPT, decode_seen, moment, newest_of_each, seen_key, trims, user_key};
use crate::views::{Seen, VIEWS_KEPT, View, Views};
use crate::{Result, StoreError};
use async_trait::async_trait;
use fjall::Keyspace;
use fjall::compaction::filter::{CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Name of the keyspace, by which its filter is found.
pub(super) const VIEWS: &str = "views";

/// Most views that go at once.
const REMOVED_AT_ONCE: usize = 10_000;

/// Where the moment of an entry is.
type MomentOf = fn(&ItemAccessor<'_>) -> Option<i64>;

/// Lets go of old views, and of lists made of them, where files are merged anyway: where little is written nothing is merged, and little is kept.
pub(super) struct OldViews {
    /// Milliseconds; what was made before is old.
    before: Arc<AtomicI64>,
    moment_of: MomentOf,
}

impl OldViews {
    /// None are old yet.
    pub(super) fn none_yet() -> Self {
        Self { before: Arc::new(AtomicI64::new(i64::MIN)), moment_of: |_| None }
    }

    /// By name of the keyspace.
    pub(super) fn factories(&self) -> HashMap<&'static str, Arc<dyn Factory>> {
        let of =
            |moment_of: MomentOf| -> Arc<dyn Factory> { Arc::new(Self { before: self.before.clone(), moment_of }) };
        let view: MomentOf = |item| item.key().get(16..).and_then(moment);
        // What cannot be read is no younger for being kept.
        let list: MomentOf = |item| item.value().ok().and_then(|bytes| list_made(&bytes));
        [(VIEWS, of(view)), (LISTS, of(list))].into()
    }

    /// Old are from now on those made [`VIEW_KEPT`] before a day began.
    pub(super) fn expire(&self, day: Date) -> Result<()> {
        let begins = day.to_zoned(TimeZone::UTC).map_err(|e| StoreError::Embedded(e.to_string()))?;
        let ms = i64::try_from(VIEW_KEPT.as_millis()).unwrap_or(i64::MAX);
        self.before.store(begins.timestamp().as_millisecond().saturating_sub(ms), Relaxed);
        Ok(())
    }
}

impl Factory for OldViews {
    fn name(&self) -> &'static str {
        "old-views"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(MadeBefore(self.before.load(Relaxed), self.moment_of))
    }
}

struct MadeBefore(i64, MomentOf);

impl CompactionFilter for MadeBefore {
    /// A view that was kept twice has one key, and one moment, and a list is replaced by a later one: an older entry that
    /// comes to light is as old, or older.
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let made = (self.1)(&item);
        Ok(if made.is_some_and(|ms| ms < self.0) { Verdict::Destroy } else { Verdict::Keep })
    }
}

fn newest_first(views: &Keyspace, user: &[u8; 16]) -> impl Iterator<Item = Result<Vec<u8>>> + use<> {
    views.prefix(user).map(|guard| Ok(guard.key()?.to_vec()))
}

impl Embedded {
    /// Lets go of a visitor's views beyond the newest.
    fn trim(&self, user: &[u8; 16]) -> Result<()> {
        let beyond = newest_first(&self.views, user).skip(VIEWS_KEPT).take(REMOVED_AT_ONCE);
        let ops = beyond.map(|key| Ok(Op::remove(&self.views, key?))).collect::<Result<Vec<_>>>()?;
        self.writer.with(|pending| pending.add(ops)).map(|_| ())
    }
}

#[async_trait]
impl Views for Embedded {
    async fn append(&self, views: &[View]) -> Result<()> {
        if views.is_empty() {
            return Ok(());
        }
        let mut trimmed = HashSet::new();
        let ops = views.iter().map(|view| {
            let (user, seen) = (user_key(&view.user), seen_key(view));
            if trims(&user, &seen) {
                trimmed.insert(user);
            }
            Op::put(&self.views, [&user[..], &seen].concat(), VIEW_FORMAT.to_vec())
        });
        let ops: Vec<_> = ops.collect();
        self.writer.with(|pending| pending.add(ops))?.wait().await?;
        // It may wait: a later one trims as well.
        for user in trimmed {
            self.trim(&user)?;
        }
        Ok(())
    }

    async fn recent(&self, user: &str, limit: usize) -> Result<Vec<Seen>> {
        let keys = newest_first(&self.views, &user_key(user));
        newest_of_each(keys.map(|key| decode_seen(&key?[16..])), limit)
    }

    async fn forget_views(&self, user: &str) -> Result<()> {
        let user = user_key(user);
        let lists = self.lists.prefix(user).map(|guard| Ok(Op::remove(&self.lists, &guard.key()?[..])));
        let lists = lists.collect::<Result<Vec<_>>>()?;
        if !lists.is_empty() {
            self.writer.with(|pending| pending.add(lists))?.wait().await?;
        }
        loop {
            let page = newest_first(&self.views, &user).take(REMOVED_AT_ONCE);
            let ops = page.map(|key| Ok(Op::remove(&self.views, key?))).collect::<Result<Vec<_>>>()?;
            if ops.is_empty() {
                return Ok(());
            }
            self.writer.with(|pending| pending.add(ops))?.wait().await?;
        }
    }
}
