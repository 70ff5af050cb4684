//! Catalogs where calls are cut off, cells are collected and rows are many.

use super::super::client::{Patience, RowChange, delete_cell, family_of, row, set_cell};
use super::super::registry::undefine;
use super::super::schema::{ITEM, VIEW, WHAT, change_key, item_key};
use super::{Bigtable, Emulator, open};
use crate::conformance::proxy::Proxy;
use crate::conformance::services::{Kind, Service};
use crate::conformance::soon;
use crate::format_views::user_key;
use crate::views::VIEWS_KEPT;
use crate::{Catalog, Catalogs, Changed, Popular, StoreError, View, Views};
use googleapis_tonic_google_bigtable_v2::google::bigtable::v2::RowSet;
use recommend::{CatalogDefinition, Item};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Patience = Patience { each: Duration::from_secs(20), all: Duration::from_secs(60) };

fn catalog(dimension: usize) -> Catalog {
    let definition: CatalogDefinition = serde_json::from_str(&format!(r#"{{"dimension":{dimension}}}"#)).unwrap();
    Catalog { id: "c".into(), definition }
}

fn item(id: &str, dimension: usize) -> Item {
    Item {
        id: id.into(),
        vector: vec![0.5; dimension],
        tags: vec![],
        expires_at: None,
        payload: None,
        added_at: None,
        text: None,
    }
}

/// Rows of items, of whatever catalog.
async fn rows_of_items(bigtable: &Bigtable) -> usize {
    let tables = &bigtable.catalogs;
    let all = RowSet::default();
    tables.client.read(&tables.items, PATIENCE, all, family_of(ITEM), 0).await.unwrap().len()
}

/// As collection does, in any order.
async fn collect(bigtable: &Bigtable, number: u64) {
    let log = &bigtable.catalogs.log;
    let mutations = vec![delete_cell(WHAT, WHAT.qualifier)];
    let change = RowChange { row_key: change_key(number), mutations };
    bigtable.client.change_rows(&log.table, PATIENCE, vec![change]).await.unwrap();
}

#[tokio::test]
async fn whoever_was_away_for_long_is_told_to_read_everything() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let bigtable = open(&emulator.locations).await;
    for _ in 0..6 {
        bigtable.put_catalog(&catalog(2)).await.unwrap();
    }
    let numbers = async |after| {
        let found = bigtable.changes_since(after, 10).await.unwrap();
        found.map(|found| found.into_iter().map(|c| c.number).collect::<Vec<_>>())
    };
    for number in [1, 2, 4] {
        collect(&bigtable, number).await;
    }
    assert_eq!(numbers(0).await, None);
    assert_eq!(numbers(1).await, None);
    assert_eq!(numbers(2).await, Some(vec![3]), "what is there comes first");
    assert_eq!(numbers(3).await, None, "and then that there is no more");
    assert_eq!(numbers(4).await, Some(vec![5, 6]));
    for number in 1..=6 {
        collect(&bigtable, number).await;
    }
    assert_eq!(bigtable.last_change().await.unwrap(), 6);
    assert_eq!(bigtable.put_catalog(&catalog(2)).await.unwrap(), 7, "numbers go on after a quiet week");
}

#[tokio::test]
async fn old_numbers_go_and_new_ones_go_on() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let mut bigtable = open(&emulator.locations).await;
    let tables = Arc::get_mut(&mut bigtable.catalogs).unwrap();
    Arc::get_mut(&mut tables.log).unwrap().counted = (10, 5);
    for number in 1..=40 {
        assert_eq!(bigtable.put_catalog(&catalog(2)).await.unwrap(), number);
    }
    assert_eq!(bigtable.changes_since(28, 1).await.unwrap(), None);
    assert_eq!(bigtable.changes_since(29, 100).await.unwrap().unwrap().len(), 11);
    let all = RowSet::default();
    let rows = bigtable.client.read(&bigtable.catalogs.log.table, PATIENCE, all, family_of(WHAT), 0).await;
    assert_eq!(rows.unwrap().len(), 11);
}

/// Whether anything is new is asked all day long.
#[tokio::test]
async fn to_ask_for_news_is_one_read() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let bigtable = open(&emulator.locations).await;
    let number = bigtable.put_catalog(&catalog(2)).await.unwrap();
    let before = bigtable.client.round_trips();
    assert_eq!(bigtable.last_change().await.unwrap(), number);
    assert_eq!(bigtable.client.round_trips(), before + 1);
    assert_eq!(bigtable.changes_since(number, 10).await.unwrap(), Some(vec![]));
    assert_eq!(bigtable.client.round_trips(), before + 2, "no news are known by the same");
}

/// A process that ends after the first step of a removal.
#[tokio::test]
async fn a_removal_that_was_cut_off_is_completed() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let bigtable = open(&emulator.locations).await;
    let cut_off = async || {
        let registry = bigtable.catalogs.read_registry().await.unwrap();
        let kept_under = registry.kept_under("c").unwrap();
        assert!(bigtable.catalogs.edit(&registry, undefine("c", kept_under)).await.unwrap());
    };
    let many: Vec<_> = (0..2_500).map(|n| item(&format!("i{n}"), 2)).collect();
    bigtable.put_catalog(&catalog(2)).await.unwrap();
    bigtable.put_items("c", &many).await.unwrap();
    cut_off().await;
    assert_eq!((bigtable.catalogs().await.unwrap(), rows_of_items(&bigtable).await), (vec![], 2_500));
    let number = bigtable.remove_catalog("c").await.unwrap().unwrap();
    let noted = bigtable.changes_since(number - 1, 1).await.unwrap().unwrap();
    assert_eq!((&*noted[0].catalog, &noted[0].what), ("c", &Changed::Definition), "that it is gone is noted after all");
    assert_eq!(rows_of_items(&bigtable).await, 0);
    assert_eq!(bigtable.remove_catalog("c").await.unwrap(), None);

    bigtable.put_catalog(&catalog(2)).await.unwrap();
    bigtable.put_items("c", &many).await.unwrap();
    bigtable.put_popular("c", &[Popular { id: "i1".into(), score: 1.0 }]).await.unwrap();
    cut_off().await;
    bigtable.put_catalog(&catalog(3)).await.unwrap();
    assert_eq!(bigtable.page_of_items("c", None, 10).await.unwrap(), []);
    assert_eq!(bigtable.items("c", &["i1".into()]).await.unwrap(), [None]);
    assert_eq!(bigtable.popular("c").await.unwrap(), []);
    bigtable.put_items("c", &[item("new", 3)]).await.unwrap();
    bigtable.remove_catalog("c").await.unwrap().unwrap();
    assert_eq!(rows_of_items(&bigtable).await, 0, "what the first left went with the second");
}

/// Items put by whoever has not heard that the catalog was removed, or is another.
#[tokio::test]
async fn late_items_are_refused_and_leave_nothing() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let (first, second) = (open(&emulator.locations).await, Arc::new(open(&emulator.locations).await));
    for other_space in [false, true] {
        first.put_catalog(&catalog(2)).await.unwrap();
        let kept_under = first.catalogs.read_registry().await.unwrap().kept_under("c").unwrap();
        // It is written before the catalog is removed, and noted after.
        let putting = second.clone();
        let many: Vec<_> = (0..20_000).map(|n| item(&format!("i{n}"), 2)).collect();
        let put = tokio::spawn(async move { putting.put_items("c", &many).await });
        soon(async {
            while first.items_of_number(kept_under).await == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let changed = if other_space {
            first.put_catalog(&catalog(3)).await.map(|_| ())
        } else {
            first.remove_catalog("c").await.map(|_| ())
        };
        let put = soon(put).await.unwrap();
        match (changed, put) {
            (Ok(()), Err(StoreError::Conflict(_))) => {
                assert_eq!(first.page_of_items("c", None, 1).await.unwrap(), []);
            }
            // It has items: it keeps them, and its space.
            (Err(StoreError::Conflict(_)), Ok(_)) => {
                assert_eq!(first.catalogs().await.unwrap(), [catalog(2)]);
                assert_eq!(rows_of_items(&first).await, 20_000);
            }
            // The items came first.
            (Ok(()), Ok(_)) => assert!(!other_space),
            other => panic!("{other:?}"),
        }
        first.remove_catalog("c").await.unwrap();
        assert_eq!(rows_of_items(&first).await, 0);
    }
}

impl Bigtable {
    async fn items_of_number(&self, kept_under: u64) -> usize {
        self.catalogs.ids(kept_under, None, 1).await.unwrap().len()
    }
}

/// More bytes than one call takes, and pages as large as a replica asks for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_items_go_in_parts() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let bigtable = open(&emulator.locations).await;
    bigtable.put_catalog(&catalog(4_096)).await.unwrap();
    let many: Vec<_> = (0..1_200).map(|n| item(&format!("i{n:04}"), 4_096)).collect();
    let before = bigtable.client.round_trips();
    bigtable.put_items("c", &many).await.unwrap();
    assert!((3..20).contains(&(bigtable.client.round_trips() - before)));
    let page = bigtable.page_of_items("c", None, 2_000).await.unwrap();
    assert!(page.iter().flatten().eq(&many));
    let ids: Vec<String> = many.iter().rev().map(|i| i.id.clone()).collect();
    let found = bigtable.items("c", &ids).await.unwrap();
    assert!(found.iter().rev().flatten().flatten().eq(&many));
    let damaged = item_key(bigtable.catalogs.read_registry().await.unwrap().kept_under("c").unwrap(), b"i0000");
    let rubbish = set_cell(ITEM, ITEM.qualifier, b"\x02".into());
    let rubbish = RowChange { row_key: damaged, mutations: vec![rubbish] };
    bigtable.client.change_rows(&bigtable.catalogs.items, PATIENCE, vec![rubbish]).await.unwrap();
    let page = bigtable.page_of_items("c", None, 2).await.unwrap();
    assert!(matches!(&page[..], [Err(unreadable), Ok(_)] if unreadable.id == "i0000"), "{page:?}");
}

/// Connections break all the time: what is told is true, and numbers have no gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_lose_no_change() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let proxy = Proxy::start(Service::shared(Kind::Bigtable).unwrap().address()).await;
    let direct = Arc::new(open(&emulator.locations).await);
    let shaky = Arc::new(open(&emulator.through(proxy.address())).await);
    direct.put_catalog(&catalog(2)).await.unwrap();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let bigtable = if writer % 2 == 0 { direct.clone() } else { shaky.clone() };
            tokio::spawn(async move {
                let mut told = Vec::new();
                for n in 0..30 {
                    let name = format!("{writer}-{n}");
                    if n % 10 == 9 {
                        bigtable.put_catalog(&catalog(2)).await.unwrap();
                    }
                    told.push((bigtable.put_items("c", &[item(&name, 2)]).await.unwrap(), name));
                }
                told
            })
        })
        .collect();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        proxy.reset();
        // Some calls get through in between, also where everything is slow.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut told = Vec::new();
    for writer in writers {
        told.extend(soon(writer).await.unwrap());
    }
    let changes = direct.changes_since(0, 1_000).await.unwrap().unwrap();
    assert!(changes.iter().map(|c| c.number).eq(1..=direct.last_change().await.unwrap()));
    for (number, name) in told {
        let change = &changes[usize::try_from(number).unwrap() - 1];
        assert!(matches!(&change.what, Changed::Items(ids) if ids.contains(&name)), "{change:?} is told for {name}");
        let times = changes.iter().filter(|c| matches!(&c.what, Changed::Items(ids) if ids.contains(&name))).count();
        assert_eq!(times, 1, "{name} is noted once");
    }
    assert_eq!(direct.page_of_items("c", None, 1_000).await.unwrap().len(), 120);
}

/// A visitor of very many views does not fill a row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_views_leave_the_row() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let bigtable = open(&emulator.locations).await;
    let at = |n: i64| jiff::Timestamp::from_millisecond(1_795_255_200_000 + n).unwrap();
    let view = |n| View { user: "u".into(), item: format!("i{n}"), at: at(n) };
    for batch in (0..10_000).collect::<Vec<_>>().chunks(100) {
        bigtable.append(&batch.iter().copied().map(view).collect::<Vec<_>>()).await.unwrap();
    }
    let rows = bigtable.client.read(&bigtable.views, PATIENCE, row(&user_key("u")), family_of(VIEW), 0).await;
    let cells = rows.unwrap()[0].cells.len();
    assert!((VIEWS_KEPT..4 * VIEWS_KEPT).contains(&cells), "{cells} cells");
}
