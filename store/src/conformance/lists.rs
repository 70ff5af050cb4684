//! Lists made ahead: read with the views they were made of, and the walk over all visitors.

use super::{Place, moment};
use crate::{NewList, StoredList, Stores, View, Visit, Visitor, stamp};
use recommend::MadeAhead;
use std::collections::BTreeSet;

async fn view(stores: &Stores, user: &str, item: &str, ms: i64) {
    stores.views.append(&[View { user: user.into(), item: item.into(), at: moment(ms) }]).await.unwrap();
}

fn list(user: &str, catalog: &str, ms: i64, item: &str) -> NewList {
    let items = vec![(item.into(), 0.1), ("靴".into(), -0.5)];
    let made = MadeAhead { items, history: 2, floor: f32::NEG_INFINITY };
    let list = StoredList { made_at: moment(ms), stamp: u64::MAX, change: 7, made };
    NewList { visitor: Visitor::of(user), catalog: catalog.into(), list }
}

/// A list comes back whole, with the views as they are read without it; others' are others'.
pub async fn read_with_the_views(place: impl Place) {
    let stores = place.open().await;
    assert_eq!(stores.lists.visit(&Visitor::of("u"), "shop").await.unwrap(), Visit::default());
    view(&stores, "u", "a", 1).await;
    view(&stores, "u", "b", 2).await;
    view(&stores, "u", "a", 3).await;
    let seen = stores.views.recent("u", usize::MAX).await.unwrap();
    let visit = stores.lists.visit(&Visitor::of("u"), "shop").await.unwrap();
    assert_eq!((&visit.seen, visit.list), (&seen, None));
    let lists = [list("u", "shop", 5, "s"), list("u", "shop-2", 5, "t"), list("v", "shop", 5, "x")];
    stores.lists.put_lists(&lists).await.unwrap();
    stores.lists.put_lists(&[]).await.unwrap();
    drop(stores);
    let stores = place.open().await;
    for new in &lists {
        let visit = stores.lists.visit(&new.visitor, &new.catalog).await.unwrap();
        let expected = if new.visitor == Visitor::of("u") { seen.clone() } else { vec![] };
        assert_eq!(visit, Visit { seen: expected, list: Some(new.list.clone()) });
    }
    assert_eq!(stores.lists.visit(&Visitor::of("u"), "sho").await.unwrap().list, None);
    // A view changes the stamp, a list changes no view.
    view(&stores, "u", "c", 0).await;
    let later = stores.lists.visit(&Visitor::of("u"), "shop").await.unwrap().seen;
    assert_eq!(later, stores.views.recent("u", usize::MAX).await.unwrap());
    assert_ne!(stamp(&later), stamp(&seen));
}

/// Whichever is written last, the list of the later views is read.
pub async fn the_list_of_the_later_views_stays(place: impl Place) {
    let lists = place.open().await.lists;
    let of = async || lists.visit(&Visitor::of("u"), "shop").await.unwrap().list.unwrap().made.items[0].0.to_string();
    for (ms, item, stands) in [(5, "five", "five"), (4, "four", "five"), (6, "six", "six"), (6, "again", "again")] {
        lists.put_lists(&[list("u", "shop", ms, item)]).await.unwrap();
        assert_eq!(of().await, stands);
    }
}

/// Page by page everybody is met once, with what they looked at, and without those who did long ago.
pub async fn everybody_is_walked_over(place: impl Place) {
    const MANY: i64 = 120;
    let stores = place.open().await;
    assert_eq!(stores.lists.visitors(None, moment(0), 10).await.unwrap().visitors, []);
    for n in 0..MANY {
        let user = format!("u{n}");
        view(&stores, &user, "a", n).await;
        view(&stores, &user, "b", n - 1_000).await;
    }
    // Who has a list alone is nobody who looked at something.
    stores.lists.put_lists(&[list("nobody", "shop", 1, "x"), list("u7", "shop", 1, "x")]).await.unwrap();
    for limit in [0, 1, 7, 119, 120, 500] {
        let (mut met, mut after, mut calls) = (BTreeSet::new(), None, 0);
        loop {
            let page = stores.lists.visitors(after.as_ref(), moment(100), limit).await.unwrap();
            calls += 1;
            for (visitor, seen) in page.visitors {
                assert!(after.is_none_or(|after| after < visitor) && met.insert(visitor));
                assert_eq!(stores.lists.visit(&visitor, "shop").await.unwrap().seen, seen);
            }
            let Some(next) = page.next else { break };
            assert!(after.is_none_or(|after| after < next) && next.to_string().parse::<Visitor>().unwrap() == next);
            after = Some(next);
        }
        let expected: BTreeSet<Visitor> = (100..MANY).map(|n| Visitor::of(&format!("u{n}"))).collect();
        assert_eq!(met, expected, "{limit} at a time");
        assert!(calls <= 122 / limit.max(1) + 2, "{calls} calls for {limit} at a time");
    }
    assert!("xyz".parse::<Visitor>().is_err());
}

/// A visitor who is forgotten has no list either.
pub async fn forgotten_with_the_views(place: impl Place) {
    let stores = place.open().await;
    view(&stores, "u", "a", 1).await;
    stores.lists.put_lists(&[list("u", "shop", 5, "s"), list("v", "shop", 5, "x")]).await.unwrap();
    stores.views.forget_views("u").await.unwrap();
    assert_eq!(stores.lists.visit(&Visitor::of("u"), "shop").await.unwrap(), Visit::default());
    assert!(stores.lists.visit(&Visitor::of("v"), "shop").await.unwrap().list.is_some());
}
