//! Leases, by the database's clock.

use super::{Database, Either};
use crate::{Leases, Result};
use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use std::time::Duration;

#[async_trait]
impl Leases for Database {
    async fn hold(&self, lease: &str, holder: &str, length: Duration) -> Result<bool> {
        // Milliseconds since 1970, as they are when the row is looked at.
        let now = match &self.0 {
            Either::Sqlite(_) => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            Either::Postgres(_) => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        };
        let sql = format!(
            "INSERT INTO leases (name, holder, until) VALUES ($1, $2, {now} + $3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
             WHERE leases.holder = excluded.holder OR leases.until <= {now}"
        );
        let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
        let rows = on!(self.pool(), db => {
            sqlx::query(AssertSqlSafe(sql)).bind(lease).bind(holder).bind(length).execute(db).await?.rows_affected()
        });
        Ok(rows > 0)
    }

    async fn release(&self, lease: &str, holder: &str) -> Result<()> {
        on!(self.pool(), db => {
            sqlx::query("DELETE FROM leases WHERE name = $1 AND holder = $2")
                .bind(lease)
                .bind(holder)
                .execute(db)
                .await?;
        });
        Ok(())
    }
}
