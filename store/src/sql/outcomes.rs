//! Reading counts, and making them anew.

use super::bulk::{ClaimedRow, bucket_of};
use super::candidates::{foremost, names, placed, with_others};
use super::evaluate::Counts;
use super::ingest::{KNOWN, known_of};
use super::settle::Claimed;
use super::{Database, Either, damaged, moment, postgres, signed, sqlite, storable, unsigned};
use crate::{DayTraffic, DeadLetter, Import, ImportOutcome, Ingest, Ingested, Outcomes, Result, Trial};
use async_trait::async_trait;
use bandit::{CLOCK_SKEW, ContextOutcome, Evidence, Experiment, HourDelay, HourOutcome, MOST_CANDIDATES};
use futures::{Stream, TryStreamExt};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, HashMap};
use std::pin::pin;

/// Hour, segment, arm, holdout.
type Place = (i64, i64, i64, bool);

/// What decisions come to when they are counted anew.
#[derive(Default)]
struct Counted {
    /// Trials and rewards.
    places: BTreeMap<Place, (u64, u64)>,
    /// Rewards by hour and bucket of the delay.
    waits: BTreeMap<(i64, i64), u64>,
    /// Moment of the newest trial, in milliseconds.
    newest: Option<i64>,
}

impl Counted {
    fn add(&mut self, experiment: &Experiment, claimed: &Claimed) {
        let c = claimed.decided.counts(experiment, &claimed.claims, Counts::default());
        let (_, hour, segment, arm, holdout) = claimed.cell;
        let place = self.places.entry((hour, segment, arm, holdout)).or_default();
        place.0 += u64::from(c.trial);
        place.1 += u64::from(c.reward);
        if let Some(ms) = c.delay {
            *self.waits.entry((hour, bucket_of(ms))).or_default() += 1;
        }
        self.newest = self.newest.max(c.trial.then_some(claimed.decided.at));
    }
}

const DAY_MS: i64 = 24 * 3_600_000;
// Why events outlive decisions by a day.
const _: () = assert!(CLOCK_SKEW.as_secs() < 24 * 3_600);

#[derive(sqlx::FromRow)]
struct ContextRow {
    features: String,
    hour: i64,
    arm: i64,
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

    async fn evidence(&self, experiment: &str) -> Result<Evidence> {
        self.counts(
            experiment,
            "SELECT o.hour, o.segment AS num, o.arm, o.holdout, o.trials, o.rewards
             FROM outcomes o JOIN experiments e ON e.num = o.experiment WHERE e.id = $1 AND $2 = $2 AND o.trials > 0",
            "o.hour",
            "SELECT CAST(d.hour AS BIGINT), CAST(d.bucket AS BIGINT), d.rewards
             FROM delays d JOIN experiments e ON e.num = d.experiment WHERE e.id = $1 AND $2 = $2 AND d.rewards > 0",
            0,
        )
        .await
    }

    async fn totals(&self, experiment: &str, since: i64) -> Result<Evidence> {
        self.counts(
            experiment,
            "SELECT CASE WHEN o.hour < $2 THEN $2 - 1 ELSE o.hour END AS hour, o.segment AS num, o.arm, o.holdout,
                 CAST(sum(o.trials) AS BIGINT) AS trials, CAST(sum(o.rewards) AS BIGINT) AS rewards
             FROM outcomes o JOIN experiments e ON e.num = o.experiment
             WHERE e.id = $1 AND o.trials > 0 GROUP BY 1, 2, 3, 4",
            "CASE WHEN o.hour < $2 THEN $2 - 1 ELSE o.hour END",
            "SELECT CASE WHEN d.hour < $2 THEN $2 - 1 ELSE d.hour END, CAST(d.bucket AS BIGINT),
                 CAST(sum(d.rewards) AS BIGINT)
             FROM delays d JOIN experiments e ON e.num = d.experiment
             WHERE e.id = $1 AND d.rewards > 0 GROUP BY 1, 2",
            since,
        )
        .await
    }

    async fn traffic(&self, experiments: &[String]) -> Result<Vec<DayTraffic>> {
        self.daily_traffic(experiments).await
    }

    async fn trials(&self, experiment: &str, from: Timestamp, until: Timestamp) -> Result<Vec<Trial>> {
        let rows: Vec<TrialRow> = on!(self.pool(), db => {
            sqlx::query_as(
                "SELECT d.at, s.segment, CAST(d.arm AS BIGINT) AS arm, d.propensity, d.counted_reward AS rewarded
                 FROM decisions d JOIN experiments e ON e.num = d.experiment JOIN segments s ON s.num = d.segment
                 WHERE e.id = $1 AND d.counted_trial AND d.at >= $2 AND d.at < $3
                 ORDER BY d.at, d.id",
            )
            .bind(&*storable(experiment))
            .bind(from.as_millisecond())
            .bind(until.as_millisecond())
            .fetch_all(db)
            .await?
        });
        let trial = |row: TrialRow| {
            let TrialRow { at, segment, arm: number, propensity, rewarded } = row;
            Ok(Trial { at: moment(at)?, segment, arm: index(number), propensity, rewarded })
        };
        rows.into_iter().map(trial).collect()
    }

    async fn recount(&self, experiment: &str) -> Result<Evidence> {
        let row = on!(self.pool(), db => sqlx::query_as(KNOWN).bind(&*storable(experiment)).fetch_optional(db).await?);
        let Some(known) = known_of(row)? else { return Ok(Evidence::default()) };
        let sql = |claimed: &str| AssertSqlSafe(format!("{claimed} WHERE d.experiment = $1 ORDER BY d.id"));
        let Counted { places, waits, newest } = match &self.0 {
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
        if known.definition.candidates.is_some() {
            return self.recounted_candidates(known.num, &names, places, waits, newest).await;
        }
        let outcomes: Vec<HourOutcome> = places
            .into_iter()
            .filter(|(_, (trials, _))| *trials > 0)
            .map(|((hour, segment, number, holdout), (trials, rewards))| {
                let segment = names.get(&segment).cloned().unwrap_or_default();
                HourOutcome { hour, segment, arm: index(number), holdout, trials, rewards }
            })
            .collect();
        let delay = |((hour, bucket), rewards)| HourDelay { hour, bucket: index(bucket), rewards };
        in_order(outcomes, waits.into_iter().map(delay).collect(), newest)
    }

    async fn context_outcomes(&self, experiment: &str, most: usize) -> Result<Vec<ContextOutcome>> {
        // Text is compared by its bytes in both databases.
        let sql = |bytewise: &str, yes: &str| {
            AssertSqlSafe(format!(
                "SELECT d.features, d.at / 3600000 AS hour, CAST(d.arm AS BIGINT) AS arm, COUNT(*) AS trials,
                     SUM(CASE WHEN d.counted_reward = {yes} THEN 1 ELSE 0 END) AS rewards
                 FROM decisions d JOIN experiments e ON e.num = d.experiment
                 WHERE e.id = $1 AND d.features IS NOT NULL AND d.counted_trial = {yes}
                 GROUP BY d.features, d.at / 3600000, d.arm
                 ORDER BY hour DESC, d.features {bytewise}, arm LIMIT $2"
            ))
        };
        let (id, most) = (storable(experiment), signed(most as u64));
        let rows: Vec<ContextRow> = match &self.0 {
            Either::Sqlite(file) => sqlx::query_as(sql("", "1")).bind(&*id).bind(most).fetch_all(&file.pool).await?,
            Either::Postgres(server) => {
                let mut tx = server.read_at_length().await?;
                sqlx::query_as(sql("COLLATE \"C\"", "TRUE")).bind(&*id).bind(most).fetch_all(&mut *tx).await?
            }
        };
        rows.into_iter()
            .map(|row| {
                Ok(ContextOutcome {
                    hour: row.hour,
                    features: serde_json::from_str(&row.features).map_err(damaged("features of a decision"))?,
                    arm: index(row.arm),
                    trials: unsigned(row.trials),
                    rewards: unsigned(row.rewards),
                })
            })
            .collect()
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
        on!(&self.0, db => db.forget(decisions, events).await)?;
        self.forget_list_hours(decisions).await?;
        self.forget_history(decisions).await
    }

    async fn dead_letters(&self, before: Option<i64>, limit: usize) -> Result<Vec<DeadLetter>> {
        let rows: Vec<(i64, i64, String, String)> = on!(self.pool(), db => {
            sqlx::query_as("SELECT id, at, reason, body FROM dead_letters WHERE id < $1 ORDER BY id DESC LIMIT $2")
                .bind(before.unwrap_or(i64::MAX))
                .bind(signed(limit as u64))
                .fetch_all(db)
                .await?
        });
        rows.into_iter().map(|(id, at, reason, body)| Ok(DeadLetter { id, at: moment(at)?, reason, body })).collect()
    }
}

/// Counts decisions anew. Rows of one decision stand together; they are read as a stream, since there may be millions.
async fn count(experiment: &Experiment, rows: impl Stream<Item = sqlx::Result<ClaimedRow>> + Send) -> Result<Counted> {
    let mut counted = Counted::default();
    let mut rows = pin!(rows);
    let mut current: Option<Claimed> = None;
    while let Some(row) = rows.try_next().await? {
        match &mut current {
            Some(now) if now.id == *row.id => now.add(row),
            _ => {
                if let Some(done) = current.replace(Claimed::of(row)?) {
                    counted.add(experiment, &done);
                }
            }
        }
    }
    if let Some(last) = current {
        counted.add(experiment, &last);
    }
    Ok(counted)
}

impl Database {
    /// The same of arms that are candidates, whose numbers become places.
    async fn recounted_candidates(
        &self,
        experiment: i64,
        segments: &HashMap<i64, String>,
        places: BTreeMap<Place, (u64, u64)>,
        waits: BTreeMap<(i64, i64), u64>,
        newest: Option<i64>,
    ) -> Result<Evidence> {
        let ids: Vec<(i64, String)> = on!(self.pool(), db => {
            sqlx::query_as("SELECT CAST(num AS BIGINT), id FROM candidate_arms WHERE experiment = $1")
                .bind(experiment)
                .fetch_all(db)
                .await?
        });
        let mut trials: BTreeMap<i64, u64> = BTreeMap::new();
        for ((_, _, arm, _), (n, _)) in &places {
            *trials.entry(*arm).or_default() += n;
        }
        let ids: HashMap<i64, String> = ids.into_iter().collect();
        let place = placed(trials, &ids);
        let mut counts: BTreeMap<Place, (u64, u64)> = BTreeMap::new();
        for ((hour, segment, arm, holdout), (trials, rewards)) in places {
            let Some(arm) = place.get(&arm) else { continue };
            let sum = counts.entry((hour, segment, *arm, holdout)).or_default();
            sum.0 += trials;
            sum.1 += rewards;
        }
        let outcome = |((hour, segment, arm, holdout), (trials, rewards))| {
            let segment = segments.get(&segment).cloned().unwrap_or_default();
            HourOutcome { hour, segment, arm: index(arm), holdout, trials, rewards }
        };
        let outcomes = counts.into_iter().filter(|(_, (trials, _))| *trials > 0).map(outcome).collect();
        let delay = |((hour, bucket), rewards)| HourDelay { hour, bucket: index(bucket), rewards };
        let evidence = in_order(outcomes, waits.into_iter().map(delay).collect(), newest)?;
        let mut named: Vec<(i64, String)> =
            ids.into_iter().filter_map(|(num, id)| Some((*place.get(&num)?, id))).collect();
        named.sort_unstable();
        let named = named.into_iter().map(|(_, id)| id).collect();
        let candidates = with_others(named, evidence.outcomes.iter().map(|o| o.arm));
        Ok(Evidence { candidates, ..evidence })
    }

    /// Counts and delays by two queries of one state. Counts come as one JSON document for each segment: a row of its own
    /// costs ten times as much as what is in it.
    async fn counts(
        &self,
        experiment: &str,
        outcomes: &'static str,
        hour: &'static str,
        delays: &'static str,
        since: i64,
    ) -> Result<Evidence> {
        let id = storable(experiment);
        let mut tx = self.snapshot().await?;
        let candidates = names(&mut tx, &id).await?;
        // Arms by place, so that of all that were ever shown a bounded number is read.
        let of_candidates = format!(
            "SELECT {hour} AS hour, o.segment AS num, coalesce(f.place, {MOST_CANDIDATES}) AS arm, o.holdout,
                 CAST(sum(o.trials) AS BIGINT) AS trials, CAST(sum(o.rewards) AS BIGINT) AS rewards
             FROM outcomes o JOIN experiments e ON e.num = o.experiment LEFT JOIN ({}) f ON f.arm = o.arm
             WHERE e.id = $1 AND $2 = $2 AND o.trials > 0 GROUP BY 1, 2, 3, 4",
            foremost(&tx)
        );
        let outcomes = if candidates.is_some() { &of_candidates } else { outcomes };
        let packed = match &tx {
            Either::Sqlite(_) => "json_group_array(json_array(t.hour, t.arm, t.holdout, t.trials, t.rewards))",
            Either::Postgres(_) => {
                "CAST(json_agg(json_build_array(t.hour, t.arm, CAST(t.holdout AS INT), t.trials, t.rewards)) AS TEXT)"
            }
        };
        let sql = format!("SELECT s.segment, {packed} FROM ({outcomes}) t JOIN segments s ON s.num = t.num GROUP BY 1");
        let rows: Vec<(String, String)> = on!(&mut tx, db => {
            sqlx::query_as(AssertSqlSafe(sql)).bind(&*id).bind(since).fetch_all(&mut **db).await?
        });
        let waits: Vec<(i64, i64, i64)> =
            on!(&mut tx, db => sqlx::query_as(delays).bind(&*id).bind(since).fetch_all(&mut **db).await?);
        let newest: Option<i64> = on!(&mut tx, db => {
            sqlx::query_scalar(
                "SELECT n.at FROM newest_trials n JOIN experiments e ON e.num = n.experiment WHERE e.id = $1",
            )
            .bind(&*id)
            .fetch_optional(&mut **db)
            .await?
        });
        let mut counted = Vec::new();
        for (segment, text) in rows {
            let damaged = damaged("counts");
            let cells: Vec<(i64, i64, i64, i64, i64)> = serde_json::from_str(&text).map_err(damaged)?;
            counted.extend(cells.into_iter().map(|(hour, arm, holdout, trials, rewards)| HourOutcome {
                hour,
                segment: segment.clone(),
                arm: index(arm),
                holdout: holdout != 0,
                trials: unsigned(trials),
                rewards: unsigned(rewards),
            }));
        }
        let delay = |(hour, bucket, rewards)| HourDelay { hour, bucket: index(bucket), rewards: unsigned(rewards) };
        let evidence = in_order(counted, waits.into_iter().map(delay).collect(), newest)?;
        let candidates = with_others(candidates.unwrap_or_default(), evidence.outcomes.iter().map(|o| o.arm));
        Ok(Evidence { candidates, ..evidence })
    }
}

fn in_order(mut outcomes: Vec<HourOutcome>, mut delays: Vec<HourDelay>, newest: Option<i64>) -> Result<Evidence> {
    outcomes.sort_unstable();
    delays.sort_unstable();
    Ok(Evidence { outcomes, delays, latest: newest.map(moment).transpose()?, ..Evidence::default() })
}

/// The index of an arm or a bucket; a number that cannot be one is beyond every list.
pub(super) fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
