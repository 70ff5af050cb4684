//! Items that expired are removed, and never one that was put again to stay.

use super::catalogs::{all_items, catalog, found, ids, item, two};
use super::{Numbers, Place, soon};
use crate::{Catalogs, Removed};
use jiff::Timestamp;
use recommend::Item;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An item that expires so many milliseconds into an hour.
fn ending(id: &str, ms: Option<i64>) -> Item {
    Item { expires_at: ms.map(super::moment), ..item(id, 1.0) }
}

/// A whole walk; how many it removed, in how many calls.
async fn walk(catalogs: &dyn Catalogs, before: Timestamp, page: usize) -> (u64, usize) {
    let (mut after, mut count, mut calls) = (None, 0, 0);
    loop {
        let Removed { count: gone, next } =
            soon(catalogs.remove_expired("c", before, after.as_deref(), page)).await.unwrap();
        assert!(gone <= page.max(1) as u64, "{gone} of a page of {page}");
        count += gone;
        calls += 1;
        let Some(next) = next else { return (count, calls) };
        assert_ne!(after.as_ref(), Some(&next), "it goes on");
        after = Some(next);
    }
}

/// What expired before the moment goes, what did later or never stays, page by page; nothing is noted.
pub async fn the_expired_go(place: impl Place) {
    let stores = place.open().await;
    let catalogs = &*stores.catalogs;
    assert_eq!(catalogs.remove_expired("c", super::moment(0), None, 10).await.unwrap(), Removed::default());
    for id in ["c", "c0"] {
        catalogs.put_catalog(&catalog(id, 2)).await.unwrap();
    }
    catalogs.put_items("c0", &[ending("靴", Some(0))]).await.unwrap();
    for page in [0, 1, 7, 60, 61, 1_000] {
        let end = |n: i64| [None, Some(n), Some(100), Some(101)][usize::try_from(n % 4).unwrap()];
        let items: Vec<Item> = (0..60).map(|n| ending(&format!("靴{n}"), end(n))).collect();
        let number = catalogs.put_items("c", &items).await.unwrap();
        let (count, calls) = walk(catalogs, super::moment(100), page).await;
        assert_eq!(count, 15, "pages of {page}");
        assert!(calls <= 60 / page.max(1) + 1, "{calls} calls for pages of {page}");
        let mut left = all_items(catalogs, "c", 100).await;
        let mut staying: Vec<Item> =
            items.into_iter().filter(|i| i.expires_at.is_none_or(|at| at >= super::moment(100))).collect();
        left.sort_by(|a, b| a.id.cmp(&b.id));
        staying.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(left, staying);
        assert_eq!(catalogs.last_change().await.unwrap(), number, "nothing is noted");
        assert_eq!(walk(catalogs, super::moment(100), page).await.0, 0, "once");
    }
    assert_eq!(all_items(catalogs, "c0", 10).await.len(), 1, "others stay");
    catalogs.remove_items("c", &ids(["靴0"])).await.unwrap();
    drop(stores);
    assert_eq!(all_items(&*place.open().await.catalogs, "c", 100).await.len(), 44, "they are gone for good");
}

/// While walks go on: whoever put an item that stays finds it, however often it had expired before.
pub async fn what_is_put_again_stays<P: Place>(place: P) {
    const WRITERS: u64 = 4;
    let handles = two(&place).await;
    handles[0].put_catalog(&catalog("c", 2)).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let walkers: Vec<_> = handles
        .iter()
        .map(|catalogs| {
            let (catalogs, done) = (catalogs.clone(), done.clone());
            tokio::spawn(async move {
                let mut removed = 0;
                while !done.load(Ordering::Relaxed) {
                    removed += walk(&*catalogs, super::moment(100), 5).await.0;
                    // A walk that finds nothing may never wait, and others have the same threads.
                    tokio::task::yield_now().await;
                }
                removed
            })
        })
        .collect();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let catalogs = handles[usize::from(writer % 2 == 1)].clone();
            tokio::spawn(async move {
                let mut numbers = Numbers(writer);
                for n in 0..60_u32 {
                    let names: Vec<String> = (0..4).map(|i| format!("{writer}-{i}")).collect();
                    let old: Vec<Item> = names.iter().map(|name| ending(name, Some(50))).collect();
                    catalogs.put_items("c", &old).await.unwrap();
                    for _ in 0..numbers.below(20) {
                        tokio::task::yield_now().await;
                    }
                    let end = *[None, Some(200)].get(numbers.below(2)).unwrap();
                    let new: Vec<Item> = names.iter().map(|name| ending(name, end)).collect();
                    catalogs.put_items("c", &new).await.unwrap();
                    for _ in 0..numbers.below(3) {
                        let now = found(&*catalogs, "c", &names).await;
                        let expected: Vec<_> = new.iter().cloned().map(Some).collect();
                        assert_eq!(now, expected, "round {n} of writer {writer}");
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        soon(writer).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let mut removed = 0;
    for walker in walkers {
        removed += soon(walker).await.unwrap();
    }
    assert!(removed > 0, "the walks met nothing that had expired");
    assert_eq!(all_items(&*handles[0], "c", 100).await.len(), 16);
}
