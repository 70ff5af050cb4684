//! Experiments and audit.

use super::{Database, Either, Turn, Tx, damaged, moment, moments, postgres, signed, storable, unsigned};
use crate::{AuditEntry, Change, ExperimentRecord, Experiments, Found, Note, Result, Search, StoreError};
use async_trait::async_trait;
use bandit::{Experiment, Status};
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, QueryBuilder};

pub(super) const COLUMNS: &str = "id, definition, status, winner, revision, created_at, updated_at, started_at, stopped_at, \
     frozen_at";

#[derive(sqlx::FromRow)]
pub(super) struct ExperimentRow {
    id: String,
    definition: String,
    status: String,
    winner: Option<String>,
    revision: i64,
    created_at: i64,
    updated_at: i64,
    started_at: Option<i64>,
    stopped_at: Option<i64>,
    frozen_at: Option<i64>,
}

pub(super) fn record(row: ExperimentRow) -> Result<ExperimentRecord> {
    let ExperimentRow { id, definition, status, .. } = row;
    Ok(ExperimentRecord {
        definition: serde_json::from_str(&definition).map_err(damaged(&format!("experiment '{id}'")))?,
        status: Status::parse(&status).ok_or_else(|| StoreError::Damaged(format!("status '{status}' of '{id}'")))?,
        winner: row.winner,
        revision: unsigned(row.revision),
        created_at: moment(row.created_at)?,
        updated_at: moment(row.updated_at)?,
        started_at: moments(row.started_at)?,
        stopped_at: moments(row.stopped_at)?,
        frozen_at: moments(row.frozen_at)?,
    })
}

fn by_id() -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("SELECT {COLUMNS} FROM experiments WHERE id = $1 AND deleted_at IS NULL"))
}

async fn find(tx: &mut Tx, id: &str) -> Result<Option<ExperimentRecord>> {
    on!(tx, db => sqlx::query_as(by_id()).bind(&*storable(id)).fetch_optional(&mut **db).await?).map(record).transpose()
}

async fn existing(tx: &mut Tx, id: &str) -> Result<ExperimentRecord> {
    find(tx, id).await?.ok_or_else(|| StoreError::Missing(format!("experiment '{id}'")))
}

pub(super) async fn audit(tx: &mut Tx, action: &str, experiment: &str, document: &str, change: &Change) -> Result<()> {
    enter(tx, action, (experiment, ""), document, change).await
}

/// Makes an entry about an experiment, or about something else.
async fn enter(
    tx: &mut Tx,
    action: &str,
    (experiment, subject): (&str, &str),
    document: &str,
    change: &Change,
) -> Result<()> {
    if let Either::Postgres(db) = tx {
        // Entries are numbered as they are inserted: one that became visible after a later one would be a change
        // that nobody notices.
        postgres::wait_for(db, Turn::Small).await?;
    }
    on!(tx, db => {
        sqlx::query(
            "INSERT INTO audit (at, who, why, action, experiment, document, subject, request)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(change.at.as_millisecond())
        .bind(&*storable(&change.who))
        .bind(&*storable(&change.why))
        .bind(action)
        .bind(experiment)
        .bind(document)
        .bind(&*storable(subject))
        .bind(&*storable(&change.request))
        .execute(&mut **db)
        .await?;
    });
    Ok(())
}

/// Lists have one order: of the experiments on a catalog one runs.
async fn alone(tx: &mut Tx, id: &str, catalog: &str) -> Result<()> {
    let at = match tx {
        Either::Sqlite(_) => "json_extract(definition, '$.candidates.catalog')".to_owned(),
        Either::Postgres(_) => postgres::json("definition") + " #>> '{candidates,catalog}'",
    };
    let sql = AssertSqlSafe(format!(
        "SELECT id FROM experiments WHERE status = 'running' AND deleted_at IS NULL AND id <> $1 AND {at} = $2 LIMIT 1"
    ));
    let other: Option<String> =
        on!(tx, db => sqlx::query_scalar(sql).bind(id).bind(catalog).fetch_optional(&mut **db).await?);
    match other {
        None => Ok(()),
        Some(other) => Err(StoreError::Conflict(format!(
            "experiment '{other}' runs on catalog '{}': pause or stop it before '{id}' starts",
            catalog.escape_debug()
        ))),
    }
}

fn json(definition: &Experiment) -> Result<String> {
    serde_json::to_string(definition).map_err(damaged("definition"))
}

#[async_trait]
impl Experiments for Database {
    async fn create(&self, definition: &Experiment, change: &Change) -> Result<ExperimentRecord> {
        let document = json(definition)?;
        let mut tx = self.write(Turn::Small).await?;
        let inserted = on!(&mut tx, db => {
            sqlx::query(
                "INSERT INTO experiments (id, definition, status, revision, created_at, updated_at)
                 VALUES ($1, $2, 'draft', 1, $3, $3) ON CONFLICT (id) DO NOTHING",
            )
            .bind(&definition.id)
            .bind(&document)
            .bind(change.at.as_millisecond())
            .execute(&mut **db)
            .await?
            .rows_affected()
        });
        if inserted == 0 {
            let gone = find(&mut tx, &definition.id).await?.is_none();
            let id = &definition.id;
            return Err(StoreError::Conflict(if gone {
                format!("experiment '{id}' was deleted and its decisions live on: choose another id")
            } else {
                format!("experiment '{id}' exists already")
            }));
        }
        audit(&mut tx, "create", &definition.id, &document, change).await?;
        let record = existing(&mut tx, &definition.id).await?;
        tx.commit().await?;
        Ok(record)
    }

    async fn get(&self, id: &str) -> Result<Option<ExperimentRecord>> {
        on!(self.pool(), db => sqlx::query_as(by_id()).bind(&*storable(id)).fetch_optional(db).await?)
            .map(record)
            .transpose()
    }

    async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<ExperimentRecord>> {
        let sql =
            format!("SELECT {COLUMNS} FROM experiments WHERE deleted_at IS NULL AND id > $1 ORDER BY id LIMIT $2");
        let rows = on!(self.pool(), db => {
            sqlx::query_as(AssertSqlSafe(sql))
                .bind(&*storable(after.unwrap_or_default()))
                .bind(signed(limit as u64))
                .fetch_all(db)
                .await?
        });
        rows.into_iter().map(record).collect()
    }

    async fn search(&self, search: &Search) -> Result<Found> {
        self.search_experiments(search).await
    }

    async fn replace(
        &self,
        definition: &Experiment,
        revision: u64,
        status: Status,
        change: &Change,
    ) -> Result<ExperimentRecord> {
        let document = json(definition)?;
        let mut tx = self.write(Turn::Small).await?;
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
        on!(&mut tx, db => {
            sqlx::query(
                "UPDATE experiments SET definition = $2, revision = revision + 1, updated_at = $3, frozen_at = NULL
                 WHERE id = $1",
            )
            .bind(&definition.id)
            .bind(&document)
            .bind(change.at.as_millisecond())
            .execute(&mut **db)
            .await?;
        });
        audit(&mut tx, "replace", &definition.id, &document, change).await?;
        let record = existing(&mut tx, &definition.id).await?;
        tx.commit().await?;
        Ok(record)
    }

    async fn freeze(&self, id: &str, revision: u64, change: &Change) -> Result<ExperimentRecord> {
        let mut tx = self.write(Turn::Small).await?;
        let now = existing(&mut tx, id).await?;
        if now.status != Status::Running || now.revision != revision {
            return Err(StoreError::Conflict(format!(
                "experiment '{id}' is {} at revision {}, not running at {revision}",
                now.status, now.revision
            )));
        }
        if now.frozen_at.is_some() {
            return Ok(now);
        }
        on!(&mut tx, db => {
            sqlx::query("UPDATE experiments SET frozen_at = $2 WHERE id = $1")
                .bind(id)
                .bind(change.at.as_millisecond())
                .execute(&mut **db)
                .await?;
        });
        audit(&mut tx, "freeze", id, "null", change).await?;
        let record = existing(&mut tx, id).await?;
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
        let mut tx = self.write(Turn::Small).await?;
        let now = existing(&mut tx, id).await?;
        if now.status != from {
            return Err(StoreError::Conflict(format!("experiment '{id}' is {}, not {from}", now.status)));
        }
        if !from.may_become(to) {
            return Err(StoreError::Conflict(format!("experiment '{id}' is {from} and cannot become {to}")));
        }
        if let Some(candidates) = now.definition.candidates.as_ref().filter(|_| to == Status::Running) {
            alone(&mut tx, id, &candidates.catalog).await?;
        }
        on!(&mut tx, db => {
            sqlx::query(
                "UPDATE experiments SET status = $2, winner = $3, updated_at = $4, frozen_at = NULL,
                     started_at = CASE WHEN $2 = 'running' THEN coalesce(started_at, $4) ELSE started_at END,
                     stopped_at = CASE WHEN $2 = 'stopped' THEN $4 END
                 WHERE id = $1",
            )
            .bind(id)
            .bind(to.as_str())
            .bind(winner)
            .bind(change.at.as_millisecond())
            .execute(&mut **db)
            .await?;
        });
        let document = serde_json::json!({ "from": from, "to": to, "winner": winner }).to_string();
        audit(&mut tx, to.as_str(), id, &document, change).await?;
        let record = existing(&mut tx, id).await?;
        tx.commit().await?;
        Ok(record)
    }

    async fn delete(&self, id: &str, change: &Change) -> Result<()> {
        // No batch may bring it outcomes meanwhile.
        let mut tx = self.write(Turn::Batch).await?;
        if let Either::Postgres(db) = &mut tx {
            postgres::wait_for(db, Turn::Small).await?;
        }
        let now = existing(&mut tx, id).await?;
        // A draft may have outcomes, of a log that was loaded into it.
        let has_outcomes: bool = on!(&mut tx, db => {
            sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM experiments e WHERE e.id = $1 AND (
                     EXISTS (SELECT 1 FROM segments s WHERE s.experiment = e.num)
                     OR EXISTS (SELECT 1 FROM imports i WHERE i.experiment = e.num)))",
            )
            .bind(id)
            .fetch_one(&mut **db)
            .await?
        });
        let sql = match now.status {
            Status::Draft if !has_outcomes => "DELETE FROM experiments WHERE id = $1 AND $2 = $2",
            Status::Draft | Status::Stopped => "UPDATE experiments SET deleted_at = $2 WHERE id = $1",
            Status::Running | Status::Paused => {
                return Err(StoreError::Conflict(format!("experiment '{id}' is {}: stop it first", now.status)));
            }
        };
        on!(&mut tx, db => {
            sqlx::query("DELETE FROM history WHERE experiment = (SELECT num FROM experiments WHERE id = $1)")
                .bind(id)
                .execute(&mut **db)
                .await?;
            sqlx::query(sql).bind(id).bind(change.at.as_millisecond()).execute(&mut **db).await?;
        });
        audit(&mut tx, "delete", id, "null", change).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn close(&self) {
        if let Either::Sqlite(file) = &self.0 {
            file.close().await;
        }
    }

    async fn changes(&self) -> Result<u64> {
        // What else is in the log concerns no replica, and could be new every second.
        let sql = "SELECT max(id) FROM audit WHERE experiment <> ''";
        let newest: Option<i64> = on!(self.pool(), db => sqlx::query_scalar(sql).fetch_one(db).await?);
        Ok(newest.map_or(0, unsigned))
    }

    async fn changed(&self, after: u64, most: usize) -> Result<Option<Vec<String>>> {
        let sql = "SELECT DISTINCT experiment FROM audit WHERE id > $1 AND experiment <> '' LIMIT $2";
        let (after, more) = (signed(after), signed(most as u64 + 1));
        let ids: Vec<String> =
            on!(self.pool(), db => sqlx::query_scalar(sql).bind(after).bind(more).fetch_all(db).await?);
        Ok((ids.len() <= most).then_some(ids))
    }

    async fn note(&self, note: &Note<'_>, change: &Change) -> Result<()> {
        let mut tx = self.write(Turn::Small).await?;
        enter(&mut tx, note.action, ("", note.subject), &note.document.to_string(), change).await?;
        tx.commit().await
    }

    async fn audit(&self, experiment: Option<&str>, before: Option<i64>, limit: usize) -> Result<Vec<AuditEntry>> {
        // Two queries, each with its index.
        let which = if experiment.is_some() { "experiment = $1" } else { "$1 IS NULL" };
        let sql = format!("SELECT {AUDITED} FROM audit WHERE {which} AND id < $2 ORDER BY id DESC LIMIT $3");
        let rows: Vec<AuditRow> = on!(self.pool(), db => {
            sqlx::query_as(AssertSqlSafe(sql))
                .bind(experiment.map(storable))
                .bind(before.unwrap_or(i64::MAX))
                .bind(signed(limit as u64))
                .fetch_all(db)
                .await?
        });
        rows.into_iter().map(entry).collect()
    }

    async fn noted(
        &self,
        experiment: &str,
        actions: &[&str],
        until: Option<Timestamp>,
        newer: u64,
    ) -> Result<Option<AuditEntry>> {
        let row: Option<AuditRow> = on!(self.pool(), db => {
            let mut sql = QueryBuilder::new(format!("SELECT {AUDITED} FROM audit WHERE experiment = "));
            sql.push_bind(storable(experiment).into_owned());
            sql.push(" AND at <= ").push_bind(until.map_or(i64::MAX, |at| at.as_millisecond())).push(" AND action IN (");
            let mut list = sql.separated(", ");
            for action in actions {
                list.push_bind((*action).to_owned());
            }
            sql.push(") ORDER BY id DESC LIMIT 1 OFFSET ").push_bind(signed(newer));
            sql.build_query_as().fetch_optional(db).await?
        });
        row.map(entry).transpose()
    }
}

const AUDITED: &str = "id, at, who, why, action, experiment, subject, request, document";

fn entry(row: AuditRow) -> Result<AuditEntry> {
    Ok(AuditEntry {
        id: row.id,
        at: moment(row.at)?,
        who: row.who,
        why: row.why,
        action: row.action,
        experiment: row.experiment,
        subject: row.subject,
        request: row.request,
        document: serde_json::from_str(&row.document).map_err(damaged("audit"))?,
    })
}

#[derive(sqlx::FromRow)]
struct AuditRow {
    id: i64,
    at: i64,
    who: String,
    why: String,
    action: String,
    experiment: String,
    subject: String,
    request: String,
    document: String,
}
