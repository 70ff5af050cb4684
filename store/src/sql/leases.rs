//! Leases, by the database's clock.

use super::{Database, Either};
use crate::{Leases, Result};
use async_trait::async_trait;
use sqlx::AssertSqlSafe;
use std::time::Duration;

/// Milliseconds since 1970 by the database's clock, as they are when a row is looked at.
pub(super) fn now<S, P>(database: &Either<S, P>) -> &'static str {
    match database {
        Either::Sqlite(_) => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        Either::Postgres(_) => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
    }
}

#[async_trait]
impl Leases for Database {
    async fn hold(&self, lease: &str, holder: &str, length: Duration) -> Result<bool> {
        let now = now(&self.0);
        let sql = format!(
            "INSERT INTO leases (name, holder, until) VALUES ($1, $2, {now} + $3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
             WHERE leases.holder = excluded.holder OR leases.until <= {now} OR leases.until > {now} + 2 * $3"
        );
        let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 4);
        let rows = on!(self.pool(), db => {
            sqlx::query(AssertSqlSafe(sql)).bind(lease).bind(holder).bind(length).execute(db).await?.rows_affected()
        });
        Ok(rows > 0)
    }

    async fn holder(&self, lease: &str) -> Result<Option<String>> {
        let sql = format!("SELECT holder FROM leases WHERE name = $1 AND until > {}", now(&self.0));
        Ok(on!(self.pool(), db => sqlx::query_scalar(AssertSqlSafe(sql)).bind(lease).fetch_optional(db).await?))
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
