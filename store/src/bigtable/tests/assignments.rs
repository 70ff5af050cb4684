//! Assignments: what a put costs, and that replicas agree.

use super::{Emulator, open};
use crate::conformance::assignments::assignment;
use crate::conformance::soon;
use crate::{Assignments, PosteriorSets};
use jiff::civil::date;
use std::sync::Arc;
use tokio::sync::Barrier;

/// A request's path: one round trip for what is known, two for what is new, and no more.
#[tokio::test]
async fn a_repeat_is_one_round_trip_and_a_first_two() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let bigtable = open(&emulator.locations).await;
    let mut before = bigtable.client.round_trips();
    let mut since = || {
        let (now, then) = (bigtable.client.round_trips(), before);
        before = now;
        now - then
    };
    for daily in [true, false] {
        let first = assignment("u", daily, date(2026, 11, 21), "a");
        assert_eq!(bigtable.get(&first.key).await.unwrap(), None);
        assert_eq!(since(), 1, "a miss");
        assert!(bigtable.put_if_absent(&first).await.unwrap().won);
        assert_eq!(since(), 2, "a first");
        let repeat = bigtable.put_if_absent(&assignment("u", daily, date(2026, 11, 21), "b")).await.unwrap();
        assert_eq!((repeat.won, repeat.standing), (false, first.clone()));
        assert_eq!(since(), 1, "a repeat");
        assert_eq!(bigtable.get(&first.key).await.unwrap(), Some(first));
        assert_eq!(since(), 1, "a hit");
    }
    bigtable.check().await.unwrap();
    assert_eq!(since(), 1, "a check");
    bigtable.latest_version("e").await.unwrap();
    assert_eq!(since(), 1, "a poll");
}

/// Replicas with connections of their own, each wanting another arm for the same users at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_replicas_agree() {
    const REPLICAS: usize = 2;
    const TASKS: usize = 8;
    const KEYS: usize = 300;
    let Some(emulator) = Emulator::with_tables().await else { return };
    let start = Arc::new(Barrier::new(REPLICAS * TASKS));
    let mut tasks = Vec::new();
    for replica in 0..REPLICAS {
        let bigtable = Arc::new(open(&emulator.locations).await);
        for task in 0..TASKS {
            let (bigtable, start) = (bigtable.clone(), start.clone());
            tasks.push(tokio::spawn(async move {
                start.wait().await;
                let mut told = Vec::with_capacity(KEYS);
                for key in 0..KEYS {
                    let arm = format!("arm-{replica}-{task}");
                    let mine = assignment(&format!("u{key}"), key % 2 == 0, date(2026, 11, 21), &arm);
                    let put = bigtable.put_if_absent(&mine).await.unwrap();
                    assert_eq!(put.won, put.standing == mine);
                    told.push((put.won, put.standing));
                }
                told
            }));
        }
    }
    let mut told = Vec::new();
    for task in tasks {
        told.push(soon(task).await.unwrap());
    }
    for key in 0..KEYS {
        assert_eq!(told.iter().filter(|t| t[key].0).count(), 1, "winners of key {key}");
        assert!(told.iter().all(|t| t[key].1 == told[0][key].1), "all are told the same of key {key}");
    }
}
