//! What only the file does.

use crate::conformance::outcomes_model::decision;
use crate::sql::decisions::Effort;
use crate::sql::sqlite::MIGRATIONS;
use crate::sql::{Database, Either};
use crate::{Change, Cursor, DecisionFilter, Decisions, Durability, Experiments, Ingest, Outcomes, Users};
use bandit::Experiment;

fn one() -> Experiment {
    let json = r#"{"id":"e","arms":[{"id":"a"},{"id":"b"}],"reward":{"event":"buy"}}"#;
    serde_json::from_str(json).unwrap()
}

fn change() -> Change {
    Change { who: String::new(), why: String::new(), at: jiff::Timestamp::UNIX_EPOCH, request: String::new() }
}

/// The write-ahead log is emptied once it is long, and a reader neither waits for that nor makes it fail.
#[tokio::test]
async fn the_write_ahead_log_is_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("croupier.db");
    let wal = || std::fs::metadata(dir.path().join("croupier.db-wal")).unwrap().len();
    let database = Database::sqlite(&path, Durability::Sync).await.unwrap();
    let e = one();
    database.create(&e, &change()).await.unwrap();
    let batch = |n| Ingest { decisions: vec![decision(&e, n, 0)], ..Default::default() };
    let Either::Sqlite(file) = &database.0 else { unreachable!() };
    database.ingest(&batch(1)).await.unwrap();
    let long = wal();
    file.empty_wal(long + 1).await;
    assert_eq!(wal(), long, "a short one is let be");
    file.empty_wal(long).await;
    assert_eq!(wal(), 0);

    let mut reader = file.pool.begin().await.unwrap();
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM decisions").fetch_one(&mut *reader).await.unwrap();
    database.ingest(&batch(2)).await.unwrap();
    file.empty_wal(0).await;
    assert!(wal() > 0, "the reader still needs it");
    let still: i64 = sqlx::query_scalar("SELECT count(*) FROM decisions").fetch_one(&mut *reader).await.unwrap();
    assert_eq!((seen, still), (1, 1));
    reader.rollback().await.unwrap();
    file.empty_wal(0).await;
    assert_eq!(wal(), 0);
}

/// Decisions of an older release stand in their order from then on, are found by visitor, and find their way back.
#[tokio::test]
async fn decisions_of_older_releases_are_moved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("croupier.db");
    let database = Database::sqlite(&path, Durability::Sync).await.unwrap();
    let e = one();
    database.create(&e, &change()).await.unwrap();
    let logged: Vec<_> = (0..300).map(|n| decision(&e, n, i64::try_from(n).unwrap())).collect();
    database.ingest(&Ingest { decisions: logged.clone(), ..Default::default() }).await.unwrap();
    let erased = &logged[7];
    database.erase_user(&erased.user, jiff::Timestamp::MAX).await.unwrap();
    let Either::Sqlite(file) = &database.0 else { unreachable!() };
    let all = "SELECT id, at, visitor, counted_trial, list FROM decisions ORDER BY id";
    type Row = (Vec<u8>, i64, String, i64, Option<Vec<u8>>);
    let before: Vec<Row> = sqlx::query_as(all).fetch_all(&file.pool).await.unwrap();
    MIGRATIONS.undo(&file.pool, 16).await.unwrap();
    assert_eq!(sqlx::query_as::<_, Row>(all).fetch_all(&file.pool).await.unwrap(), before);
    file.close().await;

    let database = Database::sqlite(&path, Durability::Sync).await.unwrap();
    let Either::Sqlite(file) = &database.0 else { unreachable!() };
    assert_eq!(sqlx::query_as::<_, Row>(all).fetch_all(&file.pool).await.unwrap(), before);
    for record in &logged {
        let wanted = DecisionFilter { user: Some(record.user.clone()), ..DecisionFilter::default() };
        let found =
            Decisions::search(&database, &wanted, Cursor::at(jiff::Timestamp::MAX), 10).await.unwrap().decisions;
        let expected = logged.iter().filter(|d| d.user == record.user && d.user != erased.user).count().min(10);
        assert_eq!(found.len(), expected, "{}", record.user);
    }
    // What comes again is known, and what is new comes behind.
    let again = Ingest {
        decisions: logged[8..18].iter().cloned().chain([decision(&e, 300, 9)]).collect(),
        ..Default::default()
    };
    assert_eq!(database.ingest(&again).await.unwrap().decisions, 1);
}

/// A search that would read too much ends, says so, and goes on from there; its connection serves the next as before.
#[tokio::test]
async fn a_search_that_reads_too_much_gives_up() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&dir.path().join("croupier.db"), Durability::Os).await.unwrap();
    let e = one();
    database.create(&e, &change()).await.unwrap();
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
