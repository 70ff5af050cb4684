//! Many rows into a server: each statement takes columns as arrays, whatever their length.

use super::days::Day;
use crate::Result;
use crate::sql::bulk::{Aside, Bulk, Cell, ClaimedRow, DecisionRow, EventRow, Id, Move, Settled, Wait, id};
use crate::sql::evaluate::OFFERED;
use crate::sql::{signed, storable};
use sqlx::{AssertSqlSafe, PgConnection};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Decisions with the events that claim them, one row per event.
pub(in crate::sql) const CLAIMED: &str =
    "SELECT d.id, d.experiment::bigint, d.segment::bigint, d.arm::bigint, d.source::bigint, d.at,
        d.counted_trial, d.counted_reward, d.counted_delay, c.kind, c.name, c.experiment AS only, c.value, c.at AS event_at
     FROM decisions d LEFT JOIN claims c ON c.decision = d.id";

fn storable_or_none(text: Option<&String>) -> Option<Cow<'_, str>> {
    text.map(|text| storable(text))
}

impl Bulk for PgConnection {
    async fn insert_decisions<'a>(
        &mut self,
        mut rows: Vec<DecisionRow<'a>>,
    ) -> Result<(Vec<DecisionRow<'a>>, Vec<Id>)> {
        let ids: Vec<Id> = rows.iter().map(DecisionRow::id).collect();
        let at: Vec<i64> = rows.iter().map(|r| r.decision.at.as_millisecond()).collect();
        let new = sqlx::query_scalar(
            "INSERT INTO decision_keys (id, at) SELECT * FROM unnest($1::bytea[], $2::bigint[])
             ON CONFLICT DO NOTHING RETURNING id",
        )
        .bind(&ids)
        .bind(&at);
        let new = set(new.fetch_all(&mut *self).await?)?;
        rows.retain(|row| new.contains(&row.id()));
        if rows.is_empty() {
            return Ok((rows, Vec::new()));
        }
        sqlx::query(
            "INSERT INTO decisions (id, experiment, segment, arm, source, propensity, version, revision, visitor, item,
                 at, counted_trial, features, position, list)
             SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::float8[],
                 $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::bigint[], $12::boolean[], $13::text[], $14::bigint[], $15::bytea[])",
        )
        .bind(column(&rows, DecisionRow::id))
        .bind(column(&rows, |r| r.experiment))
        .bind(column(&rows, |r| r.segment))
        .bind(column(&rows, |r| r.arm))
        .bind(column(&rows, |r| r.source()))
        .bind(column(&rows, |r| r.decision.propensity))
        .bind(column(&rows, |r| signed(r.decision.posterior_version)))
        .bind(column(&rows, |r| signed(r.decision.revision)))
        .bind(column(&rows, |r| storable(&r.decision.user)))
        .bind(column(&rows, |r| storable_or_none(r.decision.item.as_ref())))
        .bind(column(&rows, |r| r.decision.at.as_millisecond()))
        .bind(column(&rows, |r| r.trial))
        .bind(column(&rows, DecisionRow::features))
        .bind(column(&rows, DecisionRow::position))
        .bind(column(&rows, |r| r.list().map(|list| list.to_vec())))
        .execute(&mut *self)
        .await?;
        let claimed = sqlx::query_scalar("SELECT DISTINCT decision FROM claims WHERE decision = ANY($1)")
            .bind(column(&rows, DecisionRow::id));
        let claimed = set(claimed.fetch_all(self).await?)?;
        Ok((rows, claimed.into_iter().collect()))
    }

    async fn take_up(&mut self, ids: &[Id]) -> Result<Vec<Id>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let taken = sqlx::query_scalar(
            "UPDATE decisions d SET source = d.source - $2 FROM decision_keys k
             WHERE k.id = ANY($1) AND d.id = k.id AND d.at = k.at AND d.source >= $2 RETURNING d.id",
        )
        .bind(ids)
        .bind(OFFERED);
        taken.fetch_all(self).await?.iter().map(|bytes: &Vec<u8>| id(bytes)).collect()
    }

    async fn arms(&mut self, ids: &[Id]) -> Result<Vec<(Id, i64)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT d.id, CAST(d.arm AS BIGINT) FROM decision_keys k JOIN decisions d ON d.id = k.id AND d.at = k.at
             WHERE k.id = ANY($1)",
        )
        .bind(ids)
        .fetch_all(self)
        .await?;
        rows.into_iter().map(|(bytes, arm)| Ok((id(&bytes)?, arm))).collect()
    }

    async fn number_arms(&mut self, experiment: i64, arms: &[(&str, i64)]) -> Result<HashMap<String, i64>> {
        let known: Vec<(String, i64)> = sqlx::query_as(
            "UPDATE candidate_arms c SET day = greatest(c.day, a.day) FROM unnest($2::text[], $3::bigint[]) AS a (id, day)
             WHERE c.experiment = $1 AND c.id = a.id AND c.day < a.day RETURNING c.id, CAST(c.num AS BIGINT)",
        )
        .bind(experiment)
        .bind(column(arms, |a| a.0))
        .bind(column(arms, |a| a.1))
        .fetch_all(&mut *self)
        .await?;
        let mut numbers: HashMap<String, i64> = known.into_iter().collect();
        let found: Vec<(String, i64)> = sqlx::query_as(
            "SELECT id, CAST(num AS BIGINT) FROM candidate_arms WHERE experiment = $1 AND id = ANY($2::text[])",
        )
        .bind(experiment)
        .bind(column(arms, |a| a.0))
        .fetch_all(&mut *self)
        .await?;
        numbers.extend(found);
        // Only those that are new: a conflict would use up a number, of which there are two billion.
        let fresh: Vec<&(&str, i64)> = arms.iter().filter(|(id, _)| !numbers.contains_key(*id)).collect();
        let given: Vec<(String, i64)> = sqlx::query_as(
            "INSERT INTO candidate_arms (experiment, id, day) SELECT $1, * FROM unnest($2::text[], $3::bigint[])
             RETURNING id, CAST(num AS BIGINT)",
        )
        .bind(experiment)
        .bind(column(&fresh, |a| a.0))
        .bind(column(&fresh, |a| a.1))
        .fetch_all(self)
        .await?;
        numbers.extend(given);
        Ok(numbers)
    }

    async fn insert_events<'a>(&mut self, mut rows: Vec<EventRow<'a>>) -> Result<Vec<EventRow<'a>>> {
        let new = sqlx::query_scalar(
            "INSERT INTO event_keys (key) SELECT * FROM unnest($1::bytea[]) ON CONFLICT DO NOTHING RETURNING key",
        )
        .bind(column(&rows, |r| r.key));
        let new = set(new.fetch_all(&mut *self).await?)?;
        rows.retain(|row| new.contains(&row.key));
        if rows.is_empty() {
            return Ok(rows);
        }
        sqlx::query(
            "INSERT INTO events (key, kind, name, visitor, item, experiment, value, at)
             SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::float8[],
                 $8::bigint[])",
        )
        .bind(column(&rows, |r| r.key))
        .bind(column(&rows, |r| r.event.kind.as_str()))
        .bind(column(&rows, |r| storable(&r.event.name)))
        .bind(column(&rows, |r| storable_or_none(r.event.user.as_ref())))
        .bind(column(&rows, |r| storable_or_none(r.event.item.as_ref())))
        .bind(column(&rows, |r| storable_or_none(r.event.experiment.as_ref())))
        .bind(column(&rows, |r| r.event.value))
        .bind(column(&rows, |r| r.event.at.as_millisecond()))
        .execute(&mut *self)
        .await?;
        let claims: Vec<(Id, &EventRow<'a>)> = rows
            .iter()
            .flat_map(|row| {
                let decisions: BTreeSet<Id> = row.decisions.iter().map(|d| d.0).collect();
                decisions.into_iter().map(move |decision| (decision, row))
            })
            .collect();
        sqlx::query(
            "INSERT INTO claims (decision, event, kind, name, experiment, value, at)
             SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::bigint[])",
        )
        .bind(column(&claims, |c| c.0))
        .bind(column(&claims, |c| c.1.key))
        .bind(column(&claims, |c| c.1.event.kind.as_str()))
        .bind(column(&claims, |c| storable(&c.1.event.name)))
        .bind(column(&claims, |c| storable_or_none(c.1.event.experiment.as_ref())))
        .bind(column(&claims, |c| c.1.event.value))
        .bind(column(&claims, |c| c.1.event.at.as_millisecond()))
        .execute(self)
        .await?;
        Ok(rows)
    }

    async fn read_claimed(&mut self, ids: &[Id]) -> Result<Vec<ClaimedRow>> {
        let places: Vec<(Vec<u8>, i64)> = sqlx::query_as("SELECT id, at FROM decision_keys WHERE id = ANY($1)")
            .bind(ids)
            .fetch_all(&mut *self)
            .await?;
        let mut days: BTreeMap<Day, Vec<Vec<u8>>> = BTreeMap::new();
        for (id, at) in places {
            days.entry(Day::of(at)).or_default().push(id);
        }
        // What is counted in full stays so, however many events claim it; only an earlier reward moves its delay.
        let sql = format!(
            "{CLAIMED} WHERE d.at >= $2 AND d.at < $3 AND d.id = ANY($1) AND (NOT (d.counted_trial AND d.counted_reward)
                 OR c.at < d.at + coalesce(d.counted_delay, 1000000000000000))
             ORDER BY d.id"
        );
        let mut rows = Vec::new();
        // A day at a time, and so in one partition.
        for (day, ids) in days {
            let query = sqlx::query_as(AssertSqlSafe(sql.clone())).bind(ids).bind(day.starts()).bind(day.ends());
            rows.append(&mut query.fetch_all(&mut *self).await?);
        }
        Ok(rows)
    }

    async fn mark(&mut self, settled: &[Settled]) -> Result<()> {
        let mut days: BTreeMap<Day, Vec<&Settled>> = BTreeMap::new();
        for s in settled {
            days.entry(Day::of(s.at)).or_default().push(s);
        }
        for (day, rows) in days {
            sqlx::query(
                "UPDATE decisions d SET counted_trial = s.trial, counted_reward = s.reward, counted_delay = s.delay
                 FROM unnest($1::bytea[], $2::boolean[], $3::boolean[], $4::bigint[]) AS s (id, trial, reward, delay)
                 WHERE d.id = s.id AND d.at >= $5 AND d.at < $6",
            )
            .bind(column(&rows, |s| s.id))
            .bind(column(&rows, |s| s.counts.trial))
            .bind(column(&rows, |s| s.counts.reward))
            .bind(column(&rows, |s| s.counts.delay))
            .bind(day.starts())
            .bind(day.ends())
            .execute(&mut *self)
            .await?;
        }
        Ok(())
    }

    async fn move_counts(&mut self, moved: &[(Cell, Move)]) -> Result<()> {
        sqlx::query(
            "INSERT INTO outcomes (experiment, hour, segment, arm, holdout, trials, rewards)
             SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::boolean[], $6::bigint[],
                 $7::bigint[])
             ON CONFLICT (experiment, hour, segment, arm, holdout) DO UPDATE
             SET trials = outcomes.trials + excluded.trials, rewards = outcomes.rewards + excluded.rewards",
        )
        .bind(column(moved, |m| m.0.0))
        .bind(column(moved, |m| m.0.1))
        .bind(column(moved, |m| m.0.2))
        .bind(column(moved, |m| m.0.3))
        .bind(column(moved, |m| m.0.4))
        .bind(column(moved, |m| m.1.0))
        .bind(column(moved, |m| m.1.1))
        .execute(self)
        .await?;
        Ok(())
    }

    async fn move_waits(&mut self, moved: &[(Wait, i64)]) -> Result<()> {
        sqlx::query(
            "INSERT INTO delays (experiment, hour, bucket, rewards)
             SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
             ON CONFLICT (experiment, hour, bucket) DO UPDATE SET rewards = delays.rewards + excluded.rewards",
        )
        .bind(column(moved, |m| m.0.0))
        .bind(column(moved, |m| m.0.1))
        .bind(column(moved, |m| m.0.2))
        .bind(column(moved, |m| m.1))
        .execute(self)
        .await?;
        Ok(())
    }

    async fn set_aside(&mut self, at: i64, records: &[Aside<'_>]) -> Result<u64> {
        if records.is_empty() {
            return Ok(0);
        }
        // A record that is delivered again is the same record.
        let done = sqlx::query(
            "INSERT INTO dead_letters (at, reason, body) SELECT $1, * FROM unnest($2::text[], $3::text[])
             ON CONFLICT DO NOTHING",
        )
        .bind(at)
        .bind(column(records, |r| storable(r.reason)))
        .bind(column(records, |r| storable(r.body)))
        .execute(self)
        .await?;
        Ok(done.rows_affected())
    }
}

/// One column of many rows.
fn column<'a, R, T>(rows: &'a [R], of: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

fn set(ids: Vec<Vec<u8>>) -> Result<HashSet<Id>> {
    ids.iter().map(|bytes| id(bytes)).collect()
}
