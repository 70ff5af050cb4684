//! Catalogs: what was put is there until it is replaced or removed.

use super::{Place, soon};
use crate::{Catalog, CatalogChange, Catalogs, Changed, MAX_CATALOGS, Popular, StoreError};
use recommend::{CatalogDefinition, Item, MAX_TAGS, Metric};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) fn catalog(id: &str, dimension: usize) -> Catalog {
    let definition: CatalogDefinition = serde_json::from_str(&format!(r#"{{"dimension":{dimension}}}"#)).unwrap();
    Catalog { id: id.into(), definition }
}

/// An item whose vector tells it from others of its id.
pub(super) fn item(id: &str, mark: f32) -> Item {
    Item {
        id: id.into(),
        vector: vec![mark, 1.0],
        tags: vec!["t".into()],
        expires_at: None,
        payload: None,
        added_at: None,
        text: None,
    }
}

pub(super) fn ids<const N: usize>(ids: [&str; N]) -> Vec<String> {
    ids.map(Into::into).to_vec()
}

pub(super) async fn all_items(catalogs: &dyn Catalogs, catalog: &str, page: usize) -> Vec<Item> {
    let mut all: Vec<Item> = Vec::new();
    loop {
        let after = all.last().map(|i| i.id.clone());
        let next = soon(catalogs.page_of_items(catalog, after.as_deref(), page)).await.unwrap();
        assert!(next.len() <= page);
        if next.is_empty() {
            return all;
        }
        all.extend(next.into_iter().map(|kept| kept.unwrap()));
    }
}

/// Items of these ids, all of which can be read.
pub(super) async fn found(catalogs: &dyn Catalogs, catalog: &str, ids: &[String]) -> Vec<Option<Item>> {
    let found = catalogs.items(catalog, ids).await.unwrap();
    found.into_iter().map(|kept| kept.map(|kept| kept.unwrap())).collect()
}

/// Two ways to the same place: by two clients, where there can be two.
pub(super) async fn two<P: Place>(place: &P) -> [Arc<dyn Catalogs>; 2] {
    let first = place.open().await.catalogs;
    let second = if P::OPENS_TWICE { place.open().await.catalogs } else { first.clone() };
    [first, second]
}

/// Every field, to the bit and to the byte.
pub async fn every_field_comes_back(place: impl Place) {
    let extremes = [0.1, -0.0, 0.0, f32::MIN_POSITIVE, 1e-45, f32::MAX, f32::MIN, -1.0 / 3.0];
    let payloads = [None, Some("null"), Some(r#"{ "β" : [1.50, 1e400],"b":1,"b":2 }"#), Some("\"🎲\\u0000\"")];
    let moments = [None, Some("2026-11-21T10:00:00.123456789Z"), Some("-009999-01-02T01:59:59Z")];
    let tags: [Vec<String>; 3] =
        [vec![], (0..MAX_TAGS).map(|n| format!("tag-{n}")).collect(), vec!["靴,\"a\"".into(), String::new()]];
    let long = "é".repeat(128);
    let names = ["a", "a ", "靴", "🎲/%2F", &long];
    let kept: Vec<Item> = (0..names.len() * payloads.len() * moments.len())
        .map(|n| Item {
            id: format!("{}{}", names[n % names.len()].chars().skip(1).collect::<String>(), n),
            vector: extremes.iter().cycle().skip(n).take(8).copied().collect(),
            tags: tags[n % tags.len()].clone(),
            expires_at: moments[n % moments.len()].map(|m| m.parse().unwrap()),
            added_at: moments[(n / 2) % moments.len()].map(|m| m.parse().unwrap()),
            payload: payloads[n % payloads.len()].map(|p| RawValue::from_string(p.into()).unwrap()),
            text: None,
        })
        .collect();
    let defined = Catalog {
        id: "c".into(),
        definition: CatalogDefinition {
            metric: Metric::InnerProduct,
            diversity: 0.1 + 0.2,
            max_per_tag: Some(2),
            refresh_minutes: 7,
            active_hours: 24,
            ..catalog("c", 8).definition
        },
    };
    let stores = place.open().await;
    stores.catalogs.put_catalog(&defined).await.unwrap();
    stores.catalogs.put_items("c", &kept).await.unwrap();
    drop(stores);
    let catalogs = place.open().await.catalogs;
    assert_eq!(catalogs.catalogs().await.unwrap(), [defined]);
    let asked: Vec<String> = kept.iter().map(|i| i.id.clone()).collect();
    let found = found(&*catalogs, "c", &asked).await;
    for (kept, found) in kept.iter().zip(found) {
        let found = found.unwrap();
        assert_eq!(&found, kept);
        let bits = |item: &Item| item.vector.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found), bits(kept));
    }
    let mut paged = all_items(&*catalogs, "c", 7).await;
    let mut kept = kept;
    paged.sort_by(|a, b| a.id.cmp(&b.id));
    kept.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(paged, kept);
}

/// The last put stands; what was removed is gone; each is noted.
pub async fn replaced_and_removed(place: impl Place) {
    let catalogs = place.open().await.catalogs;
    assert_eq!((catalogs.last_change().await.unwrap(), catalogs.catalogs().await.unwrap()), (0, vec![]));
    assert_eq!(catalogs.changes_since(0, 10).await.unwrap(), Some(vec![]));
    for refused in [catalogs.put_items("c", &[item("a", 1.0)]).await, catalogs.remove_items("c", &ids(["a"])).await] {
        assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    }
    assert_eq!(catalogs.items("c", &ids(["a"])).await.unwrap(), [None]);
    assert_eq!(catalogs.put_catalog(&catalog("c", 2)).await.unwrap(), 1);
    assert_eq!(catalogs.put_catalog(&catalog("d", 2)).await.unwrap(), 2);
    let (a, b) = (item("a", 1.0), item("b", 2.0));
    assert_eq!(catalogs.put_items("c", &[a.clone(), b.clone()]).await.unwrap(), 3);
    assert_eq!(catalogs.put_items("d", &[item("a", 9.0)]).await.unwrap(), 4);
    let some = found(&*catalogs, "c", &ids(["b", "x", "a", "b"])).await;
    assert_eq!(some, [Some(b.clone()), None, Some(a), Some(b)]);
    let replaced = Item { payload: Some(RawValue::from_string("1".into()).unwrap()), ..item("a", 3.0) };
    assert_eq!(catalogs.put_items("c", std::slice::from_ref(&replaced)).await.unwrap(), 5);
    assert_eq!(catalogs.remove_items("c", &ids(["b", "never"])).await.unwrap(), 6);
    assert_eq!(found(&*catalogs, "c", &ids(["a", "b", "never"])).await, [Some(replaced.clone()), None, None]);
    assert_eq!(all_items(&*catalogs, "c", 10).await, [replaced]);
    assert_eq!(all_items(&*catalogs, "d", 10).await, [item("a", 9.0)]);
    assert_eq!(catalogs.put_items("c", &[]).await.unwrap(), 6, "no items are no change");
    let changes = catalogs.changes_since(0, 10).await.unwrap().unwrap();
    let items = |found: [&str; 1]| Changed::Items(ids(found));
    let expected = [
        ("c", Changed::Definition),
        ("d", Changed::Definition),
        ("c", Changed::Items(ids(["a", "b"]))),
        ("d", items(["a"])),
        ("c", items(["a"])),
        ("c", Changed::Items(ids(["b", "never"]))),
    ];
    let expected = (1..).zip(expected).map(|(number, (id, what))| CatalogChange { number, catalog: id.into(), what });
    assert_eq!(changes, expected.collect::<Vec<_>>());
    assert_eq!(catalogs.changes_since(2, 3).await.unwrap().unwrap(), changes[2..5]);
    assert_eq!(catalogs.changes_since(6, 3).await.unwrap(), Some(vec![]));
    assert_eq!(catalogs.changes_since(7, 3).await.unwrap(), None, "numbers of another log");
}

/// Items that stay are on a page, whatever changes beside them.
pub async fn pages_cover_everything(place: impl Place) {
    let catalogs = place.open().await.catalogs;
    for id in ["c", "c0", "b"] {
        catalogs.put_catalog(&catalog(id, 2)).await.unwrap();
    }
    let staying: Vec<Item> = (0..500_u16).map(|n| item(&format!("stays-{n}"), f32::from(n))).collect();
    catalogs.put_items("c", &staying).await.unwrap();
    catalogs.put_items("c0", &[item("other", 0.0)]).await.unwrap();
    catalogs.put_items("b", &[item("other", 0.0)]).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = catalogs.clone();
    let churn = tokio::spawn(async move {
        let mut stopped = std::pin::pin!(stopped);
        for n in 0_u64.. {
            let id = format!("stays-{n:03}-x");
            writer.put_items("c", &[item(&id, 0.0)]).await.unwrap();
            if n % 2 == 0 {
                writer.remove_items("c", &[id]).await.unwrap();
            }
            if futures::poll!(stopped.as_mut()).is_ready() {
                break;
            }
        }
    });
    for page in [1, 7, 100, 499, 500, 10_000] {
        let found = all_items(&*catalogs, "c", page).await;
        let seen: BTreeSet<&str> = found.iter().map(|i| &*i.id).collect();
        assert_eq!(seen.len(), found.len(), "none twice");
        assert!(staying.iter().all(|i| seen.contains(&*i.id)), "pages of {page}");
        assert!(!seen.contains("other"));
    }
    stop.send(()).unwrap();
    soon(churn).await.unwrap();
    assert_eq!(catalogs.page_of_items("c", None, 0).await.unwrap(), []);
    assert_eq!(catalogs.page_of_items("none", None, 10).await.unwrap(), []);
}

/// What was safe is there after reopening, and numbers go on.
pub async fn kept_across_reopening(place: impl Place) {
    let mut number = 0;
    for round in 0..3_u8 {
        let catalogs = place.open().await.catalogs;
        assert_eq!(catalogs.last_change().await.unwrap(), number);
        assert_eq!(all_items(&*catalogs, "c", 10).await.len(), usize::from(round));
        assert_eq!(catalogs.put_catalog(&catalog("c", 2)).await.unwrap(), number + 1);
        let name = format!("i{round}");
        assert_eq!(catalogs.put_items("c", &[item(&name, f32::from(round))]).await.unwrap(), number + 2);
        let popular = vec![Popular { id: name, score: 0.1 + f64::from(round) }];
        number = catalogs.put_popular("c", &popular).await.unwrap();
        assert_eq!(catalogs.popular("c").await.unwrap(), popular);
    }
    let catalogs = place.open().await.catalogs;
    let changes = catalogs.changes_since(0, 100).await.unwrap().unwrap();
    assert_eq!(changes.iter().map(|c| c.number).collect::<Vec<_>>(), (1..=9).collect::<Vec<_>>());
    assert_eq!(catalogs.popular("c").await.unwrap(), [Popular { id: "i2".into(), score: 2.1 }]);
}

/// So many catalogs and no more; dimension and metric are fixed while there are items.
pub async fn limits_and_conflicts(place: impl Place) {
    let catalogs = place.open().await.catalogs;
    for n in 0..MAX_CATALOGS {
        catalogs.put_catalog(&catalog(&format!("c{n:03}"), 2)).await.unwrap();
    }
    let refused = catalogs.put_catalog(&catalog("one-more", 2)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    let listed: Vec<String> = catalogs.catalogs().await.unwrap().into_iter().map(|c| c.id).collect();
    assert!(listed.len() == MAX_CATALOGS && listed.is_sorted());
    catalogs.put_catalog(&catalog("c000", 3)).await.unwrap();
    let three = Item { vector: vec![1.0, 2.0, 3.0], ..item("a", 1.0) };
    catalogs.put_items("c000", std::slice::from_ref(&three)).await.unwrap();
    let other_metric = CatalogDefinition { metric: Metric::InnerProduct, ..catalog("c000", 3).definition };
    let before = catalogs.last_change().await.unwrap();
    for refused in [catalog("c000", 2), Catalog { id: "c000".into(), definition: other_metric.clone() }] {
        let refused = catalogs.put_catalog(&refused).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    }
    assert_eq!(catalogs.last_change().await.unwrap(), before, "what was refused is not noted");
    assert_eq!(catalogs.catalogs().await.unwrap()[0], catalog("c000", 3));
    assert_eq!(found(&*catalogs, "c000", &ids(["a"])).await, [Some(three)]);
    let longer = CatalogDefinition { history_length: 7, ..catalog("c000", 3).definition };
    catalogs.put_catalog(&Catalog { id: "c000".into(), definition: longer }).await.unwrap();
    catalogs.remove_items("c000", &ids(["a"])).await.unwrap();
    catalogs.put_catalog(&Catalog { id: "c000".into(), definition: other_metric }).await.unwrap();
    catalogs.remove_catalog("c001").await.unwrap().unwrap();
    catalogs.put_catalog(&catalog("one-more", 2)).await.unwrap();
}

/// A catalog that was removed is gone whole; one made again under its name begins empty.
pub async fn removed_and_made_again(place: impl Place) {
    let stores = place.open().await;
    let catalogs = &stores.catalogs;
    assert_eq!(catalogs.remove_catalog("c").await.unwrap(), None);
    for id in ["c", "c0"] {
        catalogs.put_catalog(&catalog(id, 2)).await.unwrap();
        let many: Vec<_> = (0..2_500).map(|n| item(&format!("i{n}"), 1.0)).collect();
        catalogs.put_items(id, &many).await.unwrap();
        catalogs.put_popular(id, &[Popular { id: "i1".into(), score: 1.0 }]).await.unwrap();
    }
    for round in 0..3 {
        let number = soon(catalogs.remove_catalog("c")).await.unwrap().unwrap();
        assert_eq!(number, catalogs.last_change().await.unwrap());
        let change = catalogs.changes_since(number - 1, 1).await.unwrap().unwrap().remove(0);
        assert_eq!((&*change.catalog, change.what), ("c", Changed::Definition));
        assert_eq!(catalogs.remove_catalog("c").await.unwrap(), None, "once");
        assert_eq!(catalogs.catalogs().await.unwrap(), [catalog("c0", 2)]);
        let gone = catalogs.put_items("c", &[item("late", 0.0)]).await;
        assert!(matches!(gone, Err(StoreError::Missing(_))), "{gone:?}");
        for made_again in [false, true] {
            if made_again {
                // In another space, which what is left of the old one would not fit.
                catalogs.put_catalog(&catalog("c", 3 + round)).await.unwrap();
            }
            assert_eq!(all_items(&**catalogs, "c", 100).await, []);
            assert_eq!(catalogs.items("c", &ids(["i1", "late"])).await.unwrap(), [None, None]);
            assert_eq!(catalogs.popular("c").await.unwrap(), []);
        }
        catalogs.put_items("c", &[item("i1", 7.0)]).await.unwrap();
        assert_eq!(all_items(&**catalogs, "c", 100).await, [item("i1", 7.0)]);
    }
    assert_eq!(all_items(&**catalogs, "c0", 1_000).await.len(), 2_500, "others stay");
    assert_eq!(catalogs.popular("c0").await.unwrap().len(), 1);
}

/// A removal that is cut off anywhere leaves nothing that a new catalog of that name would show.
pub async fn removals_cut_off_leave_nothing(place: impl Place) {
    use futures::FutureExt;
    let catalogs = place.open().await.catalogs;
    for round in 0..20 {
        catalogs.put_catalog(&catalog("c", 2)).await.unwrap();
        let many: Vec<_> = (0..50).map(|n| item(&format!("i{n}"), 1.0)).collect();
        catalogs.put_items("c", &many).await.unwrap();
        catalogs.put_popular("c", &[Popular { id: "i1".into(), score: 1.0 }]).await.unwrap();
        let mut removal = Box::pin(catalogs.remove_catalog("c"));
        for _ in 0..round {
            if (&mut removal).now_or_never().is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(removal);
        if round % 2 == 0 {
            catalogs.remove_catalog("c").await.unwrap();
        } else {
            // It was removed, and begins anew; or it was not, and stays whole.
            let there = catalogs.catalogs().await.unwrap();
            catalogs.put_catalog(&catalog("c", 2)).await.unwrap();
            let count = all_items(&*catalogs, "c", 100).await.len();
            assert!(count == 0 || (count == 50 && !there.is_empty()), "{count} in round {round}");
            catalogs.remove_catalog("c").await.unwrap();
        }
        catalogs.put_catalog(&catalog("c", 2)).await.unwrap();
        assert_eq!(all_items(&*catalogs, "c", 100).await, [], "round {round}");
        assert_eq!(catalogs.popular("c").await.unwrap(), []);
        catalogs.remove_catalog("c").await.unwrap();
    }
}

/// What is popular is one list, replaced whole.
pub async fn popular_lists_are_replaced(place: impl Place) {
    let catalogs = place.open().await.catalogs;
    assert_eq!(catalogs.popular("c").await.unwrap(), []);
    let refused = catalogs.put_popular("c", &[]).await;
    assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    catalogs.put_catalog(&catalog("c", 2)).await.unwrap();
    let long: Vec<_> =
        (0..1_000).map(|n| Popular { id: format!("靴{n}"), score: f64::from(n).recip() + 5e-324 }).skip(1).collect();
    for list in [&long[..], &long[..1], &[]] {
        let number = catalogs.put_popular("c", list).await.unwrap();
        assert_eq!(catalogs.popular("c").await.unwrap(), list);
        let change = catalogs.changes_since(number - 1, 1).await.unwrap().unwrap().remove(0);
        assert_eq!((change.number, &*change.catalog, change.what), (number, "c", Changed::Popular));
    }
}

/// Whoever kept the number of a change knows later whether it is this log's.
pub async fn the_log_has_an_id_of_its_own(place: impl Place) {
    let stores = place.open().await;
    let ids = futures::future::join_all((0..4).map(|_| stores.catalogs.log_id())).await;
    let id = ids[0].as_ref().unwrap();
    assert!(!id.is_empty() && ids.iter().all(|other| other.as_ref().unwrap() == id));
    drop(stores);
    assert_eq!(&place.open().await.catalogs.log_id().await.unwrap(), id);
}
