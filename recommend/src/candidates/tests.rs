use super::*;
use crate::Metric;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn catalog(dimension: usize) -> CatalogDefinition {
    serde_json::from_value(serde_json::json!({"dimension": dimension, "diversity": 0})).unwrap()
}

fn item(id: &str, vector: &[f32], tags: &[&str], expires: Option<i64>) -> Item {
    let payload = serde_json::value::RawValue::from_string(format!("{{\"of\": \"{id}\"}}")).unwrap();
    Item {
        id: id.into(),
        vector: vector.into(),
        tags: tags.iter().map(ToString::to_string).collect(),
        expires_at: expires.map(later),
        payload: Some(payload),
        added_at: None,
        text: None,
    }
}

fn wanted(k: usize) -> Wanted<'static> {
    Wanted { k, diversity: None, max_per_tag: None, tags: &[], exclude: &[], alike: false, now: now() }
}

fn ids(list: &[Candidate]) -> Vec<&str> {
    list.iter().map(|c| &*c.id).collect()
}

fn shop() -> Candidates {
    let shop = Candidates::new(catalog(2));
    for (id, vector, tags, expires) in [
        ("red", [1.0, 0.0], &["warm", "s1"][..], None),
        ("orange", [0.9, 0.3], &["warm", "s2"], None),
        ("green", [0.3, 0.9], &["cold", "s1"], None),
        ("blue", [0.0, 1.0], &["cold", "s2"], Some(10)),
    ] {
        shop.put(&item(id, &vector, tags, expires), now());
    }
    shop
}

#[test]
fn lists_follow_what_was_looked_at() {
    let shop = shop();
    let list = shop.for_visitor(&[("red", 1.0)], &wanted(10));
    assert_eq!((ids(&list.items), list.source, list.history), (vec!["orange", "green", "blue"], Source::History, 1));
    assert_eq!(list.items[0].payload.as_ref().unwrap().get(), r#"{"of": "orange"}"#);
    let list = shop.for_visitor(&[("nowhere", 1.0)], &wanted(2));
    assert_eq!((ids(&list.items), list.source, list.history), (vec!["blue", "green"], Source::Popular, 0));
}

#[test]
fn filters_hold_together() {
    let shop = shop();
    let (tags, exclude) = (["s2".to_owned(), "never".to_owned()], ["blue".to_owned()]);
    let near = |wanted: Wanted<'_>| ids(&shop.near(&[1.0, 0.1], &wanted)).join(" ");
    assert_eq!(near(Wanted { tags: &tags, ..wanted(10) }), "orange blue");
    assert_eq!(near(Wanted { tags: &tags[1..], ..wanted(10) }), "");
    assert_eq!(near(Wanted { exclude: &exclude, ..wanted(10) }), "red orange green");
    assert_eq!(near(Wanted { now: later(9), ..wanted(10) }), "red orange green blue");
    assert_eq!(near(Wanted { now: later(10), ..wanted(10) }), "red orange green");
    assert_eq!(near(wanted(0)), "");
}

#[test]
fn related_leaves_itself_out_and_outlives_its_item() {
    let shop = shop();
    assert_eq!(ids(&shop.related("red", &wanted(2)).unwrap()), ["orange", "green"]);
    shop.remove("red");
    assert_eq!(ids(&shop.related("red", &wanted(2)).unwrap()), ["orange", "green"]);
    assert!(shop.related("never", &wanted(2)).is_none());
    // Who looked at it still likes what is near.
    assert_eq!(shop.for_visitor(&[("red", 1.0)], &wanted(1)).history, 1);
}

#[test]
fn popular_comes_first_and_the_newest_fill_up() {
    let shop = shop();
    shop.set_popular(vec![("gone".into(), 9.0), ("orange".into(), 5.0), ("red".into(), 2.0)]);
    let list = shop.for_visitor(&[], &wanted(3));
    assert_eq!(ids(&list.items), ["orange", "red", "blue"]);
    assert_eq!(list.items.iter().map(|c| c.score).collect::<Vec<_>>(), [5.0, 2.0, 0.0]);
    assert_eq!(ids(&shop.for_visitor(&[], &Wanted { now: later(11), ..wanted(9) }).items), ["orange", "red", "green"]);
}

#[test]
fn copies_of_the_same_do_not_crowd_out_the_rest() {
    let shop = shop();
    for n in 0..3_000 {
        shop.put(&item(&format!("copy{n}"), &[1.0, 0.0001], &[], None), now());
    }
    let list = shop.for_visitor(&[("red", 1.0)], &wanted(3));
    assert_eq!((list.items[0].id.starts_with("copy"), ids(&list.items[1..])), (true, vec!["orange", "green"]));
    let all = shop.near(&[1.0, 0.0], &Wanted { alike: true, ..wanted(100) });
    assert_eq!(all.len(), 100);
}

#[test]
fn rare_tags_are_shown_to_who_is_new_newest_first() {
    let shop = shop();
    let list = |tags: &[&str]| {
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        ids(&shop.for_visitor(&[], &Wanted { tags: &tags, ..wanted(9) }).items).join(" ")
    };
    assert_eq!(list(&["s1"]), "green red");
    assert_eq!(list(&["s1", "cold", "s1", "s1"]), "blue green red");
    assert_eq!(list(&["none"]), "");
    shop.set_popular(vec![("blue".into(), 2.0), ("red".into(), 1.0)]);
    assert_eq!(list(&["s1"]), "red green");
}

#[test]
fn swept_items_give_their_memory_back() {
    let shop = Candidates::new(catalog(2));
    for n in 0..1_000i64 {
        shop.put(&item(&n.to_string(), &[1.0, 0.0], &[&format!("t{n}")], Some(1 + n % 10)), now());
    }
    assert_eq!(shop.sweep(later(5)), 500);
    assert_eq!(shop.len(), 500);
    assert_eq!(shop.sweep(later(10)), 500);
    assert!(shop.is_empty());
    let state = shop.read();
    assert_eq!(state.entries.bytes(), 0);
    assert!(state.index.memory().total() < 100);
}

#[test]
fn a_snapshot_is_read_back_as_it_was() {
    let shop = shop();
    shop.put(&Item { payload: None, ..item("plain 椅子", &[-1.0, 0.5], &["a\"b"], None) }, now());
    let mut bytes = Vec::new();
    shop.write_snapshot(&mut bytes).unwrap();
    let read = |bytes: &[u8]| Candidates::read_snapshot(shop.definition().clone(), &mut &*bytes);
    let again = read(&bytes).unwrap();
    let lists = |c: &Candidates, now| -> Vec<(String, f64, Option<String>)> {
        let tags = ["cold".to_owned(), "warm".to_owned(), "a\"b".to_owned()];
        let list = c.near(&[1.0, 0.3], &Wanted { now, tags: &tags, ..wanted(10) });
        list.into_iter().map(|c| (c.id.to_string(), c.score, c.payload.map(|p| p.get().to_owned()))).collect()
    };
    assert_eq!((lists(&again, now()), lists(&again, later(11))), (lists(&shop, now()), lists(&shop, later(11))));
    assert_eq!(lists(&again, now()).len(), 5);
    assert_eq!(again.sweep(later(11)), 1);
    // Cut off or changed anywhere, it is not believed; a changed length or checksum is a change.
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "{end} bytes");
    }
    for at in 0..bytes.len() - 8 {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        assert!(read(&changed).is_err(), "byte {at}");
    }
}

/// Whole parts, and none at all: what follows in the same file is read from its beginning.
#[test]
fn a_snapshot_ends_where_the_next_begins() {
    for count in [0, 1, 499, 500, 501, 1_000] {
        let shop = Candidates::new(catalog(2));
        for n in 0..count {
            shop.put(&item(&n.to_string(), &[1.0, 0.5], &[], None), now());
        }
        let mut bytes = Vec::new();
        shop.write_snapshot(&mut bytes).unwrap();
        bytes.push(7);
        let mut rest = &bytes[..];
        let again = Candidates::read_snapshot(shop.definition().clone(), &mut rest).unwrap();
        assert_eq!((again.len(), rest), (count, &[7][..]));
    }
}

/// What a catalog should be.
type Model = BTreeMap<u8, (Vec<f32>, BTreeSet<u8>, Option<i64>)>;

proptest! {
    /// Whatever was put and removed, in whatever order, lists are those of the items that stand.
    #[test]
    fn any_history_of_changes_ends_in_what_stands(
        changes in prop::collection::vec((0u8..12, prop::option::of((prop::array::uniform3(-3i8..4), prop::collection::btree_set(0u8..4, 0..3), prop::option::of(-5i64..30)))), 1..80),
        tag in prop::option::of(0u8..5), at in 0i64..30, sweep in any::<bool>(),
    ) {
        let candidates = Candidates::new(CatalogDefinition { metric: Metric::InnerProduct, ..catalog(3) });
        let mut model = Model::new();
        for (id, change) in changes {
            match change {
                Some((vector, tags, expires)) => {
                    let vector = vector.map(f32::from);
                    let names: Vec<String> = tags.iter().map(ToString::to_string).collect();
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    candidates.put(&item(&id.to_string(), &vector, &names, expires), now());
                    model.remove(&id);
                    if expires.is_none_or(|at| at > 0) {
                        model.insert(id, (vector.to_vec(), tags, expires));
                    }
                }
                None => prop_assert_eq!(candidates.remove(&id.to_string()), model.remove(&id).is_some()),
            }
        }
        if sweep {
            candidates.sweep(later(at));
        }
        let query = [2.0, -1.0, 0.5];
        let tags: Vec<String> = tag.iter().map(ToString::to_string).collect();
        let list = candidates.near(&query, &Wanted { tags: &tags, alike: true, now: later(at), ..wanted(50) });
        let mut expected: Vec<(f64, String)> = model
            .iter()
            .filter(|(_, (_, tags, expires))| {
                expires.is_none_or(|e| e > at) && tag.is_none_or(|tag| tags.contains(&tag))
            })
            .map(|(id, (v, ..))| (v.iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(b)).sum(), id.to_string()))
            .collect();
        let mut found: Vec<(f64, String)> = list.iter().map(|c| (c.score, c.id.to_string())).collect();
        prop_assert!(found.is_sorted_by(|a, b| a.0 >= b.0));
        expected.sort_by(|a, b| a.1.cmp(&b.1));
        found.sort_by(|a, b| a.1.cmp(&b.1));
        prop_assert_eq!(found, expected);
    }
}

/// Item `n` of a crowd, somewhere on a plane of whole numbers.
fn one_of_many(n: usize, at: i32) -> Item {
    let (x, y) = ((n * 37 + 11) % 101, (n * 53) % 97);
    item(&format!("i{n}"), &[x as f32 - 50.0, y as f32 - 48.0, at as f32], &[], None)
}

fn crowd(metric: Metric, diversity: f64) -> Candidates {
    let crowd = Candidates::new(CatalogDefinition { metric, diversity, ..catalog(3) });
    (0..400).for_each(|n| crowd.put(&one_of_many(n, n as i32 % 13 - 6), now()));
    crowd.begin_notes(10);
    crowd
}

#[test]
fn lists_made_ahead_are_those_that_would_be_made() {
    for (metric, diversity) in [(Metric::Cosine, 0.0), (Metric::Cosine, 0.3), (Metric::InnerProduct, 0.7)] {
        let crowd = crowd(metric, diversity);
        let visitors: Vec<Vec<(String, f64)>> =
            (0..40).map(|v| (0..v % 7).map(|n| (format!("i{}", (v * 31 + n * 7) % 430), n as f64)).collect()).collect();
        let seen: Vec<Vec<(&str, f64)>> =
            visitors.iter().map(|seen| seen.iter().map(|(id, age)| (id.as_str(), *age)).collect()).collect();
        let made = crowd.for_visitors(&seen, now());
        for (seen, made) in seen.iter().zip(&made) {
            let usual = crowd.for_visitor(seen, &wanted(LISTED_AHEAD));
            let Some(made) = made else {
                assert_eq!(usual.source, Source::Popular, "{seen:?}");
                continue;
            };
            for k in [1, 10, LISTED_AHEAD] {
                let Some(list) = crowd.recall(made, 10, seen, &wanted(k)) else {
                    assert!(made.items.len() < k, "near-duplicates of what was chosen are left out: {seen:?}");
                    continue;
                };
                let usual = crowd.for_visitor(seen, &wanted(k));
                let told = |list: &List| list.items.iter().map(|c| (c.id.clone(), c.score)).collect::<Vec<_>>();
                assert_eq!((told(&list), list.history), (told(&usual), usual.history), "{seen:?}");
                assert_eq!(list.source, Source::Precomputed);
            }
            // What they are not made for is made anew.
            let tags = ["warm".to_owned()];
            for other in [
                Wanted { k: LISTED_AHEAD + 1, ..wanted(1) },
                Wanted { diversity: Some(0.9), ..wanted(1) },
                Wanted { max_per_tag: Some(1), ..wanted(1) },
                Wanted { tags: &tags, ..wanted(1) },
                Wanted { exclude: &tags, ..wanted(1) },
                Wanted { alike: true, ..wanted(1) },
            ] {
                assert!(crowd.recall(made, 10, seen, &other).is_none());
            }
            assert!(crowd.recall(made, 9, seen, &wanted(1)).is_none(), "nothing is known of so long ago");
        }
    }
}

#[test]
fn what_ended_since_is_left_out_of_a_list_made_ahead() {
    let crowd = crowd(Metric::Cosine, 0.0);
    let seen = vec![("i3", 1.0)];
    let made = crowd.for_visitors(std::slice::from_ref(&seen), now()).remove(0).unwrap();
    let first = made.items[0].0.clone();
    crowd.remove(&first);
    let list = crowd.recall(&made, 10, &seen, &wanted(10)).unwrap();
    let expected: Vec<&str> = made.items[1..11].iter().map(|(id, _)| &**id).collect();
    assert_eq!(ids(&list.items), expected);
    assert!(crowd.recall(&made, 10, &seen, &wanted(LISTED_AHEAD)).is_none(), "one is missing");
    // What expires is there until its moment, and not from then on.
    let second = made.items[1].0.to_string();
    let n: usize = second[1..].parse().unwrap();
    crowd.put(&Item { expires_at: Some(later(5)), ..one_of_many(n, n as i32 % 13 - 6) }, now());
    assert_eq!(ids(&crowd.recall(&made, 10, &seen, &wanted(10)).unwrap().items)[0], second);
    let then = Wanted { now: later(5), ..wanted(10) };
    assert!(!ids(&crowd.recall(&made, 10, &seen, &then).unwrap().items).contains(&second.as_str()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was put since: a list that is recalled is the one that would be made.
    #[test]
    fn no_list_lacks_what_came_since(
        puts in proptest::collection::vec((0_usize..460, -6_i32..7), 0..12),
        diversity in prop_oneof![Just(0.0), Just(0.3), Just(1.0)],
        viewed in proptest::collection::vec(0_usize..430, 1..5), k in 1_usize..30, inner in any::<bool>(),
    ) {
        let crowd = crowd(if inner { Metric::InnerProduct } else { Metric::Cosine }, diversity);
        let viewed: Vec<String> = viewed.iter().map(|n| format!("i{n}")).collect();
        let seen: Vec<(&str, f64)> = viewed.iter().map(|id| (id.as_str(), 1.0)).collect();
        let made = crowd.for_visitors(std::slice::from_ref(&seen), now()).remove(0);
        for (number, (n, at)) in (11..).zip(puts) {
            let item = one_of_many(n, at);
            crowd.note(number, &item.id);
            crowd.put(&item, now());
        }
        if let Some(list) = made.and_then(|made| crowd.recall(&made, 10, &seen, &wanted(k))) {
            let usual = crowd.for_visitor(&seen, &wanted(k));
            prop_assert_eq!(ids(&list.items), ids(&usual.items));
        }
    }
}

/// Under the inner product a large pool is not copied, unless products of its vectors would leave single precision; lists are
/// those of directions all the same.
#[test]
fn directions_are_not_copied() {
    let definition = serde_json::json!({"dimension": 2, "metric": "inner_product", "diversity": 0});
    let shop = Candidates::new(serde_json::from_value(definition).unwrap());
    for (id, vector) in [("near", [3.0, 4.0]), ("large", [3e20, 4e20]), ("none", [0.0, 0.0]), ("small", [3e-20, 4e-20])]
    {
        shop.put(&item(id, &vector, &[], None), now());
    }
    let state = shop.read();
    let scaled = |id: &str| shop.scaled(&state, state.entries.slot(id).unwrap());
    let (vector, scale) = scaled("near");
    assert!(matches!(vector, std::borrow::Cow::Borrowed([3.0, 4.0])) && (scale - 0.2).abs() < 1e-7);
    for id in ["large", "small"] {
        let (vector, scale) = scaled(id);
        assert!((vector[0] - 0.6).abs() < 1e-6 && (vector[1] - 0.8).abs() < 1e-6 && scale == 1.0, "{id} {vector:?}");
    }
    assert_eq!(scaled("none").1, 0.0);
    drop(state);
    // The same direction at any length is the same thing again; what is like nothing is not.
    assert_eq!(ids(&shop.near(&[1.0, 1.0], &wanted(4))), ["large", "none"]);
}
