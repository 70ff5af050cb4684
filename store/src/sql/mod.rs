//! What is kept in SQL: in a file of SQLite, or in PostgreSQL.
//!
//! Queries that both understand are written once, and run by [`on`] on whichever it is; their rows are read by name
//! into structs. What they do differently has a module each: [`sqlite`], [`postgres`], and behind [`bulk::Bulk`] the
//! statements that take in thousands of rows.

/// Does the same with either database: `on!(pool, p => query.fetch_all(p).await?)`.
macro_rules! on {
    ($either:expr, $it:ident => $body:expr) => {
        match $either {
            $crate::sql::Either::Sqlite($it) => $body,
            $crate::sql::Either::Postgres($it) => $body,
        }
    };
}

mod bulk;
mod candidates;
mod decisions;
mod evaluate;
mod experiments;
mod findings;
mod history;
mod import;
mod ingest;
mod item_views;
mod keys;
mod leases;
mod list_hours;
mod outcomes;
mod people;
mod postgres;
mod replicas;
mod runs;
mod search;
mod settle;
mod sqlite;
#[cfg(test)]
mod tests;
mod users;
mod vector_work;

use crate::{Durability, Result, StoreError};
use jiff::Timestamp;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

/// Writers take turns; this is how long one waits for another, an import included.
const BUSY: Duration = Duration::from_secs(120);

/// A thing of one of the two.
enum Either<S, P> {
    Sqlite(S),
    Postgres(P),
}

/// A transaction. Dropped before it is committed, it changes nothing.
type Tx = Either<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>;

impl Tx {
    async fn commit(self) -> Result<()> {
        on!(self, tx => Ok(tx.commit().await?))
    }
}

/// Who waits for whom. SQLite has one writer at a time, whatever it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Experiments, their audit, runs: what people do.
    Small,
    /// Decisions and events of a batch.
    Batch,
    /// The same of a whole log.
    Import,
}

/// The database.
pub(crate) struct Database(Either<sqlite::File, postgres::Server>);

impl Database {
    pub(crate) async fn sqlite(path: &Path, durability: Durability) -> Result<Self> {
        Ok(Self(Either::Sqlite(sqlite::File::open(path, durability).await?)))
    }

    pub(crate) async fn postgres(url: &str) -> Result<Self> {
        Ok(Self(Either::Postgres(postgres::Server::open(url).await?)))
    }

    /// For queries, and for writes of one statement.
    fn pool(&self) -> Either<&SqlitePool, &PgPool> {
        match &self.0 {
            Either::Sqlite(file) => Either::Sqlite(&file.pool),
            Either::Postgres(server) => Either::Postgres(&server.pool),
        }
    }

    /// A transaction that may write: what it reads stays so until its end.
    async fn write(&self, turn: Turn) -> Result<Tx> {
        Ok(match &self.0 {
            Either::Sqlite(file) => Either::Sqlite(file.write().await?),
            Either::Postgres(server) => Either::Postgres(server.write(turn).await?),
        })
    }

    /// A transaction that only reads: whatever is written meanwhile, it sees one state.
    async fn snapshot(&self) -> Result<Tx> {
        Ok(match &self.0 {
            Either::Sqlite(file) => Either::Sqlite(file.pool.begin().await?),
            Either::Postgres(server) => Either::Postgres(server.snapshot().await?),
        })
    }

    /// Copies the database as it is now into a file that is not there yet.
    pub(crate) async fn copy_into(&self, file: &Path) -> Result<()> {
        match &self.0 {
            Either::Sqlite(from) => from.copy_into(file).await,
            Either::Postgres(_) => Err(StoreError::Backup("PostgreSQL has backups of its own".into())),
        }
    }

    /// What is wrong with pages, indexes or definitions of the file.
    pub(crate) async fn broken_pages(&self) -> Result<Vec<String>> {
        match &self.0 {
            Either::Sqlite(file) => file.broken_pages(true).await,
            Either::Postgres(_) => Ok(Vec::new()),
        }
    }

    /// Tidies up after a batch was written.
    async fn tidy(&self) {
        if let Either::Sqlite(file) = &self.0 {
            file.empty_wal(sqlite::LONG_WAL).await;
        }
    }

    /// Tidies up after something had to go, so that its old pages go as well.
    async fn tidy_away(&self) {
        if let Either::Sqlite(file) = &self.0 {
            file.empty_wal(0).await;
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

/// A text as both databases keep it, and as it is looked for: PostgreSQL has no NUL, and a batch must not fail by one
/// for ever.
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
