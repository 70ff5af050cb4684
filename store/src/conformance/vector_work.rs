//! Items that wait for vectors.

use super::{Place, moment};
use crate::{Waiting, Walk};

const ODD: &str = "靴 '\"<b>";

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn ids(waiting: &[Waiting]) -> Vec<&str> {
    waiting.iter().map(|w| &*w.item).collect()
}

/// Items are noted with how far changes were looked at, each once, and are there when it is opened again.
pub async fn noted_with_the_cursor(place: impl Place) {
    let stores = place.open().await;
    let work = &*stores.vector_work;
    assert_eq!(work.looked_at().await.unwrap(), None);
    assert_eq!(work.due("c", moment(0), 10).await.unwrap(), []);
    let many: Vec<String> = (0..12_000).map(|n| format!("i{n:05}")).collect();
    work.note(&[(ODD.into(), names(&["a", ODD, "a"])), ("c".into(), many)], 7, moment(5)).await.unwrap();
    work.note(&[], 9, moment(6)).await.unwrap();
    drop(stores);
    let stores = place.open().await;
    let work = &*stores.vector_work;
    assert_eq!(work.looked_at().await.unwrap(), Some(9));
    assert_eq!(work.due(ODD, moment(4), 10).await.unwrap(), [], "not yet");
    assert_eq!(ids(&work.due(ODD, moment(5), 10).await.unwrap()), ["a", ODD]);
    assert_eq!(work.due("c", moment(5), 20_000).await.unwrap().len(), 12_000);
    assert_eq!(work.due("c", moment(5), 3).await.unwrap().len(), 3);
    work.forget_catalog("c").await.unwrap();
    assert_eq!(work.standing("c", 9).await.unwrap().waiting, 0);
    assert_eq!(work.standing(ODD, 9).await.unwrap().waiting, 2, "others stay");
}

/// What was noted again while it was worked on waits still.
pub async fn settled_unless_noted_again(place: impl Place) {
    let work = place.open().await.vector_work;
    let walk = Walk { models: "m".into(), after: None, done: true };
    work.walked("c", &walk, &names(&["a", "b", "c"]), moment(0)).await.unwrap();
    let seen = work.due("c", moment(0), 10).await.unwrap();
    work.note(&[("c".into(), names(&["b"]))], 1, moment(3)).await.unwrap();
    work.settle("c", &seen, 12.5, moment(4)).await.unwrap();
    let left = work.due("c", moment(9), 10).await.unwrap();
    assert_eq!(ids(&left), ["b"]);
    work.fail("c", &seen, "late", None, moment(4)).await.unwrap();
    assert_eq!(work.due("c", moment(9), 10).await.unwrap(), left, "it was noted again since");
    let standing = work.standing("c", 9).await.unwrap();
    assert_eq!((standing.waiting, standing.rate, standing.at, standing.walked), (1, 12.5, Some(moment(4)), true));
    work.settle("c", &left, 1.0, moment(5)).await.unwrap();
    assert_eq!(work.due("c", moment(9), 10).await.unwrap(), []);
}

/// What failed waits for its moment, counting how often; what is set aside waits for somebody, or for a new text.
pub async fn failures_wait_or_go_aside(place: impl Place) {
    let work = place.open().await.vector_work;
    work.note(&[("c".into(), names(&["a", "b", "c"]))], 1, moment(0)).await.unwrap();
    let all = work.due("c", moment(0), 10).await.unwrap();
    work.fail("c", &all[..1], "slow", Some(moment(50)), moment(1)).await.unwrap();
    work.fail("c", &all[1..], "'bad' 靴", None, moment(2)).await.unwrap();
    assert_eq!(work.due("c", moment(49), 10).await.unwrap(), []);
    let again = work.due("c", moment(50), 10).await.unwrap();
    assert_eq!((ids(&again), again[0].attempts), (vec!["a"], 1));
    let standing = work.standing("c", 1).await.unwrap();
    assert_eq!((standing.waiting, standing.set_aside, standing.aside.len()), (1, 2, 1));
    assert_eq!((&*standing.aside[0].item, &*standing.aside[0].why, standing.aside[0].at), ("b", "'bad' 靴", moment(2)));
    assert_eq!(work.retry("c", Some("a"), moment(3)).await.unwrap(), 0, "it is not aside");
    assert_eq!(work.retry("c", Some("b"), moment(3)).await.unwrap(), 1);
    assert_eq!(work.retry("other", None, moment(3)).await.unwrap(), 0);
    let next = work.due("c", moment(3), 10).await.unwrap();
    assert_eq!((ids(&next), next[0].attempts), (vec!["b"], 0));
    let walk = Walk { models: "m".into(), after: None, done: true };
    work.walked("c", &walk, &names(&["c"]), moment(4)).await.unwrap();
    assert_eq!(work.standing("c", 9).await.unwrap().set_aside, 1, "a walk tries nothing again");
    work.note(&[("c".into(), names(&["c"]))], 2, moment(4)).await.unwrap();
    assert_eq!(work.standing("c", 9).await.unwrap().set_aside, 0);
    assert_eq!(work.retry("c", None, moment(5)).await.unwrap(), 0);
}

/// A walk goes on where it was, until it is begun anew; what it says of trouble stays.
pub async fn walks_go_on_where_they_were(place: impl Place) {
    let stores = place.open().await;
    let work = &*stores.vector_work;
    assert_eq!(work.walk("c").await.unwrap(), None);
    let walk = |after: Option<&str>, done| Walk { models: "a\nβ".into(), after: after.map(Into::into), done };
    work.walked("c", &walk(Some(ODD), false), &names(&["a"]), moment(0)).await.unwrap();
    work.trouble("c", Some("no model")).await.unwrap();
    assert_eq!(work.walk("c").await.unwrap(), Some(walk(Some(ODD), false)));
    work.walked("c", &walk(None, true), &[], moment(0)).await.unwrap();
    drop(stores);
    let stores = place.open().await;
    let work = &*stores.vector_work;
    assert_eq!(work.walk("c").await.unwrap(), Some(walk(None, true)));
    assert_eq!(work.standing("c", 1).await.unwrap().trouble.as_deref(), Some("no model"));
    work.trouble("c", None).await.unwrap();
    assert_eq!(work.standing("c", 1).await.unwrap().trouble, None);
    work.begin_anew(40).await.unwrap();
    assert_ne!(work.walk("c").await.unwrap().unwrap().models, "a\nβ");
    assert_eq!((work.looked_at().await.unwrap(), work.standing("c", 1).await.unwrap().waiting), (Some(40), 1));
}
