//! Lists by hour, one row for each process; maps, one document each.

use super::{Database, Turn, damaged, signed, storable, unsigned};
use crate::{CatalogMap, ListHour, ListHours, Result, StoreError};
use async_trait::async_trait;
use recommend::Distinct;
use sqlx::FromRow;
use std::ops::Range;

#[derive(FromRow)]
struct Row {
    catalog: String,
    hour: i64,
    lists: i64,
    from_history: i64,
    items: i64,
    measured: i64,
    distance: f64,
    dated: i64,
    fresh: i64,
    age_seconds: f64,
    shown: Vec<u8>,
}

impl Row {
    fn read(self) -> Result<ListHour> {
        let shown = Distinct::read(&self.shown)
            .ok_or_else(|| StoreError::Damaged(format!("items shown of '{}'", self.catalog.escape_debug())))?;
        Ok(ListHour {
            catalog: self.catalog,
            hour: self.hour,
            lists: unsigned(self.lists),
            from_history: unsigned(self.from_history),
            items: unsigned(self.items),
            measured: unsigned(self.measured),
            distance: self.distance,
            dated: unsigned(self.dated),
            fresh: unsigned(self.fresh),
            age_seconds: self.age_seconds,
            shown,
        })
    }
}

impl Database {
    /// Lets go of hours from before a moment in milliseconds.
    pub(super) async fn forget_list_hours(&self, before: i64) -> Result<()> {
        on!(self.pool(), db => {
            sqlx::query("DELETE FROM list_hours WHERE hour < $1 / 3600000").bind(before).execute(db).await?;
        });
        Ok(())
    }
}

#[async_trait]
impl ListHours for Database {
    async fn keep_list_hours(&self, replica: &str, hours: &[ListHour]) -> Result<()> {
        let mut tx = self.write(Turn::Small).await?;
        for hour in hours {
            on!(&mut tx, db => {
                sqlx::query(
                    "INSERT INTO list_hours (catalog, hour, replica, lists, from_history, items, measured, distance, dated,
                         fresh, age_seconds, shown)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                     ON CONFLICT (catalog, hour, replica) DO UPDATE SET lists = excluded.lists,
                         from_history = excluded.from_history, items = excluded.items, measured = excluded.measured,
                         distance = excluded.distance, dated = excluded.dated, fresh = excluded.fresh,
                         age_seconds = excluded.age_seconds, shown = excluded.shown",
                )
                .bind(&*storable(&hour.catalog))
                .bind(hour.hour)
                .bind(&*storable(replica))
                .bind(signed(hour.lists))
                .bind(signed(hour.from_history))
                .bind(signed(hour.items))
                .bind(signed(hour.measured))
                .bind(hour.distance)
                .bind(signed(hour.dated))
                .bind(signed(hour.fresh))
                .bind(hour.age_seconds)
                .bind(hour.shown.bytes())
                .execute(&mut **db)
                .await?;
            });
        }
        tx.commit().await
    }

    async fn list_hours(&self, catalog: Option<&str>, hours: Range<i64>) -> Result<Vec<ListHour>> {
        let rows: Vec<Row> = on!(self.pool(), db => {
            sqlx::query_as(
                "SELECT catalog, hour, lists, from_history, items, measured, distance, dated, fresh, age_seconds, shown
                 FROM list_hours WHERE ($1 IS NULL OR catalog = $1) AND hour >= $2 AND hour < $3
                 ORDER BY catalog, hour, replica",
            )
            .bind(catalog.map(storable))
            .bind(hours.start)
            .bind(hours.end)
            .fetch_all(db)
            .await?
        });
        let mut summed: Vec<ListHour> = Vec::new();
        for row in rows {
            let row = row.read()?;
            match summed.last_mut() {
                Some(last) if (&last.catalog, last.hour) == (&row.catalog, row.hour) => last.add(&row),
                _ => summed.push(row),
            }
        }
        Ok(summed)
    }

    async fn keep_map(&self, catalog: &str, map: Option<&CatalogMap>) -> Result<()> {
        let document = map.map(serde_json::to_string).transpose().map_err(damaged("a map"))?;
        let sql = match document {
            Some(_) => {
                "INSERT INTO catalog_maps (catalog, document) VALUES ($1, $2)
                 ON CONFLICT (catalog) DO UPDATE SET document = excluded.document"
            }
            None => "DELETE FROM catalog_maps WHERE catalog = $1 AND $2 IS NULL",
        };
        on!(self.pool(), db => {
            sqlx::query(sql).bind(&*storable(catalog)).bind(document).execute(db).await?;
        });
        Ok(())
    }

    async fn map(&self, catalog: &str) -> Result<Option<CatalogMap>> {
        let document: Option<String> = on!(self.pool(), db => {
            sqlx::query_scalar("SELECT document FROM catalog_maps WHERE catalog = $1")
                .bind(&*storable(catalog))
                .fetch_optional(db)
                .await?
        });
        document.map(|text| serde_json::from_str(&text).map_err(damaged("a map"))).transpose()
    }

    async fn mapped(&self) -> Result<Vec<String>> {
        Ok(on!(self.pool(), db => {
            sqlx::query_scalar("SELECT catalog FROM catalog_maps ORDER BY catalog").fetch_all(db).await?
        }))
    }
}
