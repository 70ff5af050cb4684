//! Taking in a batch: insert what is new, find which decisions that concerns, and move the counts by what changed.

use super::evaluate::source_number;
use super::settle::{move_counts, settle};
use super::{Sqlite, damaged, signed};
use crate::{Ingest, Ingested, Result, StoreError};
use bandit::{DecisionId, DecisionRecord, Experiment, Exposure, UserEvent, hour_of};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite as Db, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Rows of one statement: SQLite takes 32,766 values.
pub(super) const ROWS: usize = 2_000;
/// Longest text of a record that is set aside, in bytes.
const LONGEST_BODY: usize = 4_096;

pub(super) type Id = [u8; 16];

/// Where a decision is counted: experiment, hour, segment, arm, holdout.
pub(super) type Cell = (i64, i64, i64, i64, bool);

/// An experiment as rows refer to it.
pub(super) struct Known {
    pub(super) num: i64,
    pub(super) definition: Experiment,
}

impl Sqlite {
    pub(super) async fn ingest_batch(&self, batch: &Ingest) -> Result<Ingested> {
        let mut tx = self.write().await?;
        let ingested = ingest(&mut tx, batch).await?;
        tx.commit().await?;
        self.empty_wal().await;
        Ok(ingested)
    }
}

/// Finds an experiment, deleted ones too: their last decisions may still arrive.
pub(super) async fn known(db: &mut SqliteConnection, id: &str) -> Result<Option<Known>> {
    let row = sqlx::query("SELECT num, definition FROM experiments WHERE id = $1").bind(id).fetch_optional(db).await?;
    row.map(|row| {
        let text: String = row.try_get("definition")?;
        Ok(Known { num: row.try_get("num")?, definition: serde_json::from_str(&text).map_err(damaged("definition"))? })
    })
    .transpose()
}

pub(super) async fn ingest(db: &mut SqliteConnection, batch: &Ingest) -> Result<Ingested> {
    let mut experiments: BTreeMap<&str, Option<Known>> = BTreeMap::new();
    for decision in &batch.decisions {
        if !experiments.contains_key(decision.experiment.as_str()) {
            experiments.insert(&decision.experiment, known(db, &decision.experiment).await?);
        }
    }
    let mut set_aside = batch.set_aside.clone();
    let mut rows = Vec::with_capacity(batch.decisions.len());
    let mut segments: HashMap<(i64, &str), i64> = HashMap::new();
    for decision in &batch.decisions {
        let Some(Some(experiment)) = experiments.get(decision.experiment.as_str()) else {
            set_aside.push((format!("unknown experiment '{}'", decision.experiment), body(decision)));
            continue;
        };
        let Some(arm) = experiment.definition.arm_index(&decision.arm) else {
            set_aside
                .push((format!("experiment '{}' has no arm '{}'", decision.experiment, decision.arm), body(decision)));
            continue;
        };
        let place = (experiment.num, decision.segment.as_str());
        let segment = match segments.get(&place) {
            Some(&num) => num,
            None => {
                let num = segment(db, place.0, place.1).await?;
                segments.insert(place, num);
                num
            }
        };
        rows.push(DecisionRow { experiment, segment, arm: signed(arm as u64), decision });
    }

    let mut moved: BTreeMap<Cell, (i64, i64)> = BTreeMap::new();
    let fresh = insert_decisions(db, rows, &mut moved).await?;
    let (events, claimed) = insert_events(db, batch).await?;
    let mut affected: BTreeSet<Id> = claimed;
    // Events may have arrived before their decisions.
    affected.extend(found(db, "SELECT DISTINCT decision FROM claims WHERE decision IN ", &fresh).await?);
    settle(db, &affected, &mut moved).await?;
    move_counts(db, &moved).await?;
    let set_aside = set_records_aside(db, batch, &set_aside).await?;
    Ok(Ingested { decisions: fresh.len() as u64, events, set_aside })
}

fn body(decision: &DecisionRecord) -> String {
    serde_json::to_string(decision).unwrap_or_default()
}

async fn segment(db: &mut SqliteConnection, experiment: i64, segment: &str) -> Result<i64> {
    sqlx::query("INSERT INTO segments (experiment, segment) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(experiment)
        .bind(segment)
        .execute(&mut *db)
        .await?;
    Ok(sqlx::query_scalar("SELECT num FROM segments WHERE experiment = $1 AND segment = $2")
        .bind(experiment)
        .bind(segment)
        .fetch_one(db)
        .await?)
}

struct DecisionRow<'a> {
    experiment: &'a Known,
    segment: i64,
    arm: i64,
    decision: &'a DecisionRecord,
}

impl DecisionRow<'_> {
    fn id(&self) -> Id {
        self.decision.decision_id.0
    }

    /// What it counts for before any event.
    fn trial(&self) -> bool {
        self.experiment.definition.exposure == Exposure::Decide && self.decision.source.is_trial()
    }

    fn cell(&self) -> Cell {
        let d = self.decision;
        (self.experiment.num, hour_of(d.at), self.segment, self.arm, d.source == bandit::Source::Holdout)
    }
}

/// Inserts decisions that are new and counts them; returns their ids.
async fn insert_decisions(
    db: &mut SqliteConnection,
    mut rows: Vec<DecisionRow<'_>>,
    moved: &mut BTreeMap<Cell, (i64, i64)>,
) -> Result<Vec<Id>> {
    // In the order of the table, so that a page is touched once. The sort is stable: of an id that comes twice the
    // first stays, as it does across batches.
    rows.sort_by_key(DecisionRow::id);
    rows.dedup_by_key(|row| row.id());
    let ids: Vec<Id> = rows.iter().map(DecisionRow::id).collect();
    let old = found(db, "SELECT id FROM decisions WHERE id IN ", &ids).await?;
    rows.retain(|row| !old.contains(&row.id()));
    for chunk in rows.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> = QueryBuilder::new(
            "INSERT INTO decisions (id, experiment, segment, arm, source, propensity, version, revision, visitor, item, \
             at, counted_trial) ",
        );
        sql.push_values(chunk, |mut row, r| {
            let d = r.decision;
            row.push_bind(&d.decision_id.0[..])
                .push_bind(r.experiment.num)
                .push_bind(r.segment)
                .push_bind(r.arm)
                .push_bind(source_number(d.source))
                .push_bind(d.propensity)
                .push_bind(signed(d.posterior_version))
                .push_bind(signed(d.revision))
                .push_bind(&d.user)
                .push_bind(&d.item)
                .push_bind(d.at.as_millisecond())
                .push_bind(i64::from(r.trial()));
        });
        sql.build().execute(&mut *db).await?;
    }
    for row in rows.iter().filter(|row| row.trial()) {
        moved.entry(row.cell()).or_default().0 += 1;
    }
    Ok(rows.iter().map(DecisionRow::id).collect())
}

/// Inserts events that are new, and their claims; returns how many there were and which decisions they claim.
async fn insert_events(db: &mut SqliteConnection, batch: &Ingest) -> Result<(u64, BTreeSet<Id>)> {
    let mut rows: Vec<(Id, &UserEvent, &[DecisionId])> =
        batch.events.iter().map(|(event, decisions)| (event.key(), event, &decisions[..])).collect();
    rows.sort_by_key(|row| row.0);
    rows.dedup_by_key(|row| row.0);
    let keys: Vec<Id> = rows.iter().map(|row| row.0).collect();
    let old = found(db, "SELECT key FROM events WHERE key IN ", &keys).await?;
    rows.retain(|row| !old.contains(&row.0));
    for chunk in rows.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> =
            QueryBuilder::new("INSERT INTO events (key, kind, name, visitor, item, experiment, value, at) ");
        sql.push_values(chunk, |mut row, (key, e, _)| {
            row.push_bind(&key[..])
                .push_bind(e.kind.as_str())
                .push_bind(&e.name)
                .push_bind(&e.user)
                .push_bind(&e.item)
                .push_bind(&e.experiment)
                .push_bind(e.value)
                .push_bind(e.at.as_millisecond());
        });
        sql.build().execute(&mut *db).await?;
    }
    let claims: BTreeSet<(Id, Id)> =
        rows.iter().flat_map(|(key, _, decisions)| decisions.iter().map(|d| (d.0, *key))).collect();
    let claims: Vec<(Id, Id)> = claims.into_iter().collect();
    for chunk in claims.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> = QueryBuilder::new("INSERT INTO claims (decision, event) ");
        sql.push_values(chunk, |mut row, (decision, event)| {
            row.push_bind(&decision[..]).push_bind(&event[..]);
        });
        sql.build().execute(&mut *db).await?;
    }
    Ok((rows.len() as u64, claims.into_iter().map(|(decision, _)| decision).collect()))
}

/// Those of `ids` that a query finds.
async fn found(db: &mut SqliteConnection, query: &'static str, ids: &[Id]) -> Result<HashSet<Id>> {
    let mut found = HashSet::new();
    for chunk in ids.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> = QueryBuilder::new(query);
        list(&mut sql, chunk);
        for row in sql.build().fetch_all(&mut *db).await? {
            found.insert(id(&row, 0)?);
        }
    }
    Ok(found)
}

/// Keeps what cannot be taken; returns how many records were new.
async fn set_records_aside(db: &mut SqliteConnection, batch: &Ingest, records: &[(String, String)]) -> Result<u64> {
    let mut new = 0;
    for chunk in records.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> = QueryBuilder::new("INSERT INTO dead_letters (at, reason, body) ");
        sql.push_values(chunk, |mut row, (reason, body)| {
            row.push_bind(batch.at.as_millisecond())
                .push_bind(reason)
                .push_bind(&body[..body.floor_char_boundary(LONGEST_BODY)]);
        });
        // A record that is delivered again is the same record.
        sql.push(" ON CONFLICT DO NOTHING");
        new += sql.build().execute(&mut *db).await?.rows_affected();
    }
    Ok(new)
}

pub(super) fn id(row: &SqliteRow, column: usize) -> Result<Id> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| StoreError::Damaged("an id of a decision or event is not 16 bytes".into()))
}

/// Pushes `($1, $2, …)`.
pub(super) fn list(sql: &mut QueryBuilder<Db>, ids: &[Id]) {
    sql.push("(");
    let mut separated = sql.separated(", ");
    for id in ids {
        separated.push_bind(id.to_vec());
    }
    sql.push(")");
}
