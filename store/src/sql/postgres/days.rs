//! Partitions of days.

use super::Server;
use crate::sql::Turn;
use crate::{Ingest, Result};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;

/// Days around a batch that get partitions; what is older when it arrives is in the default ones. As long as Pub/Sub
/// keeps what is not read, so that an updater that was away still finds its days.
const BEHIND: i64 = 31;
const AHEAD: i64 = 1;

const DAY_MS: i64 = 24 * 3_600_000;

/// The tables with a partition for each day.
pub(super) const TABLES: [Table; 4] = [
    Table { name: "decisions", column: "at", per_day: DAY_MS, fill: 90 },
    Table { name: "events", column: "at", per_day: DAY_MS, fill: 100 },
    Table { name: "outcomes", column: "hour", per_day: 24, fill: 70 },
    Table { name: "delays", column: "hour", per_day: 24, fill: 70 },
];

/// A table with a partition for each day.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// By which it is divided.
    pub(super) column: &'static str,
    /// How much of that is a day.
    per_day: i64,
    /// How full of rows a page is made, in percent: rows that change are written again, best on the same page.
    fill: i64,
}

/// A day of UTC, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(i64);

impl Day {
    pub(super) fn of(ms: i64) -> Self {
        Self(ms.div_euclid(DAY_MS))
    }

    pub(super) fn starts(self) -> i64 {
        self.0 * DAY_MS
    }

    pub(super) fn ends(self) -> i64 {
        self.starts() + DAY_MS
    }

    /// What its partitions are called after their table, as `2026_11_21`.
    fn suffix(self) -> String {
        let date = Timestamp::from_millisecond(self.starts()).map(|t| t.to_zoned(TimeZone::UTC).date());
        date.map_or_else(|_| "default".into(), |date| date.strftime("%Y_%m_%d").to_string())
    }

    pub(super) fn partition(self, table: &Table) -> String {
        format!("{}_{}", table.name, self.suffix())
    }

    /// The day of a partition; none if it is the default one.
    fn of_partition(name: &str) -> Option<Self> {
        let suffix = name.split_once('_')?.1;
        let date = Date::strptime("%Y_%m_%d", suffix).ok()?;
        let days = date.since(Date::constant(1970, 1, 1)).ok()?.get_days();
        Some(Self(days.into()))
    }
}

impl Server {
    /// Makes the partitions that a batch needs, and tomorrow's. Without them its rows would be in the default ones,
    /// which is slower to forget and nothing else.
    pub(in crate::sql) async fn prepare_days(&self, batch: &Ingest) -> Result<()> {
        let today = Day::of(batch.at.as_millisecond());
        let near = Day(today.0 - BEHIND)..=Day(today.0 + AHEAD);
        let decisions = batch.decisions.iter().chain(&batch.offers).map(|d| d.at);
        let events = batch.events.iter().map(|(event, _)| event.at);
        let mut days: BTreeSet<Day> = decisions.chain(events).map(|at| Day::of(at.as_millisecond())).collect();
        days.retain(|day| near.contains(day));
        if days.is_empty() {
            return Ok(());
        }
        days.extend([today, Day(today.0 + AHEAD)]);
        if missing(&days, &mut *self.pool.acquire().await?).await?.is_empty() {
            return Ok(());
        }
        let mut tx = self.write(Turn::Batch).await?;
        // Attaching waits for who reads the default partition, and everybody for us: not for long.
        sqlx::raw_sql("SET LOCAL lock_timeout = '3s'").execute(&mut *tx).await?;
        let missing = missing(&days, &mut tx).await?;
        match make(&mut tx, &missing).await {
            Ok(()) => Ok(tx.commit().await?),
            Err(e) if is_lock_timeout(&e) => {
                tracing::warn!("no partitions for new days yet: somebody reads for long; the next batch tries again");
                Ok(())
            }
            Err(e) => Err(e.into()),
        }
    }
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "55P03")
}

/// The days that a table has partitions for.
pub(super) async fn days_of(table: &Table, db: &mut PgConnection) -> Result<BTreeSet<Day>> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = to_regclass($1)",
    )
    .bind(table.name)
    .fetch_all(db)
    .await?;
    Ok(names.iter().filter_map(|name| Day::of_partition(name)).collect())
}

/// The partitions that some days lack. A day may have some: its events are kept longer than its decisions.
async fn missing(days: &BTreeSet<Day>, db: &mut PgConnection) -> Result<Vec<(Day, &'static Table)>> {
    let mut missing = Vec::new();
    for table in &TABLES {
        let there = days_of(table, db).await?;
        missing.extend(days.difference(&there).map(|day| (*day, table)));
    }
    Ok(missing)
}

/// Makes partitions, and moves there what was in the default ones.
async fn make(db: &mut PgConnection, partitions: &[(Day, &Table)]) -> sqlx::Result<()> {
    for (day, table) in partitions {
        let Table { name, column, per_day, fill } = table;
        let (partition, from, to) = (day.partition(table), day.0 * per_day, (day.0 + 1) * per_day);
        // Attached, since a table that is made as a partition keeps readers out of all of them.
        let sql = format!(
            "CREATE TABLE {partition} (LIKE {name} INCLUDING ALL) WITH (fillfactor = {fill});
             WITH moved AS (DELETE FROM {name}_default WHERE {column} >= {from} AND {column} < {to} RETURNING *)
                 INSERT INTO {partition} SELECT * FROM moved;
             ALTER TABLE {name} ATTACH PARTITION {partition} FOR VALUES FROM ({from}) TO ({to})"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *db).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_named_after_their_day() {
        for (ms, name) in [
            (0, "decisions_1970_01_01"),
            (-1, "decisions_1969_12_31"),
            (1_795_255_200_000, "decisions_2026_11_21"),
            (951_782_400_000, "decisions_2000_02_29"),
        ] {
            let day = Day::of(ms);
            assert_eq!(day.partition(&TABLES[0]), name);
            assert_eq!(Day::of_partition(name), Some(day), "{name}");
            assert!((day.starts()..day.ends()).contains(&ms));
        }
        assert_eq!(Day::of_partition("decisions_default"), None);
    }
}
