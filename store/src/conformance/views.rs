//! Views: the newest of each item, newest first, of no more than is kept.

use super::{Numbers, Place, moment, soon};
use crate::{Seen, VIEWS_KEPT, View};
use jiff::Timestamp;
use std::collections::BTreeMap;

fn view(user: &str, item: impl Into<String>, ms: i64) -> View {
    View { user: user.into(), item: item.into(), at: moment(ms) }
}

fn seen(item: &str, ms: i64) -> Seen {
    Seen { item: item.into(), at: moment(ms) }
}

/// Newest first, each item once, at most so many, whatever the order they came in.
pub async fn newest_first_each_once(place: impl Place) {
    let stores = place.open().await;
    let views = &stores.views;
    assert_eq!(views.recent("u", 10).await.unwrap(), []);
    views.append(&[]).await.unwrap();
    views.append(&[view("u", "a", 1), view("v", "x", 9), view("u", "b", 2)]).await.unwrap();
    assert_eq!(views.recent("u", 10).await.unwrap(), [seen("b", 2), seen("a", 1)]);
    views.append(&[view("u", "a", 3)]).await.unwrap();
    let newest = [seen("a", 3), seen("b", 2)];
    assert_eq!(views.recent("u", 10).await.unwrap(), newest);
    // Late, and again.
    views.append(&[view("u", "a", 0), view("u", "b", 1), view("u", "a", 3)]).await.unwrap();
    assert_eq!(views.recent("u", 10).await.unwrap(), newest);
    assert_eq!(views.recent("u", 1).await.unwrap(), newest[..1]);
    assert_eq!(views.recent("u", 0).await.unwrap(), []);
    assert_eq!(views.recent("v", 10).await.unwrap(), [seen("x", 9)]);
    drop(stores);
    assert_eq!(place.open().await.views.recent("u", 10).await.unwrap(), newest);
}

/// At one moment in order of item; moments are kept to the millisecond, before 1970 as well.
pub async fn at_one_moment_in_order_of_item(place: impl Place) {
    let views = place.open().await.views;
    let names = ["靴", "b", "a ", "a", "🎲"];
    views.append(&names.map(|name| view("u", name, 5))).await.unwrap();
    let found: Vec<String> = views.recent("u", 10).await.unwrap().into_iter().map(|s| s.item).collect();
    assert_eq!(found, ["a", "a ", "b", "靴", "🎲"]);
    let finer = |nanosecond: i128| View { at: Timestamp::from_nanosecond(nanosecond).unwrap(), ..view("w", "a", 0) };
    let (old, odd) = (finer(-86_400_000_000_000), finer(1_795_255_200_000_999_999));
    views.append(&[odd, old, View { item: "b".into(), ..finer(-1_000_000) }]).await.unwrap();
    let found: Vec<_> = views.recent("w", 10).await.unwrap().into_iter().map(|s| (s.item, s.at)).collect();
    let expected = [("a".to_owned(), moment(0)), ("b".to_owned(), Timestamp::from_millisecond(-1).unwrap())];
    assert_eq!(found, expected);
}

/// Visitors of any name are apart.
pub async fn visitors_are_apart(place: impl Place) {
    let views = place.open().await.views;
    let long = "é".repeat(128);
    let users = ["a", "a ", "", "靴", "🎲/%2F", &long, "a\u{301}", "á"];
    for (n, user) in (0..).zip(users) {
        views.append(&[view(user, format!("i{n}"), n)]).await.unwrap();
    }
    for (n, user) in (0..).zip(users) {
        assert_eq!(views.recent(user, 10).await.unwrap(), [seen(&format!("i{n}"), n)], "{user}");
    }
}

/// Of very many views the newest are found, and no older ones.
pub async fn very_many_stay_bounded(place: impl Place) {
    const MANY: i64 = 10_000;
    let views = place.open().await.views;
    let mut all: Vec<View> = (0..MANY).map(|n| view("u", format!("i{n}"), n)).collect();
    Numbers(1).shuffle(&mut all);
    for batch in all.chunks(500) {
        views.append(batch).await.unwrap();
    }
    let newest: Vec<Seen> = (0..MANY).rev().take(VIEWS_KEPT).map(|n| seen(&format!("i{n}"), n)).collect();
    assert_eq!(views.recent("u", usize::MAX).await.unwrap(), newest);
    assert_eq!(views.recent("u", 50).await.unwrap(), newest[..50]);
    // An item's newest view counts, and one beyond what is kept is none.
    views.append(&[view("u", "i3", MANY)]).await.unwrap();
    assert_eq!(views.recent("u", 1).await.unwrap(), [seen("i3", MANY)]);
    views.append(&[view("u", "too old", -1)]).await.unwrap();
    let found = views.recent("u", usize::MAX).await.unwrap();
    assert!(found.len() == VIEWS_KEPT && found.iter().all(|s| s.item != "too old"));
}

/// One visitor is forgotten, others are not; and may come again.
pub async fn forgotten(place: impl Place) {
    let views = place.open().await.views;
    views.forget_views("nobody").await.unwrap();
    for n in 0..300 {
        views.append(&[view("u", format!("i{n}"), n), view("v", "a", n)]).await.unwrap();
    }
    soon(views.forget_views("u")).await.unwrap();
    assert_eq!(views.recent("u", 10).await.unwrap(), []);
    assert_eq!(views.recent("v", 10).await.unwrap(), [seen("a", 299)]);
    views.append(&[view("u", "b", 1)]).await.unwrap();
    assert_eq!(views.recent("u", 10).await.unwrap(), [seen("b", 1)]);
}

/// Appends beside each other are all kept, and whoever appended finds its own.
pub async fn appended_beside_each_other(place: impl Place) {
    const TASKS: i64 = 8;
    const EACH: i64 = 25;
    let views = place.open().await.views;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let views = views.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    let name = format!("i{task}-{}", n % 10);
                    let at = n * TASKS + task;
                    views.append(&[view("u", name.clone(), at), view(&format!("u{task}"), "mine", n)]).await.unwrap();
                    let found = views.recent("u", usize::MAX).await.unwrap();
                    assert!(found.contains(&seen(&name, at)), "visible when it is safe");
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
    let mut newest = BTreeMap::new();
    for (task, n) in (0..TASKS).flat_map(|task| (0..EACH).map(move |n| (task, n))) {
        newest.insert(format!("i{task}-{}", n % 10), n * TASKS + task);
    }
    let found: BTreeMap<_, _> =
        views.recent("u", usize::MAX).await.unwrap().into_iter().map(|s| (s.item, s.at)).collect();
    assert_eq!(found, newest.into_iter().map(|(item, ms)| (item, moment(ms))).collect());
    for task in 0..TASKS {
        assert_eq!(views.recent(&format!("u{task}"), 5).await.unwrap(), [seen("mine", EACH - 1)]);
    }
}
