//! Loading a historic log, whole or not at all.

use super::Sqlite;
use super::ingest::{ingest, known};
use crate::{Import, ImportOutcome, Ingest, Ingested, Result, StoreError};
use sqlx::Row;

impl Sqlite {
    pub(super) async fn import_batches(
        &self,
        import: &Import,
        batches: &mut (dyn Iterator<Item = std::result::Result<Ingest, String>> + Send),
    ) -> Result<ImportOutcome> {
        let mut tx = self.write().await?;
        let known = known(&mut tx, &import.experiment).await?;
        let num = known.ok_or_else(|| StoreError::Missing(format!("experiment '{}'", import.experiment)))?.num;
        let earlier = sqlx::query("SELECT digest, experiment, at FROM imports WHERE name = $1")
            .bind(&import.name)
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(row) = earlier {
            let at = super::moment(row.try_get("at")?)?;
            let same =
                row.try_get::<Vec<u8>, _>("digest")? == import.digest && row.try_get::<i64, _>("experiment")? == num;
            return Ok(if same { ImportOutcome::Repeated(at) } else { ImportOutcome::NameTaken(at) });
        }
        let mut total = Ingested::default();
        for batch in batches {
            let batch = batch.map_err(StoreError::Aborted)?;
            let part = ingest(&mut tx, &batch).await?;
            total.decisions += part.decisions;
            total.events += part.events;
            total.set_aside += part.set_aside;
        }
        sqlx::query("INSERT INTO imports (name, experiment, digest, at) VALUES ($1, $2, $3, $4)")
            .bind(&import.name)
            .bind(num)
            .bind(&import.digest[..])
            .bind(import.at.as_millisecond())
            .execute(&mut *tx)
            .await?;
        let change = crate::Change { who: import.who.clone(), why: String::new(), at: import.at };
        let document =
            serde_json::json!({ "import": import.name, "decisions": total.decisions, "events": total.events });
        super::experiments::audit(&mut tx, "import", &import.experiment, &document.to_string(), &change).await?;
        tx.commit().await?;
        self.empty_wal().await;
        Ok(ImportOutcome::Loaded(total))
    }
}
