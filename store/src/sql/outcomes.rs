//! Reading counts.

use super::bulk::ClaimedRow;
use super::ingest::{KNOWN, known_of};
use super::settle::Claimed;
use super::{Database, Either, moment, postgres, signed, sqlite, storable, unsigned};
use crate::{DeadLetter, Import, ImportOutcome, Ingest, Ingested, Outcomes, Result, Trial};
use async_trait::async_trait;
use bandit::{CLOCK_SKEW, Experiment, HourOutcome};
use futures::{Stream, TryStreamExt};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, HashMap};
use std::pin::pin;

/// Hour, segment, arm, holdout.
type Place = (i64, i64, i64, bool);
/// Trials and rewards of each.
type Counted = BTreeMap<Place, (u64, u64)>;

const DAY_MS: i64 = 24 * 3_600_000;
// Why events outlive decisions by a day.
const _: () = assert!(CLOCK_SKEW.as_secs() < 24 * 3_600);

#[derive(sqlx::FromRow)]
struct OutcomeRow {
    hour: i64,
    segment: String,
    arm: i64,
    holdout: bool,
    trials: i64,
    rewards: i64,
}

#[derive(sqlx::FromRow)]
struct TrialRow {
    at: i64,
    segment: String,
    arm: i64,
    propensity: f64,
    rewarded: bool,
}

#[async_trait]
impl Outcomes for Database {
    async fn ingest(&self, batch: &Ingest) -> Result<Ingested> {
        self.ingest_batch(batch).await
    }

    async fn outcomes(&self, experiment: &str) -> Result<Vec<HourOutcome>> {
        let rows: Vec<OutcomeRow> = on!(self.pool(), db => {
            sqlx::query_as(
                "SELECT CAST(o.hour AS BIGINT) AS hour, s.segment, CAST(o.arm AS BIGINT) AS arm, o.holdout,
                     o.trials, o.rewards
                 FROM outcomes o JOIN experiments e ON e.num = o.experiment JOIN segments s ON s.num = o.segment
                 WHERE e.id = $1 AND o.trials > 0",
            )
            .bind(&*storable(experiment))
            .fetch_all(db)
            .await?
        });
        let outcome = |row: OutcomeRow| HourOutcome {
            hour: row.hour,
            segment: row.segment,
            arm: arm(row.arm),
            holdout: row.holdout,
            trials: unsigned(row.trials),
            rewards: unsigned(row.rewards),
        };
        let mut outcomes: Vec<HourOutcome> = rows.into_iter().map(outcome).collect();
        outcomes.sort_unstable();
        Ok(outcomes)
    }

    async fn trials(&self, experiment: &str) -> Result<Vec<Trial>> {
        let rows: Vec<TrialRow> = on!(self.pool(), db => {
            sqlx::query_as(
                "SELECT d.at, s.segment, CAST(d.arm AS BIGINT) AS arm, d.propensity, d.counted_reward AS rewarded
                 FROM decisions d JOIN experiments e ON e.num = d.experiment JOIN segments s ON s.num = d.segment
                 WHERE e.id = $1 AND d.counted_trial
                 ORDER BY d.at, d.id",
            )
            .bind(&*storable(experiment))
            .fetch_all(db)
            .await?
        });
        let trial = |row: TrialRow| {
            let TrialRow { at, segment, arm: number, propensity, rewarded } = row;
            Ok(Trial { at: moment(at)?, segment, arm: arm(number), propensity, rewarded })
        };
        rows.into_iter().map(trial).collect()
    }

    async fn recount(&self, experiment: &str) -> Result<Vec<HourOutcome>> {
        let row = on!(self.pool(), db => sqlx::query_as(KNOWN).bind(&*storable(experiment)).fetch_optional(db).await?);
        let Some(known) = known_of(row)? else { return Ok(Vec::new()) };
        let sql = |claimed: &str| AssertSqlSafe(format!("{claimed} WHERE d.experiment = $1 ORDER BY d.id"));
        let counts = match &self.0 {
            Either::Sqlite(file) => {
                let rows = sqlx::query_as(sql(sqlite::CLAIMED)).bind(known.num).fetch(&file.pool);
                count(&known.definition, rows).await?
            }
            Either::Postgres(server) => {
                let mut tx = server.read_at_length().await?;
                let rows = sqlx::query_as(sql(postgres::CLAIMED)).bind(known.num).fetch(&mut *tx);
                count(&known.definition, rows).await?
            }
        };
        let names: Vec<(i64, String)> = on!(self.pool(), db => {
            sqlx::query_as("SELECT num, segment FROM segments WHERE experiment = $1")
                .bind(known.num)
                .fetch_all(db)
                .await?
        });
        let names: HashMap<i64, String> = names.into_iter().collect();
        let mut outcomes: Vec<HourOutcome> = counts
            .into_iter()
            .filter(|(_, (trials, _))| *trials > 0)
            .map(|((hour, segment, number, holdout), (trials, rewards))| {
                let segment = names.get(&segment).cloned().unwrap_or_default();
                HourOutcome { hour, segment, arm: arm(number), holdout, trials, rewards }
            })
            .collect();
        outcomes.sort_unstable();
        Ok(outcomes)
    }

    async fn import(
        &self,
        import: &Import,
        batches: &mut (dyn Iterator<Item = std::result::Result<Ingest, String>> + Send),
    ) -> Result<ImportOutcome> {
        self.import_batches(import, batches).await
    }

    async fn forget(&self, before: Date) -> Result<()> {
        let midnight = before.to_zoned(TimeZone::UTC).map_or(i64::MIN, |z| z.timestamp().as_millisecond());
        // A reward may be stamped shortly before its decision: events stay a day longer, so that what decisions are
        // counted for can be counted again.
        let (decisions, events) = (midnight, midnight.saturating_sub(DAY_MS));
        on!(&self.0, db => db.forget(decisions, events).await)
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let rows: Vec<(i64, String, String)> = on!(self.pool(), db => {
            sqlx::query_as("SELECT at, reason, body FROM dead_letters ORDER BY id DESC LIMIT $1")
                .bind(signed(limit as u64))
                .fetch_all(db)
                .await?
        });
        rows.into_iter().map(|(at, reason, body)| Ok(DeadLetter { at: moment(at)?, reason, body })).collect()
    }
}

/// Counts decisions anew. Rows of one decision stand together; they are read as a stream, since there may be millions.
async fn count(experiment: &Experiment, rows: impl Stream<Item = sqlx::Result<ClaimedRow>> + Send) -> Result<Counted> {
    let mut counts = Counted::new();
    let mut count = |claimed: &Claimed| {
        let c = claimed.decided.counts(experiment, &claimed.claims);
        let (_, hour, segment, arm, holdout) = claimed.cell;
        let cell = counts.entry((hour, segment, arm, holdout)).or_default();
        cell.0 += u64::from(c.trial);
        cell.1 += u64::from(c.reward);
    };
    let mut rows = pin!(rows);
    let mut current: Option<Claimed> = None;
    while let Some(row) = rows.try_next().await? {
        match &mut current {
            Some(now) if now.id == *row.id => now.add(row),
            _ => {
                if let Some(done) = current.replace(Claimed::of(row)?) {
                    count(&done);
                }
            }
        }
    }
    if let Some(last) = current {
        count(&last);
    }
    Ok(counts)
}

/// The index of an arm; a number that cannot be one is beyond every list.
fn arm(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
