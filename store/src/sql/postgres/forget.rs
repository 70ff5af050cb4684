//! Letting go of the past: a day at a time, with its partitions.

use super::days::{Day, TABLES, Table, days_of};
use super::{Server, wait_for};
use crate::Result;
use crate::sql::Turn;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;

/// The keys that go with the rows of a table, by the column they share.
fn keys_of(table: &Table) -> Option<(&'static str, &'static str)> {
    match table.name {
        "decisions" => Some(("decision_keys", "id")),
        "events" => Some(("event_keys", "key")),
        _ => None,
    }
}

impl Server {
    /// Lets go of decisions from before a moment, of their hours, and of events from before another one with their
    /// claims; both are midnights of UTC, in milliseconds.
    pub(in crate::sql) async fn forget(&self, decisions: i64, events: i64) -> Result<()> {
        let before = |table: &Table| if table.name == "events" { events } else { decisions };
        let mut days: BTreeSet<Day> = BTreeSet::new();
        for table in &TABLES {
            let there = days_of(table, &mut *self.pool.acquire().await?).await?;
            days.extend(there.into_iter().filter(|day| day.ends() <= before(table)));
        }
        // One transaction each: the counts and what they count go together, and a year does not need a year's locks.
        for day in days {
            let mut tx = self.alone().await?;
            for table in TABLES.iter().filter(|table| day.ends() <= before(table)) {
                if days_of(table, &mut tx).await?.contains(&day) {
                    drop_partition(&mut tx, table, day).await?;
                }
            }
            tx.commit().await?;
        }
        let mut tx = self.alone().await?;
        for table in &TABLES {
            forget_rows(&mut tx, table, before(table)).await?;
        }
        sqlx::query("DELETE FROM claims WHERE at < $1").bind(events).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM traffic WHERE hour < $1 / 3600000").bind(decisions).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM item_views WHERE hour < $1 / 3600000").bind(decisions).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM candidate_arms WHERE day < $1 / 86400000").bind(decisions).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM newest_trials WHERE at < $1").bind(decisions).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A transaction without batches beside it. Dropping waits for who reads, and everybody for us: if that is long,
    /// it fails, and goes on the next time.
    async fn alone(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>> {
        let mut tx = self.pool.begin().await?;
        sqlx::raw_sql("SET LOCAL statement_timeout = '10min'").execute(&mut *tx).await?;
        wait_for(&mut tx, Turn::Batch).await?;
        sqlx::raw_sql("SET LOCAL lock_timeout = '5s'").execute(&mut *tx).await?;
        Ok(tx)
    }
}

/// Drops a day of a table, and the keys of its rows.
async fn drop_partition(db: &mut PgConnection, table: &Table, day: Day) -> Result<()> {
    let partition = day.partition(table);
    if let Some((keys, key)) = keys_of(table) {
        let sql = format!("DELETE FROM {keys} k USING {partition} p WHERE k.{key} = p.{key}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *db).await?;
    }
    sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {partition}"))).execute(db).await?;
    Ok(())
}

/// Deletes from the default partition of a table what is from before a moment.
async fn forget_rows(db: &mut PgConnection, table: &Table, before: i64) -> Result<()> {
    let Table { name, column, .. } = table;
    let before = if *column == "hour" { before.div_euclid(3_600_000) } else { before };
    let delete = format!("DELETE FROM {name}_default WHERE {column} < {before}");
    let sql = match keys_of(table) {
        Some((keys, key)) => format!(
            "WITH gone AS ({delete} RETURNING {key}) DELETE FROM {keys} k USING gone WHERE k.{key} = gone.{key}"
        ),
        None => delete,
    };
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await?;
    Ok(())
}
