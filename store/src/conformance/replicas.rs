//! Processes at work: what they say holds for a while.

use super::{Place, moment, soon};
use crate::{ReplicaReport, Tally};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// What a process says is read back, the newest word of each; names and texts may hold anything.
pub async fn the_newest_word_is_read_back(place: impl Place) {
    let stores = place.open().await;
    let replicas = &*stores.replicas;
    assert_eq!(replicas.replicas(10).await.unwrap(), []);
    let said = ReplicaReport {
        roles: vec!["api".into(), "updater".into()],
        started_at: Some(moment(5)),
        fresh_at: Some(moment(7)),
        versions: [("更新 'x'".into(), 3)].into(),
        total: Tally { decides: 9, fallbacks: 1, events: 8, rejected: 2, refused: 3 },
        last_minute: Tally { decides: 4, ..Tally::default() },
        spooled: Some(6),
        trouble: Some("<b>\"away\"".into()),
    };
    replicas.beat("b", &ReplicaReport::default(), HOUR).await.unwrap();
    replicas.beat("a 'q'", &ReplicaReport::default(), HOUR).await.unwrap();
    replicas.beat("b", &said, Duration::MAX).await.unwrap();
    drop(stores);
    let stores = place.open().await;
    let found = stores.replicas.replicas(10).await.unwrap();
    let names: Vec<&str> = found.iter().map(|r| r.name.as_str()).collect();
    assert_eq!((names, &found[1].report, &found[0].report), (vec!["a 'q'", "b"], &said, &ReplicaReport::default()));
    assert!(found.iter().all(|r| r.silent < Duration::from_secs(60)), "{found:?}");
    assert_eq!(stores.replicas.replicas(1).await.unwrap().len(), 1, "bounded");
}

/// Whoever falls silent is gone, and leaves nothing once another speaks.
pub async fn the_silent_are_forgotten(place: impl Place) {
    let stores = place.open().await;
    let replicas = &*stores.replicas;
    let word = ReplicaReport::default();
    replicas.beat("stays", &word, HOUR).await.unwrap();
    replicas.beat("gone", &word, Duration::ZERO).await.unwrap();
    let names = async || replicas.replicas(10).await.unwrap().into_iter().map(|r| r.name).collect::<Vec<_>>();
    assert_eq!(names().await, ["stays"]);
    replicas.beat("brief", &word, Duration::from_millis(50)).await.unwrap();
    soon(async {
        while names().await.len() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(names().await, ["stays"]);
}
