//! Leases: one holder at a time, by the database's clock.

use super::{Place, soon};
use crate::Leases;
use std::time::Duration;

/// Long enough that no test sees its end.
const HOUR: Duration = Duration::from_secs(3_600);

/// Asks until the answer is yes: what lapses does so without a word.
async fn until_held(leases: &dyn Leases, lease: &str, holder: &str) {
    soon(async {
        while !leases.hold(lease, holder, HOUR).await.unwrap() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Who holds a lease may renew it, and nobody else may take it; leases and holders of other names are others.
pub async fn held_by_one(place: impl Place) {
    let stores = place.open().await;
    let leases = &*stores.leases;
    assert!(leases.hold("update", "a", HOUR).await.unwrap());
    for _ in 0..2 {
        assert!(!leases.hold("update", "b", HOUR).await.unwrap());
        assert_eq!(leases.holder("update").await.unwrap().as_deref(), Some("a"));
        assert!(leases.hold("update", "a", HOUR).await.unwrap(), "renewed");
    }
    assert!(leases.hold("更新 'x'", "b", HOUR).await.unwrap(), "another lease");
    drop(stores);
    let stores = place.open().await;
    assert!(!stores.leases.hold("update", "b", HOUR).await.unwrap(), "kept");
    assert!(stores.leases.hold("update", "a", Duration::MAX).await.unwrap());
    assert!(!stores.leases.hold("update", "b", Duration::MAX).await.unwrap());
    // Whoever died before the clock was set back a day keeps nobody waiting for it.
    assert!(stores.leases.hold("update", "b", HOUR / 24).await.unwrap());
}

/// What was given back is free at once; what another holds is not given back.
pub async fn released(place: impl Place) {
    let stores = place.open().await;
    let leases = &*stores.leases;
    leases.release("update", "a").await.unwrap();
    assert!(leases.hold("update", "a", HOUR).await.unwrap());
    leases.release("update", "b").await.unwrap();
    leases.release("other", "a").await.unwrap();
    assert!(!leases.hold("update", "b", HOUR).await.unwrap());
    leases.release("update", "a").await.unwrap();
    assert_eq!(leases.holder("update").await.unwrap(), None);
    assert!(leases.hold("update", "b", HOUR).await.unwrap());
    assert!(!leases.hold("update", "a", HOUR).await.unwrap());
}

/// Another takes over when a lease has lapsed, and not before; renewing moves its end.
pub async fn taken_over_when_it_lapses(place: impl Place) {
    let stores = place.open().await;
    let leases = &*stores.leases;
    let began = std::time::Instant::now();
    let length = Duration::from_millis(300);
    assert!(leases.hold("update", "a", length).await.unwrap());
    until_held(leases, "update", "b").await;
    // Both clocks are of this machine; they are read in milliseconds.
    assert!(began.elapsed() >= length - Duration::from_millis(2), "{:?}", began.elapsed());
    assert!(!leases.hold("update", "a", HOUR).await.unwrap(), "it is another's now");
    // A renewal counts from now on, also when it is shorter.
    assert!(leases.hold("update", "b", Duration::from_millis(1)).await.unwrap());
    until_held(leases, "update", "a").await;
    leases.hold("update", "a", Duration::ZERO).await.unwrap();
    assert_eq!(leases.holder("update").await.unwrap(), None, "it has lapsed");
}

/// Of those who ask at once exactly one gets it.
pub async fn one_of_many_wins(place: impl Place) {
    let stores = place.open().await;
    for round in 0..20 {
        let racers = (0..8).map(|n| {
            let (leases, lease) = (stores.leases.clone(), format!("lease {round}"));
            // Half the rounds are about a lease that lapsed.
            tokio::spawn(async move { leases.hold(&lease, &format!("racer {n}"), HOUR).await.unwrap() })
        });
        if round % 2 == 1 {
            stores.leases.hold(&format!("lease {round}"), "gone", Duration::ZERO).await.unwrap();
        }
        let won = soon(futures::future::try_join_all(racers)).await.unwrap();
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "round {round}: {won:?}");
    }
}
