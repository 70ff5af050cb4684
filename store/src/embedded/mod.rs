//! State and event log in one directory of one machine.
//!
//! Everything is in one fjall database, so that an assignment and its log record are one atomic write and
//! become safe by one synchronisation of the disk. A single writer thread collects what all requests want
//! written while the previous group is on its way to the disk (group commit).

mod assignments;
mod format;
mod lock;
mod log;
mod posteriors;
mod writer;

use crate::Result;
use crate::open::Durability;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use jiff::civil::Date;
use lock::DirectoryLock;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use writer::Writer;

/// Journal files kept before memory tables are flushed: the smallest that fjall takes.
const JOURNAL_BYTES: u64 = 64 << 20;
/// Cache of blocks read from disk.
const CACHE_BYTES: u64 = 64 << 20;
/// A memory table is written out at this size.
const MEMTABLE_BYTES: u64 = 8 << 20;

/// The embedded store of one data directory.
pub(crate) struct Embedded {
    writer: Writer,
    db: Database,
    days: Mutex<HashMap<Option<Date>, Keyspace>>,
    log: Keyspace,
    posteriors: Keyspace,
    meta: Keyspace,
    log_state: Mutex<log::LogState>,
    arrived: Arc<Notify>,
    publishing: tokio::sync::Mutex<()>,
    // Last, so that it is released after the database is closed.
    _lock: DirectoryLock,
}

impl Embedded {
    /// Opens or creates the store of a directory, for this process alone.
    pub(crate) fn open(dir: &Path, durability: Durability) -> Result<Arc<Self>> {
        let lock = DirectoryLock::take(dir)?;
        let db = Database::builder(dir.join("state"))
            .max_journaling_size(JOURNAL_BYTES)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .open()?;
        let keyspace = |name: &str| db.keyspace(name, options);
        let (log, posteriors, meta) = (keyspace("log")?, keyspace("posteriors")?, keyspace("meta")?);
        let log_state = log::LogState::recover(&log, &meta)?;
        let arrived = Arc::new(Notify::new());
        let mode = match durability {
            Durability::Sync => PersistMode::SyncData,
            Durability::Os => PersistMode::Buffer,
        };
        Ok(Arc::new(Self {
            writer: Writer::start(db.clone(), mode)?,
            days: Mutex::new(HashMap::new()),
            log_state: Mutex::new(log_state),
            publishing: tokio::sync::Mutex::new(()),
            arrived,
            db,
            log,
            posteriors,
            meta,
            _lock: lock,
        }))
    }

    /// The assignments of one day, made on first use.
    fn day(&self, day: Option<Date>) -> Result<Keyspace> {
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keyspace) = days.get(&day) {
            return Ok(keyspace.clone());
        }
        let keyspace = self.db.keyspace(&assignments::keyspace_name(day), options)?;
        days.insert(day, keyspace.clone());
        Ok(keyspace)
    }
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES)
}
