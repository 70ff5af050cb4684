//! The database on a server.

mod bulk;
mod days;
mod forget;
mod refusal;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod tests;

pub(super) use bulk::CLAIMED;

use super::{BUSY, Turn};
use crate::Result;
use refusal::refused;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, Postgres, Transaction};
use std::str::FromStr;
use std::time::Duration;

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/postgres");

/// Connections of one process: few, since many processes share a server.
const CONNECTIONS: u32 = 10;
/// How long a query waits for a connection: a page that fails is better than one that hangs.
const PATIENCE: Duration = Duration::from_secs(5);
/// What every session says of itself. A query that pages wait for does not run for minutes, and who holds a lock and
/// falls silent is cut off. Compiling a query that reads by key costs more than running it.
const SESSION: [(&str, &str); 3] =
    [("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "2min"), ("jit", "off")];

/// A transaction of many rows: each of its statements finds what it needs by key. Told so, since a table whose
/// statistics are young, or of many partitions, looks cheaper to read whole; and planned with its values, so that
/// partitions of other days are not touched.
const BY_KEY: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; \
    SET LOCAL enable_mergejoin = off; SET LOCAL plan_cache_mode = force_custom_plan";

/// The server and its connections.
pub(super) struct Server {
    pub(super) pool: PgPool,
}

impl Server {
    pub(super) async fn open(url: &str) -> Result<Self> {
        // Its warning of a slow statement holds all of it, which may be 100 kB of placeholders.
        let options = PgConnectOptions::from_str(url).map_err(|e| refused(url, &e))?.disable_statement_logging();
        // The pool would try until its patience ends, and then not say why.
        let first = tokio::time::timeout(PATIENCE, options.connect()).await;
        let mut first = first
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
            .map_err(|e| refused(url, &e))?;
        if !is_migrated(&mut first).await {
            MIGRATIONS.run_direct(None, &mut first, false).await.map_err(|e| refusal::not_migrated(url, e))?;
        }
        first.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(options.options(SESSION));
        Ok(Self { pool })
    }

    /// A transaction that writes, once it is its turn.
    pub(super) async fn write(&self, turn: Turn) -> Result<Transaction<'static, Postgres>> {
        let mut tx = self.pool.begin().await?;
        let patience = format!("SET LOCAL statement_timeout = {}", BUSY.as_millis());
        sqlx::raw_sql(AssertSqlSafe(patience)).execute(&mut *tx).await?;
        if turn != Turn::Small {
            sqlx::raw_sql(BY_KEY).execute(&mut *tx).await?;
        }
        if turn == Turn::Import {
            // It reads its source between two batches.
            sqlx::raw_sql("SET LOCAL idle_in_transaction_session_timeout = '1h'").execute(&mut *tx).await?;
        }
        wait_for(&mut tx, turn).await?;
        Ok(tx)
    }

    /// A transaction that only reads, and sees one state.
    pub(super) async fn snapshot(&self) -> Result<Transaction<'static, Postgres>> {
        let mut tx = self.pool.begin().await?;
        sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *tx).await?;
        Ok(tx)
    }

    /// The same for a read that takes its time.
    pub(super) async fn read_at_length(&self) -> Result<Transaction<'static, Postgres>> {
        let mut tx = self.snapshot().await?;
        sqlx::raw_sql("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
        Ok(tx)
    }
}

/// Whether the tables are those of this release, or of a newer one. Only reads: most roles may not make tables; and an older
/// release goes on beside a newer one while replicas are replaced, since migrations only add.
async fn is_migrated(db: &mut PgConnection) -> bool {
    let applied = "SELECT version, checksum FROM _sqlx_migrations WHERE success";
    // Without the table there is everything to do.
    let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(applied).fetch_all(db).await.unwrap_or_default();
    let up = MIGRATIONS.iter().filter(|m| m.migration_type.is_up_migration());
    up.into_iter()
        .all(|m| applied.iter().any(|(version, checksum)| (*version, &checksum[..]) == (m.version, &m.checksum[..])))
}

/// Waits for a turn, which ends with the transaction. Who needs two takes that of batches first.
///
/// Writers that take turns see all that the one before did, so that two updaters may be given the same batch, and
/// neither can wait for the other's rows.
pub(super) async fn wait_for(db: &mut PgConnection, turn: Turn) -> Result<()> {
    let number = match turn {
        Turn::Batch | Turn::Import => 1,
        Turn::Small => 2,
    };
    // "crou"
    sqlx::query("SELECT pg_advisory_xact_lock(1668443973, $1)").bind(number).execute(db).await?;
    Ok(())
}

/// A column of definitions as JSON, which has no U+0000 here: payloads that were taken before they were refused it must not
/// keep a query from all other rows.
pub(super) fn json(column: &str) -> String {
    format!("CAST(replace({column}, '\\u0000', '\\ufffd') AS JSONB)")
}
