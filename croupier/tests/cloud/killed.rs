//! The updater killed with a batch in its hands: acknowledged is what the database has, and what comes again counts once.

use crate::house::{House, PATIENCE};
use crate::support::Server;
use crate::visitors::{Told, Visitors, begin, check, until_metric};
use bandit::Event;
use sqlx::Executor;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How many decisions a killed updater has at least.
const HANDFUL: usize = 50;
/// Ten times as long as the client waits before it sends acknowledgements, or the emulator before it delivers.
const LONG: Duration = Duration::from_secs(1);

/// Once before its commit, once between commit and acknowledgement. Nothing is published in the moments in which a reader
/// ends: the emulator loses messages that it is just giving to one, which the service does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_updater_is_killed_before_it_acknowledges() {
    let Some(house) = House::open().await else { return };
    let (a, first) = (house.api("a"), house.updater("first"));
    begin(&[&a]).await;
    let visitors = Visitors::come(&[&a], 200_000, PATIENCE);
    visitors.more(HANDFUL).await;
    house.until("SELECT count(*) FROM decisions", 1).await;

    // The database reads, and takes no decision.
    let mut lock = house.pool.begin().await.unwrap();
    lock.execute("LOCK TABLE decisions IN EXCLUSIVE MODE").await.unwrap();
    let committed = house.decisions().await;
    visitors.more(HANDFUL).await;
    house.until("SELECT count(*) FROM pg_locks WHERE NOT granted", 1).await;
    let early = all_published(&a, visitors).await;
    first.kill();
    lock.rollback().await.unwrap();
    assert_eq!(house.decisions().await, committed, "nothing was committed");
    let told: BTreeSet<String> = early.decisions.keys().cloned().collect();
    wait_in_pubsub(&house, &(&told - &committed)).await;

    let second = house.updater("second");
    house.until("SELECT count(*) FROM decisions", i64::try_from(early.decisions.len()).unwrap()).await;
    // What it says does not arrive, what it is told does.
    house.updater_proxy.mute();
    let before = house.decisions().await;
    // Others than those who came before.
    let visitors = Visitors::come(&[&a], 300_000, PATIENCE);
    house.until("SELECT count(*) FROM decisions", i64::try_from(before.len() + HANDFUL).unwrap()).await;
    let late = all_published(&a, visitors).await;
    second.kill();
    // Nor does it arrive later. When the batch comes again is the service's affair, and the emulator's is no measure: now and
    // then it keeps what a dead reader held for minutes.
    house.updater_proxy.reset();
    house.updater_proxy.mend();

    let _third = house.updater("third");
    let visitors = Visitors::come(&[&a], 400_000, PATIENCE);
    visitors.more(HANDFUL).await;
    for told in [early, late, visitors.leave().await] {
        check(&house, &a, &told).await;
    }
}

/// Sends the visitors home, and waits until Pub/Sub has had the time to deliver what they made.
async fn all_published(server: &Server, visitors: Visitors) -> Told {
    let told = visitors.leave().await;
    until_metric(server, "croupier_spool_events", |n| n == 0.0).await;
    tokio::time::sleep(LONG).await;
    told
}

/// Waits until Pub/Sub has delivered all of `decisions` to another reader, who gives everything back.
async fn wait_in_pubsub(house: &House, decisions: &BTreeSet<String>) {
    assert!(decisions.len() >= HANDFUL, "{} decisions", decisions.len());
    let log = store::open(&house.locations()).await.unwrap().events;
    let begun = Instant::now();
    loop {
        let delivered = log.pull(usize::MAX).await.unwrap().events.into_iter();
        let delivered: BTreeSet<String> = delivered
            .filter_map(|event| match event.unwrap() {
                Event::Decision(d) => Some(d.decision_id.to_string()),
                Event::Offer(_) | Event::User(_) => None,
            })
            .collect();
        let missing = decisions - &delivered;
        if missing.is_empty() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{} of {} were acknowledged", missing.len(), decisions.len());
    }
    log.close().await;
}
