//! API keys.

use super::{Sqlite, moment, moments};
use crate::{Key, Keys, Result, Scope, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

const COLUMNS: &str = "id, name, scope, hash, created_at, revoked_at";

fn key(row: &SqliteRow) -> Result<Key> {
    let scope: String = row.try_get("scope")?;
    let hash: Vec<u8> = row.try_get("hash")?;
    Ok(Key {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        scope: Scope::parse(&scope).ok_or_else(|| StoreError::Damaged(format!("scope '{scope}' of a key")))?,
        hash: hash.try_into().map_err(|_| StoreError::Damaged("hash of a key".into()))?,
        created_at: moment(row.try_get("created_at")?)?,
        revoked_at: moments(row.try_get("revoked_at")?)?,
    })
}

#[async_trait]
impl Keys for Sqlite {
    async fn create_key(&self, name: &str, scope: Scope, hash: &[u8; 32], at: Timestamp) -> Result<Key> {
        let sql = format!(
            "INSERT INTO keys (name, scope, hash, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (hash) DO NOTHING RETURNING {COLUMNS}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(name)
            .bind(scope.as_str())
            .bind(&hash[..])
            .bind(at.as_millisecond())
            .fetch_optional(&self.pool)
            .await?;
        key(&row.ok_or_else(|| StoreError::Conflict("a key of this hash exists already".into()))?)
    }

    async fn list_keys(&self) -> Result<Vec<Key>> {
        let sql = format!("SELECT {COLUMNS} FROM keys ORDER BY id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(key).collect()
    }

    async fn revoke_key(&self, id: i64, at: Timestamp) -> Result<()> {
        let done = sqlx::query("UPDATE keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1")
            .bind(id)
            .bind(at.as_millisecond())
            .execute(&self.pool)
            .await?;
        if done.rows_affected() == 0 { Err(StoreError::Missing(format!("key {id}"))) } else { Ok(()) }
    }

    async fn valid_keys(&self) -> Result<Vec<Key>> {
        Ok(self.list_keys().await?.into_iter().filter(|k| k.revoked_at.is_none()).collect())
    }
}
