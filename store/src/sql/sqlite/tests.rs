//! What only the file does.

use crate::conformance::outcomes_model::decision;
use crate::sql::decisions::Effort;
use crate::sql::{Database, Either};
use crate::{Change, Cursor, DecisionFilter, Decisions, Durability, Experiments, Ingest, Outcomes};
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
    let change =
        Change { who: String::new(), why: String::new(), at: jiff::Timestamp::UNIX_EPOCH, request: String::new() };
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

/// A search that would read too much ends, says so, and goes on from there; its connection serves the next as before.
#[tokio::test]
async fn a_search_that_reads_too_much_gives_up() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&dir.path().join("croupier.db"), Durability::Os).await.unwrap();
    let json = r#"{"id":"e","arms":[{"id":"a"},{"id":"b"}],"reward":{"event":"buy"}}"#;
    let e: Experiment = serde_json::from_str(json).unwrap();
    let change =
        Change { who: String::new(), why: String::new(), at: jiff::Timestamp::UNIX_EPOCH, request: String::new() };
    database.create(&e, &change).await.unwrap();
    let decisions: Vec<_> = (0..5_000).map(|n| decision(&e, n, -i64::try_from(n).unwrap() * 1_000)).collect();
    database.ingest(&Ingest { decisions: decisions.clone(), ..Default::default() }).await.unwrap();
    let wanted = DecisionFilter { item: Some("none".into()), ..DecisionFilter::default() };
    let start = Cursor::at(decisions[0].at);
    let little = Effort { milliseconds: 0, kilo_instructions: 20 };
    let found = database.search_within(little, &wanted, start, 50).await.unwrap();
    let next = found.next.unwrap();
    assert!(found.gave_up && found.decisions.is_empty());
    assert!(next.at < start.at && next.at > decisions[4_999].at.as_millisecond(), "it came some way");
    let on = database.search_within(little, &wanted, next, 50).await.unwrap();
    assert!(on.next.unwrap().at < next.at, "and goes on");
    for _ in 0..8 {
        let all = Decisions::search(&database, &DecisionFilter::default(), start, 10).await.unwrap();
        assert_eq!(all.decisions.len(), 10);
        assert_eq!(
            database.trials("e", jiff::Timestamp::MIN, jiff::Timestamp::MAX).await.unwrap().len(),
            5_000,
            "others are not hindered"
        );
    }
}
