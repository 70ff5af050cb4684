//! Runs of periodic work.

use super::{Database, Turn, damaged, moment, moments, signed, storable};
use crate::{RUNS_KEPT, Result, Run, RunKind, RunReport, RunStatus, Runs, StoreError, Trigger};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::de::{DeserializeOwned, IntoDeserializer, value};
use sqlx::AssertSqlSafe;

const COLUMNS: &str = "id, kind, catalog, reached, trigger, status, started_at, finished_at, report";

fn named<T: DeserializeOwned>(name: &str) -> Result<T> {
    let text: value::StrDeserializer<'_, value::Error> = name.into_deserializer();
    T::deserialize(text).map_err(|e| StoreError::Damaged(format!("an update run: {e}")))
}

#[derive(sqlx::FromRow)]
struct RunRow {
    id: i64,
    kind: String,
    catalog: Option<String>,
    reached: Option<String>,
    trigger: String,
    status: String,
    started_at: i64,
    finished_at: Option<i64>,
    report: String,
}

fn run(row: &RunRow) -> Result<Run> {
    Ok(Run {
        id: row.id,
        kind: named(&row.kind)?,
        catalog: row.catalog.clone(),
        reached: row.reached.clone(),
        trigger: named(&row.trigger)?,
        status: named(&row.status)?,
        started_at: moment(row.started_at)?,
        finished_at: moments(row.finished_at)?,
        report: serde_json::from_str(&row.report).map_err(damaged("an update run"))?,
    })
}

fn name<T: serde::Serialize>(value: T) -> Result<String> {
    match serde_json::to_value(value).map_err(damaged("an update run"))? {
        serde_json::Value::String(s) => Ok(s),
        other => Err(StoreError::Damaged(format!("an update run: {other}"))),
    }
}

impl Database {
    async fn insert_run(
        &self,
        (kind, catalog): (RunKind, Option<&str>),
        trigger: Trigger,
        status: RunStatus,
        at: Timestamp,
    ) -> Result<i64> {
        let empty = serde_json::to_string(&RunReport::default()).map_err(damaged("an update run"))?;
        Ok(on!(self.pool(), db => {
            sqlx::query_scalar(
                "INSERT INTO update_runs (kind, catalog, trigger, status, started_at, report)
                 VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
            )
            .bind(kind.name())
            .bind(catalog.map(storable))
            .bind(name(trigger)?)
            .bind(name(status)?)
            .bind(at.as_millisecond())
            .bind(empty)
            .fetch_one(db)
            .await?
        }))
    }
}

#[async_trait]
impl Runs for Database {
    async fn request_run(&self, at: Timestamp) -> Result<i64> {
        self.insert_run((RunKind::Posteriors, None), Trigger::Request, RunStatus::Requested, at).await
    }

    async fn take_requested(&self, at: Timestamp) -> Result<Option<i64>> {
        let any: bool = on!(self.pool(), db => {
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM update_runs WHERE status = 'requested')")
                .fetch_one(db)
                .await?
        });
        if !any {
            return Ok(None);
        }
        let mut tx = self.write(Turn::Small).await?;
        let oldest: Option<i64> = on!(&mut tx, db => {
            sqlx::query_scalar("SELECT min(id) FROM update_runs WHERE status = 'requested'")
                .fetch_one(&mut **db)
                .await?
        });
        if let Some(id) = oldest {
            on!(&mut tx, db => {
                sqlx::query(
                    "UPDATE update_runs SET status = 'running', started_at = $2,
                         answered_by = CASE WHEN id = $1 THEN NULL ELSE $1 END
                     WHERE status = 'requested'",
                )
                .bind(id)
                .bind(at.as_millisecond())
                .execute(&mut **db)
                .await?;
            });
        }
        tx.commit().await?;
        Ok(oldest)
    }

    async fn start_run(&self, kind: RunKind, catalog: Option<&str>, trigger: Trigger, at: Timestamp) -> Result<i64> {
        if kind != RunKind::Posteriors {
            on!(self.pool(), db => {
                sqlx::query(
                    "DELETE FROM update_runs WHERE kind = $1 AND id <=
                         (SELECT id FROM update_runs WHERE kind = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
                )
                .bind(kind.name())
                .bind(RUNS_KEPT)
                .execute(db)
                .await?;
            });
        }
        self.insert_run((kind, catalog), trigger, RunStatus::Running, at).await
    }

    async fn note_run(&self, id: i64, reached: &str, report: &RunReport) -> Result<()> {
        on!(self.pool(), db => {
            sqlx::query("UPDATE update_runs SET reached = $2, report = $3 WHERE id = $1 AND status = 'running'")
                .bind(id)
                .bind(&*storable(reached))
                .bind(serde_json::to_string(report).map_err(damaged("a run"))?)
                .execute(db)
                .await?;
        });
        Ok(())
    }

    async fn finish_run(&self, id: i64, at: Timestamp, report: &RunReport) -> Result<()> {
        let status = if report.error.is_none() { RunStatus::Done } else { RunStatus::Failed };
        let found = on!(self.pool(), db => {
            sqlx::query(
                "UPDATE update_runs SET status = $2, finished_at = $3, report = $4 WHERE id = $1 OR answered_by = $1",
            )
            .bind(id)
            .bind(name(status)?)
            .bind(at.as_millisecond())
            .bind(serde_json::to_string(report).map_err(damaged("an update run"))?)
            .execute(db)
            .await?
            .rows_affected()
        });
        if found == 0 { Err(StoreError::Missing(format!("update run {id}"))) } else { Ok(()) }
    }

    async fn abandon_runs(&self, at: Timestamp) -> Result<u64> {
        let running: Vec<(i64, String)> = on!(self.pool(), db => {
            sqlx::query_as("SELECT id, report FROM update_runs WHERE status = 'running'").fetch_all(db).await?
        });
        let mut abandoned = 0;
        for (id, report) in running {
            // What cannot be read must not keep a run going for ever.
            let mut report: RunReport = serde_json::from_str(&report).unwrap_or_default();
            report.error = Some("the updater ended in the middle of this run".into());
            abandoned += on!(self.pool(), db => {
                sqlx::query(
                    "UPDATE update_runs SET status = 'failed', finished_at = $2, report = $3
                     WHERE id = $1 AND status = 'running'",
                )
                .bind(id)
                .bind(at.as_millisecond())
                .bind(serde_json::to_string(&report).map_err(damaged("a run"))?)
                .execute(db)
                .await?
                .rows_affected()
            });
        }
        Ok(abandoned)
    }

    async fn run(&self, id: i64) -> Result<Option<Run>> {
        let sql = format!("SELECT {COLUMNS} FROM update_runs WHERE id = $1");
        let row = on!(self.pool(), db => sqlx::query_as(AssertSqlSafe(sql)).bind(id).fetch_optional(db).await?);
        row.as_ref().map(run).transpose()
    }

    async fn latest_runs(&self, kind: Option<RunKind>, before: Option<i64>, limit: usize) -> Result<Vec<Run>> {
        // Whether a kind is asked for is in the text, so that the index serves.
        let of = if kind.is_some() { "kind = $3 AND" } else { "$3 = '' AND" };
        let sql = format!(
            "SELECT {COLUMNS} FROM update_runs WHERE {of} answered_by IS NULL AND id < $1 ORDER BY id DESC LIMIT $2"
        );
        let (before, limit) = (before.unwrap_or(i64::MAX), signed(limit as u64));
        let kind = kind.map_or("", RunKind::name);
        let rows: Vec<RunRow> = on!(self.pool(), db => {
            sqlx::query_as(AssertSqlSafe(sql)).bind(before).bind(limit).bind(kind).fetch_all(db).await?
        });
        rows.iter().map(run).collect()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_read_back() {
        let text = super::name(crate::Trigger::Schedule).unwrap();
        assert_eq!(super::named::<crate::Trigger>(&text).unwrap(), crate::Trigger::Schedule);
        for kind in crate::RunKind::ALL {
            assert_eq!(super::named::<crate::RunKind>(kind.name()).unwrap(), kind);
            assert_eq!((super::name(kind).unwrap().as_str(), kind.name().parse()), (kind.name(), Ok(kind)));
        }
    }
}
