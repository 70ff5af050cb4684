//! Items that wait for vectors: a row each; lists of them are sent as JSON, which both databases read.

use super::{Database, Either, Turn, Tx, damaged, moment, moments, signed, storable, unsigned};
use crate::{Result, SetAside, VectorStanding, VectorWork, Waiting, Walk};
use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, FromRow};

/// Rows of one statement.
const ROWS: usize = 5_000;

/// What becomes of items that wait already when they are noted.
const ANEW: &str = "DO UPDATE SET noted = vector_queue.noted + 1, attempts = 0, next_at = excluded.next_at, why = NULL,
    aside_at = NULL";
const AS_THEY_ARE: &str = "DO NOTHING";

#[derive(FromRow)]
struct WalkRow {
    models: String,
    after_item: Option<String>,
    done: bool,
    rate: f64,
    made_at: Option<i64>,
    trouble: Option<String>,
}

async fn note(tx: &mut Tx, catalog: &str, items: &[String], now: Timestamp, known: &str) -> Result<()> {
    for items in items.chunks(ROWS) {
        let list = match tx {
            Either::Sqlite(_) => "json_each($2)",
            Either::Postgres(_) => "json_array_elements_text($2::json) AS listed (value)",
        };
        let sql = format!(
            "INSERT INTO vector_queue (catalog, item, noted, attempts, next_at)
             SELECT DISTINCT $1, value, 1, 0, CAST($3 AS BIGINT) FROM {list} WHERE true
             ON CONFLICT (catalog, item) {known}"
        );
        let ids = serde_json::to_string(&items.iter().map(|id| storable(id)).collect::<Vec<_>>());
        let ids = ids.map_err(damaged("ids"))?;
        on!(&mut *tx, db => {
            sqlx::query(AssertSqlSafe(sql))
                .bind(&*storable(catalog))
                .bind(ids)
                .bind(now.as_millisecond())
                .execute(&mut **db)
                .await?;
        });
    }
    Ok(())
}

async fn looked_at(tx: &mut Tx, change: u64) -> Result<()> {
    on!(tx, db => {
        sqlx::query(
            "INSERT INTO vector_changes (one, looked_at) VALUES (1, $1)
             ON CONFLICT (one) DO UPDATE SET looked_at = excluded.looked_at",
        )
        .bind(signed(change))
        .execute(&mut **db)
        .await?;
    });
    Ok(())
}

/// Items as a list of pairs.
fn pairs(items: &[Waiting]) -> Result<String> {
    let pairs: Vec<_> = items.iter().map(|waiting| (storable(&waiting.item), waiting.noted)).collect();
    serde_json::to_string(&pairs).map_err(damaged("ids"))
}

impl Database {
    /// Rows that are as a list of pairs, the parameter `$2`, says.
    fn as_listed(&self) -> &'static str {
        match &self.0 {
            Either::Sqlite(_) => "(item, noted) IN (SELECT value ->> 0, value ->> 1 FROM json_each($2))",
            Either::Postgres(_) => {
                "(item, noted) IN (SELECT value ->> 0, (value ->> 1)::bigint FROM json_array_elements($2::json) AS value)"
            }
        }
    }
}

#[async_trait]
impl VectorWork for Database {
    async fn looked_at(&self) -> Result<Option<u64>> {
        let change: Option<i64> = on!(self.pool(), db => {
            sqlx::query_scalar("SELECT looked_at FROM vector_changes").fetch_optional(db).await?
        });
        Ok(change.map(unsigned))
    }

    async fn note(&self, items: &[(String, Vec<String>)], change: u64, now: Timestamp) -> Result<()> {
        let mut tx = self.write(Turn::Small).await?;
        for (catalog, ids) in items {
            note(&mut tx, catalog, ids, now, ANEW).await?;
        }
        looked_at(&mut tx, change).await?;
        tx.commit().await
    }

    async fn begin_anew(&self, change: u64) -> Result<()> {
        let mut tx = self.write(Turn::Small).await?;
        on!(&mut tx, db => {
            sqlx::query("UPDATE vector_walks SET models = ''").execute(&mut **db).await?;
        });
        looked_at(&mut tx, change).await?;
        tx.commit().await
    }

    async fn walk(&self, catalog: &str) -> Result<Option<Walk>> {
        let row: Option<WalkRow> = on!(self.pool(), db => {
            sqlx::query_as("SELECT * FROM vector_walks WHERE catalog = $1").bind(&*storable(catalog)).fetch_optional(db).await?
        });
        Ok(row.map(|row| Walk { models: row.models, after: row.after_item, done: row.done }))
    }

    async fn walked(&self, catalog: &str, walk: &Walk, found: &[String], now: Timestamp) -> Result<()> {
        let mut tx = self.write(Turn::Small).await?;
        note(&mut tx, catalog, found, now, AS_THEY_ARE).await?;
        on!(&mut tx, db => {
            sqlx::query(
                "INSERT INTO vector_walks (catalog, models, after_item, done, rate) VALUES ($1, $2, $3, $4, 0)
                 ON CONFLICT (catalog) DO UPDATE SET models = excluded.models, after_item = excluded.after_item,
                     done = excluded.done",
            )
            .bind(&*storable(catalog))
            .bind(&*storable(&walk.models))
            .bind(walk.after.as_deref().map(storable))
            .bind(walk.done)
            .execute(&mut **db)
            .await?;
        });
        tx.commit().await
    }

    async fn due(&self, catalog: &str, now: Timestamp, limit: usize) -> Result<Vec<Waiting>> {
        let rows: Vec<(String, i64, i64)> = on!(self.pool(), db => {
            sqlx::query_as(
                "SELECT item, noted, attempts FROM vector_queue WHERE catalog = $1 AND aside_at IS NULL AND next_at <= $2
                 ORDER BY next_at, item LIMIT $3",
            )
            .bind(&*storable(catalog))
            .bind(now.as_millisecond())
            .bind(signed(limit as u64))
            .fetch_all(db)
            .await?
        });
        let waiting =
            |(item, noted, attempts)| Waiting { item, noted, attempts: u32::try_from(attempts).unwrap_or(u32::MAX) };
        Ok(rows.into_iter().map(waiting).collect())
    }

    async fn settle(&self, catalog: &str, items: &[Waiting], rate: f64, now: Timestamp) -> Result<()> {
        let mut tx = self.write(Turn::Small).await?;
        let sql = format!("DELETE FROM vector_queue WHERE catalog = $1 AND {}", self.as_listed());
        let listed = pairs(items)?;
        on!(&mut tx, db => {
            sqlx::query(AssertSqlSafe(sql)).bind(&*storable(catalog)).bind(listed).execute(&mut **db).await?;
            sqlx::query("UPDATE vector_walks SET rate = $2, made_at = $3 WHERE catalog = $1")
                .bind(&*storable(catalog))
                .bind(rate)
                .bind(now.as_millisecond())
                .execute(&mut **db)
                .await?;
        });
        tx.commit().await
    }

    async fn fail(
        &self,
        catalog: &str,
        items: &[Waiting],
        why: &str,
        again: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        let sql = format!(
            "UPDATE vector_queue SET attempts = attempts + 1, why = $3, next_at = $4, aside_at = $5
             WHERE catalog = $1 AND {}",
            self.as_listed()
        );
        let listed = pairs(items)?;
        on!(self.pool(), db => {
            sqlx::query(AssertSqlSafe(sql))
                .bind(&*storable(catalog))
                .bind(listed)
                .bind(&*storable(why))
                .bind(again.unwrap_or(now).as_millisecond())
                .bind(again.is_none().then_some(now.as_millisecond()))
                .execute(db)
                .await?;
        });
        Ok(())
    }

    async fn trouble(&self, catalog: &str, why: Option<&str>) -> Result<()> {
        on!(self.pool(), db => {
            sqlx::query(
                "INSERT INTO vector_walks (catalog, models, done, rate, trouble) VALUES ($1, '', FALSE, 0, $2)
                 ON CONFLICT (catalog) DO UPDATE SET trouble = excluded.trouble",
            )
            .bind(&*storable(catalog))
            .bind(why.map(storable))
            .execute(db)
            .await?;
        });
        Ok(())
    }

    async fn retry(&self, catalog: &str, item: Option<&str>, now: Timestamp) -> Result<u64> {
        Ok(on!(self.pool(), db => {
            sqlx::query(
                "UPDATE vector_queue SET noted = noted + 1, attempts = 0, next_at = $3, why = NULL, aside_at = NULL
                 WHERE catalog = $1 AND aside_at IS NOT NULL AND ($2 IS NULL OR item = $2)",
            )
            .bind(&*storable(catalog))
            .bind(item.map(storable))
            .bind(now.as_millisecond())
            .execute(db)
            .await?
            .rows_affected()
        }))
    }

    async fn standing(&self, catalog: &str, most: usize) -> Result<VectorStanding> {
        let catalog = &*storable(catalog);
        let counts: (i64, i64) = on!(self.pool(), db => {
            sqlx::query_as("SELECT count(*) - count(aside_at), count(aside_at) FROM vector_queue WHERE catalog = $1")
                .bind(catalog)
                .fetch_one(db)
                .await?
        });
        let aside: Vec<(String, Option<String>, i64)> = on!(self.pool(), db => {
            sqlx::query_as(
                "SELECT item, why, aside_at FROM vector_queue WHERE catalog = $1 AND aside_at IS NOT NULL
                 ORDER BY aside_at DESC, item LIMIT $2",
            )
            .bind(catalog)
            .bind(signed(most as u64))
            .fetch_all(db)
            .await?
        });
        let row: Option<WalkRow> = on!(self.pool(), db => {
            sqlx::query_as("SELECT * FROM vector_walks WHERE catalog = $1").bind(catalog).fetch_optional(db).await?
        });
        let aside = aside
            .into_iter()
            .map(|(item, why, at)| Ok(SetAside { item, why: why.unwrap_or_default(), at: moment(at)? }));
        let standing = VectorStanding {
            waiting: unsigned(counts.0),
            set_aside: unsigned(counts.1),
            aside: aside.collect::<Result<_>>()?,
            ..VectorStanding::default()
        };
        let Some(WalkRow { done: walked, rate, made_at, trouble, .. }) = row else { return Ok(standing) };
        Ok(VectorStanding { rate, at: moments(made_at)?, walked, trouble, ..standing })
    }

    async fn forget_catalog(&self, catalog: &str) -> Result<()> {
        let mut tx = self.write(Turn::Small).await?;
        on!(&mut tx, db => {
            for sql in ["DELETE FROM vector_queue WHERE catalog = $1", "DELETE FROM vector_walks WHERE catalog = $1"] {
                sqlx::query(sql).bind(&*storable(catalog)).execute(&mut **db).await?;
            }
        });
        tx.commit().await
    }
}
