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
