//! The search itself: slice after slice of time, each one statement that may cost so much.

use super::{ROW, Row, definition, logged};
use crate::sql::bulk::id;
use crate::sql::evaluate::source_number;
use crate::sql::{Database, Either, Tx, signed, storable};
use crate::{Cursor, DecisionFilter, FoundDecisions, LoggedDecision, Result};
use bandit::{DecisionId, Experiment};
use sqlx::AssertSqlSafe;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Width of the newest slice of time that is searched; each older one is [`GROWTH`] times as wide, so that one that takes too
/// long is most of the work.
const SLICE_MS: i64 = 60_000;
const GROWTH: i64 = 8;
/// After slices of some years comes all the rest.
const WIDEST_MS: i64 = SLICE_MS * GROWTH.pow(7);

/// How much a search may cost.
#[derive(Debug, Clone, Copy)]
pub(in crate::sql) struct Effort {
    /// PostgreSQL: what one slice may take.
    pub(in crate::sql) milliseconds: u32,
    /// SQLite, whose statements know no time: thousands of its machine's instructions, of which it does some 50 in a millisecond.
    pub(in crate::sql) kilo_instructions: u32,
}

/// What a page may cost.
pub(super) const EFFORT: Effort = Effort { milliseconds: 2_000, kilo_instructions: 100_000 };

/// Those of a slice that match. The conditions name their values by number, so that all can be bound whichever are named.
fn slice(wanted: &DecisionFilter, sqlite: bool) -> String {
    // Of a visitor's decisions SQLite keeps a table in their order, which is read no further than a page needs.
    let (by_visitor, at) = match wanted.user {
        Some(_) if sqlite => (" JOIN decisions_of_visitors v ON v.num = d.num", "v.at"),
        _ => ("", "d.at"),
    };
    let mut sql = format!("{ROW}{by_visitor} WHERE {at} >= $1 AND {at} <= $2 AND ({at} < $2 OR d.id < $3)");
    let mut and = |named: bool, condition: &str| {
        if named {
            sql.push_str(" AND ");
            sql.push_str(condition);
        }
    };
    // The plus keeps to the visitor, of whose decisions there are few.
    let of_experiment = if wanted.user.is_some() { "+d.experiment = $5" } else { "d.experiment = $5" };
    and(wanted.experiment.is_some(), of_experiment);
    and(wanted.user.is_some(), if sqlite { "v.visitor = $6" } else { "d.visitor = $6" });
    and(wanted.item.is_some(), "d.item = $7");
    and(wanted.arm.is_some(), "d.arm = $8");
    and(wanted.segment.is_some(), "s.segment = $9");
    and(wanted.source.is_some(), "d.source % 5 = $10");
    let yes = if sqlite { "1" } else { "TRUE" };
    and(wanted.rewarded == Some(true), &format!("d.counted_reward = {yes}"));
    and(wanted.rewarded == Some(false), &format!("NOT d.counted_reward = {yes}"));
    sql + &format!(" ORDER BY {at} DESC, d.id DESC LIMIT $4")
}

impl Database {
    pub(in crate::sql) async fn search_within(
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
        let patience = bound(&mut tx, effort).await?;
        let sql = slice(wanted, matches!(tx, Either::Sqlite(_)));
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
        drop(patience);
        if gave_up {
            // PostgreSQL answers nothing more in a transaction of which a statement failed.
            // One connection at a time: searches that wait for each other's would wait for good.
            drop(tx);
            tx = self.snapshot().await?;
        }
        let decisions = named(&mut tx, rows).await?;
        Ok(FoundDecisions { decisions, next, gave_up: gave_up && !more })
    }
}

/// Rows with the names of their experiments and arms.
async fn named(tx: &mut Tx, rows: Vec<Row>) -> Result<Vec<LoggedDecision>> {
    let mut definitions: HashMap<i64, Experiment> = HashMap::new();
    let mut decisions = Vec::with_capacity(rows.len());
    for row in rows {
        let num = row.experiment;
        let experiment = match definitions.entry(num) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(definition(tx, num).await?.0),
        };
        decisions.push(logged(row, experiment)?);
    }
    Ok(decisions)
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
