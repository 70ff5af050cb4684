//! Processes at work, by the database's clock.

use super::leases::now;
use super::{Database, damaged, signed, storable, unsigned};
use crate::{Replica, ReplicaReport, Replicas, Result};
use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use std::time::Duration;

#[async_trait]
impl Replicas for Database {
    async fn beat(&self, name: &str, report: &ReplicaReport, length: Duration) -> Result<()> {
        let now = now(&self.0);
        let gone = format!("DELETE FROM replicas WHERE until <= {now}");
        let note = format!(
            "INSERT INTO replicas (name, at, until, report) VALUES ($1, {now}, {now} + $2, $3)
             ON CONFLICT (name) DO UPDATE SET at = excluded.at, until = excluded.until, report = excluded.report"
        );
        let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
        let report = serde_json::to_string(report).map_err(damaged("a replica"))?;
        on!(self.pool(), db => {
            sqlx::query(AssertSqlSafe(gone)).execute(db).await?;
            sqlx::query(AssertSqlSafe(note))
                .bind(&*storable(name))
                .bind(length)
                .bind(&*storable(&report))
                .execute(db)
                .await?;
        });
        Ok(())
    }

    async fn replicas(&self, limit: usize) -> Result<Vec<Replica>> {
        let now = now(&self.0);
        let sql = format!("SELECT name, {now} - at, report FROM replicas WHERE until > {now} ORDER BY name LIMIT $1");
        let rows: Vec<(String, i64, String)> = on!(self.pool(), db => {
            sqlx::query_as(AssertSqlSafe(sql)).bind(signed(limit as u64)).fetch_all(db).await?
        });
        let replica = |(name, silent, report): (String, i64, String)| {
            let report = serde_json::from_str(&report).map_err(damaged("a replica"))?;
            Ok(Replica { name, silent: Duration::from_millis(unsigned(silent)), report })
        };
        rows.into_iter().map(replica).collect()
    }
}
