//! What must hold while Pub/Sub is slow, away, or comes back empty.

use super::consuming::{events, in_order, numbers, pull};
use super::*;
use crate::conformance::event_log::{event_of, id};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Instant;

/// Waits until the spool is empty.
async fn drained(log: &PubSub) {
    soon(async {
        while log.publishing.room().waiting().events > 0 || log.trouble().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// An address where connections are taken and nobody answers.
fn stalled() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[tokio::test]
async fn a_slow_service_costs_a_deadline_and_then_nothing() {
    let stalled = stalled();
    let topic = Topic::at(stalled.local_addr().unwrap());
    let log = topic.open(Tuning::default()).await;
    let began = Instant::now();
    log.append(&events(0..10)).await.unwrap();
    let first = began.elapsed();
    assert!((300..900).contains(&first.as_millis()), "{first:?}");
    for n in 10..30 {
        let began = Instant::now();
        log.append(&events(n..n + 1)).await.unwrap();
        assert!(began.elapsed() < Duration::from_millis(250), "{:?}: it is known to be away", began.elapsed());
    }
    assert_eq!(log.publishing.room().waiting().events, 30);
    assert!(log.trouble().unwrap().contains("30 events wait"), "{:?}", log.trouble());
    log.check().await.unwrap();
    let kept = log.publishing.spool().pull(100).await.unwrap();
    assert_eq!(numbers(&kept), (0..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_spool_refuses_whole_batches_and_recovers() {
    let Some(mut topic) = Topic::shared().await else { return };
    let emulator = topic.locations.pubsub_emulator.clone();
    let stalled = stalled();
    topic.locations.pubsub_emulator = Some(stalled.local_addr().unwrap().to_string());
    topic.locations.spool_bytes = 10_000;
    let log = topic.open(Tuning::default()).await;
    let mut kept = 0;
    let refused = loop {
        match log.append(&events(kept..kept + 10)).await {
            Ok(()) => kept += 10,
            Err(e) => break e,
        }
        assert!(kept < 1_000, "10 kB hold no thousand events");
    };
    assert!(matches!(refused, StoreError::Busy), "{refused}");
    assert!(kept >= 30, "{kept}");
    assert_eq!(log.publishing.room().waiting().events, kept as u64, "nothing of the batch that was refused");
    drop(log);

    // The next process finds the service, and what waits is published before what is new.
    topic.locations.pubsub_emulator = emulator;
    let log = Emulator::reopen(&topic, &topic.locations).await;
    drained(&log).await;
    log.append(&events(kept..kept + 10)).await.unwrap();
    assert_eq!(log.publishing.spool().backlog().await.unwrap(), Some(0));
    let came = numbers(&pull(&log, kept + 10).await);
    in_order(&came);
    let mut sorted = came;
    sorted.sort_unstable();
    assert_eq!(sorted, (0..kept + 10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_spool_is_for_one_process() {
    let stalled = stalled();
    let topic = Topic::at(stalled.local_addr().unwrap());
    let _first = topic.open(Tuning::default()).await;
    let Err(e) = PubSub::open(&topic.named(), &topic.locations).await else { panic!("opened") };
    let e = e.to_string();
    assert!(e.starts_with("spool = ") && e.contains("of its own") && !e.contains('\n'), "{e}");
}

/// Appends go on through a crash of the service, which then comes back having forgotten everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_go_on_while_the_service_is_away() {
    const TASKS: usize = 8;
    const OUTAGE: usize = 20;
    let Some(mut service) = Service::start(Kind::PubSub) else { return };
    let mut topic = Topic::at(service.address());
    let direct = topic.locations.clone();
    create_topics(&direct).await.unwrap();
    let proxy = Proxy::start(service.address()).await;
    topic.locations.pubsub_emulator = Some(proxy.address().to_string());
    let log = Arc::new(topic.open(Tuning::default()).await);
    let appended: Arc<[AtomicU32; TASKS]> = Arc::default();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let appenders: Vec<_> = (0..TASKS)
        .map(|task| {
            let (log, appended, stop) = (log.clone(), appended.clone(), stop.clone());
            tokio::spawn(async move {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    log.append(&[event_of(format!("u{task}"), format!("{task}/{n}"))]).await.unwrap();
                    n += 1;
                    appended[task].store(n, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
        })
        .collect();
    let more = async |n: usize| {
        let before: Vec<u32> = appended.iter().map(|a| a.load(Ordering::Relaxed)).collect();
        soon(async {
            while (0..TASKS).any(|t| appended[t].load(Ordering::Relaxed) < before[t] + n as u32) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    more(5).await;
    tokio::task::block_in_place(|| service.kill());
    more(OUTAGE).await;
    let taken: Vec<u32> = appended.iter().map(|a| a.load(Ordering::Relaxed)).collect();
    assert!(log.publishing.room().waiting().events as usize >= TASKS * OUTAGE / 2, "they are in the spool");
    // What is published before there is a subscription is for nobody.
    proxy.cut();
    tokio::task::block_in_place(|| service.restart());
    create_topics(&direct).await.unwrap();
    proxy.mend();
    more(5).await;
    stop.store(true, Ordering::Relaxed);
    for task in appenders {
        soon(task).await.unwrap();
    }
    drained(&log).await;
    // The emulator forgot what it had taken before it was killed; the rest has to come, by user in order of first arrival.
    let mut seen: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    let last: Vec<u32> = appended.iter().map(|a| a.load(Ordering::Relaxed) - 1).collect();
    soon(async {
        while (0..TASKS).any(|t| seen.get(&t).is_none_or(|list| !list.contains(&last[t]))) {
            let delivery = log.pull(1_000).await.unwrap();
            for event in &delivery.events {
                let (task, n) = id(event.as_ref().unwrap()).split_once('/').unwrap();
                let list = seen.entry(task.parse().unwrap()).or_default();
                let n = n.parse().unwrap();
                // What was published late as well as spooled comes twice.
                if !list.contains(&n) {
                    list.push(n);
                }
            }
            if let Some(receipt) = delivery.receipt {
                log.acknowledge(receipt).await.unwrap();
            }
        }
    })
    .await;
    for (task, list) in &seen {
        assert!(list.is_sorted(), "{task}: {list:?}");
        assert!(list.windows(2).all(|pair| pair[1] == pair[0] + 1), "{task}: none is missing: {list:?}");
        assert!(list[0] < taken[*task], "{task}: what was taken while it was away came: {list:?}");
    }
}
