//! Looking for decisions, newest first, with bounded work.

use super::bulk::id;
use super::evaluate::{Claim, Decided, source_number, source_of};
use super::outcomes::index;
use super::{Database, Either, Tx, damaged, moment, signed, storable, unsigned};
use crate::{
    ClaimingEvent, Cursor, DecisionFilter, DecisionStory, Decisions, FoundDecisions, LoggedDecision, Result, StoreError,
};
use async_trait::async_trait;
use bandit::{DecisionId, DecisionRecord, Experiment, Source};
use jiff::tz::TimeZone;
use sqlx::AssertSqlSafe;
use std::collections::HashMap;
use std::sync::Arc;

/// Events of a decision that are read.
const EVENTS: i64 = 100;
/// Width of the newest slice of time that is searched; each older one is [`GROWTH`] times as wide, so that one that takes too
/// long is most of the work.
const SLICE_MS: i64 = 60_000;
const GROWTH: i64 = 8;
/// After slices of some years comes all the rest.
const WIDEST_MS: i64 = SLICE_MS * GROWTH.pow(7);

/// How much a search may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// PostgreSQL: what one slice may take.
    pub(super) milliseconds: u32,
    /// SQLite, whose statements know no time: thousands of its machine's instructions, of which it does some 50 in a millisecond.
    pub(super) kilo_instructions: u32,
}

const EFFORT: Effort = Effort { milliseconds: 2_000, kilo_instructions: 100_000 };

#[derive(sqlx::FromRow)]
struct Row {
    id: Vec<u8>,
    experiment: i64,
    segment: String,
    arm: i64,
    source: i64,
    propensity: f64,
    version: i64,
    revision: i64,
    visitor: String,
    item: Option<String>,
    at: i64,
    features: Option<String>,
    counted_trial: bool,
    counted_reward: bool,
    counted_delay: Option<i64>,
}

const ROW: &str = "SELECT d.id, CAST(d.experiment AS BIGINT) AS experiment, s.segment, CAST(d.arm AS BIGINT) AS arm,
         CAST(d.source AS BIGINT) AS source, d.propensity, d.version, d.revision, d.visitor, d.item, d.at, d.features,
         d.counted_trial, d.counted_reward, d.counted_delay
     FROM decisions d JOIN experiments e ON e.num = d.experiment JOIN segments s ON s.num = d.segment";

/// Those of a slice that match. The conditions name their values by number, so that all can be bound whichever are named.
fn slice(wanted: &DecisionFilter, yes: &str) -> String {
    let mut sql = format!("{ROW} WHERE d.at >= $1 AND d.at <= $2 AND (d.at < $2 OR d.id < $3)");
    let mut and = |named: bool, condition: &str| {
        if named {
            sql.push_str(" AND ");
            sql.push_str(condition);
        }
    };
    // The plus keeps to the index on visitors, of whom each has few.
    let of_experiment = if wanted.user.is_some() { "+d.experiment = $5" } else { "d.experiment = $5" };
    and(wanted.experiment.is_some(), of_experiment);
    and(wanted.user.is_some(), "d.visitor = $6");
    and(wanted.item.is_some(), "d.item = $7");
    and(wanted.arm.is_some(), "d.arm = $8");
    and(wanted.segment.is_some(), "s.segment = $9");
    and(wanted.source.is_some(), "d.source = $10");
    and(wanted.rewarded == Some(true), &format!("d.counted_reward = {yes}"));
    and(wanted.rewarded == Some(false), &format!("NOT d.counted_reward = {yes}"));
    sql + " ORDER BY d.at DESC, d.id DESC LIMIT $4"
}

#[async_trait]
impl Decisions for Database {
    async fn search(&self, wanted: &DecisionFilter, before: Cursor, limit: usize) -> Result<FoundDecisions> {
        self.search_within(EFFORT, wanted, before, limit).await
    }

    async fn decision(&self, id: &DecisionId) -> Result<Option<DecisionStory>> {
        // In PostgreSQL its moment tells in which partition it is.
        let (place, events) = match &self.0 {
            Either::Sqlite(_) => (
                "SELECT at FROM decisions WHERE id = $1",
                "SELECT e.kind, e.name, e.experiment AS only, e.value, e.at FROM claims c JOIN events e ON e.key = c.event
                 WHERE c.decision = $1 ORDER BY e.at, e.key LIMIT $2",
            ),
            Either::Postgres(_) => (
                "SELECT at FROM decision_keys WHERE id = $1",
                "SELECT kind, name, experiment AS only, value, at FROM claims
                 WHERE decision = $1 ORDER BY at, event LIMIT $2",
            ),
        };
        let mut tx = self.snapshot().await?;
        let at: Option<i64> =
            on!(&mut tx, db => sqlx::query_scalar(place).bind(&id.0[..]).fetch_optional(&mut **db).await?);
        let Some(at) = at else { return Ok(None) };
        let sql = AssertSqlSafe(format!("{ROW} WHERE d.id = $1 AND d.at = $2"));
        let row: Option<Row> =
            on!(&mut tx, db => sqlx::query_as(sql).bind(&id.0[..]).bind(at).fetch_optional(&mut **db).await?);
        let Some(row) = row else { return Ok(None) };
        let source = source_of(row.source);
        let (definition, revision) = definition(&mut tx, row.experiment).await?;
        let claims: Vec<ClaimRow> =
            on!(&mut tx, db => sqlx::query_as(events).bind(&id.0[..]).bind(EVENTS).fetch_all(&mut **db).await?);
        let decision = logged(row, &definition)?;
        let decided = Decided { source: source.unwrap_or(Source::Policy), at };
        let event = |row: ClaimRow| {
            let ClaimRow { kind, name, only, value, at } = row;
            let claim = Claim { kind, name, experiment: only, value, at };
            let standing = decided.standing(&definition, &claim);
            let Claim { kind, name, value, .. } = claim;
            Ok(ClaimingEvent { kind, name, value, at: moment(at)?, standing })
        };
        let events = claims.into_iter().map(event).collect::<Result<_>>()?;
        Ok(Some(DecisionStory { decision, definition, revision, events }))
    }
}

#[derive(sqlx::FromRow)]
struct ClaimRow {
    kind: String,
    name: String,
    only: Option<String>,
    value: f64,
    at: i64,
}

impl Database {
    pub(super) async fn search_within(
        &self,
        effort: Effort,
        wanted: &DecisionFilter,
        before: Cursor,
        limit: usize,
    ) -> Result<FoundDecisions> {
        let mut tx = self.snapshot().await?;
        let num: Option<i64> = match &wanted.experiment {
            None => None,
            Some(id) => {
                let num = "SELECT num FROM experiments WHERE id = $1";
                let num: Option<i64> =
                    on!(&mut tx, db => sqlx::query_scalar(num).bind(&*storable(id)).fetch_optional(&mut **db).await?);
                if num.is_none() {
                    return Ok(FoundDecisions { decisions: Vec::new(), next: None, gave_up: false });
                }
                num
            }
        };
        // Dropped before the transaction, which rolls back unhindered.
        let _bound = bound(&mut tx, effort).await?;
        let sql = slice(wanted, if matches!(tx, Either::Sqlite(_)) { "1" } else { "TRUE" });
        let earliest = wanted.from.map_or(i64::MIN, |from| from.as_millisecond());
        let mut cursor = match wanted.to.map(Cursor::at) {
            Some(to) if to.at <= before.at => to,
            _ => before,
        };
        let (mut rows, mut gave_up, mut width) = (Vec::new(), false, SLICE_MS);
        while rows.len() <= limit && cursor.at > earliest {
            let all = wanted.user.is_some() || width > WIDEST_MS;
            let low = if all { earliest } else { cursor.at.saturating_sub(width).max(earliest) };
            let found: sqlx::Result<Vec<Row>> = on!(&mut tx, db => {
                sqlx::query_as(AssertSqlSafe(sql.clone()))
                    .bind(low)
                    .bind(cursor.at)
                    .bind(&cursor.id.0[..])
                    .bind(signed((limit + 1 - rows.len()) as u64))
                    .bind(num)
                    .bind(wanted.user.as_deref().map(storable))
                    .bind(wanted.item.as_deref().map(storable))
                    .bind(wanted.arm.map(|arm| signed(arm as u64)))
                    .bind(wanted.segment.as_deref().map(storable))
                    .bind(wanted.source.map(source_number))
                    .fetch_all(&mut **db)
                    .await
            });
            match found {
                Ok(mut more) => rows.append(&mut more),
                Err(e) if is_too_long(&e) => {
                    gave_up = true;
                    break;
                }
                Err(e) => return Err(e.into()),
            }
            cursor = Cursor { at: low, id: DecisionId([0; 16]) };
            width = width.saturating_mul(GROWTH);
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = match rows.last() {
            Some(last) if more => Some(Cursor { at: last.at, id: DecisionId(id(&last.id)?) }),
            _ => gave_up.then_some(cursor),
        };
        drop(_bound);
        let decisions = self.name(&mut tx, rows).await?;
        Ok(FoundDecisions { decisions, next, gave_up: gave_up && !more })
    }

    /// Rows with the names of their experiments and arms.
    async fn name(&self, tx: &mut Tx, rows: Vec<Row>) -> Result<Vec<LoggedDecision>> {
        let mut definitions: HashMap<i64, Experiment> = HashMap::new();
        let mut decisions = Vec::with_capacity(rows.len());
        for row in rows {
            let num = row.experiment;
            if !definitions.contains_key(&num) {
                definitions.insert(num, definition(tx, num).await?.0);
            }
            decisions.extend(definitions.get(&num).map(|e| logged(row, e)).transpose()?);
        }
        Ok(decisions)
    }
}

/// Bounds what statements cost; in SQLite as long as what is returned lives.
async fn bound(tx: &mut Tx, effort: Effort) -> Result<Arc<()>> {
    let alive = Arc::new(());
    match tx {
        Either::Sqlite(db) => {
            let (owner, mut left) = (Arc::downgrade(&alive), effort.kilo_instructions);
            // The connection goes back to its pool with this: it must not hinder who comes next.
            db.lock_handle().await?.set_progress_handler(1_000, move || {
                left = left.saturating_sub(1);
                left > 0 || owner.strong_count() == 0
            });
        }
        Either::Postgres(db) => {
            let sql = format!("SET LOCAL statement_timeout = {}", effort.milliseconds);
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **db).await?;
        }
    }
    Ok(alive)
}

/// Whether a statement was cut off: by PostgreSQL's timeout, or interrupted in SQLite.
fn is_too_long(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "57014" || code == "9")
}

async fn definition(tx: &mut Tx, num: i64) -> Result<(Experiment, u64)> {
    let sql = "SELECT definition, revision FROM experiments WHERE num = $1";
    let (text, revision): (String, i64) = on!(tx, db => sqlx::query_as(sql).bind(num).fetch_one(&mut **db).await?);
    Ok((serde_json::from_str(&text).map_err(damaged("definition"))?, unsigned(revision)))
}

fn logged(row: Row, experiment: &Experiment) -> Result<LoggedDecision> {
    let at = moment(row.at)?;
    let zone = TimeZone::get(&experiment.sticky.time_zone)
        .map_err(|e| StoreError::Damaged(format!("time zone of '{}': {e}", experiment.id)))?;
    let source =
        source_of(row.source).ok_or_else(|| StoreError::Damaged(format!("source {} of a decision", row.source)))?;
    let features = row.features.as_deref().map(serde_json::from_str).transpose();
    Ok(LoggedDecision {
        arm: index(row.arm),
        trial: row.counted_trial,
        rewarded: row.counted_reward,
        delay_ms: row.counted_delay,
        record: DecisionRecord {
            decision_id: DecisionId(id(&row.id)?),
            experiment: experiment.id.clone(),
            user: row.visitor,
            item: row.item,
            day: zone.to_datetime(at).date(),
            segment: row.segment,
            features: features.map_err(damaged("features of a decision"))?,
            arm: experiment.arms.get(index(row.arm)).map(|arm| arm.id.clone()).unwrap_or_default(),
            propensity: row.propensity,
            posterior_version: unsigned(row.version),
            revision: unsigned(row.revision),
            source,
            at,
        },
    })
}
