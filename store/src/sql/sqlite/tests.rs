//! What only the file does.

use crate::conformance::outcomes_model::decision;
use crate::sql::{Database, Either};
use crate::{Change, Durability, Experiments, Ingest, Outcomes};
use bandit::Experiment;

/// The write-ahead log is emptied after a batch, and a reader neither waits for that nor makes it fail.
#[tokio::test]
async fn the_write_ahead_log_is_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("croupier.db");
    let wal = || std::fs::metadata(dir.path().join("croupier.db-wal")).unwrap().len();
    let database = Database::sqlite(&path, Durability::Sync).await.unwrap();
    let json = r#"{"id":"e","arms":[{"id":"a"},{"id":"b"}],"reward":{"event":"buy"}}"#;
    let e: Experiment = serde_json::from_str(json).unwrap();
    let change = Change { who: String::new(), why: String::new(), at: jiff::Timestamp::UNIX_EPOCH };
    database.create(&e, &change).await.unwrap();
    let batch = |n| Ingest { decisions: vec![decision(&e, n, 0)], ..Default::default() };
    database.ingest(&batch(1)).await.unwrap();
    assert_eq!(wal(), 0);

    let Either::Sqlite(file) = &database.0 else { unreachable!() };
    let mut reader = file.pool.begin().await.unwrap();
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM decisions").fetch_one(&mut *reader).await.unwrap();
    database.ingest(&batch(2)).await.unwrap();
    assert!(wal() > 0, "the reader still needs it");
    let still: i64 = sqlx::query_scalar("SELECT count(*) FROM decisions").fetch_one(&mut *reader).await.unwrap();
    assert_eq!((seen, still), (1, 1));
    reader.rollback().await.unwrap();
    database.ingest(&batch(3)).await.unwrap();
    assert_eq!(wal(), 0);
}
