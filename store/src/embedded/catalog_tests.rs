//! Catalogs and views where only one directory can get them wrong: what goes from the disk, and groups of writes.

use super::Embedded;
use super::writer::Op;
use crate::format_views::user_key;
use crate::views::VIEWS_KEPT;
use crate::{Assignments, Catalog, Catalogs, Changed, Durability, Locations, View, Views};
use jiff::Timestamp;
use jiff::civil::date;
use recommend::Item;
use std::path::Path;
use std::sync::Arc;

fn embedded(dir: &Path) -> Arc<Embedded> {
    Embedded::open("state", dir, Durability::Sync).unwrap()
}

fn catalog() -> Catalog {
    Catalog { id: "c".into(), definition: serde_json::from_str(r#"{"dimension":1}"#).unwrap() }
}

fn item(id: &str, mark: f32) -> Item {
    Item {
        id: id.into(),
        vector: vec![mark],
        tags: vec![],
        expires_at: None,
        payload: None,
        added_at: None,
        text: None,
    }
}

/// The log keeps so many changes; whoever needs older ones is told.
#[tokio::test]
async fn the_oldest_changes_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    store.change_log().kept = 10;
    for number in 1..=25 {
        assert_eq!(store.put_catalog(&catalog()).await.unwrap(), number);
        assert_eq!(store.catalogs.changes.len().unwrap(), usize::try_from(number.min(10)).unwrap());
    }
    drop(store);
    let store = embedded(dir.path());
    let numbers = async |after| {
        let found = store.changes_since(after, 100).await.unwrap();
        found.map(|found| found.into_iter().map(|c| c.number).collect::<Vec<_>>())
    };
    assert_eq!((numbers(0).await, numbers(14).await), (None, None));
    assert_eq!(numbers(15).await, Some((16..=25).collect()));
    assert_eq!((numbers(25).await, numbers(26).await), (Some(vec![]), None));
    assert_eq!(store.put_catalog(&catalog()).await.unwrap(), 26, "numbers go on");
}

/// Many puts of one item in one group: the last stands, and is the one with the last number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_puts_in_one_group_the_last_stands() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    store.put_catalog(&catalog()).await.unwrap();
    for _ in 0..5 {
        let put = async |mark: u8| {
            let number = if mark.is_multiple_of(3) {
                store.remove_items("c", &["i".into()]).await.unwrap()
            } else {
                store.put_items("c", &[item("i", f32::from(mark))]).await.unwrap()
            };
            (number, mark)
        };
        let told = futures::future::join_all((0..60).map(put)).await;
        let (_, mark) = told.into_iter().max().unwrap();
        let expected = (!mark.is_multiple_of(3)).then(|| Ok(item("i", f32::from(mark))));
        assert_eq!(store.items("c", &["i".into()]).await.unwrap(), [expected]);
    }
    let before = store.items("c", &["i".into()]).await.unwrap();
    drop(store);
    assert_eq!(embedded(dir.path()).items("c", &["i".into()]).await.unwrap(), before);
}

/// Whoever waits is told at once, not by the end of its patience.
#[tokio::test]
async fn a_change_wakes_those_who_wait() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    for number in 0..50 {
        let catalog = catalog();
        let (told, put) = tokio::join!(
            async {
                while store.last_change().await.unwrap() <= number {
                    store.catalogs.noted.clone().wait_for(|n| *n > number).await.unwrap();
                }
                store.last_change().await.unwrap()
            },
            store.put_catalog(&catalog)
        );
        assert_eq!((told, put.unwrap()), (number + 1, number + 1));
    }
}

/// A process that ended after the first step of a removal.
#[tokio::test]
async fn a_removal_that_was_cut_off_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    store.put_catalog(&catalog()).await.unwrap();
    let many: Vec<_> = (0..2_500_u16).map(|n| item(&format!("i{n}"), f32::from(n))).collect();
    store.put_items("c", &many).await.unwrap();
    let ops = [
        Op::remove(&store.catalogs.definitions, *b"dc"),
        Op::put(&store.catalogs.definitions, [&b"r"[..], &1_u64.to_be_bytes()].concat(), Vec::new()),
    ];
    store.note("c", &[Changed::Definition], |_| Ok(ops.into())).unwrap().1.wait().await.unwrap();
    assert_eq!(store.catalogs.items.len().unwrap(), 2_500);
    store.put_catalog(&catalog()).await.unwrap();
    assert_eq!(store.page_of_items("c", None, 10).await.unwrap(), []);
    store.put_items("c", &many[..1]).await.unwrap();
    assert_eq!(store.remove_catalog("another").await.unwrap(), None);
    assert_eq!(store.catalogs.items.len().unwrap(), 1, "what was left is gone, and nothing else");
    assert_eq!(store.page_of_items("c", None, 10).await.unwrap(), [Ok(many[0].clone())]);
}

#[tokio::test]
async fn a_damaged_item_is_named_and_spoils_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let stores = crate::open(&Locations::in_dir(dir.path())).await.unwrap();
    stores.catalogs.put_catalog(&catalog()).await.unwrap();
    stores.catalogs.put_items("c", &[item("i", 1.0), item("j", 1.0)]).await.unwrap();
    drop(stores);
    let store = embedded(dir.path());
    let key = store.catalogs.items.first_key_value().unwrap().key().unwrap();
    let rubbish = Op::put(&store.catalogs.items, &key[..], b"\x01rubbish".to_vec());
    store.writer.with(|pending| pending.add([rubbish])).unwrap().wait().await.unwrap();
    let found = store.items("c", &["i".into(), "j".into(), "k".into()]).await.unwrap();
    let [Some(Err(unreadable)), Some(Ok(beside)), None] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&*unreadable.id, beside), ("i", &item("j", 1.0)));
    let page = store.page_of_items("c", None, 9).await.unwrap();
    assert_eq!(page, [Err(unreadable.clone()), Ok(beside.clone())]);
    // Also one with a text, which looks at what it takes the place of.
    let text: Item =
        serde_json::from_value(serde_json::json!({"id": "i", "vector": [], "text": {"text": "x"}})).unwrap();
    store.put_items("c", std::slice::from_ref(&text)).await.unwrap();
    assert_eq!(store.items("c", &["i".into()]).await.unwrap(), [Some(Ok(text))]);
}

fn view(item: impl Into<String>, at: &str, ms: i64) -> View {
    let at: Timestamp = at.parse().unwrap();
    View { user: "u".into(), item: item.into(), at: at + jiff::SignedDuration::from_millis(ms) }
}

/// A visitor of very many views has few on the disk.
#[tokio::test]
async fn old_views_of_a_visitor_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    for batch in (0..10_000).collect::<Vec<_>>().chunks(100) {
        let views: Vec<_> = batch.iter().map(|n| view(format!("i{n}"), "2026-11-21T10:00:00Z", *n)).collect();
        store.append_views(&views).await;
    }
    let kept = store.views.prefix(user_key("u")).count();
    assert!((VIEWS_KEPT..4 * VIEWS_KEPT).contains(&kept), "{kept} are kept");
}

/// Views of long ago go where files are merged; the newer stay, whoever made them.
#[tokio::test]
async fn views_of_long_ago_leave_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    let old: Vec<_> = (0..100).map(|n| view(format!("old-{n}"), "2026-08-20T00:00:00Z", n)).collect();
    let new: Vec<_> = (0..100).map(|n| view(format!("new-{n}"), "2026-08-24T00:00:00Z", n)).collect();
    store.append_views(&[old, new].concat()).await;
    store.views.rotate_memtable_and_wait().unwrap();
    store.views.major_compact().unwrap();
    assert_eq!(store.views.prefix(user_key("u")).count(), 200, "none is old yet");
    // 90 days before are 23 August.
    store.expire(date(2026, 11, 21)).await.unwrap();
    store.views.major_compact().unwrap();
    let found = store.recent("u", 1_000).await.unwrap();
    assert!(found.len() == 100 && found.iter().all(|seen| seen.item.starts_with("new-")), "{} are left", found.len());
    drop(store);
    assert_eq!(embedded(dir.path()).recent("u", 1_000).await.unwrap(), found);
}

impl Embedded {
    async fn append_views(&self, views: &[View]) {
        Views::append(self, views).await.unwrap();
    }
}

/// Whoever follows changes leaves out what cannot be read, says so, and goes on; who puts it again or removes it heals that,
/// and so does a release that can read it.
#[tokio::test]
async fn a_damaged_item_stops_no_later_change() {
    struct Fixed;
    impl bandit::Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(1_800_000_000).unwrap()
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    let file = dir.path().join("shelf");
    let standing = async |shelf: &crate::Shelf| {
        shelf.catch_up(&*store, &Fixed).await.unwrap();
        let candidates = shelf.get("c").unwrap();
        let there: String = ["i", "j", "k"].into_iter().filter(|id| candidates.has(id)).collect();
        (there, candidates.unreadable(9).1.into_iter().map(|(id, _)| id).collect::<String>())
    };
    let told = |there: &str, unreadable: &str| (there.to_owned(), unreadable.to_owned());
    let damaged = async || {
        let rubbish = Op::put(&store.catalogs.items, super::catalogs::of_item(1, "i"), b"\x09rubbish".to_vec());
        let changed = [Changed::Items(vec!["i".into()])];
        store.note("c", &changed, |_| Ok(vec![rubbish])).unwrap().1.wait().await.unwrap();
    };
    store.put_catalog(&catalog()).await.unwrap();
    store.put_items("c", &[item("i", 1.0), item("j", 2.0)]).await.unwrap();
    let shelf = crate::Shelf::saved_in(file.clone());
    assert_eq!(standing(&shelf).await, told("ij", ""));
    damaged().await;
    store.put_items("c", &[item("k", 3.0)]).await.unwrap();
    assert_eq!(standing(&shelf).await, told("jk", "i"));
    assert_eq!(standing(&crate::Shelf::default()).await, told("jk", "i"), "who reads everything goes on as well");
    shelf.save(&*store).await;
    assert_eq!(standing(&crate::Shelf::read_from(file.clone())).await, told("jk", "i"));
    store.remove_items("c", &["i".into()]).await.unwrap();
    assert_eq!(standing(&shelf).await, told("jk", ""));
    damaged().await;
    assert_eq!(standing(&shelf).await, told("jk", "i"));
    store.put_items("c", &[item("i", 4.0)]).await.unwrap();
    assert_eq!(standing(&shelf).await, told("ijk", ""));
    // What was saved by a release that could not read it.
    damaged().await;
    assert_eq!(standing(&shelf).await, told("jk", "i"));
    shelf.save(&*store).await;
    let bytes = crate::format_catalogs::encode_item(&item("i", 5.0)).unwrap();
    let readable = Op::put(&store.catalogs.items, super::catalogs::of_item(1, "i"), bytes);
    store.writer.with(|pending| pending.add([readable])).unwrap().wait().await.unwrap();
    assert_eq!(standing(&crate::Shelf::read_from(file)).await, told("ijk", ""));
}
