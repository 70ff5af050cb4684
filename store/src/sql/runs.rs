//! Update runs.

use super::{Sqlite, damaged, moment, moments, signed};
use crate::{Result, Run, RunReport, RunStatus, Runs, StoreError, Trigger};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::de::{DeserializeOwned, IntoDeserializer, value};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

const COLUMNS: &str = "id, trigger, status, started_at, finished_at, report, answered_by";

fn named<T: DeserializeOwned>(name: &str) -> Result<T> {
    let text: value::StrDeserializer<'_, value::Error> = name.into_deserializer();
    T::deserialize(text).map_err(|e| StoreError::Damaged(format!("an update run: {e}")))
}

fn run(row: &SqliteRow) -> Result<Run> {
    let report: String = row.try_get("report")?;
    Ok(Run {
        id: row.try_get("id")?,
        trigger: named(row.try_get("trigger")?)?,
        status: named(row.try_get("status")?)?,
        started_at: moment(row.try_get("started_at")?)?,
        finished_at: moments(row.try_get("finished_at")?)?,
        report: serde_json::from_str(&report).map_err(damaged("an update run"))?,
    })
}

fn name<T: serde::Serialize>(value: T) -> Result<String> {
    match serde_json::to_value(value).map_err(damaged("an update run"))? {
        serde_json::Value::String(s) => Ok(s),
        other => Err(StoreError::Damaged(format!("an update run: {other}"))),
    }
}

impl Sqlite {
    async fn insert_run(&self, trigger: Trigger, status: RunStatus, at: Timestamp) -> Result<i64> {
        let empty = serde_json::to_string(&RunReport::default()).map_err(damaged("an update run"))?;
        Ok(sqlx::query_scalar(
            "INSERT INTO update_runs (trigger, status, started_at, report) VALUES ($1, $2, $3, $4) RETURNING id",
        )
        .bind(name(trigger)?)
        .bind(name(status)?)
        .bind(at.as_millisecond())
        .bind(empty)
        .fetch_one(&self.pool)
        .await?)
    }
}

#[async_trait]
impl Runs for Sqlite {
    async fn request_run(&self, at: Timestamp) -> Result<i64> {
        self.insert_run(Trigger::Request, RunStatus::Requested, at).await
    }

    async fn take_requested(&self, at: Timestamp) -> Result<Option<i64>> {
        let any: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM update_runs WHERE status = 'requested')")
            .fetch_one(&self.pool)
            .await?;
        if !any {
            return Ok(None);
        }
        let mut tx = self.write().await?;
        let oldest: Option<i64> = sqlx::query_scalar("SELECT min(id) FROM update_runs WHERE status = 'requested'")
            .fetch_one(&mut *tx)
            .await?;
        if let Some(id) = oldest {
            sqlx::query(
                "UPDATE update_runs SET status = 'running', started_at = $2,
                     answered_by = CASE WHEN id = $1 THEN NULL ELSE $1 END
                 WHERE status = 'requested'",
            )
            .bind(id)
            .bind(at.as_millisecond())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(oldest)
    }

    async fn start_run(&self, trigger: Trigger, at: Timestamp) -> Result<i64> {
        self.insert_run(trigger, RunStatus::Running, at).await
    }

    async fn finish_run(&self, id: i64, at: Timestamp, report: &RunReport) -> Result<()> {
        let status = if report.error.is_none() { RunStatus::Done } else { RunStatus::Failed };
        let done = sqlx::query(
            "UPDATE update_runs SET status = $2, finished_at = $3, report = $4 WHERE id = $1 OR answered_by = $1",
        )
        .bind(id)
        .bind(name(status)?)
        .bind(at.as_millisecond())
        .bind(serde_json::to_string(report).map_err(damaged("an update run"))?)
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 0 { Err(StoreError::Missing(format!("update run {id}"))) } else { Ok(()) }
    }

    async fn abandon_runs(&self, at: Timestamp) -> Result<u64> {
        let report =
            RunReport { error: Some("the updater ended in the middle of this run".into()), ..Default::default() };
        let done = sqlx::query(
            "UPDATE update_runs SET status = 'failed', finished_at = $1, report = $2 WHERE status = 'running'",
        )
        .bind(at.as_millisecond())
        .bind(serde_json::to_string(&report).map_err(damaged("an update run"))?)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected())
    }

    async fn run(&self, id: i64) -> Result<Option<Run>> {
        let sql = format!("SELECT {COLUMNS} FROM update_runs WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(run).transpose()
    }

    async fn latest_runs(&self, limit: usize) -> Result<Vec<Run>> {
        let sql = format!("SELECT {COLUMNS} FROM update_runs WHERE answered_by IS NULL ORDER BY id DESC LIMIT $1");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(signed(limit as u64)).fetch_all(&self.pool).await?;
        rows.iter().map(run).collect()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_read_back() {
        let text = super::name(crate::Trigger::Schedule).unwrap();
        assert_eq!(super::named::<crate::Trigger>(&text).unwrap(), crate::Trigger::Schedule);
    }
}
