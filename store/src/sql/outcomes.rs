//! Reading counts.

use super::ingest::known;
use super::settle::{Claimed, SELECT_CLAIMED};
use super::{Sqlite, moment, signed, unsigned};
use crate::{DeadLetter, Import, ImportOutcome, Ingest, Ingested, Outcomes, Result};
use async_trait::async_trait;
use bandit::HourOutcome;
use futures::TryStreamExt;
use jiff::civil::Date;
use sqlx::{AssertSqlSafe, Row};
use std::collections::{BTreeMap, HashMap};

/// Hour, segment, arm, holdout.
type Place = (i64, i64, i64, bool);

#[async_trait]
impl Outcomes for Sqlite {
    async fn ingest(&self, batch: &Ingest) -> Result<Ingested> {
        self.ingest_batch(batch).await
    }

    async fn outcomes(&self, experiment: &str) -> Result<Vec<HourOutcome>> {
        let rows = sqlx::query(
            "SELECT o.hour, s.segment, o.arm, o.holdout, o.trials, o.rewards FROM outcomes o
             JOIN experiments e ON e.num = o.experiment JOIN segments s ON s.num = o.segment
             WHERE e.id = $1 AND o.trials > 0",
        )
        .bind(experiment)
        .fetch_all(&self.pool)
        .await?;
        let mut outcomes = Vec::with_capacity(rows.len());
        for row in rows {
            outcomes.push(HourOutcome {
                hour: row.try_get("hour")?,
                segment: row.try_get("segment")?,
                arm: arm(row.try_get("arm")?),
                holdout: row.try_get::<i64, _>("holdout")? != 0,
                trials: unsigned(row.try_get("trials")?),
                rewards: unsigned(row.try_get("rewards")?),
            });
        }
        outcomes.sort_unstable();
        Ok(outcomes)
    }

    async fn recount(&self, experiment: &str) -> Result<Vec<HourOutcome>> {
        let mut db = self.pool.acquire().await?;
        let Some(known) = known(&mut db, experiment).await? else { return Ok(Vec::new()) };
        let mut counts: BTreeMap<Place, (u64, u64)> = BTreeMap::new();
        let mut count = |claimed: &Claimed| {
            let c = claimed.decided.counts(&known.definition, &claimed.claims);
            let (_, hour, segment, arm, holdout) = claimed.cell;
            let cell = counts.entry((hour, segment, arm, holdout)).or_default();
            cell.0 += u64::from(c.trial);
            cell.1 += u64::from(c.reward);
        };
        // Rows of one decision stand together; they are read as a stream, since there may be millions.
        let sql = format!("{SELECT_CLAIMED} WHERE d.experiment = $1 ORDER BY d.id");
        let mut rows = sqlx::query(AssertSqlSafe(sql)).bind(known.num).fetch(&mut *db);
        let mut current: Option<Claimed> = None;
        while let Some(row) = rows.try_next().await? {
            let mut claimed = Claimed::of_row(&row)?;
            match &mut current {
                Some(now) if now.id == claimed.id => now.add(&row)?,
                _ => {
                    claimed.add(&row)?;
                    if let Some(done) = current.replace(claimed) {
                        count(&done);
                    }
                }
            }
        }
        if let Some(last) = current {
            count(&last);
        }
        drop(rows);
        let names: HashMap<i64, String> = sqlx::query_as("SELECT num, segment FROM segments WHERE experiment = $1")
            .bind(known.num)
            .fetch_all(&mut *db)
            .await?
            .into_iter()
            .collect();
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

    async fn forget(&self, _before: Date) -> Result<()> {
        Ok(())
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let rows = sqlx::query("SELECT at, reason, body FROM dead_letters ORDER BY id DESC LIMIT $1")
            .bind(signed(limit as u64))
            .fetch_all(&self.pool)
            .await?;
        let letter = |row: &sqlx::sqlite::SqliteRow| -> Result<DeadLetter> {
            Ok(DeadLetter {
                at: moment(row.try_get("at")?)?,
                reason: row.try_get("reason")?,
                body: row.try_get("body")?,
            })
        };
        rows.iter().map(letter).collect()
    }
}

/// The index of an arm; a number that cannot be one is beyond every list.
fn arm(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
