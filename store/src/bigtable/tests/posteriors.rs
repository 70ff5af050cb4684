//! Posterior sets that are large, and publishers that give up.

use super::super::schema::SET_BYTES;
use super::{Emulator, open, remote};
use crate::conformance::soon;
use crate::{PosteriorSets, StoreError};
use bandit::{ArmPosterior, PosteriorSet};
use jiff::Timestamp;
use std::time::Duration;

/// A set of so many segments, whose names have so many bytes and more.
fn set(version: u64, segments: usize, name: usize) -> PosteriorSet {
    let posterior = ArmPosterior { alpha: 1.0 / 3.0, beta: 1e8 + 0.1, propensity: 0.1 + 0.2 };
    let segments = (0..segments).map(|n| (format!("{}{n}", "x".repeat(name)), vec![posterior; 2])).collect();
    PosteriorSet::new("e", version, 1, Timestamp::UNIX_EPOCH, vec!["a".into(), "b".into()], segments)
}

/// Beyond one gRPC message by default (4 MiB), beyond one cell by recommendation (10 MB).
#[tokio::test]
async fn large_sets_come_back() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let bigtable = open(&emulator.locations).await;
    for (version, (segments, least)) in (1..).zip([(1, 0), (40_000, 5 << 20), (100_000, 12 << 20)]) {
        let set = set(version, segments, 6);
        assert!(set.encode().unwrap().len() > least);
        bigtable.publish(&set).await.unwrap();
        assert!(bigtable.at("e", version).await.unwrap().as_ref() == Some(&set), "version {version}");
        assert!(bigtable.latest("e").await.unwrap().as_ref() == Some(&set), "version {version}");
    }
    let all = bigtable.since("e", 0, 10).await.unwrap();
    assert_eq!(
        all.iter().map(|s| (s.version, s.segments.len())).collect::<Vec<_>>(),
        [(1, 1), (2, 40_000), (3, 100_000)]
    );
}

#[tokio::test]
async fn too_large_a_set_is_refused() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let bigtable = open(&emulator.locations).await;
    let line = remote(&bigtable.publish(&set(1, SET_BYTES >> 20, 1 << 20)).await.unwrap_err());
    assert!(line.contains("fewer segments"), "{line}");
    assert_eq!(bigtable.latest_version("e").await.unwrap(), 0);
}

/// Whoever gives up anywhere on the way leaves the old set or the whole new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_large_set_is_whole_or_not_there() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let bigtable = open(&emulator.locations).await;
    bigtable.publish(&set(1, 10, 6)).await.unwrap();
    let mut version = 1;
    for step in 0..12u32 {
        let next = set(version + 1, 40_000, 6);
        // From before the first byte to after the last.
        let patience = Duration::from_millis(1 << step);
        let done = tokio::time::timeout(patience, bigtable.publish(&next)).await;
        let latest = soon(bigtable.latest("e")).await.unwrap().unwrap();
        match done {
            // Or one that was abandoned before has come in the meantime: it was the same.
            Ok(Ok(()) | Err(StoreError::Conflict(_))) => assert!(latest == next),
            Ok(Err(e)) => panic!("{e}"),
            Err(_) => assert!(latest == next || latest == set(version, latest.segments.len(), 6)),
        }
        version = latest.version;
        match bigtable.publish(&set(version, 10, 6)).await {
            Err(StoreError::Conflict(_)) => {}
            other => panic!("published over version {version}: {other:?}"),
        }
        // The abandoned one may arrive in between.
        version = bigtable.latest_version("e").await.unwrap();
    }
    assert!(version > 1, "none of the publications was waited for");
}
