//! Maps of catalogs: drawn when items changed, left alone when not, gone with their catalog.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bandit::Clock;
use jiff::{SignedDuration, Timestamp};
use recommend::{Item, Projection};
use std::sync::{Arc, Mutex};
use store::{Catalog, Durability, Locations, Popular, RunKind, Stores};
use updater::{Config, Updater};

struct SetClock(Mutex<Timestamp>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn item(n: u32, metric: &str) -> Item {
    let (x, length) = (f64::from(n % 97) / 97.0, if metric == "cosine" { 3.0 } else { 1.0 });
    let vector = [length * (1.0 + x), length * f64::from(n % 3), length * 0.1 * f64::from(n % 5)];
    serde_json::from_value(serde_json::json!({"id": format!("i{n:05}"), "vector": vector})).unwrap()
}

async fn put(stores: &Stores, catalog: &str, metric: &str, items: std::ops::Range<u32>) {
    let definition = serde_json::from_value(serde_json::json!({"dimension": 3, "metric": metric})).unwrap();
    stores.catalogs.put_catalog(&Catalog { id: catalog.into(), definition }).await.unwrap();
    let items: Vec<Item> = items.map(|n| item(n, metric)).collect();
    for some in items.chunks(1_000) {
        stores.catalogs.put_items(catalog, some).await.unwrap();
    }
}

#[tokio::test]
async fn drawn_when_items_changed() {
    let dir = tempfile::tempdir().unwrap();
    let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
    let stores = store::open(&locations).await.unwrap();
    let clock = Arc::new(SetClock(Mutex::new("2026-11-21T10:30:00Z".parse().unwrap())));
    let run = async || {
        let config = Config { interval: SignedDuration::from_hours(1), retention_days: 0, name: "updater".into() };
        let done = Updater::new(stores.clone(), clock.clone(), config).once_of(&[RunKind::Maps]).await.unwrap();
        assert!(done.len() == 1 && done[0].report.steps[0].name == "map", "{done:?}");
        *clock.0.lock().unwrap() += SignedDuration::from_mins(1);
    };
    let map = async |catalog: &str| stores.list_hours.map(catalog).await.unwrap();
    put(&stores, "small", "cosine", 0..300).await;
    put(&stores, "large", "inner_product", 0..7_000).await;
    put(&stores, "single", "cosine", 0..1).await;
    run().await;
    // Of a small catalog all items count, as searches see them.
    let unit = |n| recommend::index::unit(&item(n, "cosine").vector).unwrap();
    let small = map("small").await.unwrap();
    assert_eq!(Some(&small.projection), Projection::of(&(0..300).map(unit).collect::<Vec<_>>()).as_ref());
    // Of a large one every other one, again and again until they are few enough.
    let large = map("large").await.unwrap();
    let some: Vec<Vec<f32>> = (0..7_000).step_by(4).map(|n| item(n, "inner_product").vector).collect();
    assert_eq!(Some(&large.projection), Projection::of(&some).as_ref());
    assert_eq!(map("single").await, None, "one item has no plane");
    // Nothing changed, or only what is popular.
    stores.catalogs.put_popular("small", &[Popular { id: "i00001".into(), score: 1.0 }]).await.unwrap();
    run().await;
    assert_eq!((map("small").await, map("large").await), (Some(small.clone()), Some(large.clone())));
    stores.catalogs.remove_items("small", &["i00001".to_owned()]).await.unwrap();
    stores.catalogs.remove_catalog("large").await.unwrap();
    run().await;
    let again = map("small").await.unwrap();
    assert_eq!((again.projection.sample, again.at > small.at), (299, true));
    assert_eq!(stores.list_hours.mapped().await.unwrap(), ["small"]);
}
