//! Views of items by hour.

use super::{Database, Either, Tx, storable};
use crate::item_views::HALF_LIVES;
use crate::{ItemViews, Popular, Result};
use async_trait::async_trait;
use bandit::{UserEvent, UserEventKind, hour_of};
use futures::TryStreamExt;
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite};
use std::collections::BTreeMap;

/// Rows of one statement: SQLite takes 32,766 values.
const ROWS: usize = 10_000;

/// How often each item was viewed in each hour, by the events that are new.
pub(super) fn viewed<'a>(fresh: impl Iterator<Item = &'a UserEvent>) -> BTreeMap<(i64, String), i64> {
    let mut views = BTreeMap::new();
    for event in fresh.filter(|e| e.kind == UserEventKind::View) {
        if let Some(item) = &event.item {
            *views.entry((hour_of(event.at), storable(item).into_owned())).or_default() += 1;
        }
    }
    views
}

/// Adds views; in the order of the table, so that batches beside each other wait and do not lock each other out.
pub(super) async fn add_views(tx: &mut Tx, views: &BTreeMap<(i64, String), i64>) -> Result<()> {
    let rows: Vec<_> = views.iter().collect();
    const MORE: &str = " ON CONFLICT (hour, item) DO UPDATE SET views = item_views.views + excluded.views";
    for chunk in rows.chunks(ROWS) {
        match tx {
            Either::Sqlite(db) => {
                let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO item_views (hour, item, views) ");
                sql.push_values(chunk, |mut row, ((hour, item), views)| {
                    row.push_bind(*hour).push_bind(item).push_bind(**views);
                });
                sql.push(MORE).build().execute(&mut **db).await?;
            }
            Either::Postgres(db) => {
                let sql = format!(
                    "INSERT INTO item_views (hour, item, views)
                     SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]){MORE}"
                );
                sqlx::query(AssertSqlSafe(sql))
                    .bind(chunk.iter().map(|row| row.0.0).collect::<Vec<_>>())
                    .bind(chunk.iter().map(|row| row.0.1.as_str()).collect::<Vec<_>>())
                    .bind(chunk.iter().map(|row| *row.1).collect::<Vec<_>>())
                    .execute(&mut **db)
                    .await?;
            }
        }
    }
    Ok(())
}

#[async_trait]
impl ItemViews for Database {
    async fn most_viewed(
        &self,
        now: Timestamp,
        half_life_hours: f64,
        limit: usize,
        counts: &(dyn for<'a> Fn(&'a str) -> bool + Sync),
    ) -> Result<Vec<Popular>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let last = hour_of(now);
        #[expect(clippy::cast_possible_truncation, reason = "a definition's half-life is some thousand hours at most")]
        let first = last - (half_life_hours * HALF_LIVES).ceil() as i64;
        // Powers are not in every build of SQLite: weights are sent by hour. An hour to come counts as the present one.
        #[expect(clippy::cast_precision_loss, reason = "ages are some thousand hours at most")]
        let weights: Vec<(i64, f64)> =
            (first..=last + 1).map(|hour| (hour, (-((last - hour).max(0) as f64) / half_life_hours).exp2())).collect();
        let weights = serde_json::to_string(&weights).map_err(super::damaged("weights"))?;
        let list = match &self.0 {
            Either::Sqlite(_) => "SELECT value ->> 0 AS hour, value ->> 1 AS weight FROM json_each($1)",
            Either::Postgres(_) => {
                "SELECT (value ->> 0)::bigint AS hour, (value ->> 1)::float8 AS weight
                 FROM json_array_elements($1::json) AS value"
            }
        };
        // In the order of hours: a sum depends on its order.
        let sql = format!(
            "SELECT v.item, CAST(sum(v.views * w.weight ORDER BY v.hour) AS DOUBLE PRECISION) AS score
             FROM item_views v JOIN ({list}) w ON w.hour = v.hour
             WHERE v.hour BETWEEN $2 AND $3 GROUP BY v.item ORDER BY score DESC, v.item"
        );
        let mut most = Vec::new();
        on!(self.pool(), db => {
            let mut rows = sqlx::query_as(AssertSqlSafe(sql)).bind(weights).bind(first).bind(last + 1).fetch(db);
            while let Some((id, score)) = rows.try_next().await? {
                let id: String = id;
                if counts(&id) {
                    most.push(Popular { id, score });
                    if most.len() == limit {
                        break;
                    }
                }
            }
        });
        Ok(most)
    }
}
