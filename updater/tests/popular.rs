//! What is popular: told from the views in the log, catalog by catalog, while the updater runs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bandit::{Clock, Event, UserEvent, UserEventKind};
use jiff::{SignedDuration, Timestamp};
use recommend::Item;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Catalog, Durability, Locations, Stores};
use tokio::sync::watch;
use updater::{Config, Updater};

struct SetClock(Mutex<Timestamp>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct Shop {
    stores: Stores,
    clock: Arc<SetClock>,
    _dir: tempfile::TempDir,
}

impl Shop {
    /// Catalogs `half_day` and `week`, named after how long views count, both with these items.
    async fn with(items: &[(&str, Option<&str>)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
        let stores = store::open(&locations).await.unwrap();
        for (id, hours) in [("half_day", 12), ("week", 168)] {
            let definition = serde_json::json!({"dimension": 1, "popular_half_life_hours": hours});
            let definition = serde_json::from_value(definition).unwrap();
            stores.catalogs.put_catalog(&Catalog { id: id.into(), definition }).await.unwrap();
            let items: Vec<Item> = items
                .iter()
                .map(|(id, expires)| {
                    serde_json::from_value(serde_json::json!({"id": id, "vector": [1], "expires_at": expires})).unwrap()
                })
                .collect();
            stores.catalogs.put_items(id, &items).await.unwrap();
        }
        let clock = Arc::new(SetClock(Mutex::new("2026-11-21T10:30:00Z".parse().unwrap())));
        Self { stores, clock, _dir: dir }
    }

    fn updater(&self) -> Updater {
        let config = Config { interval: SignedDuration::from_hours(1), retention_days: 0, name: "updater".into() };
        Updater::new(self.stores.clone(), self.clock.clone(), config)
    }

    async fn view(&self, item: &str, times: usize, at: &str) {
        let event = |n: usize| {
            Event::User(UserEvent {
                id: format!("{item} {n} {at}"),
                kind: UserEventKind::View,
                name: String::new(),
                user: Some(format!("u{n}")),
                item: Some(item.into()),
                decision_id: None,
                experiment: None,
                value: 1.0,
                at: at.parse().unwrap(),
            })
        };
        self.stores.events.append(&(0..times).map(event).collect::<Vec<_>>()).await.unwrap();
    }

    async fn popular(&self, catalog: &str) -> Vec<String> {
        self.stores.catalogs.popular(catalog).await.unwrap().into_iter().map(|p| p.id).collect()
    }
}

/// Each catalog has its own of what is viewed: what it has, what is live, by its own half-life.
#[tokio::test]
async fn each_catalog_has_its_own() {
    let shop =
        Shop::with(&[("old", None), ("new", None), ("sold", Some("2026-11-21T10:29:59Z")), ("none", None)]).await;
    shop.view("old", 5, "2026-11-20T10:10:00Z").await;
    shop.view("new", 3, "2026-11-21T10:10:00Z").await;
    shop.view("sold", 9, "2026-11-21T10:10:00Z").await;
    shop.view("elsewhere", 9, "2026-11-21T10:10:00Z").await;
    shop.updater().once().await.unwrap();
    assert_eq!(shop.popular("half_day").await, ["new", "old"]);
    assert_eq!(shop.popular("week").await, ["old", "new"]);
    let changes = shop.stores.catalogs.last_change().await.unwrap();
    shop.updater().once().await.unwrap();
    assert_eq!(shop.stores.catalogs.last_change().await.unwrap(), changes, "what is said already is not said again");
}

/// Views of what nobody has take no place, however many there are.
#[tokio::test]
async fn junk_pushes_nothing_out() {
    let shop = Shop::with(&[("a", None), ("b", None)]).await;
    shop.view("a", 2, "2026-11-21T10:10:00Z").await;
    shop.view("b", 1, "2026-11-21T10:10:00Z").await;
    let views = |user: &str, items: std::ops::Range<u32>| -> Vec<Event> {
        let event = |n: u32| UserEvent {
            id: format!("{user} {n}"),
            kind: UserEventKind::View,
            name: String::new(),
            user: Some(user.into()),
            item: Some(format!("junk-{n}")),
            decision_id: None,
            experiment: None,
            value: 1.0,
            at: "2026-11-21T10:10:00Z".parse().unwrap(),
        };
        items.map(|n| Event::User(event(n))).collect()
    };
    for user in ["u1", "u2", "u3"] {
        for from in (0..51_000).step_by(3_000) {
            shop.stores.events.append(&views(user, from..from + 3_000)).await.unwrap();
        }
    }
    shop.updater().once().await.unwrap();
    assert_eq!(shop.popular("week").await, ["a", "b"]);
}

/// A running updater tells of new views by itself, and does not look again while there are none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_the_log() {
    let shop = Shop::with(&[("a", None), ("b", None)]).await;
    let (stop, stopped) = watch::channel(false);
    shop.view("a", 1, "2026-11-21T10:10:00Z").await;
    let running = tokio::spawn(shop.updater().run(stopped));
    let told = async {
        loop {
            let before = shop.stores.catalogs.last_change().await.unwrap();
            if shop.popular("week").await == ["a"] {
                return;
            }
            // It looks at multiples of some seconds; what was viewed may be in the log only after the first.
            *shop.clock.0.lock().unwrap() += SignedDuration::from_secs(5);
            shop.stores.catalogs.changed(before).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.unwrap();
    stop.send(true).unwrap();
    running.await.unwrap();
}
