//! Decisions one by one, as people look for them.

mod search;

#[cfg(test)]
pub(super) use search::Effort;

use super::bulk::id;
use super::evaluate::{Claim, Decided, is_offer, source_of};
use super::outcomes::index;
use super::{Database, Either, Tx, damaged, moment, unsigned};
use crate::{
    ClaimingEvent, Cursor, DecisionFilter, DecisionStory, Decisions, FoundDecisions, LoggedDecision, Result, StoreError,
};
use async_trait::async_trait;
use bandit::{DecisionId, DecisionRecord, Experiment, Source};
use jiff::tz::TimeZone;
use search::EFFORT;
use sqlx::AssertSqlSafe;

/// Events of a decision that are read.
const EVENTS: i64 = 100;
#[derive(sqlx::FromRow)]
struct Row {
    id: Vec<u8>,
    experiment: i64,
    segment: String,
    arm: i64,
    source: i64,
    propensity: f64,
    position: Option<i64>,
    list: Option<Vec<u8>>,
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
         CAST(d.position AS BIGINT) AS position, d.list,
         d.counted_trial, d.counted_reward, d.counted_delay
     FROM decisions d JOIN experiments e ON e.num = d.experiment JOIN segments s ON s.num = d.segment";

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
        let (source, offered) = (source_of(row.source), is_offer(row.source));
        let (definition, revision) = definition(&mut tx, row.experiment).await?;
        let claims: Vec<ClaimRow> =
            on!(&mut tx, db => sqlx::query_as(events).bind(&id.0[..]).bind(EVENTS).fetch_all(&mut **db).await?);
        let decision = logged(row, &definition)?;
        let decided = Decided { source: source.unwrap_or(Source::Policy), offered, at };
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
    // A candidate is the item that was shown.
    let arm = match (&experiment.candidates, &row.item) {
        (Some(_), Some(item)) => item.clone(),
        _ => experiment.arms.get(index(row.arm)).map(|arm| arm.id.clone()).unwrap_or_default(),
    };
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
            arm,
            position: row.position.and_then(|p| u32::try_from(p).ok()),
            list: row.list.as_deref().map(id).transpose()?.map(DecisionId),
            propensity: row.propensity,
            posterior_version: unsigned(row.version),
            revision: unsigned(row.revision),
            source,
            at,
        },
    })
}
