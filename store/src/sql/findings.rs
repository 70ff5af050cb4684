//! What checks read, and what they found.

use super::evaluate::source_number;
use super::search::worries;
use super::{Database, Either, storable, unsigned};
use crate::{DealtRow, Findings, Result, StoreError, StruckRow, WeighedRow};
use async_trait::async_trait;
use bandit::evaluate::{PROPENSITY_EDGES, WeightSums};
use bandit::{CLOCK_SKEW, Exposures, Source};
use jiff::Timestamp;
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

const HOUR_MS: i64 = 3_600_000;

/// Why a decision is set aside that names another arm than the one that is kept.
pub(super) fn two_arms(experiment: &str) -> String {
    format!("an assignment of experiment '{experiment}' was logged with two arms")
}

#[derive(sqlx::FromRow)]
struct Row {
    hour: i64,
    segment: String,
    version: i64,
    revision: i64,
    arm: i64,
    source: i64,
    propensity: f64,
    decisions: i64,
}

#[derive(sqlx::FromRow)]
struct Weighed {
    hour: i64,
    arm: i64,
    bin: i64,
    trials: i64,
    rewards: i64,
    inverse: f64,
    rewarded_inverse: f64,
    inverse_square: f64,
    rewarded_inverse_square: f64,
}

/// The number of the bin that a propensity is in.
fn bin() -> String {
    let mut sql = String::from("CASE");
    for (i, edge) in PROPENSITY_EDGES.iter().enumerate() {
        // Writing to a string does not fail.
        let _ = write!(sql, " WHEN d.propensity <= {edge} THEN {i}");
    }
    sql + &format!(" ELSE {} END", PROPENSITY_EDGES.len())
}

/// Hour, arm, how many.
type Counted = (i64, i64, i64);

fn edges(hours: &Range<i64>) -> (i64, i64) {
    (hours.start.saturating_mul(HOUR_MS), hours.end.saturating_mul(HOUR_MS))
}

#[async_trait]
impl Findings for Database {
    async fn findings(&self, experiment: &str) -> Result<Option<String>> {
        Ok(on!(self.pool(), db => {
            sqlx::query_scalar(
                "SELECT f.document FROM findings f JOIN experiments e ON e.num = f.experiment WHERE e.id = $1",
            )
            .bind(&*storable(experiment))
            .fetch_optional(db)
            .await?
        }))
    }

    async fn keep_findings(&self, experiment: &str, at: Timestamp, document: &str) -> Result<()> {
        let kept = on!(self.pool(), db => {
            sqlx::query(
                "INSERT INTO findings (experiment, at, document, worries)
                 SELECT num, $2, $3, $4 FROM experiments WHERE id = $1
                 ON CONFLICT (experiment) DO UPDATE SET at = excluded.at, document = excluded.document,
                     worries = excluded.worries",
            )
            .bind(&*storable(experiment))
            .bind(at.as_millisecond())
            .bind(document)
            .bind(worries(document))
            .execute(db)
            .await?
            .rows_affected()
        });
        if kept == 0 { Err(StoreError::Missing(format!("experiment '{experiment}'"))) } else { Ok(()) }
    }

    async fn dealt(&self, experiment: &str, hours: Range<i64>) -> Result<Vec<DealtRow>> {
        let (from, to) = edges(&hours);
        let sql = "SELECT d.at / 3600000 AS hour, s.segment, d.version, d.revision, CAST(d.arm AS BIGINT) AS arm,
                     CAST(d.source % 5 AS BIGINT) AS source, d.propensity, count(*) AS decisions
                 FROM experiments e JOIN decisions d ON d.experiment = e.num JOIN segments s ON s.num = d.segment
                 WHERE e.id = $1 AND d.at >= $2 AND d.at < $3 AND d.source % 5 IN ($4, $5)
                 GROUP BY 1, 2, 3, 4, 5, 6, 7";
        let (policy, holdout) = (source_number(Source::Policy), source_number(Source::Holdout));
        let id = storable(experiment);
        let rows: Vec<Row> = match &self.0 {
            Either::Sqlite(file) => {
                let query = sqlx::query_as(sql).bind(id).bind(from).bind(to).bind(policy).bind(holdout);
                query.fetch_all(&file.pool).await?
            }
            Either::Postgres(server) => {
                let mut tx = server.read_at_length().await?;
                let query = sqlx::query_as(sql).bind(id).bind(from).bind(to).bind(policy).bind(holdout);
                query.fetch_all(&mut *tx).await?
            }
        };
        let of = |row: Row| DealtRow {
            hour: row.hour,
            segment: row.segment,
            version: unsigned(row.version),
            revision: unsigned(row.revision),
            arm: arm(row.arm),
            holdout: row.source == holdout,
            propensity: row.propensity,
            decisions: unsigned(row.decisions),
        };
        let mut rows: Vec<DealtRow> = rows.into_iter().map(of).collect();
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        Ok(rows)
    }

    async fn struck(
        &self,
        experiment: &str,
        event: &str,
        since: Timestamp,
        window_hours: u32,
    ) -> Result<Vec<StruckRow>> {
        let (from, window) = (since.as_millisecond(), i64::from(window_hours) * HOUR_MS);
        let skew = i64::try_from(CLOCK_SKEW.as_millis()).unwrap_or(0);
        let trials = "SELECT d.at / 3600000, CAST(d.arm AS BIGINT), count(*)
             FROM experiments e JOIN decisions d ON d.experiment = e.num
             WHERE e.id = $1 AND d.at >= $2 AND d.counted_trial GROUP BY 1, 2";
        let (trials, events): (Vec<Counted>, Vec<Counted>) = match &self.0 {
            Either::Sqlite(file) => {
                let events = "SELECT d.at / 3600000, d.arm, count(*)
                     FROM experiments e JOIN decisions d ON d.experiment = e.num
                     WHERE e.id = $1 AND d.at >= $2 AND d.counted_trial AND EXISTS (
                         SELECT 1 FROM claims c JOIN events v ON v.key = c.event
                         WHERE c.decision = d.id AND v.kind = 'reward' AND v.name = $3 AND v.value > 0
                             AND (v.experiment IS NULL OR v.experiment = e.id)
                             AND v.at >= d.at - $4 AND v.at <= d.at + $5)
                     GROUP BY 1, 2";
                let id = storable(experiment);
                let counted = sqlx::query_as(trials).bind(id.clone()).bind(from).fetch_all(&file.pool).await?;
                let events = sqlx::query_as(events).bind(id).bind(from).bind(storable(event)).bind(skew).bind(window);
                (counted, events.fetch_all(&file.pool).await?)
            }
            Either::Postgres(server) => {
                // From the events, which are few, to their decisions.
                let events = "SELECT d.at / 3600000, CAST(d.arm AS BIGINT), count(DISTINCT d.id)
                     FROM claims c JOIN decisions d ON d.id = c.decision JOIN experiments e ON e.num = d.experiment
                     WHERE c.at >= $2 - $4 AND c.kind = 'reward' AND c.name = $3 AND c.value > 0
                         AND (c.experiment IS NULL OR c.experiment = e.id)
                         AND e.id = $1 AND d.at >= $2 AND d.counted_trial
                         AND c.at >= d.at - $4 AND c.at <= d.at + $5
                     GROUP BY 1, 2";
                let mut tx = server.read_at_length().await?;
                let id = storable(experiment);
                let counted = sqlx::query_as(trials).bind(id.clone()).bind(from).fetch_all(&mut *tx).await?;
                let events = sqlx::query_as(events).bind(id).bind(from).bind(storable(event)).bind(skew).bind(window);
                (counted, events.fetch_all(&mut *tx).await?)
            }
        };
        let events: BTreeMap<(i64, i64), i64> = events.into_iter().map(|(hour, arm, n)| ((hour, arm), n)).collect();
        let of = |(hour, number, n): Counted| StruckRow {
            hour,
            arm: arm(number),
            trials: unsigned(n),
            events: unsigned(events.get(&(hour, number)).copied().unwrap_or(0)),
        };
        let mut rows: Vec<StruckRow> = trials.into_iter().map(of).collect();
        rows.sort_unstable();
        Ok(rows)
    }

    async fn weighed(&self, experiment: &str, hours: Range<i64>) -> Result<Vec<WeighedRow>> {
        let (from, to) = edges(&hours);
        // Squares of the smallest propensities that are taken stay finite. Equal ones are counted and the others added in
        // order, so that the sums do not depend on the order in which decisions came.
        let sql = format!(
            "SELECT hour, arm, bin, CAST(sum(trials) AS BIGINT) AS trials, CAST(sum(rewards) AS BIGINT) AS rewards,
                 sum(1.0 * trials / propensity ORDER BY propensity) AS inverse,
                 sum(1.0 * rewards / propensity ORDER BY propensity) AS rewarded_inverse,
                 sum(1.0 * trials / propensity / propensity ORDER BY propensity) AS inverse_square,
                 sum(1.0 * rewards / propensity / propensity ORDER BY propensity) AS rewarded_inverse_square
             FROM (SELECT d.at / 3600000 AS hour, CAST(d.arm AS BIGINT) AS arm, CAST({} AS BIGINT) AS bin, d.propensity,
                       count(*) AS trials, count(CASE WHEN d.counted_reward THEN 1 END) AS rewards
                   FROM experiments e JOIN decisions d ON d.experiment = e.num
                   WHERE e.id = $1 AND d.at >= $2 AND d.at < $3 AND d.counted_trial AND d.propensity > 1e-100
                   GROUP BY 1, 2, 3, 4) AS equal
             GROUP BY 1, 2, 3",
            bin()
        );
        let id = storable(experiment);
        let rows: Vec<Weighed> = match &self.0 {
            Either::Sqlite(file) => {
                sqlx::query_as(AssertSqlSafe(sql)).bind(id).bind(from).bind(to).fetch_all(&file.pool).await?
            }
            Either::Postgres(server) => {
                let mut tx = server.read_at_length().await?;
                sqlx::query_as(AssertSqlSafe(sql)).bind(id).bind(from).bind(to).fetch_all(&mut *tx).await?
            }
        };
        let of = |row: Weighed| WeighedRow {
            hour: row.hour,
            arm: arm(row.arm),
            bin: arm(row.bin),
            sums: WeightSums {
                trials: unsigned(row.trials),
                rewards: unsigned(row.rewards),
                inverse: row.inverse,
                rewarded_inverse: row.rewarded_inverse,
                inverse_square: row.inverse_square,
                rewarded_inverse_square: row.rewarded_inverse_square,
            },
        };
        let mut rows: Vec<WeighedRow> = rows.into_iter().map(of).collect();
        rows.sort_by_key(|row| (row.hour, row.arm, row.bin));
        Ok(rows)
    }

    async fn exposures(&self, experiment: &str, hours: Range<i64>) -> Result<Exposures> {
        let (from, to) = edges(&hours);
        let users = "SELECT count(*), coalesce(sum(CASE WHEN arms > 1 THEN 1 ELSE 0 END), 0)
             FROM (SELECT count(DISTINCT d.arm) AS arms FROM experiments e JOIN decisions d ON d.experiment = e.num
                   WHERE e.id = $1 AND d.at >= $2 AND d.at < $3 AND d.source % 5 IN ($4, $5)
                     AND (d.source < 5 OR d.counted_trial) GROUP BY d.visitor) AS users";
        let contradicted = "SELECT count(*) FROM dead_letters WHERE reason = $1";
        let (policy, holdout) = (source_number(Source::Policy), source_number(Source::Holdout));
        let (id, reason) = (storable(experiment), two_arms(experiment));
        let reason = storable(&reason);
        let ((users, several), contradictions): ((i64, i64), i64) = match &self.0 {
            Either::Sqlite(file) => (
                sqlx::query_as(users)
                    .bind(id)
                    .bind(from)
                    .bind(to)
                    .bind(policy)
                    .bind(holdout)
                    .fetch_one(&file.pool)
                    .await?,
                sqlx::query_scalar(contradicted).bind(reason).fetch_one(&file.pool).await?,
            ),
            Either::Postgres(server) => {
                let contradicted = "SELECT count(*) FROM dead_letters
                     WHERE hashtextextended(reason, 0) = hashtextextended($1, 0) AND reason = $1";
                let mut tx = server.read_at_length().await?;
                (
                    sqlx::query_as(users)
                        .bind(id)
                        .bind(from)
                        .bind(to)
                        .bind(policy)
                        .bind(holdout)
                        .fetch_one(&mut *tx)
                        .await?,
                    sqlx::query_scalar(contradicted).bind(reason).fetch_one(&mut *tx).await?,
                )
            }
        };
        Ok(Exposures { contradictions: unsigned(contradictions), users: unsigned(users), several: unsigned(several) })
    }
}

/// The index of an arm; a number that cannot be one is beyond every list.
fn arm(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
