//! Catalogs: what was put is there until it is replaced or removed, and whoever follows the changes ends with the same.

use super::{Numbers, Place, soon};
use crate::{Catalog, CatalogChange, Catalogs, Changed, MAX_CATALOGS, Popular, StoreError};
use recommend::{CatalogDefinition, Item, MAX_TAGS, Metric};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
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
        all.extend(next);
    }
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
        })
        .collect();
    let defined = Catalog {
        id: "c".into(),
        definition: CatalogDefinition {
            metric: Metric::InnerProduct,
            diversity: 0.1 + 0.2,
            max_per_tag: Some(2),
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
    let found = catalogs.items("c", &asked).await.unwrap();
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
    let found = catalogs.items("c", &ids(["b", "x", "a", "b"])).await.unwrap();
    assert_eq!(found, [Some(b.clone()), None, Some(a), Some(b)]);
    let replaced = Item { payload: Some(RawValue::from_string("1".into()).unwrap()), ..item("a", 3.0) };
    assert_eq!(catalogs.put_items("c", std::slice::from_ref(&replaced)).await.unwrap(), 5);
    assert_eq!(catalogs.remove_items("c", &ids(["b", "never"])).await.unwrap(), 6);
    assert_eq!(catalogs.items("c", &ids(["a", "b", "never"])).await.unwrap(), [Some(replaced.clone()), None, None]);
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

/// Of concurrent writers each change has a number, all numbers are there, and each is what was noted under it.
pub async fn numbers_have_no_gap<P: Place>(place: P) {
    const WRITERS: usize = 8;
    const PUTS: usize = 20;
    let handles = two(&place).await;
    for id in ["c0", "c1", "c2"] {
        handles[0].put_catalog(&catalog(id, 2)).await.unwrap();
    }
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let catalogs = handles[writer % 2].clone();
            tokio::spawn(async move {
                let mut told = Vec::new();
                for n in 0..PUTS {
                    let (id, name) = (format!("c{}", (writer + n) % 3), format!("{writer}-{n}"));
                    let number = catalogs.put_items(&id, &[item(&name, 0.0)]).await.unwrap();
                    assert!(catalogs.last_change().await.unwrap() >= number, "visible when it is told");
                    told.push((number, id, name));
                }
                told
            })
        })
        .collect();
    let mut told = Vec::new();
    for task in tasks {
        let mine = soon(task).await.unwrap();
        assert!(mine.is_sorted_by(|a, b| a.0 < b.0), "a writer's changes have its order");
        told.extend(mine);
    }
    let last = handles[1].last_change().await.unwrap();
    let changes = handles[1].changes_since(0, 10_000).await.unwrap().unwrap();
    assert_eq!(changes.iter().map(|c| c.number).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    for (number, id, name) in told {
        let change = &changes[usize::try_from(number).unwrap() - 1];
        let Changed::Items(names) = &change.what else { panic!("{change:?}") };
        assert!(*change.catalog == *id && names.contains(&name), "{change:?} is told for {name}");
    }
}

/// What a replica does: it reads everything, then what changes say.
struct Follower {
    catalogs: Arc<dyn Catalogs>,
    seen: u64,
    known: BTreeMap<String, BTreeMap<String, Item>>,
    popular: BTreeMap<String, Vec<Popular>>,
}

impl Follower {
    async fn follow(&mut self, limit: usize) {
        while let Some(changes) = self.catalogs.changes_since(self.seen, limit).await.unwrap() {
            if changes.is_empty() {
                return;
            }
            for change in changes {
                assert_eq!(change.number, self.seen + 1);
                self.apply(&change.catalog, &change.what).await;
                self.seen = change.number;
            }
        }
        panic!("changes after {} are gone", self.seen);
    }

    async fn apply(&mut self, id: &str, what: &Changed) {
        match what {
            Changed::Definition => {
                let there = self.catalogs.catalogs().await.unwrap().iter().any(|c| c.id == id);
                let items = if there { all_items(&*self.catalogs, id, 5).await } else { Vec::new() };
                self.known.insert(id.into(), items.into_iter().map(|i| (i.id.clone(), i)).collect());
                self.popular.insert(id.into(), self.catalogs.popular(id).await.unwrap());
            }
            Changed::Items(ids) => {
                let known = self.known.entry(id.into()).or_default();
                for (name, found) in ids.iter().zip(self.catalogs.items(id, ids).await.unwrap()) {
                    match found {
                        Some(item) => known.insert(name.clone(), item),
                        None => known.remove(name),
                    };
                }
            }
            Changed::Popular => {
                self.popular.insert(id.into(), self.catalogs.popular(id).await.unwrap());
            }
        }
    }
}

/// One of several writers, that does as it likes.
async fn any_change(catalogs: &dyn Catalogs, numbers: &mut Numbers) {
    let id = numbers.pick(&["c0", "c1"]);
    let name = |numbers: &mut Numbers| format!("i{}", numbers.below(12));
    let done = match numbers.below(20) {
        0 => catalogs.remove_catalog(id).await.map(|_| ()),
        1 | 2 => catalogs.put_catalog(&catalog(id, 2)).await.map(|_| ()),
        3 | 4 => {
            let popular = vec![Popular { id: name(numbers), score: 1.0 / 3.0 }; numbers.below(3)];
            catalogs.put_popular(id, &popular).await.map(|_| ())
        }
        5..9 => {
            let gone: BTreeSet<String> = (0..1 + numbers.below(3)).map(|_| name(numbers)).collect();
            catalogs.remove_items(id, &gone.into_iter().collect::<Vec<_>>()).await.map(|_| ())
        }
        _ => {
            let names: BTreeSet<String> = (0..1 + numbers.below(4)).map(|_| name(numbers)).collect();
            let mark = f32::from(u16::try_from(numbers.below(60_000)).unwrap());
            let items: Vec<_> = names.iter().map(|name| item(name, mark)).collect();
            catalogs.put_items(id, &items).await.map(|_| ())
        }
    };
    // The catalog was removed meanwhile, or removed and made again.
    assert!(matches!(done, Ok(()) | Err(StoreError::Missing(_) | StoreError::Conflict(_))), "{done:?}");
}

/// Several writers do as they like; once they are done, whoever followed has what is there.
pub async fn followers_converge<P: Place>(place: P) {
    let handles = two(&place).await;
    for seed in 0..3_u64 {
        let writers: Vec<_> = (0..4_u64)
            .map(|writer| {
                let catalogs = handles[usize::from(writer % 2 == 1)].clone();
                let mut numbers = Numbers(seed * 100 + writer);
                tokio::spawn(async move {
                    for _ in 0..40 {
                        any_change(&*catalogs, &mut numbers).await;
                    }
                })
            })
            .collect();
        let catalogs = handles[0].clone();
        let mut follower = Follower { catalogs, seen: 0, known: BTreeMap::new(), popular: BTreeMap::new() };
        while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
            soon(follower.follow(3)).await;
            tokio::task::yield_now().await;
        }
        for writer in writers {
            soon(writer).await.unwrap();
        }
        soon(follower.follow(100)).await;
        assert_eq!(follower.seen, handles[1].last_change().await.unwrap());
        for id in ["c0", "c1"] {
            let there = all_items(&*handles[1], id, 1_000).await;
            let known: Vec<Item> = follower.known.remove(id).unwrap_or_default().into_values().collect();
            let by_id: BTreeMap<String, Item> = there.into_iter().map(|i| (i.id.clone(), i)).collect();
            assert_eq!(known, by_id.into_values().collect::<Vec<_>>(), "seed {seed}, catalog {id}");
            let popular = follower.popular.remove(id).unwrap_or_default();
            assert_eq!(popular, handles[1].popular(id).await.unwrap(), "seed {seed}, catalog {id}");
        }
    }
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
    assert_eq!(catalogs.items("c000", &ids(["a"])).await.unwrap(), [Some(three)]);
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

/// Whoever waits for a change is told, whether it comes before or while it waits; and not left alone without one.
pub async fn waiting_for_changes<P: Place>(place: P) {
    let handles = two(&place).await;
    for n in 0..10 {
        let waiting = handles[1].clone();
        let told = tokio::spawn(async move {
            while waiting.last_change().await.unwrap() <= n {
                waiting.changed(n).await;
            }
        });
        handles[0].put_catalog(&catalog("c", 2)).await.unwrap();
        soon(told).await.unwrap();
    }
    soon(handles[0].changed(1_000)).await;
}

/// Whoever gives up in the middle of putting has put all, some or nothing; what is there gets noted.
pub async fn abandoned_puts_are_noted(place: impl Place) {
    use futures::FutureExt;
    let catalogs = place.open().await.catalogs;
    catalogs.put_catalog(&catalog("c", 2)).await.unwrap();
    for n in 0..20_u16 {
        let name = format!("i{n}");
        let abandoned = [item(&name, f32::from(n))];
        let _ = catalogs.put_items("c", &abandoned).now_or_never();
        let last = catalogs.put_items("c", &[item("other", 0.0)]).await.unwrap();
        let noted = catalogs.changes_since(0, 1_000).await.unwrap().unwrap();
        assert!(noted.iter().any(|c| c.number == last));
    }
    let mut follower = Follower { catalogs, seen: 0, known: BTreeMap::new(), popular: BTreeMap::new() };
    soon(async {
        loop {
            follower.follow(10).await;
            let there = all_items(&*follower.catalogs, "c", 100).await;
            let known = &follower.known["c"];
            if there.len() == known.len() && there.iter().all(|item| known.get(&item.id) == Some(item)) {
                break;
            }
            // What was abandoned is on its way still, and its change behind it.
            follower.catalogs.changed(follower.seen).await;
        }
    })
    .await;
}
