//! Loading a historic log, whole or not at all.

use super::ingest::{From, ingest, known};
use super::{Database, Turn, storable};
use crate::{Import, ImportOutcome, Ingest, Ingested, Result, StoreError};

impl Database {
    pub(super) async fn import_batches(
        &self,
        import: &Import,
        batches: &mut (dyn Iterator<Item = std::result::Result<Ingest, String>> + Send),
    ) -> Result<ImportOutcome> {
        let mut tx = self.write(Turn::Import).await?;
        let known = known(&mut tx, &import.experiment).await?;
        let num = known.ok_or_else(|| StoreError::Missing(format!("experiment '{}'", import.experiment)))?.num;
        let earlier: Option<(Vec<u8>, String, i64)> = on!(&mut tx, db => {
            sqlx::query_as(
                "SELECT digest, e.id, i.at FROM imports i JOIN experiments e ON e.num = i.experiment WHERE i.name = $1",
            )
            .bind(&*storable(&import.name))
            .fetch_optional(&mut **db)
            .await?
        });
        if let Some((digest, experiment, at)) = earlier {
            let at = super::moment(at)?;
            let same = digest == import.digest && experiment == import.experiment;
            return Ok(if same { ImportOutcome::Repeated(at) } else { ImportOutcome::NameTaken { experiment, at } });
        }
        let mut total = Ingested::default();
        for batch in batches {
            let batch = batch.map_err(StoreError::Aborted)?;
            let part = ingest(&mut tx, &batch, From::Others).await?;
            total.decisions += part.decisions;
            total.events += part.events;
            total.set_aside += part.set_aside;
        }
        on!(&mut tx, db => {
            sqlx::query("INSERT INTO imports (name, experiment, digest, at) VALUES ($1, $2, $3, $4)")
                .bind(&*storable(&import.name))
                .bind(num)
                .bind(&import.digest[..])
                .bind(import.at.as_millisecond())
                .execute(&mut **db)
                .await?;
        });
        let change =
            crate::Change { who: import.who.clone(), why: String::new(), at: import.at, request: String::new() };
        let document =
            serde_json::json!({ "import": import.name, "decisions": total.decisions, "events": total.events });
        super::experiments::audit(&mut tx, "import", &import.experiment, &document.to_string(), &change).await?;
        tx.commit().await?;
        self.tidy().await;
        Ok(ImportOutcome::Loaded(total))
    }
}
