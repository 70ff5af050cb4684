//! API keys.

use super::{Database, moment, moments, storable};
use crate::{Key, Keys, Result, Scope, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

const COLUMNS: &str = "id, name, scope, hash, created_at, revoked_at";

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: i64,
    name: String,
    scope: String,
    hash: Vec<u8>,
    created_at: i64,
    revoked_at: Option<i64>,
}

fn key(row: KeyRow) -> Result<Key> {
    let scope = Scope::parse(&row.scope);
    Ok(Key {
        id: row.id,
        name: row.name,
        scope: scope.ok_or_else(|| StoreError::Damaged(format!("scope '{}' of a key", row.scope)))?,
        hash: row.hash.try_into().map_err(|_| StoreError::Damaged("hash of a key".into()))?,
        created_at: moment(row.created_at)?,
        revoked_at: moments(row.revoked_at)?,
    })
}

#[async_trait]
impl Keys for Database {
    async fn create_key(&self, name: &str, scope: Scope, hash: &[u8; 32], at: Timestamp) -> Result<Key> {
        let sql = format!(
            "INSERT INTO keys (name, scope, hash, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (hash) DO NOTHING RETURNING {COLUMNS}"
        );
        let row = on!(self.pool(), db => {
            sqlx::query_as(AssertSqlSafe(sql))
                .bind(&*storable(name))
                .bind(scope.as_str())
                .bind(&hash[..])
                .bind(at.as_millisecond())
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
}
