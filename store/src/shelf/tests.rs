use super::*;
use crate::{Durability, Locations};
use jiff::Timestamp;
use recommend::{Item, Wanted};

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }
}

fn item(id: &str, x: f32) -> Item {
    serde_json::from_value(serde_json::json!({"id": id, "vector": [x, 1]})).unwrap()
}

/// What a shelf shows of a catalog, the nearest to (1, 0) first.
fn shown(shelf: &Shelf, catalog: &str) -> Vec<String> {
    let Some(candidates) = shelf.get(catalog) else { return Vec::new() };
    let wanted =
        Wanted { k: 100, diversity: None, max_per_tag: None, tags: &[], exclude: &[], alike: true, now: Fixed.now() };
    candidates.near(&[1.0, 0.0], &wanted).iter().map(|c| c.id.to_string()).collect()
}

async fn put(store: &dyn Catalogs, catalog: &str) {
    let definition = serde_json::from_str(r#"{"dimension": 2, "diversity": 0}"#).unwrap();
    store.put_catalog(&Catalog { id: catalog.into(), definition }).await.unwrap();
}

/// What was saved is read again, and what changed since is made up for: items, catalogs that went and came, and those that
/// were removed and made again.
#[tokio::test]
async fn a_start_goes_on_from_what_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
    let store = crate::open(&locations).await.unwrap().catalogs;
    let store = &*store;
    for catalog in ["kept", "gone", "again"] {
        put(store, catalog).await;
        store.put_items(catalog, &[item("a", 3.0), item("b", 2.0), item("c", 1.0)]).await.unwrap();
    }
    let file = dir.path().join("catalogs.snapshot");
    let shelf = Shelf::saved_in(file.clone());
    shelf.catch_up(store, &Fixed).await.unwrap();
    shelf.save(store).await;
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    shelf.save(store).await;
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), written, "nothing had changed");

    store.put_items("kept", &[item("b", 9.0), item("d", 0.5)]).await.unwrap();
    store.remove_items("kept", &["c".into()]).await.unwrap();
    store.remove_catalog("gone").await.unwrap();
    store.remove_catalog("again").await.unwrap();
    put(store, "again").await;
    store.put_items("again", &[item("z", 1.0)]).await.unwrap();
    put(store, "new").await;

    let next = Shelf::saved_in(file.clone());
    assert_eq!(next.read_saved(&store.log_id().await.unwrap()).await.unwrap().1.len(), 3);
    next.catch_up(store, &Fixed).await.unwrap();
    let fresh = Shelf::default();
    fresh.catch_up(store, &Fixed).await.unwrap();
    for (catalog, expected) in [("kept", "b a d"), ("gone", ""), ("again", "z"), ("new", "")] {
        assert_eq!(shown(&next, catalog).join(" "), expected, "{catalog}");
        assert_eq!(shown(&fresh, catalog).join(" "), expected, "{catalog}");
        assert_eq!(next.get(catalog).is_some(), catalog != "gone");
    }

    // Of another store, or damaged, it is not believed.
    let other = tempfile::tempdir().unwrap();
    let other =
        crate::open(&Locations { durability: Durability::Os, ..Locations::in_dir(other.path()) }).await.unwrap();
    let shelf = Shelf::saved_in(file.clone());
    shelf.catch_up(&*other.catalogs, &Fixed).await.unwrap();
    assert!(shelf.is_loaded() && shelf.all().is_empty());
    // Also if that store's log is as long, or longer.
    while other.catalogs.last_change().await.unwrap() < store.last_change().await.unwrap() {
        put(&*other.catalogs, "other").await;
    }
    let shelf = Shelf::saved_in(file.clone());
    shelf.catch_up(&*other.catalogs, &Fixed).await.unwrap();
    assert_eq!(shelf.all().into_keys().collect::<Vec<_>>(), ["other"]);
    // One that only reads it leaves it as it is.
    let written = std::fs::read(&file).unwrap();
    let reader = Shelf::read_from(file.clone());
    reader.catch_up(store, &Fixed).await.unwrap();
    reader.save(store).await;
    assert!(reader.get("kept").is_some() && std::fs::read(&file).unwrap() == written);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 9]).unwrap();
    let shelf = Shelf::saved_in(file);
    assert!(shelf.read_saved(&store.log_id().await.unwrap()).await.is_none());
    shelf.catch_up(store, &Fixed).await.unwrap();
    assert_eq!(shown(&shelf, "kept").join(" "), "b a d");
}

/// While it follows, a change is seen without anybody asking for it.
#[tokio::test]
async fn a_shelf_that_follows_sees_what_others_put() {
    let dir = tempfile::tempdir().unwrap();
    let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
    let store = crate::open(&locations).await.unwrap().catalogs;
    let shelf = Shelf::default();
    let work = async {
        put(&*store, "shop").await;
        for n in 0..100 {
            let id = format!("i{n}");
            store.put_items("shop", &[item(&id, 1.0)]).await.unwrap();
            while !shown(&shelf, "shop").contains(&id) {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::select! {
        () = shelf.follow(&*store, &Fixed) => {}
        done = tokio::time::timeout(Duration::from_secs(60), work) => done.unwrap(),
    }
}

/// A list made ahead is believed across a restart, as far as what was put since is known, and never across a definition.
#[tokio::test]
async fn what_was_put_of_late_is_known_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
    let store = crate::open(&locations).await.unwrap().catalogs;
    let store = &*store;
    put(store, "shop").await;
    store.put_items("shop", &[item("a", 3.0), item("b", 2.0), item("c", 1.0)]).await.unwrap();
    let began = Shelf::default();
    began.catch_up(store, &Fixed).await.unwrap();
    let (number, seen) = (began.reached(), vec![("a", 1.0)]);
    let made = began.get("shop").unwrap().for_visitors(std::slice::from_ref(&seen), Fixed.now()).remove(0).unwrap();
    let wanted =
        Wanted { k: 2, diversity: None, max_per_tag: None, tags: &[], exclude: &[], alike: false, now: Fixed.now() };
    let believed = async |shelf: &Shelf| {
        shelf.catch_up(store, &Fixed).await.unwrap();
        shelf.get("shop").unwrap().recall(&made, number, &seen, &wanted).is_some()
    };
    store.put_popular("shop", &[]).await.unwrap();
    assert!(believed(&began).await && believed(&Shelf::default()).await);
    store.put_items("shop", &[item("d", 9.0)]).await.unwrap();
    assert!(!believed(&began).await && !believed(&Shelf::default()).await, "it could be on the list");
    store.remove_items("shop", &["d".into()]).await.unwrap();
    assert!(believed(&began).await && believed(&Shelf::default()).await, "it is gone again");
    put(store, "shop").await;
    assert!(!believed(&began).await && !believed(&Shelf::default()).await, "the catalog is another");
}
