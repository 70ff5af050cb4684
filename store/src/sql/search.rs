//! Experiments looked for, and their traffic.

use super::bulk::{Cell, Move};
use super::experiments::{COLUMNS, ExperimentRow, record};
use super::{Database, Either, Tx, postgres, signed, storable, unsigned};
use crate::{DayTraffic, Found, Listed, Order, Result, Search};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

#[derive(sqlx::FromRow)]
struct ListedRow {
    #[sqlx(flatten)]
    experiment: ExperimentRow,
    recent: i64,
    worries: String,
}

/// What tells those that are looked for. Parameters 1 to 4: the text, the status or nothing, 1 for the worrying alone or 2
/// if all do, the hour that recent trials begin with.
fn wanted(contains: &str, name: &str, arms: &str) -> String {
    let has = |text: &str| contains.replace("{}", text);
    format!(
        "FROM experiments e LEFT JOIN findings f ON f.experiment = e.num
         WHERE e.deleted_at IS NULL AND ($2 = '' OR e.status = $2) AND ($4 = $4)
             AND ($3 = 0 OR (e.status <> 'draft' AND ($3 = 2 OR coalesce(f.worries, '') <> '')))
             AND ($1 = '' OR {} OR {} OR EXISTS ({arms}))",
        has("e.id"),
        has(name)
    )
}

impl Database {
    pub(super) async fn search_experiments(&self, search: &Search) -> Result<Found> {
        let wanted = match &self.0 {
            Either::Sqlite(_) => wanted(
                "instr(lower({}), lower($1)) > 0",
                "json_extract(e.definition, '$.name')",
                "SELECT 1 FROM json_each(e.definition, '$.arms') a
                 WHERE instr(lower(json_extract(a.value, '$.id')), lower($1)) > 0",
            ),
            Either::Postgres(_) => {
                let definition = postgres::json("e.definition");
                wanted(
                    "strpos(lower({} COLLATE \"C\"), lower($1 COLLATE \"C\")) > 0",
                    &format!("({definition} ->> 'name')"),
                    &format!(
                        "SELECT 1 FROM jsonb_array_elements({definition} -> 'arms') a
                         WHERE strpos(lower((a ->> 'id') COLLATE \"C\"), lower($1 COLLATE \"C\")) > 0"
                    ),
                )
            }
        };
        let columns = COLUMNS.split(", ").map(|c| format!("e.{}", c.trim())).collect::<Vec<_>>().join(", ");
        let order = match search.order {
            Order::Id => "e.id",
            Order::Newest => "e.created_at DESC, e.id",
            Order::Traffic => "recent DESC, e.id",
        };
        let rows = format!(
            "SELECT {columns}, coalesce(f.worries, '') AS worries,
                 (SELECT CAST(coalesce(sum(t.trials), 0) AS BIGINT) FROM traffic t
                  WHERE t.experiment = e.num AND t.hour >= $4) AS recent
             {wanted} ORDER BY {order} LIMIT $5 OFFSET $6"
        );
        let count = format!("SELECT count(*) {wanted}");
        let (text, status) = (storable(&search.text), search.status.map_or("", |s| s.as_str()));
        let worrying = if search.worrying { 1 + i64::from(search.failing) } else { 0 };
        let mut tx = self.snapshot().await?;
        let total: i64 = on!(&mut tx, db => {
            sqlx::query_scalar(AssertSqlSafe(count))
                .bind(&*text)
                .bind(status)
                .bind(worrying)
                .bind(search.recent_since)
                .fetch_one(&mut **db)
                .await?
        });
        let rows: Vec<ListedRow> = on!(&mut tx, db => {
            sqlx::query_as(AssertSqlSafe(rows))
                .bind(&*text)
                .bind(status)
                .bind(worrying)
                .bind(search.recent_since)
                .bind(signed(search.limit as u64))
                .bind(signed(search.skip as u64))
                .fetch_all(&mut **db)
                .await?
        });
        let listed = |row: ListedRow| {
            Ok(Listed {
                record: record(row.experiment)?,
                recent: unsigned(row.recent),
                worries: row.worries.lines().map(str::to_owned).collect(),
            })
        };
        Ok(Found { total: unsigned(total), experiments: rows.into_iter().map(listed).collect::<Result<_>>()? })
    }

    pub(super) async fn daily_traffic(&self, experiments: &[String]) -> Result<Vec<DayTraffic>> {
        let sql = |among: &str| {
            format!(
                "SELECT e.id, t.hour / 24, CAST(sum(t.trials) AS BIGINT), CAST(sum(t.rewards) AS BIGINT)
                 FROM experiments e JOIN traffic t ON t.experiment = e.num WHERE e.id {among}
                 GROUP BY e.id, t.hour / 24 ORDER BY e.id, t.hour / 24"
            )
        };
        let rows: Vec<(String, i64, i64, i64)> = match &self.0 {
            Either::Sqlite(file) => {
                let ids = serde_json::Value::from(experiments).to_string();
                let query = sqlx::query_as(AssertSqlSafe(sql("IN (SELECT value FROM json_each($1))")));
                query.bind(ids).fetch_all(&file.pool).await?
            }
            Either::Postgres(server) => {
                sqlx::query_as(AssertSqlSafe(sql("= ANY ($1)"))).bind(experiments).fetch_all(&server.pool).await?
            }
        };
        let of = |(experiment, day, trials, rewards)| DayTraffic {
            experiment,
            day,
            trials: unsigned(trials),
            rewards: unsigned(rewards),
        };
        Ok(rows.into_iter().map(of).collect())
    }
}

/// Moves the counts of hours by what their cells move.
pub(super) async fn move_traffic(tx: &mut Tx, moved: &[(Cell, Move)]) -> Result<()> {
    let mut hours: BTreeMap<(i64, i64), Move> = BTreeMap::new();
    for ((experiment, hour, ..), (trials, rewards)) in moved {
        let by = hours.entry((*experiment, *hour)).or_default();
        *by = (by.0 + trials, by.1 + rewards);
    }
    for ((experiment, hour), (trials, rewards)) in hours {
        on!(&mut *tx, db => {
            sqlx::query(
                "INSERT INTO traffic (experiment, hour, trials, rewards) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (experiment, hour) DO UPDATE
                 SET trials = traffic.trials + excluded.trials, rewards = traffic.rewards + excluded.rewards",
            )
            .bind(experiment)
            .bind(hour)
            .bind(trials)
            .bind(rewards)
            .execute(&mut **db)
            .await?;
        });
    }
    Ok(())
}

/// The names of checks that are not well in a document of findings, a line each.
pub(super) fn worries(document: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Lines {
        #[serde(default)]
        lines: Vec<crate::Health>,
    }
    let lines = serde_json::from_str::<Lines>(document).map_or_else(|_| Vec::new(), |d| d.lines);
    lines.into_iter().filter(|l| !l.ok).map(|l| l.check).collect::<Vec<_>>().join("\n")
}
