//! Both databases: their migrations, and PostgreSQL through the suites. (SQLite goes through them in `crate::tests`.)

use super::{Database, Either, postgres, sqlite};
use crate::conformance::outcomes_model::{Model, history};
use crate::conformance::{change, experiment};
use crate::{Durability, Experiments, Outcomes};
use bandit::Experiment;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{SqlSafeStr, SqlitePool};

/// The tables that both have.
const TABLES: [&str; 28] = [
    "audit",
    "candidate_arms",
    "catalog_maps",
    "claims",
    "dead_letters",
    "decisions",
    "delays",
    "erasures",
    "events",
    "experiments",
    "findings",
    "history",
    "imports",
    "item_views",
    "keys",
    "leases",
    "list_hours",
    "newest_trials",
    "outcomes",
    "people",
    "replicas",
    "segments",
    "sessions",
    "traffic",
    "update_runs",
    "vector_changes",
    "vector_queue",
    "vector_walks",
];

/// Runs migrations up, down to nothing and up again; `schema` says what there is.
macro_rules! up_and_down {
    ($migrations:expr, $pool:expr, $schema:expr) => {{
        let (migrations, pool) = (&$migrations, &$pool);
        let schema = async || -> Vec<String> { sqlx::query_scalar($schema).fetch_all(pool).await.unwrap() };
        assert_eq!(schema().await, [""; 0]);
        migrations.run(pool).await.unwrap();
        let made = schema().await;
        for table in TABLES {
            assert!(made.iter().any(|line| line.starts_with(&format!("{table} "))), "{table} in {made:#?}");
        }
        for version in [1, 0] {
            migrations.undo(pool, version).await.unwrap();
            assert_ne!(schema().await, made);
        }
        assert_eq!(schema().await, [""; 0], "down leaves nothing");
        migrations.run(pool).await.unwrap();
        assert_eq!(schema().await, made, "up again is as before");
    }};
}

async fn file(dir: &std::path::Path) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(dir.join("croupier.db")).create_if_missing(true);
    SqlitePool::connect_with(options).await.unwrap()
}

#[tokio::test]
async fn sqlite_migrates_up_and_down() {
    let dir = tempfile::tempdir().unwrap();
    let schema = "SELECT name || ' ' || coalesce(sql, '') FROM sqlite_schema
                  WHERE name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND name NOT LIKE 'sqlite%' ORDER BY name";
    up_and_down!(sqlite::MIGRATIONS, file(dir.path()).await, schema);
}

/// Numbers, names and directions are the same in both folders.
#[test]
fn both_have_one_history() {
    let history = |migrations: &Migrator| -> Vec<(i64, String, MigrationType)> {
        migrations.iter().map(|m| (m.version, m.description.to_string(), m.migration_type)).collect()
    };
    let sqlite = history(&sqlite::MIGRATIONS);
    assert_eq!(sqlite, history(&postgres::MIGRATIONS));
    let up = sqlite.iter().filter(|m| m.2 == MigrationType::ReversibleUp).count();
    let down = sqlite.iter().filter(|m| m.2 == MigrationType::ReversibleDown).count();
    assert_eq!((up, down), (sqlite.len() / 2, sqlite.len() / 2), "each has its way back: {sqlite:?}");
}

/// A file of the first release, whose first migration had no way back, is opened and brought up to date.
#[tokio::test]
async fn files_of_the_first_release_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    let sql = include_str!("../../../migrations/sqlite/0001_initial.up.sql");
    let initial = Migration::new(1, "initial".into(), MigrationType::Simple, sql.into_sql_str(), false);
    // What that release wrote beside it: the file must never change.
    let checksum: String = initial.checksum[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(checksum, "fcf10da5ff3f1b81");
    let pool = file(dir.path()).await;
    Migrator::with_migrations(vec![initial]).run(&pool).await.unwrap();
    sqlx::query("INSERT INTO keys (name, scope, hash, created_at) VALUES ('mine', 'admin', zeroblob(32), 1)")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let database = Database::sqlite(&dir.path().join("croupier.db"), Durability::Sync).await.unwrap();
    assert_eq!(crate::Keys::list_keys(&database).await.unwrap()[0].name, "mine");
    assert!(crate::Leases::hold(&database, "update", "me", std::time::Duration::ZERO).await.unwrap());
}

/// Histories of experiments, and what they come to.
async fn fill(database: &Database) -> Vec<(Experiment, Model)> {
    let mut filled = Vec::new();
    for (seed, more) in [(200, ""), (201, r#","exposure":"event""#), (202, r#","holdout":0.5"#)] {
        let e = experiment(&format!("e{seed}"), more);
        database.create(&e, &change("me", "", 0)).await.unwrap();
        let mut model = Model::default();
        for batch in history(&e, seed) {
            database.ingest(&batch).await.unwrap();
            model.ingest(&e, &batch);
        }
        filled.push((e, model));
    }
    filled
}

async fn assert_counts(database: &Database, filled: &[(Experiment, Model)]) {
    for (e, model) in filled {
        let expected = model.evidence(e);
        assert!(!expected.delays.is_empty());
        assert_eq!(database.evidence(&e.id).await.unwrap(), expected);
        assert_eq!(database.recount(&e.id).await.unwrap(), expected);
    }
}

/// Delays of what releases before them had counted are counted when the file is brought up to date.
#[tokio::test]
async fn sqlite_counts_older_delays() {
    let dir = tempfile::tempdir().unwrap();
    let open = async || Database::sqlite(&dir.path().join("croupier.db"), Durability::Os).await.unwrap();
    let database = open().await;
    let filled = fill(&database).await;
    assert_counts(&database, &filled).await;
    let Either::Sqlite(file) = &database.0 else { unreachable!() };
    sqlite::MIGRATIONS.undo(&file.pool, 2).await.unwrap();
    drop(database);
    assert_counts(&open().await, &filled).await;
}

#[cfg(feature = "cloud")]
pub(super) mod server {
    use super::*;
    use crate::conformance::Place;
    use crate::conformance::services::{Kind, Service};
    use crate::{Locations, Stores};
    use sqlx::postgres::PgPoolOptions;
    use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
    use std::sync::atomic::{AtomicU32, Ordering};
    use tempfile::TempDir;
    use tokio::sync::OnceCell;

    /// A database of its own on the server that the tests share, beside a scratch directory.
    pub(in crate::sql) struct OwnDatabase {
        server: Option<&'static Service>,
        url: OnceCell<String>,
        dir: TempDir,
    }

    impl Default for OwnDatabase {
        fn default() -> Self {
            let dir = tempfile::tempdir().unwrap();
            Self { server: Service::shared(Kind::Postgres), url: OnceCell::new(), dir }
        }
    }

    impl OwnDatabase {
        pub(in crate::sql) async fn url(&self) -> &str {
            let server = self.server.unwrap();
            self.url.get_or_init(async || create_database(server).await).await
        }
    }

    impl OwnDatabase {
        /// Takes the database of `other` for its own.
        pub(in crate::sql) async fn share(&self, other: &Self) {
            self.url.set(other.url().await.to_owned()).unwrap();
        }
    }

    /// Creates a database without anything; returns its URL.
    pub(in crate::sql) async fn create_database(server: &Service) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut db = PgConnection::connect(&server.postgres_url("postgres")).await.unwrap();
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0");
        db.execute(AssertSqlSafe(sql)).await.unwrap();
        server.postgres_url(&name)
    }

    impl Place for OwnDatabase {
        async fn open(&self) -> Stores {
            let locations = Locations { database: self.url().await.into(), ..Locations::in_dir(self.dir.path()) };
            crate::open(&locations).await.unwrap()
        }

        fn available() -> bool {
            Service::shared(Kind::Postgres).is_some()
        }
    }

    crate::conformance!(experiments: OwnDatabase);
    crate::conformance!(outcomes: OwnDatabase);
    crate::conformance!(decisions: OwnDatabase);
    crate::conformance!(findings: OwnDatabase);
    crate::conformance!(history: OwnDatabase);
    crate::conformance!(runs: OwnDatabase);
    crate::conformance!(keys: OwnDatabase);
    crate::conformance!(people: OwnDatabase);
    crate::conformance!(users: OwnDatabase);
    crate::conformance!(leases: OwnDatabase);
    crate::conformance!(candidates: OwnDatabase);
    crate::conformance!(replicas: OwnDatabase);
    crate::conformance!(item_views: OwnDatabase);
    crate::conformance!(list_hours: OwnDatabase);
    crate::conformance!(vector_work: OwnDatabase);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn postgres_counts_older_delays() {
        if !OwnDatabase::available() {
            return;
        }
        let place = OwnDatabase::default();
        let open = async || Database::postgres(place.url().await).await.unwrap();
        let database = open().await;
        let filled = fill(&database).await;
        assert_counts(&database, &filled).await;
        let Either::Postgres(server) = &database.0 else { unreachable!() };
        postgres::MIGRATIONS.undo(&server.pool, 2).await.unwrap();
        drop(database);
        assert_counts(&open().await, &filled).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn postgres_migrates_up_and_down() {
        if !OwnDatabase::available() {
            return;
        }
        let place = OwnDatabase::default();
        let pool = PgPoolOptions::new().connect(place.url().await).await.unwrap();
        let schema = "SELECT c.relname || ' ' || c.relkind::text || ' ' || coalesce(pg_get_indexdef(i.indexrelid), (
                          SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY attnum)
                          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0))
                      FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
                      WHERE c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE '\\_sqlx%' ORDER BY 1";
        up_and_down!(postgres::MIGRATIONS, pool, schema);
    }
}
