//! What is kept in SQL.

mod evaluate;
mod experiments;
mod import;
mod ingest;
mod keys;
mod outcomes;
mod runs;
mod settle;

use crate::{Durability, Result, StoreError};
use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqlitePool, Transaction};
use std::path::Path;
use std::time::Duration;

/// Writers take turns; this is how long one waits for another, an import included.
const BUSY: Duration = Duration::from_secs(120);

/// A transaction that may write takes the write lock at once, so that two cannot wait for each other.
const WRITE: &str = "BEGIN IMMEDIATE";

/// The database in one file.
pub(crate) struct Sqlite {
    pool: SqlitePool,
    /// One connection for transactions that write: those that wait for it leave the others to readers.
    writer: SqlitePool,
    /// One connection that waits for nobody.
    impatient: SqlitePool,
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
            .pragma("cache_size", "-65536");
        let impatient =
            SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options.clone().busy_timeout(Duration::ZERO));
        // A transaction that could not even be rolled back, on a full disk say, must not be met by the next one.
        let sound = || {
            SqlitePoolOptions::new()
                .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        };
        // Its thread starts with the first who writes and has that one's priority, so it is kept.
        let writer = sound()
            .max_connections(1)
            .acquire_timeout(BUSY)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.clone());
        let pool = sound()
            .max_connections(4)
            .connect_with(options)
            .await
            .map_err(|e| unusable(format!("it cannot be opened: {e}")))?;
        sqlx::migrate!("../migrations/sqlite").run(&pool).await?;
        Ok(Self { pool, writer, impatient })
    }

    /// A transaction that may write.
    async fn write(&self) -> Result<Transaction<'static, sqlx::Sqlite>> {
        Ok(self.writer.begin_with(WRITE).await?)
    }

    /// Empties the write-ahead log after much was written: ids are in random order, so a batch rewrites a page for
    /// nearly every row, and SQLite keeps the file as long as it ever was. If somebody is reading, the next batch
    /// does it.
    async fn empty_wal(&self) {
        if let Err(e) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.impatient).await {
            tracing::warn!("cannot empty the write-ahead log of the database: {e}");
        }
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

#[cfg(test)]
mod tests {
    use super::Sqlite;
    use crate::conformance::outcomes_model::decision;
    use crate::{Change, Durability, Experiments, Ingest, Outcomes};
    use bandit::Experiment;

    /// The write-ahead log is emptied after a batch, and a reader neither waits for that nor makes it fail.
    #[tokio::test]
    async fn the_write_ahead_log_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("croupier.db");
        let wal = || std::fs::metadata(dir.path().join("croupier.db-wal")).unwrap().len();
        let database = Sqlite::open(&path, Durability::Sync).await.unwrap();
        let json = r#"{"id":"e","arms":[{"id":"a"},{"id":"b"}],"reward":{"event":"buy"}}"#;
        let e: Experiment = serde_json::from_str(json).unwrap();
        let change = Change { who: String::new(), why: String::new(), at: jiff::Timestamp::UNIX_EPOCH };
        database.create(&e, &change).await.unwrap();
        let batch = |n| Ingest { decisions: vec![decision(&e, n, 0)], ..Default::default() };
        database.ingest(&batch(1)).await.unwrap();
        assert_eq!(wal(), 0);

        let mut reader = database.pool.begin().await.unwrap();
        let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM decisions").fetch_one(&mut *reader).await.unwrap();
        database.ingest(&batch(2)).await.unwrap();
        assert!(wal() > 0, "the reader still needs it");
        let still: i64 = sqlx::query_scalar("SELECT count(*) FROM decisions").fetch_one(&mut *reader).await.unwrap();
        assert_eq!((seen, still), (1, 1));
        reader.rollback().await.unwrap();
        database.ingest(&batch(3)).await.unwrap();
        assert_eq!(wal(), 0);
    }
}
