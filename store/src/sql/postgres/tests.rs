//! What only a server does: it is shared, it goes away and comes back, it refuses.

use super::days::{Day, TABLES, days_of};
use crate::conformance::outcomes_days::overlapping;
use crate::conformance::outcomes_model::{Model, decision, event};
use crate::conformance::services::{Kind, Service};
use crate::conformance::{PATIENCE, Place};
use crate::sql::decisions::Effort;
use crate::sql::tests::server::{OwnDatabase, create_database};
use crate::sql::{Database, Either};
use crate::{Change, Cursor, DecisionFilter, Experiments, Ingest, Ingested, Leases, Outcomes, StoreError};
use bandit::{Experiment, UserEventKind};
use jiff::{Timestamp, ToSpan};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_795_255_200_000 + ms).unwrap()
}

async fn created(database: &Database) -> Experiment {
    let json = r#"{"id":"e","arms":[{"id":"a"},{"id":"b"}],"reward":{"event":"buy","window_hours":1}}"#;
    let e: Experiment = serde_json::from_str(json).unwrap();
    let change = Change { who: "me".into(), why: String::new(), at: moment(0), request: String::new() };
    database.create(&e, &change).await.unwrap();
    e
}

/// Decisions with a reward for every third, read at the moment of the first.
fn batch(e: &Experiment, numbers: std::ops::Range<u64>) -> Ingest {
    let decisions: Vec<_> = numbers.map(|n| decision(e, n, 0)).collect();
    let rewarded = decisions.iter().step_by(3);
    let events = rewarded.map(|d| event(e, &d.user, UserEventKind::Reward, 1, &[d])).collect();
    Ingest { at: moment(0), decisions, events, ..Ingest::default() }
}

fn server(database: &Database) -> &super::Server {
    match &database.0 {
        Either::Postgres(server) => server,
        Either::Sqlite(_) => unreachable!(),
    }
}

async fn partitions(database: &Database) -> [Vec<String>; 4] {
    let mut db = server(database).pool.acquire().await.unwrap();
    let mut all = [const { Vec::new() }; 4];
    for (table, names) in TABLES.iter().zip(&mut all) {
        let days = days_of(table, &mut db).await.unwrap();
        names.extend(days.into_iter().map(|day: Day| day.partition(table)));
    }
    all
}

/// Trials and rewards, when counts and recount agree.
async fn total(database: &Database) -> (u64, u64) {
    let counted = database.evidence("e").await.unwrap();
    assert_eq!(counted, database.recount("e").await.unwrap());
    counted.outcomes.iter().fold((0, 0), |(trials, rewards), o| (trials + o.trials, rewards + o.rewards))
}

async fn rows(database: &Database, table: &str) -> i64 {
    let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(sql).fetch_one(&server(database).pool).await.unwrap()
}

/// Replicas that start at once on an empty database wait for the one that makes the tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_start_at_once() {
    let Some(service) = Service::shared(Kind::Postgres) else { return };
    for _ in 0..5 {
        let url = create_database(service).await;
        let replicas = (0..4).map(|n| {
            let url = url.clone();
            tokio::spawn(async move {
                let database = Database::postgres(&url).await.unwrap();
                database.hold("update", &format!("replica {n}"), Duration::from_secs(60)).await.unwrap()
            })
        });
        let held = futures::future::try_join_all(replicas).await.unwrap();
        assert_eq!(held.iter().filter(|held| **held).count(), 1);
    }
}

/// Two updaters that are given the same batches, each with connections of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_updaters_count_once() {
    let place = [OwnDatabase::default(), OwnDatabase::default()];
    if !OwnDatabase::available() {
        return;
    }
    // The directories beside them are their own.
    place[1].share(&place[0]).await;
    overlapping(&[place[0].open().await, place[1].open().await]).await;
}

/// A socket of this machine in a URL's parameter.
#[tokio::test]
async fn a_socket_may_be_named() {
    let Some(service) = Service::shared(Kind::Postgres) else { return };
    let url = create_database(service).await;
    let mut db = PgConnection::connect(&url).await.unwrap();
    let dir: String = sqlx::query_scalar("SHOW unix_socket_directories").fetch_one(&mut db).await.unwrap();
    let (name, port) = (url.rsplit_once('/').unwrap().1, service.address().port());
    let database =
        Database::postgres(&format!("postgres:///{name}?host={dir}&port={port}&user=croupier")).await.unwrap();
    assert_eq!(database.changes().await.unwrap(), 0);
}

/// Partitions are made for the days around a batch and for tomorrow, whatever it holds, and dropped by the day.
#[tokio::test]
async fn days_have_partitions() {
    let place = OwnDatabase::default();
    if !OwnDatabase::available() {
        return;
    }
    let database = Database::postgres(place.url().await).await.unwrap();
    let e = created(&database).await;
    database.ingest(&Ingest { at: moment(0), ..Ingest::default() }).await.unwrap();
    assert_eq!(partitions(&database).await, [const { Vec::<String>::new() }; 4], "nothing, no partition");
    // A thousand days, as somebody's import or malice may have them.
    let days = 86_400_000;
    let decisions = (0..1_000).map(|n| decision(&e, n, i64::try_from(n).unwrap() * days - 500 * days)).collect();
    let hostile = Ingest { at: moment(0), decisions, ..Ingest::default() };
    database.ingest(&hostile).await.unwrap();
    for names in partitions(&database).await {
        assert_eq!(names.len(), 33, "{names:?}");
        assert!(names[0].ends_with("_2026_10_21") && names[32].ends_with("_2026_11_22"), "{names:?}");
    }
    assert_eq!(rows(&database, "decisions_2026_11_21").await, 1);
    assert_eq!(rows(&database, "decisions_default").await, 1_000 - 33);
    assert_eq!(rows(&database, "decision_keys").await, 1_000);
    // The day after tomorrow is here: its rows move to where they belong.
    database.ingest(&Ingest { at: moment(days), ..batch(&e, 5_000..5_001) }).await.unwrap();
    assert_eq!(rows(&database, "decisions_2026_11_23").await, 1);
    assert_eq!(rows(&database, "outcomes_2026_11_23").await, 1);
    database.forget(jiff::civil::date(2026, 11, 22)).await.unwrap();
    let [decisions, events, outcomes, delays] = partitions(&database).await;
    assert_eq!(decisions, ["decisions_2026_11_22", "decisions_2026_11_23"]);
    assert_eq!(outcomes, ["outcomes_2026_11_22", "outcomes_2026_11_23"]);
    assert_eq!(delays, ["delays_2026_11_22", "delays_2026_11_23"]);
    assert_eq!(events, ["events_2026_11_21", "events_2026_11_22", "events_2026_11_23"], "a day longer");
    let left = 500 - 1;
    for table in ["decisions", "decision_keys", "outcomes"] {
        assert_eq!(rows(&database, table).await, left, "{table}");
    }
    assert_eq!(rows(&database, "event_keys").await, 1);
    database.forget(jiff::civil::date(2026, 11, 21) + 2_000.days()).await.unwrap();
    for table in ["decisions", "decision_keys", "outcomes", "delays", "newest_trials", "events", "event_keys", "claims"]
    {
        assert_eq!(rows(&database, table).await, 0, "{table}");
    }
}

/// Who reads for long keeps no batch waiting for a new day's partitions: its rows wait in the default one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_read_keeps_no_batch_waiting() {
    let place = OwnDatabase::default();
    if !OwnDatabase::available() {
        return;
    }
    let database = Database::postgres(place.url().await).await.unwrap();
    let e = created(&database).await;
    let mut reader = server(&database).pool.begin().await.unwrap();
    reader.execute("SELECT count(*) FROM decisions").await.unwrap();
    let mut model = Model::default();
    for n in 0..2 {
        if n == 1 {
            reader.execute("ROLLBACK").await.unwrap();
        }
        let batch = batch(&e, n * 2..n * 2 + 3);
        assert_eq!(database.ingest(&batch).await.unwrap(), model.ingest(&e, &batch));
        assert_eq!(database.evidence("e").await.unwrap(), model.evidence(&e));
        assert_eq!(database.recount("e").await.unwrap(), model.evidence(&e));
        assert_eq!(partitions(&database).await[0].len(), [0, 2][usize::try_from(n).unwrap()]);
    }
    assert_eq!(rows(&database, "decisions_default").await, 0);
}

/// A server that is killed in the middle of a batch, and started again: the batch is there whole or not at all, and
/// who reads and writes goes on without a hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_heals_when_the_server_is_back() {
    let Some(mut service) = Service::start(Kind::Postgres) else { return };
    let url = create_database(&service).await;
    let database = Arc::new(Database::postgres(&url).await.unwrap());
    let e = created(&database).await;
    database.ingest(&batch(&e, 0..9)).await.unwrap();
    let mut counted = (9, 3);
    for round in 1..3 {
        let large = batch(&e, round * 100_000..round * 100_000 + 15_000);
        let writing = tokio::spawn({
            let (database, large) = (database.clone(), large.clone());
            async move { database.ingest(&large).await }
        });
        // It is in the middle of it while it has its turn.
        let mut db = PgConnection::connect(&url).await.unwrap();
        let turn = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted)";
        while !sqlx::query_scalar::<_, bool>(turn).fetch_one(&mut db).await.unwrap() {}
        service.kill();
        let failed = writing.await.unwrap().unwrap_err().to_string();
        assert!(!failed.contains('\n'), "{failed}");
        let began = Instant::now();
        let failed = database.evidence("e").await.unwrap_err().to_string();
        assert!(failed.starts_with("database: ") && !failed.contains('\n'), "{failed}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        service.restart();
        assert_eq!(total(&database).await, counted, "read at once, and nothing is half-written");
        let all = Ingested { decisions: 15_000, events: 5_000, set_aside: 0 };
        assert_eq!(database.ingest(&large).await.unwrap(), all, "all of it is new");
        assert_eq!(database.ingest(&large).await.unwrap(), Ingested::default());
        counted = (counted.0 + 15_000, counted.1 + 5_000);
        assert_eq!(total(&database).await, counted);
    }
}

/// What is wrong with a URL or a server is said in one line when it starts, with what to do and without the password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_say_what_to_do() {
    let Some(service) = Service::start(Kind::Postgres) else { return };
    let mut db = PgConnection::connect(&service.postgres_url("postgres")).await.unwrap();
    let hba = "COPY (VALUES ('hostssl all encrypted all trust'), ('host all guarded all scram-sha-256'),
        ('host all encrypted all reject'), ('host all nobody all reject'), ('host all all all trust')) TO ";
    let file: String = sqlx::query_scalar("SHOW hba_file").fetch_one(&mut db).await.unwrap();
    db.execute(AssertSqlSafe(format!("{hba} '{file}'"))).await.unwrap();
    db.execute(
        "CREATE ROLE guarded LOGIN PASSWORD 'right'; CREATE ROLE powerless LOGIN; CREATE ROLE encrypted LOGIN;
         SELECT pg_reload_conf()",
    )
    .await
    .unwrap();
    let at = service.address();
    // It reads its rules again when it gets to it.
    let nobody = format!("postgres://nobody@{at}/postgres");
    while !PgConnection::connect(&nobody).await.unwrap_err().to_string().contains("pg_hba.conf") {}
    // Accepts and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let closed = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    for (url, reason) in [
        (format!("postgres://croupier:hunter2@{at}/nowhere"), "CREATE DATABASE"),
        (format!("postgres://guarded:hunter2@{at}/postgres"), "is the password right?"),
        (format!("postgres://nobody:hunter2@{at}/postgres"), "pg_hba.conf"),
        (format!("postgres://encrypted:hunter2@{at}/postgres"), "pg_hba.conf"),
        (format!("postgres://powerless:hunter2@{at}/postgres"), "GRANT CREATE"),
        (format!("postgres://croupier:hunter2@{at}/postgres?sslmode=require"), "TLS"),
        (format!("postgres://croupier:hunter2@{closed}/postgres"), "cannot be reached"),
        (format!("postgres://croupier:hunter2@{silent}/postgres"), "cannot be reached"),
        (format!("postgres://croupier:hunter2@{at}/postgres?sslmode=hunter2"), "it may be"),
        ("postgres://croupier:hunter2@no-such-host.invalid/postgres".into(), "cannot be reached"),
    ] {
        let began = Instant::now();
        let error = Database::postgres(&url).await.err().unwrap();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Setting { setting: "database", .. }), "{text}");
        assert!(text.contains(reason), "{url}: {text}");
        assert!(!text.contains('\n') && !text.contains("hunter2"), "{text}");
        assert!(began.elapsed() < PATIENCE / 4, "{text}");
        println!("{text}");
    }
    // The right password is let in.
    db.execute("CREATE DATABASE theirs OWNER guarded").await.unwrap();
    Database::postgres(&format!("postgres://guarded:right@{at}/theirs")).await.unwrap();
}

/// Most roles may read and write rows and make no tables; a release that knows fewer migrations goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_make_no_tables_opens_what_is_there() {
    if !OwnDatabase::available() {
        return;
    }
    let place = OwnDatabase::default();
    let url = place.url().await.to_owned();
    let mut owner = PgConnection::connect(&url).await.unwrap();
    owner.execute("CREATE ROLE reader LOGIN").await.unwrap();
    let reader = url.replace("//croupier@", "//reader@");
    let Err(e) = Database::postgres(&reader).await else { panic!("opened without tables") };
    assert!(e.to_string().contains("GRANT CREATE ON SCHEMA public"), "{e}");
    drop(Database::postgres(&url).await.unwrap());
    owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader").await.unwrap();
    Database::postgres(&reader).await.unwrap().list(None, 1).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations VALUES (9999, 'newer', now(), true, '\\x00', 0)";
    owner.execute(newer).await.unwrap();
    Database::postgres(&reader).await.unwrap().list(None, 1).await.unwrap();
    owner.execute("DROP OWNED BY reader; DROP ROLE reader").await.unwrap();
}

/// A search whose statement takes too long ends, and says where to go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_takes_too_long_gives_up() {
    if !OwnDatabase::available() {
        return;
    }
    let place = OwnDatabase::default();
    let database = Database::postgres(place.url().await).await.unwrap();
    let e = created(&database).await;
    database.ingest(&batch(&e, 0..10)).await.unwrap();
    let wanted = DecisionFilter::default();
    let start = Cursor::at(moment(1));
    let patience = Effort { milliseconds: 50, kilo_instructions: 0 };
    // Who holds the table makes any statement on it too long.
    let mut holder = server(&database).pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE decisions IN ACCESS EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();
    let found = database.search_within(patience, &wanted, start, 5).await.unwrap();
    assert_eq!((found.decisions.len(), found.next, found.gave_up), (0, Some(start), true));
    holder.rollback().await.unwrap();
    let found = database.search_within(patience, &wanted, start, 5).await.unwrap();
    assert_eq!((found.decisions.len(), found.gave_up), (5, false));
    // What was found before is shown.
    let day = 86_400_000;
    let old = Ingest { decisions: vec![decision(&e, 99, -day)], ..batch(&e, 0..0) };
    database.ingest(&old).await.unwrap();
    let mut holder = server(&database).pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE decisions_2026_11_20 IN ACCESS EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();
    let found = database.search_within(patience, &wanted, start, 50).await.unwrap();
    assert_eq!((found.decisions.len(), found.gave_up), (10, true));
    let next = found.next.unwrap();
    assert!(next.at <= moment(0).as_millisecond() && next.at > moment(-day).as_millisecond(), "{next:?}");
    holder.rollback().await.unwrap();
    assert_eq!(database.search_within(patience, &wanted, next, 50).await.unwrap().decisions.len(), 1);
}
