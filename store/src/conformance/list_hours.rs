//! Lists by hour: what processes say last, summed; maps.

use super::{Place, moment};
use crate::{CatalogMap, ListHour};
use bandit::hour_of;
use jiff::civil::date;
use recommend::{Distinct, Projection};

const WIDE: std::ops::Range<i64> = i64::MIN / 2..i64::MAX / 2;

fn hour(catalog: &str, hour: i64, lists: u64, shown: &[&str], items: usize) -> ListHour {
    let mut map = Distinct::for_at_most(items);
    shown.iter().for_each(|id| map.add(id));
    ListHour {
        catalog: catalog.into(),
        hour,
        lists,
        from_history: lists / 2,
        items: 7 * lists,
        measured: lists - 1,
        distance: 0.25 * f64::from(u32::try_from(lists).unwrap()),
        dated: 3,
        fresh: 1,
        age_seconds: 0.1,
        shown: map,
    }
}

/// A process replaces what it said of an hour; what several say is added, and items that several showed count once. Names
/// may hold anything.
pub async fn counts_are_replaced_and_summed(place: impl Place) {
    let stores = place.open().await;
    let all = &*stores.list_hours;
    let odd = "靴 '\"<b>\u{202e}";
    assert_eq!(all.list_hours(None, WIDE).await.unwrap(), []);
    all.keep_list_hours("one", &[]).await.unwrap();
    all.keep_list_hours("one", &[hour(odd, 7, 2, &["a"], 10), hour("B", 7, 2, &["a"], 10)]).await.unwrap();
    all.keep_list_hours("one", &[hour(odd, 7, 4, &["a", "b"], 10), hour(odd, -1, 2, &[], 10)]).await.unwrap();
    all.keep_list_hours("two'", &[hour(odd, 7, 6, &["b", "c"], 20_000)]).await.unwrap();
    drop(stores);
    let stores = place.open().await;
    let all = &*stores.list_hours;
    let both = ListHour {
        from_history: 5,
        measured: 8,
        dated: 6,
        fresh: 2,
        age_seconds: 0.2,
        ..hour(odd, 7, 10, &["a", "b", "c"], 10)
    };
    let expected = [hour("B", 7, 2, &["a"], 10), hour(odd, -1, 2, &[], 10), both];
    assert_eq!(all.list_hours(None, WIDE).await.unwrap(), expected);
    assert_eq!(all.list_hours(Some(odd), 7..8).await.unwrap(), expected[2..]);
    assert_eq!(all.list_hours(Some(odd), 0..7).await.unwrap(), []);
    assert_eq!(all.list_hours(Some("b"), WIDE).await.unwrap(), [], "names are exact");
}

/// Hours go with the decisions of their day.
pub async fn forgotten_with_the_past(place: impl Place) {
    let stores = place.open().await;
    let midnight = hour_of("2026-11-21T00:00:00Z".parse().unwrap());
    let hours = [hour("c", midnight - 1, 2, &["a"], 10), hour("c", midnight, 2, &["a"], 10)];
    stores.list_hours.keep_list_hours("r", &hours).await.unwrap();
    stores.outcomes.forget(date(2026, 11, 21)).await.unwrap();
    assert_eq!(stores.list_hours.list_hours(Some("c"), WIDE).await.unwrap(), hours[1..]);
}

/// A catalog has one map, the last, to the last digit.
pub async fn maps_are_kept_and_replaced(place: impl Place) {
    let stores = place.open().await;
    let all = &*stores.list_hours;
    let map = |change: u64, x: f32| CatalogMap {
        at: moment(5),
        change,
        projection: Projection::of(&[vec![x, 0.1], vec![0.3, f32::MIN_POSITIVE], vec![1e-7, 1.0]]).unwrap(),
    };
    assert_eq!((all.map("c'").await.unwrap(), all.mapped().await.unwrap()), (None, vec![]));
    for map in [map(1, 0.5), map(u64::MAX / 2, 0.7)] {
        all.keep_map("c'", Some(&map)).await.unwrap();
        assert_eq!(all.map("c'").await.unwrap(), Some(map));
    }
    all.keep_map("b", Some(&map(3, 0.1))).await.unwrap();
    assert_eq!(all.mapped().await.unwrap(), ["b", "c'"]);
    all.keep_map("b", None).await.unwrap();
    all.keep_map("b", None).await.unwrap();
    assert_eq!((all.mapped().await.unwrap(), all.map("b").await.unwrap()), (vec!["c'".to_owned()], None));
}
