//! API keys.

use super::{Database, moment, moments, storable};
use crate::{Key, Keys, NewKey, Result, Scope, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

const COLUMNS: &str = "id, name, scope, hash, origins, per_minute, created_at, revoked_at, used_at";

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: i64,
    name: String,
    scope: String,
    hash: Vec<u8>,
    origins: String,
    per_minute: Option<i64>,
    created_at: i64,
    revoked_at: Option<i64>,
    used_at: Option<i64>,
}

fn key(row: KeyRow) -> Result<Key> {
    let scope = Scope::parse(&row.scope);
    Ok(Key {
        id: row.id,
        name: row.name,
        scope: scope.ok_or_else(|| StoreError::Damaged(format!("scope '{}' of a key", row.scope)))?,
        hash: row.hash.try_into().map_err(|_| StoreError::Damaged("hash of a key".into()))?,
        origins: row.origins.lines().map(str::to_owned).collect(),
        per_minute: row.per_minute.and_then(|n| u32::try_from(n).ok()),
        created_at: moment(row.created_at)?,
        revoked_at: moments(row.revoked_at)?,
        used_at: moments(row.used_at)?,
    })
}

#[async_trait]
impl Keys for Database {
    async fn create_key(&self, new: &NewKey<'_>, at: Timestamp) -> Result<Key> {
        let sql = format!(
            "INSERT INTO keys (name, scope, hash, created_at, origins, per_minute) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (hash) DO NOTHING RETURNING {COLUMNS}"
        );
        let row = on!(self.pool(), db => {
            sqlx::query_as(AssertSqlSafe(sql))
                .bind(&*storable(new.name))
                .bind(new.scope.as_str())
                .bind(&new.hash[..])
                .bind(at.as_millisecond())
                .bind(new.origins.join("\n"))
                .bind(new.per_minute.map(i64::from))
                .fetch_optional(db)
                .await?
        });
        key(row.ok_or_else(|| StoreError::Conflict("a key of this hash exists already".into()))?)
    }

    async fn list_keys(&self) -> Result<Vec<Key>> {
        let sql = format!("SELECT {COLUMNS} FROM keys ORDER BY id");
        let rows = on!(self.pool(), db => sqlx::query_as(AssertSqlSafe(sql)).fetch_all(db).await?);
        rows.into_iter().map(key).collect()
    }

    async fn revoke_key(&self, id: i64, at: Timestamp) -> Result<()> {
        let found = on!(self.pool(), db => {
            sqlx::query("UPDATE keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1")
                .bind(id)
                .bind(at.as_millisecond())
                .execute(db)
                .await?
                .rows_affected()
        });
        if found == 0 { Err(StoreError::Missing(format!("key {id}"))) } else { Ok(()) }
    }

    async fn valid_keys(&self) -> Result<Vec<Key>> {
        Ok(self.list_keys().await?.into_iter().filter(|k| k.revoked_at.is_none()).collect())
    }

    async fn use_keys(&self, ids: &[i64], at: Timestamp) -> Result<()> {
        for id in ids {
            on!(self.pool(), db => {
                sqlx::query("UPDATE keys SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at < $2)")
                    .bind(id)
                    .bind(at.as_millisecond())
                    .execute(db)
                    .await?;
            });
        }
        Ok(())
    }
}
