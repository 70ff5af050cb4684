//! Many rows into one file: statements of many values, since each costs a message to the connection's thread.

use crate::Result;
use crate::sql::bulk::{Aside, Bulk, Cell, ClaimedRow, DecisionRow, EventRow, Id, Move, Settled, Wait, id};
use crate::sql::evaluate::OFFERED;
use crate::sql::signed;
use futures::future::join;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Rows of one statement: SQLite takes 32,766 values.
const ROWS: usize = 2_000;

/// Decisions with the events that claim them, one row per event.
pub(in crate::sql) const CLAIMED: &str =
    "SELECT d.id, d.experiment, d.segment, d.arm, d.source, d.at, d.counted_trial, d.counted_reward,
        d.counted_delay, e.kind, e.name, e.experiment AS only, e.value, e.at AS event_at
     FROM decisions d LEFT JOIN claims c ON c.decision = d.id LEFT JOIN events e ON e.key = c.event";

impl Bulk for SqliteConnection {
    async fn insert_decisions<'a>(
        &mut self,
        mut rows: Vec<DecisionRow<'a>>,
    ) -> Result<(Vec<DecisionRow<'a>>, Vec<Id>)> {
        let last: i64 = sqlx::query_scalar("SELECT coalesce(max(num), 0) FROM decisions").fetch_one(&mut *self).await?;
        let mut new = 0;
        let mut chunks = rows.chunks(ROWS);
        let mut next = chunks.next().map(insertion);
        while let Some(mut sql) = next {
            // The next is made while the connection's thread runs this one.
            let (ran, made) = join(sql.build().execute(&mut *self), async { chunks.next().map(insertion) }).await;
            new += ran?.rows_affected();
            next = made;
        }
        if new < rows.len() as u64 {
            // Numbers only grow.
            let fresh = "SELECT id FROM decisions WHERE num > $1";
            let fresh: Vec<Vec<u8>> = sqlx::query_scalar(fresh).bind(last).fetch_all(&mut *self).await?;
            let fresh: HashSet<Id> = fresh.iter().map(|bytes| id(bytes)).collect::<Result<_>>()?;
            rows.retain(|row| fresh.contains(&row.id()));
        }
        // In the order of their table, each of its pages once: as an index it would be written all over, row by row.
        sqlx::query(
            "INSERT INTO decisions_of_visitors (visitor, at, num)
             SELECT visitor, at, num FROM decisions WHERE num > $1 ORDER BY visitor, at, num",
        )
        .bind(last)
        .execute(&mut *self)
        .await?;
        let claimed: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT DISTINCT c.decision FROM decisions d CROSS JOIN claims c ON c.decision = d.id WHERE d.num > $1",
        )
        .bind(last)
        .fetch_all(self)
        .await?;
        Ok((rows, claimed.iter().map(|bytes| id(bytes)).collect::<Result<_>>()?))
    }

    async fn take_up(&mut self, ids: &[Id]) -> Result<Vec<Id>> {
        let mut taken = Vec::new();
        for chunk in ids.chunks(ROWS) {
            let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new("UPDATE decisions SET source = source - ");
            sql.push_bind(OFFERED).push(" WHERE source >= ").push_bind(OFFERED).push(" AND id IN ");
            list(&mut sql, chunk);
            sql.push(" RETURNING id");
            for bytes in sql.build_query_scalar::<Vec<u8>>().fetch_all(&mut *self).await? {
                taken.push(id(&bytes)?);
            }
        }
        Ok(taken)
    }

    async fn arms(&mut self, ids: &[Id]) -> Result<Vec<(Id, i64)>> {
        let mut arms = Vec::new();
        for chunk in ids.chunks(ROWS) {
            let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT id, arm FROM decisions WHERE id IN ");
            list(&mut sql, chunk);
            for (bytes, arm) in sql.build_query_as::<(Vec<u8>, i64)>().fetch_all(&mut *self).await? {
                arms.push((id(&bytes)?, arm));
            }
        }
        Ok(arms)
    }

    async fn number_arms(&mut self, experiment: i64, arms: &[(&str, i64)]) -> Result<HashMap<String, i64>> {
        let mut numbers = HashMap::with_capacity(arms.len());
        for chunk in arms.chunks(ROWS) {
            // Days move on, and only then is anything written.
            let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO candidate_arms (experiment, id, day) ");
            sql.push_values(chunk, |mut row, (id, day)| {
                row.push_bind(experiment).push_bind(*id).push_bind(*day);
            });
            sql.push(
                " ON CONFLICT (experiment, id) DO UPDATE SET day = excluded.day WHERE candidate_arms.day < excluded.day",
            );
            sql.build().execute(&mut *self).await?;
            let mut sql: QueryBuilder<Sqlite> =
                QueryBuilder::new("SELECT id, num FROM candidate_arms WHERE experiment = ");
            sql.push_bind(experiment).push(" AND id IN (");
            let mut ids = sql.separated(", ");
            for (id, _) in chunk {
                ids.push_bind(*id);
            }
            sql.push(")");
            numbers.extend(sql.build_query_as::<(String, i64)>().fetch_all(&mut *self).await?);
        }
        Ok(numbers)
    }

    async fn insert_events<'a>(&mut self, mut rows: Vec<EventRow<'a>>) -> Result<Vec<EventRow<'a>>> {
        let keys: Vec<Id> = rows.iter().map(|row| row.key).collect();
        let old = found(self, "SELECT key FROM events WHERE key IN ", &keys).await?;
        rows.retain(|row| !old.contains(&row.key));
        for chunk in rows.chunks(ROWS) {
            let mut sql: QueryBuilder<Sqlite> =
                QueryBuilder::new("INSERT INTO events (key, kind, name, visitor, item, experiment, value, at) ");
            sql.push_values(chunk, |mut row, EventRow { key, event: e, .. }| {
                row.push_bind(&key[..])
                    .push_bind(e.kind.as_str())
                    .push_bind(&e.name)
                    .push_bind(&e.user)
                    .push_bind(&e.item)
                    .push_bind(&e.experiment)
                    .push_bind(e.value)
                    .push_bind(e.at.as_millisecond());
            });
            sql.build().execute(&mut *self).await?;
        }
        // In the order of the table, so that a page is touched once.
        let claims: BTreeSet<(Id, Id)> =
            rows.iter().flat_map(|row| row.decisions.iter().map(|d| (d.0, row.key))).collect();
        let claims: Vec<(Id, Id)> = claims.into_iter().collect();
        for chunk in claims.chunks(ROWS) {
            let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO claims (decision, event) ");
            sql.push_values(chunk, |mut row, (decision, event)| {
                row.push_bind(&decision[..]).push_bind(&event[..]);
            });
            sql.build().execute(&mut *self).await?;
        }
        Ok(rows)
    }

    async fn read_claimed(&mut self, ids: &[Id]) -> Result<Vec<ClaimedRow>> {
        let mut rows = Vec::new();
        for chunk in ids.chunks(ROWS) {
            let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new(CLAIMED);
            sql.push(" WHERE d.id IN ");
            list(&mut sql, chunk);
            // What is counted in full stays so, however many events claim it; only an earlier reward moves its delay.
            sql.push(
                " AND (NOT (d.counted_trial = 1 AND d.counted_reward = 1)
                     OR e.at < d.at + coalesce(d.counted_delay, 1000000000000000)) ORDER BY d.id",
            );
            rows.append(&mut sql.build_query_as().fetch_all(&mut *self).await?);
        }
        Ok(rows)
    }

    async fn mark(&mut self, settled: &[Settled]) -> Result<()> {
        for chunk in settled.chunks(ROWS) {
            let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new("WITH s (id, trial, reward, delay) AS (");
            sql.push_values(chunk, |mut row, s| {
                row.push_bind(&s.id[..])
                    .push_bind(i64::from(s.counts.trial))
                    .push_bind(i64::from(s.counts.reward))
                    .push_bind(s.counts.delay);
            });
            sql.push(
                ") UPDATE decisions SET counted_trial = s.trial, counted_reward = s.reward, counted_delay = s.delay
                 FROM s WHERE decisions.id = s.id",
            );
            sql.build().execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn move_counts(&mut self, moved: &[(Cell, Move)]) -> Result<()> {
        for chunk in moved.chunks(ROWS) {
            let mut sql: QueryBuilder<Sqlite> =
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
            sql.build().execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn move_waits(&mut self, moved: &[(Wait, i64)]) -> Result<()> {
        for chunk in moved.chunks(ROWS) {
            let mut sql: QueryBuilder<Sqlite> =
                QueryBuilder::new("INSERT INTO delays (experiment, hour, bucket, rewards) ");
            sql.push_values(chunk, |mut row, ((experiment, hour, bucket), rewards)| {
                row.push_bind(*experiment).push_bind(*hour).push_bind(*bucket).push_bind(*rewards);
            });
            sql.push(
                " ON CONFLICT (experiment, hour, bucket) DO UPDATE SET rewards = delays.rewards + excluded.rewards",
            );
            sql.build().execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn set_aside(&mut self, at: i64, records: &[Aside<'_>]) -> Result<u64> {
        let mut new = 0;
        for chunk in records.chunks(ROWS) {
            let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO dead_letters (at, reason, body) ");
            sql.push_values(chunk, |mut row, record| {
                row.push_bind(at).push_bind(record.reason).push_bind(record.body);
            });
            // A record that is delivered again is the same record.
            sql.push(" ON CONFLICT DO NOTHING");
            new += sql.build().execute(&mut *self).await?.rows_affected();
        }
        Ok(new)
    }
}

/// Inserts those of these decisions whose ids are new.
fn insertion(rows: &[DecisionRow<'_>]) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(
        "INSERT INTO decisions (id, experiment, segment, arm, source, propensity, version, revision, visitor, \
         item, at, counted_trial, features, position, list) ",
    );
    sql.push_values(rows, |mut row, r| {
        let d = r.decision;
        row.push_bind(d.decision_id.0.to_vec())
            .push_bind(r.experiment)
            .push_bind(r.segment)
            .push_bind(r.arm)
            .push_bind(r.source())
            .push_bind(d.propensity)
            .push_bind(signed(d.posterior_version))
            .push_bind(signed(d.revision))
            .push_bind(d.user.clone())
            .push_bind(d.item.clone())
            .push_bind(d.at.as_millisecond())
            .push_bind(i64::from(r.trial))
            .push_bind(r.features())
            .push_bind(r.position())
            .push_bind(r.list().map(|list| list.to_vec()));
    });
    sql.push(" ON CONFLICT (id) DO NOTHING");
    sql
}

/// Those of `ids` that a query finds.
async fn found(db: &mut SqliteConnection, query: &'static str, ids: &[Id]) -> Result<HashSet<Id>> {
    let mut found = HashSet::new();
    for chunk in ids.chunks(ROWS) {
        let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new(query);
        list(&mut sql, chunk);
        for bytes in sql.build_query_scalar::<Vec<u8>>().fetch_all(&mut *db).await? {
            found.insert(id(&bytes)?);
        }
    }
    Ok(found)
}

/// Pushes `($1, $2, …)`.
fn list(sql: &mut QueryBuilder<Sqlite>, ids: &[Id]) {
    sql.push("(");
    let mut separated = sql.separated(", ");
    for id in ids {
        separated.push_bind(id.to_vec());
    }
    sql.push(")");
}
