//! One user's rows.

use super::bulk::{Id, id};
use super::{Database, Either, Turn, Tx, moment, signed, storable};
use crate::users::{REMEMBERED, hash};
use crate::{Erased, Erasures, KeptEvent, Result, StoreError, Users};
use async_trait::async_trait;
use jiff::Timestamp;

/// Decisions of one transaction: batches of the log wait for it.
const AT_ONCE: i64 = 2_000;

/// Reading events whole takes time, but nobody waits for a page.
const LONG: &str = "SET LOCAL statement_timeout = '10min'";

#[derive(sqlx::FromRow)]
struct EventRow {
    key: Vec<u8>,
    kind: String,
    name: String,
    item: Option<String>,
    experiment: Option<String>,
    value: f64,
    at: i64,
}

#[async_trait]
impl Users for Database {
    async fn user_events(&self, user: &str, after: Option<Id>, limit: usize) -> Result<Vec<KeptEvent>> {
        let mut tx = self.snapshot().await?;
        be_patient(&mut tx).await?;
        // The table is read whole: an index on users would be written with every event, for what is asked once a month.
        let sql = "SELECT key, kind, name, item, experiment, value, at FROM events
             WHERE visitor = $1 AND key > $2 ORDER BY key LIMIT $3";
        let after = after.map_or_else(Vec::new, Vec::from);
        let rows: Vec<EventRow> = on!(&mut tx, db => {
            sqlx::query_as(sql)
                .bind(&*storable(user))
                .bind(after)
                .bind(signed(limit as u64))
                .fetch_all(&mut **db)
                .await?
        });
        let event = |row: EventRow| {
            let EventRow { key, kind, name, item, experiment, value, at } = row;
            Ok(KeptEvent { key: id(&key)?, kind, name, item, experiment, value, at: moment(at)? })
        };
        rows.into_iter().map(event).collect()
    }

    async fn begin_erasure(&self, user: &str, at: Timestamp) -> Result<()> {
        // Behind a batch that is being taken in, whose records are erased with the rest.
        let mut tx = self.write(Turn::Batch).await?;
        let forgotten = at.saturating_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
        on!(&mut tx, db => {
            sqlx::query("DELETE FROM erasures WHERE at < $1")
                .bind(forgotten.as_millisecond())
                .execute(&mut **db)
                .await?;
            sqlx::query(
                "INSERT INTO erasures (visitor, at) VALUES ($1, $2)
                 ON CONFLICT (visitor) DO UPDATE SET at = excluded.at WHERE erasures.at < excluded.at",
            )
            .bind(hash(user).to_vec())
            .bind(at.as_millisecond())
            .execute(&mut **db)
            .await?;
        });
        tx.commit().await
    }

    async fn erase_user(&self, user: &str, at: Timestamp) -> Result<Erased> {
        let mut erased = Erased::default();
        loop {
            let mut tx = self.write(Turn::Batch).await?;
            let decisions = erase_decisions(&mut tx, &storable(user), at.as_millisecond()).await?;
            tx.commit().await?;
            erased.decisions += decisions;
            if decisions == 0 {
                break;
            }
        }
        let mut tx = self.write(Turn::Batch).await?;
        be_patient(&mut tx).await?;
        erased.events = on!(&mut tx, db => {
            sqlx::query("UPDATE events SET visitor = NULL WHERE visitor = $1 AND at <= $2")
                .bind(&*storable(user))
                .bind(at.as_millisecond())
                .execute(&mut **db)
                .await?
                .rows_affected()
        });
        let contains = match &tx {
            Either::Sqlite(_) => "DELETE FROM dead_letters WHERE instr(body, $1) > 0",
            Either::Postgres(_) => "DELETE FROM dead_letters WHERE position($1 IN body) > 0",
        };
        let quoted = serde_json::to_string(user).map_err(|e| StoreError::Damaged(format!("a user: {e}")))?;
        erased.set_aside = on!(&mut tx, db => {
            sqlx::query(contains)
                .bind(&*storable(&format!("\"user\":{quoted}")))
                .execute(&mut **db)
                .await?
                .rows_affected()
        });
        tx.commit().await?;
        self.tidy_away().await;
        Ok(erased)
    }

    async fn erasures(&self) -> Result<Erasures> {
        let rows = on!(self.pool(), db => sqlx::query_as(ERASURES).fetch_all(db).await?);
        known(rows)
    }
}

const ERASURES: &str = "SELECT visitor, at FROM erasures";

/// The erasures as a transaction sees them.
pub(super) async fn erasures(tx: &mut Tx) -> Result<Erasures> {
    known(on!(tx, db => sqlx::query_as(ERASURES).fetch_all(&mut **db).await?))
}

fn known(rows: Vec<(Vec<u8>, i64)>) -> Result<Erasures> {
    let hash = |bytes: Vec<u8>| bytes.try_into().map_err(|_| StoreError::Damaged("hash of an erased user".into()));
    rows.into_iter().map(|(bytes, at)| Ok((hash(bytes)?, at))).collect::<Result<_>>().map(Erasures)
}

async fn be_patient(tx: &mut Tx) -> Result<()> {
    if let Either::Postgres(db) = tx {
        sqlx::raw_sql(LONG).execute(&mut **db).await?;
    }
    Ok(())
}

/// Some decisions lose their user, and the ids and lists that are hashes of their name.
async fn erase_decisions(tx: &mut Tx, user: &str, until: i64) -> Result<u64> {
    let random = match tx {
        Either::Sqlite(_) => {
            "SELECT d.id, d.at, randomblob(16) FROM decisions_of_visitors v CROSS JOIN decisions d ON d.num = v.num
             WHERE v.visitor = $1 AND v.at <= $2 LIMIT $3"
        }
        Either::Postgres(_) => {
            "SELECT id, at, uuid_send(gen_random_uuid()) FROM decisions WHERE visitor = $1 AND at <= $2 LIMIT $3"
        }
    };
    let rows: Vec<(Vec<u8>, i64, Vec<u8>)> = on!(&mut *tx, db => {
        sqlx::query_as(random).bind(user).bind(until).bind(AT_ONCE).fetch_all(&mut **db).await?
    });
    for (old, at, new) in &rows {
        on!(&mut *tx, db => {
            sqlx::query("UPDATE decisions SET id = $3, visitor = '', list = NULL WHERE id = $1 AND at = $2")
                .bind(old)
                .bind(at)
                .bind(new)
                .execute(&mut **db)
                .await?;
            sqlx::query("UPDATE claims SET decision = $2 WHERE decision = $1").bind(old).bind(new).execute(&mut **db).await?;
        });
        match &mut *tx {
            Either::Sqlite(db) => {
                let gone = "DELETE FROM decisions_of_visitors
                     WHERE visitor = $1 AND at = $2 AND num = (SELECT num FROM decisions WHERE id = $3)";
                sqlx::query(gone).bind(user).bind(at).bind(new).execute(&mut **db).await?;
            }
            Either::Postgres(db) => {
                let moved = "UPDATE decision_keys SET id = $2 WHERE id = $1";
                sqlx::query(moved).bind(old).bind(new).execute(&mut **db).await?;
            }
        }
    }
    Ok(rows.len() as u64)
}
