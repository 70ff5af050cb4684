//! The log of changes of catalogs: numbers without a gap, and whoever follows them ends with what is there.

use super::catalogs::{all_items, catalog, found, item, two};
use super::{Numbers, Place, soon};
use crate::{Catalogs, Changed, Popular, StoreError};
use recommend::Item;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
                for (name, item) in ids.iter().zip(found(&*self.catalogs, id, ids).await) {
                    match item {
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
