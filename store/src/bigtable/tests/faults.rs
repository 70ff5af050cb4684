//! A service that dies, forgets, is slow or does not answer; and answers that are lost.

use super::{Emulator, open, remote};
use crate::conformance::assignments::assignment;
use crate::conformance::proxy::Proxy;
use crate::conformance::services::{Kind, Service};
use crate::conformance::soon;
use crate::{Assignments, PosteriorSets};
use bandit::PosteriorSet;
use jiff::Timestamp;
use jiff::civil::date;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn user(name: &str) -> bandit::Assignment {
    assignment(name, true, date(2026, 11, 21), "a")
}

/// It forgets its tables too. Nobody opens anything again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_dies_is_named_and_one_that_is_back_is_used() {
    let Some(mut service) = Service::start(Kind::Bigtable) else { return };
    let emulator = Emulator::at(service.address());
    crate::admin::create_tables(&emulator.locations).await.unwrap();
    let bigtable = open(&emulator.locations).await;
    assert!(bigtable.put_if_absent(&user("u")).await.unwrap().won);
    service.kill();
    let line = remote(&bigtable.check().await.unwrap_err());
    assert!(line.contains("refused") || line.contains("in time") || line.contains("closed"), "{line}");
    remote(&bigtable.put_if_absent(&user("u")).await.unwrap_err());
    remote(&bigtable.latest_version("e").await.unwrap_err());
    service.restart();
    let line = remote(&bigtable.put_if_absent(&user("u")).await.unwrap_err());
    assert!(line.contains("not found") && line.contains("create-tables"), "{line}");
    crate::admin::create_tables(&emulator.locations).await.unwrap();
    assert!(bigtable.put_if_absent(&user("u")).await.unwrap().won);
    bigtable.check().await.unwrap();
}

/// Slow or silent, a call ends when it should, and nothing is the matter afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_hold() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let proxy = Proxy::start(Service::shared(Kind::Bigtable).unwrap().address()).await;
    let bigtable = open(&emulator.through(proxy.address())).await;
    let put = bigtable.put_if_absent(&user("u")).await.unwrap();
    for fault in [|proxy: &Proxy| proxy.delay(Duration::from_secs(2)), Proxy::cut] {
        fault(&proxy);
        let begun = Instant::now();
        let line = remote(&bigtable.check().await.unwrap_err());
        assert!(line.contains("no answer"), "{line}");
        assert!(begun.elapsed() < Duration::from_millis(1_500), "a check took {:?}", begun.elapsed());
        let begun = Instant::now();
        remote(&bigtable.get(&put.standing.key).await.unwrap_err());
        assert!(begun.elapsed() < Duration::from_secs(5), "a read took {:?}", begun.elapsed());
        proxy.mend();
        assert_eq!(bigtable.get(&put.standing.key).await.unwrap().as_ref(), Some(&put.standing));
        bigtable.check().await.unwrap();
    }
    // Connections that break are made anew, within the call that finds out.
    for _ in 0..10 {
        proxy.reset();
        assert_eq!(bigtable.get(&put.standing.key).await.unwrap().as_ref(), Some(&put.standing));
    }
}

/// Whether `f` is true soon enough.
async fn until(mut f: impl AsyncFnMut() -> bool) {
    let looks = async {
        while !f().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(looks).await;
}

/// A write that was carried out though its answer was lost is known as one's own when it is repeated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_does_not_lose_the_race_against_oneself() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let proxy = Proxy::start(Service::shared(Kind::Bigtable).unwrap().address()).await;
    let direct = open(&emulator.locations).await;
    let slow = Arc::new(open(&emulator.through(proxy.address())).await);
    for attempt in 0..20 {
        let new = user(&format!("u{attempt}"));
        proxy.delay(Duration::from_millis(100));
        let before = slow.client.round_trips();
        let trips = || slow.client.round_trips() - before;
        let (put, mine) = (slow.clone(), new.clone());
        let put = tokio::spawn(async move { put.put_if_absent(&mine).await });
        // The write is on its way; its answer will not come for a while.
        until(async || trips() == 2).await;
        proxy.delay(Duration::from_secs(30));
        until(async || direct.get(&new.key).await.unwrap().is_some()).await;
        until(async || put.is_finished() || trips() > 2).await;
        proxy.mend();
        // On a busy machine its patience may end first: once more.
        let Ok(put) = soon(put).await.unwrap() else { continue };
        assert!(put.won && put.standing == new, "told of a rival that is not there");
        if trips() > 2 {
            return;
        }
        // The answer had passed before the proxy was slow: once more.
    }
    panic!("no answer was ever lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_a_publication_is_not_a_conflict() {
    let Some(emulator) = Emulator::with_tables().await else { return };
    let proxy = Proxy::start(Service::shared(Kind::Bigtable).unwrap().address()).await;
    let direct = open(&emulator.locations).await;
    let slow = Arc::new(open(&emulator.through(proxy.address())).await);
    for version in 1..20 {
        let set = PosteriorSet::new("e", version, 1, Timestamp::UNIX_EPOCH, vec![], [].into());
        proxy.delay(Duration::from_millis(100));
        let before = slow.client.round_trips();
        let trips = || slow.client.round_trips() - before;
        let publisher = slow.clone();
        let published = tokio::spawn(async move { publisher.publish(&set).await });
        until(async || trips() == 2).await;
        proxy.delay(Duration::from_secs(30));
        until(async || direct.latest_version("e").await.unwrap() == version).await;
        // Connections that end have the write repeated.
        proxy.reset();
        until(async || published.is_finished() || trips() > 2).await;
        proxy.mend();
        soon(published).await.unwrap().unwrap();
        if trips() > 2 {
            return;
        }
    }
    panic!("no answer was ever lost");
}

/// Replicas start while Bigtable is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_opens_while_the_service_is_away() {
    let Some(mut service) = Service::start(Kind::Bigtable) else { return };
    service.kill();
    let emulator = Emulator::at(service.address());
    let begun = Instant::now();
    let bigtable = open(&emulator.locations).await;
    assert!(begun.elapsed() < Duration::from_secs(8), "opening took {:?}", begun.elapsed());
    remote(&bigtable.check().await.unwrap_err());
    service.restart();
    crate::admin::create_tables(&emulator.locations).await.unwrap();
    assert!(bigtable.put_if_absent(&user("u")).await.unwrap().won);
}
