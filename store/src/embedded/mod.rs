//! State and event log in one directory of one machine.
//!
//! Everything is in one fjall database, so that an assignment and its log record are one atomic write and
//! become safe by one synchronisation of the disk. A single writer thread collects what all requests want
//! written while the previous group is on its way to the disk (group commit).

mod assignments;
#[cfg(test)]
mod catalog_tests;
mod catalogs;
mod changes;
mod copy;
mod expired;
mod lists;
mod lock;
mod log;
mod posteriors;
mod room;
#[cfg(test)]
mod tests;
mod views;
mod writer;

use crate::assignments::Durable;
use crate::priority::open_behind_requests;
use crate::{Durability, Result, StoreError, check};
use fjall::compaction::Leveled;
use fjall::config::CompressionPolicy;
use fjall::{AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use jiff::civil::Date;
pub(crate) use lock::DirectoryLock;
pub(crate) use room::Room;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use writer::Writer;

/// Journal files kept before memory tables are flushed: the smallest that fjall takes.
const JOURNAL_BYTES: u64 = 64 << 20;
/// Cache of blocks read from disk.
const CACHE_BYTES: u64 = 64 << 20;
/// The directory within the store's that the database has for itself.
pub(crate) const STATE: &str = "state";
/// A directory within the store's where a backup is being restored.
pub(crate) const RESTORING: &str = "restoring";
/// At this size of a memory table fjall asks its thread to write it out, and with every further group of writes until that is done.
/// Telling itself to go on, that thread waits for room in the queue that is full of these, for ever (fjall 3.1; its pull request 323).
const MEMTABLE_BYTES: u64 = 8 << 20;
/// So we begin before.
const WRITTEN_OUT_AT: u64 = 6 << 20;

/// The embedded store of one data directory.
pub(crate) struct Embedded {
    room: Room,
    writer: Writer,
    db: Database,
    days: Mutex<HashMap<Option<Date>, Keyspace>>,
    log: Keyspace,
    posteriors: Keyspace,
    meta: Keyspace,
    catalogs: catalogs::CatalogKeyspaces,
    views: Keyspace,
    lists: Keyspace,
    old_views: views::OldViews,
    log_state: Mutex<log::LogState>,
    /// Up to which record the log's space was given back.
    dropped: tokio::sync::Mutex<u64>,
    /// The last publication of posteriors.
    publishing: tokio::sync::Mutex<Durable>,
    /// Sets that were published since it was opened: nobody else publishes into it.
    published: Arc<AtomicU64>,
    // Last, so that it is released after the database is closed.
    _lock: DirectoryLock,
}

impl Embedded {
    /// Opens or creates the store of the directory that a setting names, for this process alone.
    pub(crate) fn open(setting: &'static str, dir: &Path, durability: Durability) -> Result<Arc<Self>> {
        let lock = DirectoryLock::take(setting, dir)?;
        if dir.join(RESTORING).exists() {
            let reason = "a restore into it was cut off: remove the directory and restore again".into();
            return Err(StoreError::Setting { setting, value: format!("file:{}", dir.display()), reason });
        }
        let state = dir.join(STATE);
        check::before_opening(&state)?;
        let old_views = views::OldViews::none_yet();
        let filters = old_views.factories();
        let builder = Database::builder(&state)
            .max_journaling_size(JOURNAL_BYTES)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .with_compaction_filter_factories(Arc::new(move |name| filters.get(name).cloned()));
        // Its thread writes out and merges tables, for which no request waits; ours, which they wait for, starts below.
        let db = open_behind_requests(|| builder.open())??;
        let keyspace = |name: &str| db.keyspace(name, options);
        // Small files, since a file goes once all of it was acknowledged.
        let files = Arc::new(Leveled::default().with_table_target_size(MEMTABLE_BYTES));
        let log = db.keyspace("log", || options().compaction_strategy(files))?;
        let (posteriors, meta) = (keyspace("posteriors")?, keyspace("meta")?);
        let (catalogs, noted) = catalogs::CatalogKeyspaces::open(&db)?;
        let (views, lists) = (keyspace(views::VIEWS)?, keyspace(lists::LISTS)?);
        let log_state = log::LogState::recover(&log, &meta)?;
        let mode = match durability {
            Durability::Sync => PersistMode::SyncData,
            Durability::Os => PersistMode::Buffer,
        };
        let room = Room::of(dir);
        Ok(Arc::new(Self {
            writer: Writer::start(db.clone(), mode, room.clone(), noted)?,
            room,
            days: Mutex::new(HashMap::new()),
            log_state: Mutex::new(log_state),
            dropped: tokio::sync::Mutex::new(0),
            publishing: tokio::sync::Mutex::new(Durable::already()),
            published: Arc::default(),
            db,
            log,
            posteriors,
            meta,
            catalogs,
            views,
            lists,
            old_views,
            _lock: lock,
        }))
    }

    /// The assignments of one day, made on first use.
    fn day(&self, day: Option<Date>) -> Result<Keyspace> {
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keyspace) = days.get(&day) {
            return Ok(keyspace.clone());
        }
        let name = assignments::keyspace_name(day);
        if !self.db.keyspace_exists(&name) {
            // On a full disk each attempt would leave a part of it.
            self.room.check(0)?;
        }
        let keyspace = self.db.keyspace(&name, options)?;
        days.insert(day, keyspace.clone());
        Ok(keyspace)
    }
}

/// Has the memory tables of keyspaces written out that are large; after each group of writes.
fn write_out_large<'a>(keyspaces: impl IntoIterator<Item = &'a Keyspace>) -> fjall::Result<()> {
    for keyspace in keyspaces {
        if keyspace.tree.active_memtable().size() >= WRITTEN_OUT_AT {
            keyspace.rotate_memtable()?;
        }
    }
    Ok(())
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
}
