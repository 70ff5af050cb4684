//! What is kept in SQL.

mod evaluate;
mod experiments;
mod import;
mod ingest;
mod keys;
mod outcomes;
mod runs;
mod settle;

use crate::open::Durability;
use crate::{Result, StoreError};
use jiff::Timestamp;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::path::Path;
use std::time::Duration;

/// Writers take turns; this is how long one waits for another, an import included.
const BUSY: Duration = Duration::from_secs(120);

/// A transaction that may write takes the write lock at once, so that two cannot wait for each other.
const WRITE: &str = "BEGIN IMMEDIATE";

/// The database in one file.
pub(crate) struct Sqlite {
    pool: SqlitePool,
}

impl Sqlite {
    pub(crate) async fn open(path: &Path, durability: Durability) -> Result<Self> {
        let unusable = |reason: String| StoreError::Setting {
            setting: "database",
            value: format!("sqlite:{}", path.display()),
            reason,
        };
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|e| unusable(format!("its directory cannot be made: {e}")))?;
        }
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
            .pragma("cache_size", "-65536")
            .pragma("journal_size_limit", "16777216");
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await
            .map_err(|e| unusable(format!("it cannot be opened: {e}")))?;
        sqlx::migrate!("../migrations/sqlite").run(&pool).await?;
        Ok(Self { pool })
    }
}

fn moment(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|e| StoreError::Damaged(format!("a moment in the database: {e}")))
}

fn moments(ms: Option<i64>) -> Result<Option<Timestamp>> {
    ms.map(moment).transpose()
}

fn damaged(what: &str) -> impl Fn(serde_json::Error) -> StoreError {
    move |e| StoreError::Damaged(format!("{what}: {e}"))
}

#[expect(clippy::cast_sign_loss, reason = "written from u64, and never negative")]
fn unsigned(n: i64) -> u64 {
    n.max(0) as u64
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
