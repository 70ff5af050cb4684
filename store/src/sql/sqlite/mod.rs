//! The database in one file.

mod bulk;
mod forget;
mod sound;
mod sum;
#[cfg(test)]
mod tests;

pub(super) use bulk::CLAIMED;

use super::BUSY;
use crate::error::one_line;
use crate::priority::open_behind_requests;
use crate::{Durability, Result, StoreError};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlitePool, Transaction};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// A transaction that may write takes the write lock at once, so that two cannot wait for each other.
const WRITE: &str = "BEGIN IMMEDIATE";

/// Most bytes of a file that is looked through at each start: some 100 ms.
const LOOKED_AT: u64 = 64 << 20;

/// Bytes of the write-ahead log from which on it goes into the file. Batches write the same pages of indexes again and again: the
/// longer it waits, the fewer are written twice, on the disk that decisions wait for.
pub(super) const LONG_WAL: u64 = 64 << 20;
/// Bytes of a page.
const PAGE: u64 = 4 << 10;

/// KiB of pages that a connection remembers, written as SQLite has it: one that reads, and the one that writes, for which the
/// pages that a batch changes must not leave and come back.
const READ: &str = "-65536";
const WRITTEN: &str = "-262144";

/// The file and its connections.
pub(super) struct File {
    path: PathBuf,
    pub(super) pool: SqlitePool,
    /// One connection for transactions that write: those that wait for it leave the others to readers.
    writer: SqlitePool,
    /// One connection that waits for nobody.
    impatient: SqlitePool,
}

impl File {
    pub(super) async fn open(path: &Path, durability: Durability) -> Result<Self> {
        let unusable = |reason: String| StoreError::Setting {
            setting: "database",
            value: format!("sqlite:{}", path.display()),
            reason,
        };
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|e| unusable(format!("its directory cannot be made: {e}")))?;
        }
        crate::check::before_opening_database(path)?;
        sum::compare(path)?;
        // The log forgets what the database acknowledged, so the database must be as durable as the log.
        let synchronous = match durability {
            Durability::Sync => SqliteSynchronous::Full,
            Durability::Os => SqliteSynchronous::Normal,
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(BUSY)
            .pragma("cache_size", READ)
            .pragma("wal_autocheckpoint", (LONG_WAL / PAGE).to_string())
            // Reading a damaged page fails sooner.
            .pragma("cell_size_check", "on")
            // Its warning of a slow one holds the statement, which may be 100 kB of placeholders.
            .disable_statement_logging();
        let impatient =
            SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options.clone().busy_timeout(Duration::ZERO));
        // A transaction that could not even be rolled back, on a full disk say, must not be met by the next one.
        let sound = || {
            SqlitePoolOptions::new()
                .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        };
        // Kept for as long as the file is open: its thread is behind requests.
        let writer = sound()
            .max_connections(1)
            .acquire_timeout(BUSY)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.clone().pragma("cache_size", WRITTEN));
        let pool = sound()
            .max_connections(4)
            .connect_with(options)
            .await
            .map_err(|e| unusable(format!("it cannot be opened: {e}")))?;
        let opened = Self { path: path.to_owned(), pool, writer, impatient };
        if std::fs::metadata(path).is_ok_and(|file| file.len() <= LOOKED_AT)
            && let Some(what) = opened.broken_pages(false).await?.first()
        {
            let what = one_line(what);
            return Err(StoreError::Damaged(format!("{}: {what}; restore a backup", path.display())));
        }
        MIGRATIONS.run(&opened.pool).await?;
        opened.refuse_damage().await?;
        let (runtime, connection) = (Handle::current(), opened.writer.clone());
        let start = move || open_behind_requests(|| runtime.block_on(async { connection.acquire().await.map(drop) }));
        spawn_blocking(start).await.map_err(|e| unusable(e.to_string()))???;
        Ok(opened)
    }

    /// A transaction that may write.
    pub(super) async fn write(&self) -> Result<Transaction<'static, sqlx::Sqlite>> {
        Ok(self.writer.begin_with(WRITE).await?)
    }

    /// Closes it, and leaves a checksum of it.
    pub(super) async fn close(&self) {
        for pool in [&self.pool, &self.impatient, &self.writer] {
            pool.close().await;
        }
        if let Err(e) = sum::leave(&self.path) {
            tracing::warn!("the database has no checksum for the time that it rests: {e}");
        }
    }

    /// Copies it as it is now, beside whoever reads and writes.
    pub(super) async fn copy_into(&self, file: &Path) -> Result<()> {
        sqlx::query("VACUUM INTO $1").bind(file.display().to_string()).execute(&self.pool).await?;
        Ok(())
    }

    /// Empties the write-ahead log if it has so many bytes: SQLite writes over what is in the file, and keeps it as long as it ever
    /// was. If somebody is reading, it stays for the next time.
    pub(super) async fn empty_wal(&self, least: u64) {
        if std::fs::metadata(sum::beside(&self.path, "-wal")).is_ok_and(|wal| wal.len() < least) {
            return;
        }
        if let Err(e) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.impatient).await {
            tracing::warn!("cannot empty the write-ahead log of the database: {e}");
        }
    }
}
