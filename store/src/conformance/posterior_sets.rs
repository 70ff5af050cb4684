//! Posterior sets: each version once, whole, in order.

use super::{Place, moment, soon};
use crate::StoreError;
use bandit::{ArmPosterior, PosteriorSet};
use futures::FutureExt;
use std::sync::Arc;

/// A set whose `mark` tells it from others of the same version.
fn set(experiment: &str, version: u64, mark: u32) -> PosteriorSet {
    let posterior = ArmPosterior { alpha: 1.0 / 3.0 + f64::from(mark), beta: 1e8 + 0.1, propensity: 0.1 + 0.2 };
    let segments = [("all".into(), vec![posterior; 2]), ("端末=携帯".into(), vec![posterior; 2])].into();
    PosteriorSet::new(experiment, version, 1, moment(i64::from(mark)), vec!["a".into(), "b".into()], segments)
}

/// 1, 2, 3 and so on, read back whole.
pub async fn versions_follow_each_other(place: impl Place) {
    let sets = place.open().await.posteriors;
    assert_eq!(sets.latest_version("e").await.unwrap(), 0);
    assert_eq!(sets.latest("e").await.unwrap(), None);
    assert_eq!(sets.at("e", 0).await.unwrap(), None);
    assert_eq!(sets.since("e", 0, 10).await.unwrap(), []);
    // Beyond 255, so that versions are not ordered as bytes by accident.
    for version in 1..=300 {
        for wrong in [0, version - 1, version + 1, u64::MAX] {
            let refused = sets.publish(&set("e", wrong, 9)).await;
            assert!(matches!(refused, Err(StoreError::Conflict(_))), "{wrong} after {}: {refused:?}", version - 1);
        }
        sets.publish(&set("e", version, 1)).await.unwrap();
        assert_eq!(sets.latest_version("e").await.unwrap(), version);
        assert_eq!(sets.latest("e").await.unwrap(), Some(set("e", version, 1)));
    }
    assert_eq!(sets.at("e", 256).await.unwrap(), Some(set("e", 256, 1)));
    assert_eq!(sets.at("e", 301).await.unwrap(), None);
    let versions = async |after, limit| -> Vec<u64> {
        sets.since("e", after, limit).await.unwrap().iter().map(|s| s.version).collect()
    };
    assert_eq!(versions(254, 3).await, [255, 256, 257]);
    assert_eq!(versions(298, 10).await, [299, 300]);
    assert_eq!(versions(0, 0).await, [0; 0]);
    assert_eq!(versions(300, 10).await, [0; 0]);
    assert_eq!(versions(u64::MAX, 10).await, [0; 0]);
}

/// Of publishers of one version at once, one wins, and its set stands.
pub async fn one_of_two_publishers_wins(place: impl Place) {
    let sets = place.open().await.posteriors;
    for version in 1..=20 {
        let start = Arc::new(tokio::sync::Barrier::new(4));
        let tasks: Vec<_> = (0..4)
            .map(|mark| {
                let (sets, start) = (sets.clone(), start.clone());
                tokio::spawn(async move {
                    start.wait().await;
                    sets.publish(&set("e", version, mark)).await
                })
            })
            .collect();
        let mut winners = Vec::new();
        for (mark, task) in (0..).zip(tasks) {
            match soon(task).await.unwrap() {
                Ok(()) => winners.push(set("e", version, mark)),
                Err(e) => assert!(matches!(e, StoreError::Conflict(_)), "{e}"),
            }
        }
        assert_eq!(winners.len(), 1, "version {version}");
        assert_eq!(sets.at("e", version).await.unwrap().as_ref(), winners.first());
    }
}

/// Experiments whose ids begin alike have versions of their own.
pub async fn ids_do_not_mix(place: impl Place) {
    let ids = ["a", "a-", "a-b", "a0", "a_b", "aa", "ab", "b", "0"];
    let stores = place.open().await;
    for (n, id) in (1..).zip(ids) {
        for version in 1..=n {
            stores.posteriors.publish(&set(id, version, u32::try_from(n).unwrap())).await.unwrap();
        }
    }
    for (n, id) in (1..).zip(ids) {
        assert_eq!(stores.posteriors.latest_version(id).await.unwrap(), n, "{id}");
        assert_eq!(stores.posteriors.latest(id).await.unwrap().unwrap().experiment, id);
        let all = stores.posteriors.since(id, 0, 1_000).await.unwrap();
        assert_eq!(all.len(), usize::try_from(n).unwrap(), "{id}");
        assert!(all.iter().all(|s| s.experiment == id));
    }
}

/// What was published is there after reopening, and the next version follows it.
pub async fn kept_across_reopening(place: impl Place) {
    for version in 1..=3 {
        let stores = place.open().await;
        assert_eq!(stores.posteriors.latest_version("e").await.unwrap(), version - 1);
        stores.posteriors.publish(&set("e", version, 5)).await.unwrap();
    }
    let stores = place.open().await;
    assert_eq!(stores.posteriors.since("e", 0, 10).await.unwrap(), [set("e", 1, 5), set("e", 2, 5), set("e", 3, 5)]);
}

/// Whoever gives up in the middle of publishing has published or has not: a version never changes.
pub async fn an_abandoned_publication_is_whole(place: impl Place) {
    let sets = place.open().await.posteriors;
    for version in 1..=50 {
        let (first, second) = (set("e", version, 1), set("e", version, 2));
        let reader = sets.clone();
        let seen = tokio::spawn(async move {
            loop {
                match reader.at("e", version).await.unwrap() {
                    Some(set) => return set,
                    None => tokio::task::yield_now().await,
                }
            }
        });
        let done = sets.publish(&first).now_or_never();
        let stands = match (done, sets.publish(&second).await) {
            (Some(Ok(())) | None, Err(StoreError::Conflict(_))) => first,
            (None, Ok(())) => second,
            other => panic!("version {version}: {other:?}"),
        };
        assert_eq!(soon(seen).await.unwrap(), stands, "version {version}, as it was first seen");
        assert_eq!(sets.at("e", version).await.unwrap(), Some(stands), "version {version}");
    }
}
