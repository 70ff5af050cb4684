//! Items that ended leave the state store a day later, while the updater runs, and nothing waits for that.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use bandit::Clock;
use jiff::{SignedDuration, Timestamp};
use recommend::{Item, Serving};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{
    Catalog, CatalogChange, Catalogs, Durability, Kept, Locations, Popular, Removed, Result, RunStatus, StoreError,
    Stores, Trigger,
};
use tokio::sync::watch;
use updater::{Config, Updater};

struct SetClock(Mutex<Timestamp>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct House {
    stores: Stores,
    clock: Arc<SetClock>,
    _dir: tempfile::TempDir,
}

impl House {
    /// Two catalogs of one and the same items, so many for each end.
    async fn with(count: usize, ends: &[Option<&str>]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
        let stores = store::open(&locations).await.unwrap();
        for id in ["a", "b"] {
            let definition = serde_json::from_str(r#"{"dimension":1}"#).unwrap();
            stores.catalogs.put_catalog(&Catalog { id: id.into(), definition }).await.unwrap();
            let items: Vec<Item> = ends
                .iter()
                .flat_map(|end| (0..count).map(move |n| (n, end)))
                .map(|(n, end)| {
                    let name = format!("{n} {}", end.unwrap_or("never"));
                    serde_json::from_value(serde_json::json!({"id": name, "vector": [1], "expires_at": end})).unwrap()
                })
                .collect();
            stores.catalogs.put_items(id, &items).await.unwrap();
        }
        let clock = Arc::new(SetClock(Mutex::new(at("2026-11-21T10:30:00Z"))));
        Self { stores, clock, _dir: dir }
    }

    fn updater(&self) -> Updater {
        let config = Config { interval: SignedDuration::from_hours(1), retention_days: 0, name: "updater".into() };
        Updater::new(self.stores.clone(), self.clock.clone(), config)
    }

    async fn left(&self, catalog: &str) -> Vec<String> {
        let items = self.stores.catalogs.page_of_items(catalog, None, 10_000).await.unwrap();
        items.iter().map(|kept| store::id_of(kept).to_owned()).collect()
    }

    /// Waits until both catalogs have so many items.
    async fn until_left(&self, count: usize) {
        let looks = async {
            while self.left("a").await.len() != count || self.left("b").await.len() != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), looks).await.unwrap();
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A pass walks over everything, in as many pages as it takes.
#[tokio::test]
async fn one_pass_walks_over_everything() {
    let ends = [Some("2026-11-20T10:29:59.999Z"), Some("2026-11-20T10:30:00Z"), Some("2026-11-21T10:29:00Z"), None];
    let house = House::with(600, &ends).await;
    let changes = house.stores.catalogs.last_change().await.unwrap();
    house.updater().once().await.unwrap();
    for catalog in ["a", "b"] {
        let left = house.left(catalog).await;
        assert_eq!(left.len(), 1_800);
        assert!(!left.iter().any(|id| id.ends_with("10:29:59.999Z")), "a day after its end");
    }
    assert_eq!(house.stores.catalogs.last_change().await.unwrap(), changes, "nobody is told");
}

/// An updater that runs walks when it starts, and again hours later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_walks_as_the_clock_goes_on() {
    let house =
        House::with(3, &[Some("2026-11-20T10:00:00Z"), Some("2026-11-20T11:00:00Z"), Some("2026-11-22T00:00:00Z")])
            .await;
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(house.updater().run(stopped));
    house.until_left(6).await;
    *house.clock.0.lock().unwrap() = at("2026-11-21T12:00:01Z");
    house.until_left(3).await;
    *house.clock.0.lock().unwrap() = at("2026-11-23T00:00:01Z");
    house.until_left(0).await;
    stop.send(true).unwrap();
    running.await.unwrap();
}

/// A store that is as it was but for removals, which fail or never end.
struct Stuck {
    catalogs: Arc<dyn Catalogs>,
    fails: bool,
    asked: AtomicU64,
}

#[async_trait]
impl Catalogs for Stuck {
    async fn remove_expired(&self, _: &str, _: Timestamp, _: Option<&str>, _: usize) -> Result<Removed> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.fails { Err(StoreError::Busy) } else { std::future::pending().await }
    }

    async fn catalogs(&self) -> Result<Vec<Catalog>> {
        self.catalogs.catalogs().await
    }
    async fn put_catalog(&self, catalog: &Catalog) -> Result<u64> {
        self.catalogs.put_catalog(catalog).await
    }
    async fn serve(&self, wanted: &Catalog, serving: &Serving) -> Result<Option<u64>> {
        self.catalogs.serve(wanted, serving).await
    }
    async fn replace_items(&self, catalog: &str, pairs: &[(Item, Item)]) -> Result<Vec<bool>> {
        self.catalogs.replace_items(catalog, pairs).await
    }
    async fn remove_catalog(&self, id: &str) -> Result<Option<u64>> {
        self.catalogs.remove_catalog(id).await
    }
    async fn put_items(&self, catalog: &str, items: &[Item]) -> Result<u64> {
        self.catalogs.put_items(catalog, items).await
    }
    async fn remove_items(&self, catalog: &str, ids: &[String]) -> Result<u64> {
        self.catalogs.remove_items(catalog, ids).await
    }
    async fn items(&self, catalog: &str, ids: &[String]) -> Result<Vec<Option<Kept>>> {
        self.catalogs.items(catalog, ids).await
    }
    async fn page_of_items(&self, catalog: &str, after: Option<&str>, limit: usize) -> Result<Vec<Kept>> {
        self.catalogs.page_of_items(catalog, after, limit).await
    }
    async fn log_id(&self) -> Result<String> {
        self.catalogs.log_id().await
    }
    async fn last_change(&self) -> Result<u64> {
        self.catalogs.last_change().await
    }
    async fn changes_since(&self, after: u64, limit: usize) -> Result<Option<Vec<CatalogChange>>> {
        self.catalogs.changes_since(after, limit).await
    }
    async fn changed(&self, after: u64) {
        self.catalogs.changed(after).await;
    }
    async fn put_popular(&self, catalog: &str, popular: &[Popular]) -> Result<u64> {
        self.catalogs.put_popular(catalog, popular).await
    }
    async fn popular(&self, catalog: &str) -> Result<Vec<Popular>> {
        self.catalogs.popular(catalog).await
    }
}

/// Runs come on the hour, though a removal never ends, or each fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_do_not_wait_for_removals() {
    for fails in [false, true] {
        let mut house = House::with(1, &[Some("2026-11-20T10:00:00Z")]).await;
        let stuck = Arc::new(Stuck { catalogs: house.stores.catalogs.clone(), fails, asked: AtomicU64::new(0) });
        house.stores.catalogs = stuck.clone();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(house.updater().run(stopped));
        let runs = async {
            while stuck.asked.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
            for hour in ["2026-11-21T11:00:00Z", "2026-11-21T13:00:00Z"] {
                *house.clock.0.lock().unwrap() = at(hour);
                let done = |run: &store::Run| {
                    run.trigger == Trigger::Schedule
                        && run.status == RunStatus::Done
                        && run.report.as_of == Some(at(hour))
                };
                while !house
                    .stores
                    .runs
                    .latest_runs(Some(store::RunKind::Posteriors), None, 10)
                    .await
                    .unwrap()
                    .iter()
                    .any(done)
                {
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), runs).await.unwrap();
        stop.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap();
        if fails {
            assert_eq!(house.updater().once().await.unwrap().error, None, "a pass does not fail with it");
        }
    }
}
