//! Lists made ahead for everybody: who gets one, when, and what becomes of a pass that is cut off.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use bandit::Clock;
use jiff::{SignedDuration, Timestamp};
use recommend::{Candidates, Item, Wanted};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{
    Catalog, Durability, Lists, Locations, NewList, Result, Run, RunKind, RunStatus, Shelf, StoreError, Stores,
    Trigger, View, Visit, Visitor, Visitors, ages, stamp,
};
use tokio::sync::watch;
use updater::{Config, Pace, Updater};

const VISITORS: usize = 1_700;

struct SetClock(Mutex<Timestamp>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

struct House {
    stores: Stores,
    clock: Arc<SetClock>,
    _dir: tempfile::TempDir,
}

fn item(n: usize) -> Item {
    let vector: Vec<f64> = (0..8).map(|i| ((n * 31 + i * 17 + n * n) as f64).sin()).collect();
    serde_json::from_value(serde_json::json!({"id": format!("i{n}"), "vector": vector})).unwrap()
}

impl House {
    /// Catalogs `shop`, of which lists are made every half hour, and `none`, of which none are; visitors who looked at
    /// something today, and some who did long ago.
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
        let stores = store::open(&locations).await.unwrap();
        for (id, refresh) in [("none", 0), ("shop", 30)] {
            let definition = serde_json::json!({"dimension": 8, "refresh_minutes": refresh, "active_hours": 24});
            let definition = serde_json::from_value(definition).unwrap();
            stores.catalogs.put_catalog(&Catalog { id: id.into(), definition }).await.unwrap();
            stores.catalogs.put_items(id, &(0..300).map(item).collect::<Vec<_>>()).await.unwrap();
        }
        let view =
            |user: String, item: usize, at: &str| View { user, item: format!("i{item}"), at: at.parse().unwrap() };
        let today = (0..VISITORS).flat_map(|n| {
            (0..1 + n % 4).map(move |i| view(format!("u{n}"), (n * 7 + i * 11) % 320, "2026-11-21T09:00:00Z"))
        });
        let long_ago = (0..50).map(|n| view(format!("old{n}"), n, "2026-11-20T09:00:00Z"));
        stores.views.append(&today.chain(long_ago).collect::<Vec<_>>()).await.unwrap();
        let clock = Arc::new(SetClock(Mutex::new(at("2026-11-21T10:10:00Z"))));
        Self { stores, clock, _dir: dir }
    }

    fn updater(&self, name: &str) -> Updater {
        let config = Config { interval: SignedDuration::from_hours(1), retention_days: 0, name: name.into() };
        let pace = Pace { threads: 2, percent: 100 };
        Updater::with(self.stores.clone(), self.clock.clone(), config, Arc::default(), pace, false)
    }

    async fn items(&self) -> Arc<Candidates> {
        let shelf = Shelf::default();
        shelf.catch_up(&*self.stores.catalogs, &*self.clock).await.unwrap();
        shelf.get("shop").unwrap()
    }

    /// How many visitors have a list, each checked against what would be made.
    async fn listed(&self) -> usize {
        let (items, now) = (self.items().await, self.clock.now());
        let wanted = Wanted { k: 10, diversity: None, max_per_tag: None, tags: &[], exclude: &[], alike: false, now };
        let mut count = 0;
        for n in 0..VISITORS {
            let Visit { seen, list } = self.stores.lists.visit(&Visitor::of(&format!("u{n}")), "shop").await.unwrap();
            let Some(list) = list else { continue };
            let usual = items.for_visitor(&ages(&seen, now), &wanted);
            let ids: Vec<_> = list.made.items.iter().take(10).map(|(id, _)| id.clone()).collect();
            assert_eq!(ids, usual.items.iter().map(|c| c.id.clone()).collect::<Vec<_>>());
            assert_eq!((list.stamp, list.made.history), (stamp(&seen), usual.history));
            count += 1;
        }
        count
    }

    async fn runs(&self) -> Vec<Run> {
        self.stores.runs.latest_runs(Some(RunKind::Lists), None, 100).await.unwrap()
    }

    async fn run_that(&self, is: impl Fn(&Run) -> bool) -> Run {
        let found = async {
            loop {
                if let Some(run) = self.runs().await.into_iter().find(&is) {
                    return run;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), found).await.unwrap()
    }
}

/// Those who know nothing of the catalog have no list.
fn with_known_views() -> usize {
    (0..VISITORS).filter(|n| (0..1 + n % 4).any(|i| (n * 7 + i * 11) % 320 < 300)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_who_is_active_has_a_list_at_every_half_hour() {
    let house = House::open().await;
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(house.updater("one").run(stopped));
    let of = |when: &str| {
        let when = at(when);
        move |r: &Run| r.status == RunStatus::Done && r.report.as_of == Some(when)
    };
    let run = house.run_that(of("2026-11-21T10:00:00Z")).await;
    assert_eq!((run.catalog.as_deref(), run.trigger), (Some("shop"), Trigger::Schedule));
    assert_eq!(run.report.steps[0].detail, format!("{VISITORS} visitors"));
    assert_eq!(run.report.steps[1].detail, format!("{} lists", with_known_views()));
    assert_eq!(house.listed().await, with_known_views());
    let visit = async |user: &str, catalog: &str| house.stores.lists.visit(&Visitor::of(user), catalog).await.unwrap();
    assert_eq!(visit("old1", "shop").await.list, None, "not active any more");
    assert_eq!(visit("u1", "none").await.list, None, "no lists of that catalog");
    *house.clock.0.lock().unwrap() = at("2026-11-21T10:29:59Z");
    // What is put meanwhile is in the next lists, of visitors who did not come back too.
    house.stores.catalogs.put_items("shop", &(290..310).map(item).collect::<Vec<_>>()).await.unwrap();
    *house.clock.0.lock().unwrap() = at("2026-11-21T10:30:00Z");
    house.run_that(of("2026-11-21T10:30:00Z")).await;
    assert!(house.listed().await >= with_known_views());
    stop.send(true).unwrap();
    running.await.unwrap();
    assert_eq!(house.runs().await.len(), 2, "no run but those that were due");
}

/// Lists that can be kept a few times, and then fail or never end.
struct Broken {
    lists: Arc<dyn Lists>,
    left: AtomicU64,
    fails: bool,
}

#[async_trait]
impl Lists for Broken {
    async fn visit(&self, visitor: &Visitor, catalog: &str) -> Result<Visit> {
        self.lists.visit(visitor, catalog).await
    }

    async fn put_lists(&self, lists: &[NewList]) -> Result<()> {
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return self.lists.put_lists(lists).await;
        }
        if self.fails { Err(StoreError::Busy) } else { std::future::pending().await }
    }

    async fn visitors(&self, after: Option<&Visitor>, since: Timestamp, limit: usize) -> Result<Visitors> {
        self.lists.visitors(after, since, limit).await
    }
}

/// Lists of which those of one catalog cannot be kept.
struct Partly(Arc<dyn Lists>, &'static str);

#[async_trait]
impl Lists for Partly {
    async fn visit(&self, visitor: &Visitor, catalog: &str) -> Result<Visit> {
        self.0.visit(visitor, catalog).await
    }

    async fn put_lists(&self, lists: &[NewList]) -> Result<()> {
        if lists.iter().any(|list| &*list.catalog == self.1) {
            Err(StoreError::Busy)
        } else {
            self.0.put_lists(lists).await
        }
    }

    async fn visitors(&self, after: Option<&Visitor>, since: Timestamp, limit: usize) -> Result<Visitors> {
        self.0.visitors(after, since, limit).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_catalog_that_fails_keeps_no_other_waiting() {
    let mut house = House::open().await;
    // Ahead of the other in every order.
    let definition = serde_json::json!({"dimension": 8, "refresh_minutes": 30, "active_hours": 24});
    let definition = serde_json::from_value(definition).unwrap();
    house.stores.catalogs.put_catalog(&Catalog { id: "a".into(), definition }).await.unwrap();
    house.stores.catalogs.put_items("a", &(0..300).map(item).collect::<Vec<_>>()).await.unwrap();
    house.stores.lists = Arc::new(Partly(house.stores.lists.clone(), "a"));
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(house.updater("one").run(stopped));
    let of = |catalog: &'static str, status| {
        move |run: &Run| run.catalog.as_deref() == Some(catalog) && run.status == status
    };
    house.run_that(of("a", RunStatus::Failed)).await;
    house.run_that(of("shop", RunStatus::Done)).await;
    stop.send(true).unwrap();
    running.await.unwrap();
    assert_eq!(house.listed().await, with_known_views());
}

fn visitors_of(run: &Run) -> usize {
    run.report.steps[0].detail.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_failed_is_gone_on_with_where_it_was() {
    let mut house = House::open().await;
    let whole = house.stores.lists.clone();
    house.stores.lists = Arc::new(Broken { lists: whole.clone(), left: AtomicU64::new(2), fails: true });
    let done = house.updater("one").once_of(&[RunKind::Lists]).await.unwrap();
    assert!(done.len() == 1 && done[0].report.error.is_some(), "{done:?}");
    let before = house.listed().await;
    assert!(before > 0 && before < with_known_views(), "{before}");
    // It fails again before it comes to anything, and is gone on with all the same.
    house.stores.lists = Arc::new(Broken { lists: whole.clone(), left: AtomicU64::new(0), fails: true });
    house.updater("two").once_of(&[RunKind::Lists]).await.unwrap();
    house.stores.lists = whole;
    house.updater("three").once_of(&[RunKind::Lists]).await.unwrap();
    assert_eq!(house.listed().await, with_known_views());
    let runs = house.runs().await;
    assert_eq!((runs.len(), runs[0].status), (3, RunStatus::Done));
    assert!(visitors_of(&runs[0]) < VISITORS && runs[0].report.steps[0].detail.contains("cut off"), "{:?}", runs[0]);
    // The next one begins anew.
    house.updater("four").once_of(&[RunKind::Lists]).await.unwrap();
    assert_eq!(visitors_of(&house.runs().await[0]), VISITORS);
    // One that was cut off so long ago that its first lists are too old is begun again.
    house.stores.lists = Arc::new(Broken { lists: house.stores.lists.clone(), left: AtomicU64::new(2), fails: true });
    house.updater("five").once_of(&[RunKind::Lists]).await.unwrap();
    *house.clock.0.lock().unwrap() = at("2026-11-21T11:10:00Z");
    house.stores.lists = Arc::new(Broken { lists: house.stores.lists.clone(), left: AtomicU64::new(0), fails: true });
    house.updater("six").once_of(&[RunKind::Lists]).await.unwrap();
    assert_eq!(house.runs().await[0].reached, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_updater_goes_on_where_the_first_was() {
    let mut house = House::open().await;
    let whole = house.stores.lists.clone();
    house.stores.lists = Arc::new(Broken { lists: whole.clone(), left: AtomicU64::new(2), fails: false });
    let (stop, stopped) = watch::channel(false);
    let first = tokio::spawn(house.updater("first").run(stopped));
    let cut_off = house.run_that(|run| run.reached.is_some()).await;
    // The log is consumed and posteriors are run meanwhile.
    let asked = house.stores.runs.request_run(house.clock.now()).await.unwrap();
    let done = async { while house.stores.runs.run(asked).await.unwrap().unwrap().status != RunStatus::Done {} };
    tokio::time::timeout(Duration::from_secs(60), done).await.unwrap();
    house.stores.lists = whole;
    let (stop_second, stopped) = watch::channel(false);
    let second = tokio::spawn(house.updater("second").run(stopped));
    stop.send(true).unwrap();
    first.await.unwrap();
    let run = house.run_that(|run| run.status == RunStatus::Done).await;
    assert!(visitors_of(&run) < VISITORS && run.id > cut_off.id);
    assert_eq!(house.stores.runs.run(cut_off.id).await.unwrap().unwrap().status, RunStatus::Failed);
    assert_eq!(house.listed().await, with_known_views());
    stop_second.send(true).unwrap();
    second.await.unwrap();
}
