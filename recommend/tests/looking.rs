//! Looking at a catalog: pages of items, explained lists, and what lists were like, each against its definition.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test fails by panicking")]

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use recommend::{Browse, Candidates, Item, Source, Standing, Wanted};
use serde_json::json;

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn item(n: usize, more: serde_json::Value) -> Item {
    let angle = n as f32 * 0.7;
    let mut item = json!({"id": format!("i{n}"), "vector": [angle.cos(), angle.sin(), (n % 3) as f32 * 0.4]});
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(item).unwrap()
}

fn catalog(definition: serde_json::Value, items: impl IntoIterator<Item = Item>) -> Candidates {
    let catalog = Candidates::new(serde_json::from_value(definition).unwrap());
    items.into_iter().for_each(|item| catalog.put(&item, now()));
    catalog
}

fn wanted(k: usize) -> Wanted<'static> {
    Wanted { k, diversity: None, max_per_tag: None, tags: &[], exclude: &[], alike: false, now: now() }
}

proptest! {
    /// The explanation is of the list that is served: the same items, and the largest value at each place.
    #[test]
    fn what_is_explained_is_what_is_served(
        n in 3_usize..300, k in 1_usize..12, diversity in 0.0..1.0_f64, per_tag in proptest::option::of(1_usize..3),
        seen in proptest::collection::vec(0_usize..320, 0..9), inner in any::<bool>(),
    ) {
        let metric = if inner { "inner_product" } else { "cosine" };
        let definition = json!({"dimension": 3, "metric": metric, "diversity": diversity, "history_length": 5,
            "max_per_tag": per_tag});
        let catalog = catalog(definition, (0..n).map(|i| item(i, json!({"tags": [format!("t{}", i % 4)]}))));
        catalog.remove("i1");
        let names: Vec<String> = seen.iter().map(|i| format!("i{i}")).collect();
        let seen: Vec<(&str, f64)> = names.iter().enumerate().map(|(i, id)| (id.as_str(), i as f64 * 60.0)).collect();
        let served = catalog.for_visitor(&seen, &wanted(k));
        let told = catalog.explain(&seen, &wanted(k), 50);
        let of = |list: &recommend::List| {
            let items: Vec<_> = list.items.iter().map(|c| (c.id.to_string(), c.score.to_bits())).collect();
            (items, list.source, list.history)
        };
        prop_assert_eq!(of(&told.list), of(&served));
        let weights: f64 = told.seen.iter().filter_map(|s| s.weight).sum();
        if served.source == Source::Popular {
            prop_assert!(told.nearest.is_empty() && told.vector.is_none());
            return Ok(());
        }
        prop_assert!((weights - 1.0).abs() < 1e-9, "{weights}");
        prop_assert_eq!(told.seen.iter().filter(|s| s.weight.is_some()).count(), served.history);
        for (seen, (id, _)) in told.seen.iter().zip(&seen) {
            let place: usize = id[1..].parse().unwrap();
            let standing = match place { 1 => Standing::Ended, _ if place < n => Standing::Live, _ => Standing::Unknown };
            prop_assert_eq!(seen.standing, standing, "{}", id);
        }
        let mut listed: Vec<_> = told.nearest.iter().filter(|c| c.place.is_some()).collect();
        listed.sort_by_key(|c| c.place);
        let ids: Vec<_> = listed.iter().map(|c| c.id.to_string()).collect();
        prop_assert_eq!(ids, served.items.iter().map(|c| c.id.to_string()).collect::<Vec<_>>());
        prop_assert!(told.nearest.is_sorted_by_key(|c| c.rank));
        prop_assert!(told.nearest.len() <= 50 + k && told.nearest.len() >= told.pool.min(50));
        for near in &told.nearest {
            let judged = near.judged;
            prop_assert_eq!(judged.similarity.is_none(), near.place == Some(1));
            let alike = recommend::diversity::ALIKE * judged.similarity.unwrap_or(0.0);
            let value = (1.0 - diversity) * judged.relevance - diversity * alike - judged.penalty;
            prop_assert!((judged.value - value).abs() < 1e-9);
        }
        // Who would have been better after the last is taken: lists are only short for want of others.
        if served.items.len() < k {
            prop_assert!(told.nearest.iter().all(|c| c.place.is_some() || c.judged.near_duplicate));
        }
    }

    /// Pages are all that meets the conditions, in order of id, without gap or repeat.
    #[test]
    fn pages_are_all_that_was_asked_for(n in 0_usize..60, limit in 1_usize..9, id in "i?[0-3]?", tag in "(t[0-2]?)?") {
        let items = (0..n).map(|i| item(i, json!({"tags": [format!("t{}", i % 5), "other"],
            "expires_at": if i % 7 == 6 { Some("2026-11-21T10:00:00.001Z") } else { None }})));
        let catalog = catalog(json!({"dimension": 3}), items);
        let later = now() + SignedDuration::from_millis(1);
        let mut expected: Vec<String> = (0..n)
            .filter(|i| i % 7 != 6 && (tag.is_empty() || format!("t{}", i % 5).starts_with(&tag)))
            .map(|i| format!("i{i}"))
            .filter(|name| name.starts_with(&id))
            .collect();
        expected.sort();
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = catalog.browse(&Browse { id: &id, tag: &tag, after: after.as_deref(), limit }, later);
            prop_assert_eq!(page.total, expected.len());
            prop_assert!(page.items.len() <= limit);
            found.extend(page.items.iter().map(|i| i.id.to_string()));
            after = found.last().cloned();
            if !page.more { break }
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn pages_cross_the_bound_of_one_lock() {
    let catalog = catalog(json!({"dimension": 3}), (0..10_000).map(|i| item(i, json!({}))));
    let page = catalog.browse(&Browse { after: Some("i9998"), limit: 5, ..Browse::default() }, now());
    assert_eq!((page.total, page.more, page.items.len()), (10_000, false, 1));
    let page = catalog.browse(&Browse { id: "i99", limit: 5, ..Browse::default() }, now());
    assert_eq!((page.total, page.more, &*page.items[1].id), (111, true, "i990"));
    let sample = catalog.sample(100, now(), |v| Some(v.to_vec()));
    assert_eq!(sample.len(), 100);
    assert!(sample.iter().all(|s| catalog.vector(&s.id).unwrap() == s.place));
    assert!(
        catalog.sample(0, now(), |_| Some(())).len() <= 1
            && catalog.sample(20_000, now(), |_| Some(())).len() == 10_000
    );
}

#[test]
fn lists_are_measured() {
    let at = |text: &str| json!({"added_at": text});
    let catalog = catalog(
        json!({"dimension": 3, "metric": "inner_product"}),
        [item(0, at("2026-11-21T09:00:00Z")), item(3, at("2026-11-20T10:00:00Z")), item(6, json!({}))],
    );
    let ids = ["i0", "i3", "i6", "gone"];
    let measured = catalog.measure(ids.into_iter(), true, now());
    assert_eq!((measured.dated, measured.new), (2, 1), "a day is no longer new");
    assert!((measured.age_seconds - 25.0 * 3600.0).abs() < 1e-6);
    let pairs = [2.1_f64, 4.2, 2.1].map(|angle| 1.0 - angle.cos());
    let mean = pairs.iter().sum::<f64>() / 3.0;
    assert!((measured.distance.unwrap() - mean).abs() < 1e-6, "{measured:?} {mean}");
    assert_eq!(catalog.measure(ids.into_iter(), false, now()).distance, None);
    assert_eq!(catalog.item("i0").unwrap().added_at, catalog.added_at("i0").unwrap());
    assert!(catalog.item("gone").is_none() && catalog.added_at("gone").is_none() && catalog.vector("gone").is_none());
}
