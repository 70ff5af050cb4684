//! Published versions, one document each.

use super::{Database, Turn, damaged, signed, storable, unsigned};
use crate::history::thinned;
use crate::{HISTORY_FORMAT, History, Result, StoreError, VersionEntry, Versions};
use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::QueryBuilder;

/// Reads a document. One that is damaged is none, and so is one that a later release wrote, rather than half understood.
fn read(experiment: &str, document: &str) -> Option<VersionEntry> {
    let why = match serde_json::from_str::<VersionEntry>(document) {
        Ok(entry) if entry.format <= HISTORY_FORMAT => return Some(entry),
        Ok(entry) => format!("it has format {}, this release reads up to {HISTORY_FORMAT}: upgrade", entry.format),
        Err(e) => e.to_string(),
    };
    tracing::warn!("a version in the history of '{experiment}' is left out: {why}");
    None
}

impl Database {
    /// The entries of some versions, those left out that cannot be read.
    async fn entries_of(&self, experiment: &str, num: i64, versions: &[i64]) -> Result<Vec<VersionEntry>> {
        let mut entries = Vec::with_capacity(versions.len());
        // As many values as any database takes in one statement.
        for part in versions.chunks(500) {
            let documents: Vec<String> = on!(self.pool(), db => {
                let mut sql = QueryBuilder::new("SELECT document FROM history WHERE experiment = ");
                sql.push_bind(num).push(" AND version IN (");
                let mut list = sql.separated(", ");
                for version in part {
                    list.push_bind(*version);
                }
                sql.push(") ORDER BY as_of, version");
                sql.build_query_scalar().fetch_all(db).await?
            });
            entries.extend(documents.iter().filter_map(|document| read(experiment, document)));
        }
        Ok(entries)
    }
}

#[async_trait]
impl History for Database {
    async fn keep(&self, experiment: &str, entries: &[VersionEntry]) -> Result<()> {
        let mut tx = self.write(Turn::Small).await?;
        let num: Option<i64> = on!(&mut tx, db => {
            sqlx::query_scalar("SELECT num FROM experiments WHERE id = $1")
                .bind(&*storable(experiment))
                .fetch_optional(&mut **db)
                .await?
        });
        let num = num.ok_or_else(|| StoreError::Missing(format!("experiment '{experiment}'")))?;
        for entry in entries {
            let document = serde_json::to_string(entry).map_err(damaged("history"))?;
            on!(&mut tx, db => {
                sqlx::query(
                    "INSERT INTO history (experiment, version, as_of, document) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (experiment, version) DO NOTHING",
                )
                .bind(num)
                .bind(signed(entry.version))
                .bind(entry.as_of.as_millisecond())
                .bind(document)
                .execute(&mut **db)
                .await?;
            });
        }
        tx.commit().await
    }

    async fn version(&self, experiment: &str, version: u64) -> Result<Option<VersionEntry>> {
        let document: Option<String> = on!(self.pool(), db => {
            sqlx::query_scalar(
                "SELECT h.document FROM history h JOIN experiments e ON e.num = h.experiment
                 WHERE e.id = $1 AND h.version = $2",
            )
            .bind(&*storable(experiment))
            .bind(signed(version))
            .fetch_optional(db)
            .await?
        });
        Ok(document.and_then(|document| read(experiment, &document)))
    }

    async fn entries(&self, experiment: &str, since: Timestamp, most: usize) -> Result<Versions> {
        let id = storable(experiment);
        let kept: Vec<(i64, i64, i64)> = on!(self.pool(), db => {
            sqlx::query_as(
                "SELECT h.experiment, h.as_of, h.version FROM history h JOIN experiments e ON e.num = h.experiment
                 WHERE e.id = $1 AND h.as_of >= $2 ORDER BY h.as_of, h.version",
            )
            .bind(&*id)
            .bind(since.as_millisecond())
            .fetch_all(db)
            .await?
        });
        let Some(&(num, ..)) = kept.first() else { return Ok(Versions::default()) };
        let moments: Vec<i64> = kept.iter().map(|k| k.1).collect();
        let chosen: Vec<i64> = thinned(&moments, most).into_iter().map(|i| kept[i].2).collect();
        let entries = self.entries_of(experiment, num, &chosen).await?;
        if entries.len() == chosen.len() {
            return Ok(Versions { entries, unreadable: 0 });
        }
        // Others take the places of those that cannot be read; only reading them all tells which can.
        let all: Vec<i64> = kept.iter().map(|k| k.2).collect();
        let mut readable = self.entries_of(experiment, num, &all).await?;
        let unreadable = all.len() - readable.len();
        let moments: Vec<i64> = readable.iter().map(|entry| entry.as_of.as_millisecond()).collect();
        let chosen = thinned(&moments, most);
        let mut place = 0..;
        readable.retain(|_| place.next().is_some_and(|at| chosen.binary_search(&at).is_ok()));
        Ok(Versions { entries: readable, unreadable })
    }

    async fn newest(&self, experiments: &[String], each: usize) -> Result<Vec<(String, VersionEntry)>> {
        if experiments.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<(String, String)> = on!(self.pool(), db => {
            let mut sql = QueryBuilder::new(
                "SELECT e.id, h.document FROM experiments e JOIN history h ON h.experiment = e.num
                 WHERE h.version > (SELECT max(x.version) FROM history x WHERE x.experiment = e.num) - ",
            );
            sql.push_bind(signed(each as u64)).push(" AND e.id IN (");
            let mut list = sql.separated(", ");
            for id in experiments {
                list.push_bind(storable(id).into_owned());
            }
            sql.push(") ORDER BY e.id, h.version");
            sql.build_query_as().fetch_all(db).await?
        });
        let entry = |(id, document): (String, String)| {
            let entry = read(&id, &document)?;
            Some((id, entry))
        };
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    async fn highest_missing(&self, experiment: &str, latest: u64) -> Result<Option<u64>> {
        if latest == 0 {
            return Ok(None);
        }
        // The lowest version of the unbroken run that ends with the latest.
        let (newest, lowest): (Option<i64>, Option<i64>) = on!(self.pool(), db => {
            sqlx::query_as(
                "SELECT max(h.version), max(CASE WHEN NOT EXISTS (
                     SELECT 1 FROM history p WHERE p.experiment = h.experiment AND p.version = h.version - 1
                 ) THEN h.version END)
                 FROM history h JOIN experiments e ON e.num = h.experiment WHERE e.id = $1 AND h.version <= $2",
            )
            .bind(&*storable(experiment))
            .bind(signed(latest))
            .fetch_one(db)
            .await?
        });
        let (newest, lowest) = (newest.map_or(0, unsigned), lowest.map_or(0, unsigned));
        if newest < latest {
            return Ok(Some(latest));
        }
        Ok(lowest.checked_sub(1).filter(|v| *v > 0))
    }
}

impl Database {
    /// Lets go of versions from before a moment, in milliseconds, but for the newest of each experiment: it is what stands.
    pub(super) async fn forget_history(&self, before: i64) -> Result<()> {
        on!(self.pool(), db => {
            sqlx::query(
                "DELETE FROM history WHERE as_of < $1
                     AND version < (SELECT max(n.version) FROM history n WHERE n.experiment = history.experiment)",
            )
            .bind(before)
            .execute(db)
            .await?;
        });
        Ok(())
    }
}
