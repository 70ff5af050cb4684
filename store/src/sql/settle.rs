//! What decisions count for now, and by how much that moves the counts.

use super::damaged;
use super::evaluate::{Claim, Counts, Decided, source_of};
use super::ingest::{Cell, Id, ROWS, id, list};
use crate::{Result, StoreError};
use bandit::{Experiment, hour_of};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite as Db, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Evaluates decisions anew and notes by how much counts move.
pub(super) async fn settle(
    db: &mut SqliteConnection,
    ids: &BTreeSet<Id>,
    moved: &mut BTreeMap<Cell, (i64, i64)>,
) -> Result<()> {
    let ids: Vec<Id> = ids.iter().copied().collect();
    let mut experiments: HashMap<i64, Experiment> = HashMap::new();
    for chunk in ids.chunks(ROWS) {
        let mut sql: QueryBuilder<Db> = QueryBuilder::new(SELECT_CLAIMED);
        sql.push(" WHERE d.id IN ");
        list(&mut sql, chunk);
        // What is counted in full stays so, however many events claim it.
        sql.push(" AND NOT (d.counted_trial = 1 AND d.counted_reward = 1) ORDER BY d.id");
        let rows = sql.build().fetch_all(&mut *db).await?;
        let mut changed: BTreeMap<(bool, bool), Vec<Id>> = BTreeMap::new();
        for group in rows.chunk_by(|a, b| id(a, 0).ok() == id(b, 0).ok()) {
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
            sql.push_bind(i64::from(trial))
                .push(", counted_reward = ")
                .push_bind(i64::from(reward))
                .push(" WHERE id IN ");
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
pub(super) const SELECT_CLAIMED: &str =
    "SELECT d.id, d.experiment, d.segment, d.arm, d.source, d.at, d.counted_trial, d.counted_reward,
        e.kind, e.name, e.experiment AS only, e.value, e.at AS event_at
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
            id: id(row, 0)?,
            cell: (
                row.try_get("experiment")?,
                hour_of(super::moment(at)?),
                row.try_get("segment")?,
                row.try_get("arm")?,
                holdout,
            ),
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
                experiment: row.try_get("only")?,
                value: row.try_get("value")?,
                at: row.try_get("event_at")?,
            });
        }
        Ok(())
    }
}

pub(super) async fn move_counts(db: &mut SqliteConnection, moved: &BTreeMap<Cell, (i64, i64)>) -> Result<()> {
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
