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
    shelf.save().await;
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    shelf.save().await;
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), written, "nothing had changed");

    store.put_items("kept", &[item("b", 9.0), item("d", 0.5)]).await.unwrap();
    store.remove_items("kept", &["c".into()]).await.unwrap();
    store.remove_catalog("gone").await.unwrap();
    store.remove_catalog("again").await.unwrap();
    put(store, "again").await;
    store.put_items("again", &[item("z", 1.0)]).await.unwrap();
    put(store, "new").await;

    let next = Shelf::saved_in(file.clone());
    assert_eq!(next.read_saved().await.unwrap().1.len(), 3);
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
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 9]).unwrap();
    let shelf = Shelf::saved_in(file);
    assert!(shelf.read_saved().await.is_none());
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
