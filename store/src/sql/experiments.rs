//! Experiments and audit.

use super::{Sqlite, damaged, moment, moments, signed, unsigned};
use crate::{AuditEntry, Change, ExperimentRecord, Experiments, Result, StoreError};
use async_trait::async_trait;
use bandit::{Experiment, Status};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

const COLUMNS: &str = "id, definition, status, winner, revision, created_at, updated_at, started_at, stopped_at";

fn record(row: &SqliteRow) -> Result<ExperimentRecord> {
    let id: String = row.try_get("id")?;
    let definition: String = row.try_get("definition")?;
    let status: String = row.try_get("status")?;
    Ok(ExperimentRecord {
        definition: serde_json::from_str(&definition).map_err(damaged(&format!("experiment '{id}'")))?,
        status: Status::parse(&status).ok_or_else(|| StoreError::Damaged(format!("status '{status}' of '{id}'")))?,
        winner: row.try_get("winner")?,
        revision: unsigned(row.try_get("revision")?),
        created_at: moment(row.try_get("created_at")?)?,
        updated_at: moment(row.try_get("updated_at")?)?,
        started_at: moments(row.try_get("started_at")?)?,
        stopped_at: moments(row.try_get("stopped_at")?)?,
    })
}

async fn find(db: &mut SqliteConnection, id: &str) -> Result<Option<ExperimentRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM experiments WHERE id = $1 AND deleted_at IS NULL");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(db).await?;
    row.as_ref().map(record).transpose()
}

async fn existing(db: &mut SqliteConnection, id: &str) -> Result<ExperimentRecord> {
    find(db, id).await?.ok_or_else(|| StoreError::Missing(format!("experiment '{id}'")))
}

pub(super) async fn audit(
    db: &mut SqliteConnection,
    action: &str,
    experiment: &str,
    document: &str,
    change: &Change,
) -> Result<()> {
    sqlx::query("INSERT INTO audit (at, who, why, action, experiment, document) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(change.at.as_millisecond())
        .bind(&change.who)
        .bind(&change.why)
        .bind(action)
        .bind(experiment)
        .bind(document)
        .execute(db)
        .await?;
    Ok(())
}

fn json(definition: &Experiment) -> Result<String> {
    serde_json::to_string(definition).map_err(damaged("definition"))
}

#[async_trait]
impl Experiments for Sqlite {
    async fn create(&self, definition: &Experiment, change: &Change) -> Result<ExperimentRecord> {
        let document = json(definition)?;
        let mut tx = self.write().await?;
        let inserted = sqlx::query(
            "INSERT INTO experiments (id, definition, status, revision, created_at, updated_at)
             VALUES ($1, $2, 'draft', 1, $3, $3) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&definition.id)
        .bind(&document)
        .bind(change.at.as_millisecond())
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 0 {
            let gone = find(&mut tx, &definition.id).await?.is_none();
            let why = if gone {
                "belonged to a deleted experiment whose decisions live on: choose another id"
            } else {
                "exists already"
            };
            return Err(StoreError::Conflict(format!("experiment '{}' {why}", definition.id)));
        }
        audit(&mut tx, "create", &definition.id, &document, change).await?;
        let record = existing(&mut tx, &definition.id).await?;
        tx.commit().await?;
        Ok(record)
    }

    async fn get(&self, id: &str) -> Result<Option<ExperimentRecord>> {
        find(&mut *self.pool.acquire().await?, id).await
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<ExperimentRecord>> {
        let sql =
            format!("SELECT {COLUMNS} FROM experiments WHERE deleted_at IS NULL AND id > $1 ORDER BY id LIMIT $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(after.unwrap_or_default())
            .bind(signed(limit as u64))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(record).collect()
    }

    async fn replace(
        &self,
        definition: &Experiment,
        revision: u64,
        status: Status,
        change: &Change,
    ) -> Result<ExperimentRecord> {
        let document = json(definition)?;
        let mut tx = self.write().await?;
        let now = existing(&mut tx, &definition.id).await?;
        if now.revision != revision {
            return Err(StoreError::Conflict(format!(
                "experiment '{}' is at revision {}, not {revision}: read it again and repeat the change",
                definition.id, now.revision
            )));
        }
        if now.status != status {
            let why = format!("experiment '{}' is {}, no longer {status}", definition.id, now.status);
            return Err(StoreError::Conflict(why));
        }
        sqlx::query("UPDATE experiments SET definition = $2, revision = revision + 1, updated_at = $3 WHERE id = $1")
            .bind(&definition.id)
            .bind(&document)
            .bind(change.at.as_millisecond())
            .execute(&mut *tx)
            .await?;
        audit(&mut tx, "replace", &definition.id, &document, change).await?;
        let record = existing(&mut tx, &definition.id).await?;
        tx.commit().await?;
        Ok(record)
    }

    async fn set_status(
        &self,
        id: &str,
        from: Status,
        to: Status,
        winner: Option<&str>,
        change: &Change,
    ) -> Result<ExperimentRecord> {
        let mut tx = self.write().await?;
        let now = existing(&mut tx, id).await?;
        if now.status != from {
            return Err(StoreError::Conflict(format!("experiment '{id}' is {}, not {from}", now.status)));
        }
        if !from.may_become(to) {
            return Err(StoreError::Conflict(format!("experiment '{id}' is {from} and cannot become {to}")));
        }
        sqlx::query(
            "UPDATE experiments SET status = $2, winner = $3, updated_at = $4,
                 started_at = CASE WHEN $2 = 'running' THEN coalesce(started_at, $4) ELSE started_at END,
                 stopped_at = CASE WHEN $2 = 'stopped' THEN $4 END
             WHERE id = $1",
        )
        .bind(id)
        .bind(to.as_str())
        .bind(winner)
        .bind(change.at.as_millisecond())
        .execute(&mut *tx)
        .await?;
        let document = serde_json::json!({ "from": from, "to": to, "winner": winner }).to_string();
        audit(&mut tx, to.as_str(), id, &document, change).await?;
        let record = existing(&mut tx, id).await?;
        tx.commit().await?;
        Ok(record)
    }

    async fn delete(&self, id: &str, change: &Change) -> Result<()> {
        let mut tx = self.write().await?;
        let now = existing(&mut tx, id).await?;
        // A draft may have outcomes, of a log that was loaded into it.
        let has_outcomes: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM experiments e WHERE e.id = $1 AND (
                 EXISTS (SELECT 1 FROM segments s WHERE s.experiment = e.num)
                 OR EXISTS (SELECT 1 FROM imports i WHERE i.experiment = e.num)))",
        )
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
        let sql = match now.status {
            Status::Draft if !has_outcomes => "DELETE FROM experiments WHERE id = $1 AND $2 = $2",
            Status::Draft | Status::Stopped => "UPDATE experiments SET deleted_at = $2 WHERE id = $1",
            Status::Running | Status::Paused => {
                return Err(StoreError::Conflict(format!("experiment '{id}' is {}: stop it first", now.status)));
            }
        };
        sqlx::query(sql).bind(id).bind(change.at.as_millisecond()).execute(&mut *tx).await?;
        audit(&mut tx, "delete", id, "null", change).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn changes(&self) -> Result<u64> {
        let newest: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM audit").fetch_one(&self.pool).await?;
        Ok(newest.map_or(0, unsigned))
    }

    async fn audit(&self, experiment: Option<&str>, before: Option<i64>, limit: usize) -> Result<Vec<AuditEntry>> {
        let rows = sqlx::query(
            "SELECT id, at, who, why, action, experiment, document FROM audit
             WHERE ($1 IS NULL OR experiment = $1) AND id < $2 ORDER BY id DESC LIMIT $3",
        )
        .bind(experiment)
        .bind(before.unwrap_or(i64::MAX))
        .bind(signed(limit as u64))
        .fetch_all(&self.pool)
        .await?;
        let entry = |row: &SqliteRow| -> Result<AuditEntry> {
            let document: String = row.try_get("document")?;
            Ok(AuditEntry {
                id: row.try_get("id")?,
                at: moment(row.try_get("at")?)?,
                who: row.try_get("who")?,
                why: row.try_get("why")?,
                action: row.try_get("action")?,
                experiment: row.try_get("experiment")?,
                document: serde_json::from_str(&document).map_err(damaged("audit"))?,
            })
        };
        rows.iter().map(entry).collect()
    }
}
