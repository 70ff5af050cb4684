//! One deployment: services, proxies and the processes of Croupier.

use crate::support::{Server, croupier, finish};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor, PgPool};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use store::Locations;
use store::conformance::proxy::Proxy;
use store::conformance::services::{Kind, Service};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

/// Longest that anything awaited here may take.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// One deployment at a time: each has three services and several processes, which two would make slow.
static TURN: Mutex<()> = Mutex::const_new(());

/// A deployment that is gone when dropped.
pub struct House {
    _turn: MutexGuard<'static, ()>,
    pub bigtable: Service,
    _pubsub: Service,
    pub postgres: Service,
    pub bigtable_proxy: Proxy,
    /// Before Pub/Sub, for those that publish.
    pub pubsub_proxy: Proxy,
    /// Before Pub/Sub, for those that read.
    pub updater_proxy: Proxy,
    pub postgres_proxy: Proxy,
    pub dir: TempDir,
    /// The database, not through the proxy.
    pub pool: PgPool,
}

impl House {
    /// Starts the services and makes tables and topics with the commands that operators use. None if a service is not
    /// installed, which was said.
    pub async fn open() -> Option<Self> {
        let turn = TURN.lock().await;
        let postgres = Service::start(Kind::Postgres)?;
        let bigtable = Service::start(Kind::Bigtable)?;
        let pubsub = Service::start(Kind::PubSub)?;
        let admin = PgPool::connect(&postgres.postgres_url("postgres")).await.unwrap();
        admin.execute("CREATE DATABASE croupier").await.unwrap();
        let url = postgres.postgres_url("croupier");
        let house = Self {
            _turn: turn,
            bigtable_proxy: Proxy::start(bigtable.address()).await,
            pubsub_proxy: Proxy::start(pubsub.address()).await,
            updater_proxy: Proxy::before_pubsub(pubsub.address()).await,
            postgres_proxy: Proxy::start(postgres.address()).await,
            pool: PgPoolOptions::new().max_connections(2).connect_lazy(&url).unwrap(),
            dir: tempfile::tempdir().unwrap(),
            bigtable,
            _pubsub: pubsub,
            postgres,
        };
        house.make_tables();
        house.make_topics();
        Some(house)
    }

    pub fn make_tables(&self) {
        let (code, out, err) = self.admin("create-tables");
        assert_eq!(code, 0, "{out}{err}");
    }

    pub fn make_topics(&self) {
        let (code, out, err) = self.admin("create-topics");
        assert_eq!(code, 0, "{out}{err}");
    }

    pub fn admin(&self, what: &str) -> (i32, String, String) {
        finish(self.command(&["admin", what], "admin", &[]))
    }

    /// Where everything is, for this process, which may read what updaters read.
    pub fn locations(&self) -> Locations {
        Locations {
            state: "bigtable://test/croupier".into(),
            events: "pubsub://test/croupier".into(),
            database: self.postgres.postgres_url("croupier"),
            bigtable_emulator: Some(self.bigtable.address().to_string()),
            pubsub_emulator: Some(self.updater_proxy.address().to_string()),
            ..Locations::in_dir(&self.data("test"))
        }
    }

    fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command of the process `name`, whose disk is its own.
    pub fn command(&self, role: &[&str], name: &str, more: &[&str]) -> Command {
        let database = format!("postgres://croupier@{}/croupier", self.postgres_proxy.address());
        let data = self.data(name).display().to_string();
        let mut args = role.to_vec();
        args.extend(["--state", "bigtable://test/croupier", "--events", "pubsub://test/croupier"]);
        args.extend(["--database", &database, "--data", &data, "--log", "warn"]);
        args.extend(more);
        let mut command = croupier(&args);
        command
            .env("BIGTABLE_EMULATOR_HOST", self.bigtable_proxy.address().to_string())
            .env("PUBSUB_EMULATOR_HOST", self.pubsub_proxy.address().to_string());
        command
    }

    /// An API replica.
    pub fn api(&self, name: &str) -> Server {
        Server::of(self.command(&["api"], name, &["--listen", "127.0.0.1:0"]))
    }

    /// An updater.
    pub fn updater(&self, name: &str) -> Worker {
        let mut command = self.command(&["updater"], name, &[]);
        command.env("PUBSUB_EMULATOR_HOST", self.updater_proxy.address().to_string());
        let log = std::fs::File::create(self.dir.path().join(format!("{name}.log"))).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        Worker(command.spawn().unwrap())
    }

    /// A number from the database.
    pub async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&self.pool).await.unwrap()
    }

    /// The decisions that the database has.
    pub async fn decisions(&self) -> BTreeSet<String> {
        let ids: Vec<String> =
            sqlx::query_scalar("SELECT encode(id, 'hex') FROM decisions").fetch_all(&self.pool).await.unwrap();
        ids.into_iter().collect()
    }

    /// Waits until a number from the database is at least `least`.
    pub async fn until(&self, sql: &str, least: i64) -> i64 {
        let begun = Instant::now();
        loop {
            let number = self.number(sql).await;
            if number >= least {
                return number;
            }
            assert!(begun.elapsed() < PATIENCE, "{sql}: {number} of {least}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A process that does not listen; killed when dropped.
pub struct Worker(Child);

impl Worker {
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
