//! Taking in a batch: insert what is new, find which decisions that concerns, and move the counts by what changed.

use super::evaluate::{Claim, Counts, Decided, source_number, source_of};
use super::{Sqlite, WRITE, damaged, signed};
use crate::{Import, ImportOutcome, Ingest, Ingested, Result, StoreError};
use bandit::{DecisionRecord, Experiment, Exposure, hour_of};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite as Db, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Rows of one statement: SQLite takes 32,766 values.
const ROWS: usize = 2_000;
/// Longest text of a record that is set aside, in bytes.
const LONGEST_BODY: usize = 4_096;

type Id = [u8; 16];

/// Where a decision is counted: experiment, hour, segment, arm, holdout.
type Cell = (i64, i64, i64, i64, bool);

/// An experiment as rows refer to it.
pub(super) struct Known {
    pub(super) num: i64,
    pub(super) definition: Experiment,
}

impl Sqlite {
    pub(super) async fn ingest_batch(&self, batch: &Ingest) -> Result<Ingested> {
        let mut tx = self.pool.begin_with(WRITE).await?;
        let ingested = ingest(&mut tx, batch).await?;
        tx.commit().await?;
        Ok(ingested)
    }

    pub(super) async fn import_batches(
        &self,
        import: &Import,
        batches: &mut (dyn Iterator<Item = std::result::Result<Ingest, String>> + Send),
    ) -> Result<ImportOutcome> {
        let mut tx = self.pool.begin_with(WRITE).await?;
        let known = known(&mut tx, &import.experiment).await?;
        let num = known.ok_or_else(|| StoreError::Missing(format!("experiment '{}'", import.experiment)))?.num;
        let earlier = sqlx::query("SELECT digest, experiment, at FROM imports WHERE name = $1")
            .bind(&import.name)
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(row) = earlier {
            let at = super::moment(row.try_get("at")?)?;
            let same = row.try_get::<Vec<u8>, _>("digest")? == import.digest && row.try_get::<i64, _>("experiment")? == num;
            return Ok(if same { ImportOutcome::Repeated(at) } else { ImportOutcome::NameTaken(at) });
        }
        let mut total = Ingested::default();
        for batch in batches {
            let batch = batch.map_err(StoreError::Aborted)?;
            let part = ingest(&mut tx, &batch).await?;
            total.decisions += part.decisions;
            total.events += part.events;
            total.set_aside += part.set_aside;
        }
        sqlx::query("INSERT INTO imports (name, experiment, digest, at) VALUES ($1, $2, $3, $4)")
            .bind(&import.name)
            .bind(num)
            .bind(&import.digest[..])
            .bind(import.at.as_millisecond())
            .execute(&mut *tx)
            .await?;
        let change = crate::Change { who: import.who.clone(), why: String::new(), at: import.at };
        let document = serde_json::json!({ "import": import.name, "decisions": total.decisions, "events": total.events });
        super::experiments::audit(&mut tx, "import", &import.experiment, &document.to_string(), &change).await?;
        tx.commit().await?;
        Ok(ImportOutcome::Loaded(total))
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

async fn ingest(db: &mut SqliteConnection, batch: &Ingest) -> Result<Ingested> {
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
            set_aside.push((format!("experiment '{}' has no arm '{}'", decision.experiment, decision.arm), body(decision)));
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
    let fresh = insert_decisions(db, &rows, &mut moved).await?;
    let (events, claimed) = insert_events(db, batch).await?;
    let mut affected: BTreeSet<Id> = claimed;
    affected.extend(with_claims(db, &fresh).await?);
    settle(db, &affected, &mut moved).await?;
    move_counts(db, &moved).await?;
    set_records_aside(db, batch, &set_aside).await?;
    Ok(Ingested { decisions: fresh.len() as u64, events, set_aside: set_aside.len() as u64 })
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
    /// What it counts for before any event.
    fn trial(&self) -> bool {
        self.experiment.definition.exposure == Exposure::Decide && self.decision.source.is_trial()
    }

    fn cell(&self) -> Cell {
        let d = self.decision;
        (self.experiment.num, hour_of(d.at), self.segment, self.arm, d.source == bandit::Source::Holdout)
    }
}

/// Inserts decisions and counts the new ones; returns their ids.
async fn insert_decisions(
    db: &mut SqliteConnection,
    rows: &[DecisionRow<'_>],
    moved: &mut BTreeMap<Cell, (i64, i64)>,
) -> Result<Vec<Id>> {
    let by_id: HashMap<Id, &DecisionRow<'_>> = rows.iter().rev().map(|r| (r.decision.decision_id.0, r)).collect();
    let mut fresh = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> = QueryBuilder::new(
            "INSERT INTO decisions (id, experiment, segment, arm, source, propensity, version, revision, visitor, item, at, counted_trial) ",
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
        sql.push(" ON CONFLICT (id) DO NOTHING RETURNING id");
        for row in sql.build().fetch_all(&mut *db).await? {
            let id = id(&row, "id")?;
            if let Some(r) = by_id.get(&id)
                && r.trial()
            {
                moved.entry(r.cell()).or_default().0 += 1;
            }
            fresh.push(id);
        }
    }
    Ok(fresh)
}

/// Inserts events and the claims of the new ones; returns how many were new and which decisions they claim.
async fn insert_events(db: &mut SqliteConnection, batch: &Ingest) -> Result<(u64, BTreeSet<Id>)> {
    let mut fresh: BTreeSet<Id> = BTreeSet::new();
    for chunk in batch.events.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> = QueryBuilder::new("INSERT INTO events (key, kind, name, visitor, item, value, at) ");
        sql.push_values(chunk, |mut row, (e, _)| {
            row.push_bind(e.key().to_vec())
                .push_bind(e.kind.as_str())
                .push_bind(&e.name)
                .push_bind(&e.user)
                .push_bind(&e.item)
                .push_bind(e.value)
                .push_bind(e.at.as_millisecond());
        });
        sql.push(" ON CONFLICT (key) DO NOTHING RETURNING key");
        for row in sql.build().fetch_all(&mut *db).await? {
            fresh.insert(id(&row, "key")?);
        }
    }
    // An id that comes twice in one batch stands for its first event, as it does across batches.
    let (mut claims, mut seen) = (Vec::new(), BTreeSet::new());
    for (event, decisions) in &batch.events {
        let key = event.key();
        if fresh.contains(&key) && seen.insert(key) {
            claims.extend(decisions.iter().map(|d| (d.0, key)));
        }
    }
    for chunk in claims.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> = QueryBuilder::new("INSERT INTO claims (decision, event) ");
        sql.push_values(chunk, |mut row, (decision, event)| {
            row.push_bind(&decision[..]).push_bind(&event[..]);
        });
        sql.push(" ON CONFLICT DO NOTHING");
        sql.build().execute(&mut *db).await?;
    }
    Ok((fresh.len() as u64, claims.into_iter().map(|(decision, _)| decision).collect()))
}

/// Those of `ids` that events arrived for earlier.
async fn with_claims(db: &mut SqliteConnection, ids: &[Id]) -> Result<Vec<Id>> {
    let mut found = Vec::new();
    for chunk in ids.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> = QueryBuilder::new("SELECT DISTINCT decision FROM claims WHERE decision IN ");
        list(&mut sql, chunk);
        for row in sql.build().fetch_all(&mut *db).await? {
            found.push(id(&row, "decision")?);
        }
    }
    Ok(found)
}

/// Evaluates decisions anew and notes by how much counts move.
async fn settle(db: &mut SqliteConnection, ids: &BTreeSet<Id>, moved: &mut BTreeMap<Cell, (i64, i64)>) -> Result<()> {
    let ids: Vec<Id> = ids.iter().copied().collect();
    let mut experiments: HashMap<i64, Experiment> = HashMap::new();
    for chunk in ids.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> = QueryBuilder::new(SELECT_CLAIMED);
        sql.push(" WHERE d.id IN ");
        list(&mut sql, chunk);
        sql.push(" ORDER BY d.id");
        let rows = sql.build().fetch_all(&mut *db).await?;
        let mut changed: BTreeMap<(bool, bool), Vec<Id>> = BTreeMap::new();
        for group in rows.chunk_by(|a, b| id(a, "id").ok() == id(b, "id").ok()) {
            let claimed = Claimed::read(group)?;
            let num = claimed.cell.0;
            let experiment = match experiments.entry(num) {
                std::collections::hash_map::Entry::Occupied(e) => e.into_mut(),
                std::collections::hash_map::Entry::Vacant(e) => e.insert(definition(db, num).await?),
            };
            let counts = claimed.decided.counts(experiment, &claimed.claims);
            if counts != claimed.counted {
                changed.entry((counts.trial, counts.reward)).or_default().push(claimed.id);
                let delta = |now: bool, before: bool| i64::from(now) - i64::from(before);
                let cell = moved.entry(claimed.cell).or_default();
                cell.0 += delta(counts.trial, claimed.counted.trial);
                cell.1 += delta(counts.reward, claimed.counted.reward);
            }
        }
        for ((trial, reward), ids) in changed {
            let mut sql: QueryBuilder<Db> = QueryBuilder::new("UPDATE decisions SET counted_trial = ");
            sql.push_bind(i64::from(trial)).push(", counted_reward = ").push_bind(i64::from(reward)).push(" WHERE id IN ");
            list(&mut sql, &ids);
            sql.build().execute(&mut *db).await?;
        }
    }
    Ok(())
}

async fn definition(db: &mut SqliteConnection, num: i64) -> Result<Experiment> {
    let text: String =
        sqlx::query_scalar("SELECT definition FROM experiments WHERE num = $1").bind(num).fetch_one(db).await?;
    serde_json::from_str(&text).map_err(damaged("definition"))
}

/// Decisions with the events that claim them, one row per event.
pub(super) const SELECT_CLAIMED: &str = "SELECT d.id, d.experiment, d.segment, d.arm, d.source, d.at, d.counted_trial, d.counted_reward,
        e.kind, e.name, e.value, e.at AS event_at
     FROM decisions d LEFT JOIN claims c ON c.decision = d.id LEFT JOIN events e ON e.key = c.event";

/// One decision with its events.
pub(super) struct Claimed {
    pub(super) id: Id,
    pub(super) cell: Cell,
    pub(super) decided: Decided,
    counted: Counts,
    pub(super) claims: Vec<Claim>,
}

impl Claimed {
    /// Reads the rows of one decision.
    fn read(rows: &[SqliteRow]) -> Result<Self> {
        let mut claimed = Self::of_row(&rows[0])?;
        for row in rows {
            claimed.add(row)?;
        }
        Ok(claimed)
    }

    /// The decision of a row, without its event.
    pub(super) fn of_row(row: &SqliteRow) -> Result<Self> {
        let number: i64 = row.try_get("source")?;
        let source = source_of(number).ok_or_else(|| StoreError::Damaged(format!("source {number} of a decision")))?;
        let at: i64 = row.try_get("at")?;
        let holdout = source == bandit::Source::Holdout;
        Ok(Self {
            id: id(row, "id")?,
            cell: (row.try_get("experiment")?, hour_of(super::moment(at)?), row.try_get("segment")?, row.try_get("arm")?, holdout),
            decided: Decided { source, at },
            counted: Counts {
                trial: row.try_get::<i64, _>("counted_trial")? != 0,
                reward: row.try_get::<i64, _>("counted_reward")? != 0,
            },
            claims: Vec::new(),
        })
    }

    /// Adds the event of a row, if it has one.
    pub(super) fn add(&mut self, row: &SqliteRow) -> Result<()> {
        if let Some(kind) = row.try_get::<Option<String>, _>("kind")? {
            self.claims.push(Claim {
                kind,
                name: row.try_get("name")?,
                value: row.try_get("value")?,
                at: row.try_get("event_at")?,
            });
        }
        Ok(())
    }
}

async fn move_counts(db: &mut SqliteConnection, moved: &BTreeMap<Cell, (i64, i64)>) -> Result<()> {
    let rows: Vec<_> = moved.iter().filter(|(_, delta)| **delta != (0, 0)).collect();
    for chunk in rows.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> =
            QueryBuilder::new("INSERT INTO outcomes (experiment, hour, segment, arm, holdout, trials, rewards) ");
        sql.push_values(chunk, |mut row, ((experiment, hour, segment, arm, holdout), (trials, rewards))| {
            row.push_bind(*experiment)
                .push_bind(*hour)
                .push_bind(*segment)
                .push_bind(*arm)
                .push_bind(i64::from(*holdout))
                .push_bind(*trials)
                .push_bind(*rewards);
        });
        sql.push(
            " ON CONFLICT (experiment, hour, segment, arm, holdout) DO UPDATE
              SET trials = outcomes.trials + excluded.trials, rewards = outcomes.rewards + excluded.rewards",
        );
        sql.build().execute(&mut *db).await?;
    }
    Ok(())
}

async fn set_records_aside(db: &mut SqliteConnection, batch: &Ingest, records: &[(String, String)]) -> Result<()> {
    for chunk in records.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> = QueryBuilder::new("INSERT INTO dead_letters (at, reason, body) ");
        sql.push_values(chunk, |mut row, (reason, body)| {
            row.push_bind(batch.at.as_millisecond()).push_bind(reason).push_bind(&body[..body.floor_char_boundary(LONGEST_BODY)]);
        });
        // A record that is delivered again is the same record.
        sql.push(" ON CONFLICT DO NOTHING");
        sql.build().execute(&mut *db).await?;
    }
    Ok(())
}

fn id(row: &SqliteRow, column: &str) -> Result<Id> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| StoreError::Damaged(format!("'{column}' is not 16 bytes")))
}

/// Pushes `($1, $2, …)`.
fn list(sql: &mut QueryBuilder<Db>, ids: &[Id]) {
    sql.push("(");
    let mut separated = sql.separated(", ");
    for id in ids {
        separated.push_bind(id.to_vec());
    }
    sql.push(")");
}
