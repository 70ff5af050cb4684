//! What a crash leaves behind: a hole in the journal where nothing was synchronised, and a database that was being migrated.

use crate::support::{Server, croupier, finish, five_arms};
use crate::{decide, event, trials};
use sqlx::migrate::Migrator;
use sqlx::{Connection, SqliteConnection};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

/// Decisions in the database that is migrated.
const ROWS: u32 = 200_000;

/// With `durability = "os"` the system writes pages in its own order, and a power cut may leave out one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_in_the_journal_is_told_and_can_be_mended() {
    let dir = tempfile::tempdir().unwrap();
    let os = ["--durability", "os"];
    let server = Server::start(dir.path(), &os);
    server.run(&five_arms("page")).await;
    let mut dealt = Vec::new();
    for n in 0..200 {
        dealt.push(decide(&server, &format!("u{n}")).await);
    }
    server.kill();
    let file = dir.path().join("state/0.jnl");
    let mut journal = std::fs::read(&file).unwrap();
    let end = journal.iter().rposition(|byte| *byte != 0).unwrap();
    let hole = end / 2 / 4_096 * 4_096;
    assert!(hole > 0 && hole + 2 * 4_096 < end, "{end}");
    journal[hole..hole + 4_096].fill(0);
    std::fs::write(&file, journal).unwrap();
    let data = dir.path().to_str().unwrap();
    let (code, out, err) =
        finish(croupier(&["serve", "--listen", "127.0.0.1:0", "--data", data, "--durability", "os"]));
    assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1), "{err}");
    assert!(err.contains("state/0.jnl: damaged at byte") && err.contains("croupier check --mend"), "{err}");
    let (code, told, err) = finish(croupier(&["check", "--mend", "--data", data]));
    println!("{told}{err}");
    assert_eq!(code, 0, "{told}{err}");
    let server = Server::start(dir.path(), &os);
    let mut known = 0;
    for (n, before) in dealt.iter().enumerate() {
        let again = decide(&server, &format!("u{n}")).await;
        assert_eq!(again["arm"], before["arm"], "no version was published since: who is lost is dealt the same");
        known += usize::from(again["first"] == false);
    }
    assert!((1..dealt.len()).contains(&known) && known > dealt.len() / 2, "{known} are still known");
    server.stop();
}

async fn open(dir: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite:{}/croupier.db", dir.display())).await.unwrap()
}

async fn number(db: &mut SqliteConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

/// Bytes that a process has written.
fn written(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
}

/// The table of decisions is copied row by row: a process that is killed at it leaves the old one, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_is_killed_is_done_again() {
    let (dir, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(dir.path(), &[]);
    server.run(&five_arms("page")).await;
    for n in 0..10 {
        let decision = decide(&server, &format!("u{n}")).await;
        server.post("/v1/events", &event(&format!("r{n}"), &decision)).await;
    }
    server.update("page").await;
    server.stop();
    let mut db = open(dir.path()).await;
    let migrations = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/sqlite"));
    Migrator::new(migrations).await.unwrap().undo(&mut db, 16).await.unwrap();
    let more = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)
        INSERT INTO decisions (id, experiment, segment, arm, source, propensity, version, revision, visitor, item, at)
        SELECT randomblob(16), experiment, segment, n % 5, source, 0.2, 0, revision, hex(randomblob(16)), 'i' || n, at + n
        FROM n, (SELECT * FROM decisions LIMIT 1)";
    sqlx::query(more).bind(ROWS).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    // It says what the file was when a server closed it.
    std::fs::remove_file(dir.path().join("croupier.db.sum")).unwrap();
    std::fs::copy(dir.path().join("croupier.db"), before.path().join("croupier.db")).unwrap();
    let size = before.path().join("croupier.db").metadata().unwrap().len();
    for part in [1, 10, 40, 80] {
        let data = dir.path().to_str().unwrap();
        let mut command = croupier(&["serve", "--listen", "127.0.0.1:0", "--data", data]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        while written(child.id()) < size * part / 100 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut said = String::new();
        child.stdout.unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "", "it had not got as far as to listen");
        let mut db = open(dir.path()).await;
        let version = number(&mut db, "SELECT max(version) FROM _sqlx_migrations WHERE success").await;
        assert_eq!(version, 16, "killed after {part} % of the file's size");
        db.close().await.unwrap();
    }
    let server = Server::start(dir.path(), &[]);
    let results = server.get("/v1/experiments/page/results").await;
    assert_eq!(trials(&results), 10, "{results}");
    server.stop();
    let mut db = open(dir.path()).await;
    let attach = format!("ATTACH '{}/croupier.db' AS before", before.path().display());
    sqlx::query(sqlx::AssertSqlSafe(attach)).execute(&mut db).await.unwrap();
    let lost = "SELECT count(*) FROM (SELECT id, experiment, segment, arm, source, propensity, version, revision, visitor, item, at,
        counted_trial, counted_reward, counted_delay, features, position, list FROM before.decisions EXCEPT
        SELECT id, experiment, segment, arm, source, propensity, version, revision, visitor, item, at,
        counted_trial, counted_reward, counted_delay, features, position, list FROM main.decisions)";
    assert_eq!(number(&mut db, lost).await, 0);
    let all = i64::from(ROWS) + 10;
    assert_eq!(number(&mut db, "SELECT count(*) FROM main.decisions").await, all);
    assert_eq!(number(&mut db, "SELECT count(*) FROM decisions_of_visitors").await, all);
}
