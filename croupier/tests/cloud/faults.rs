//! What breaks in production, under load: decisions go on, nothing acknowledged is lost or counted twice, and all heals
//! without a hand.

use crate::house::{House, PATIENCE};
use crate::support::setting;
use crate::visitors::{EXPERIMENT, Visitors, begin, check, until_metric};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a decision waits for its stores, and how much longer it may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(4);

const DECISIONS: &str = "SELECT count(*) FROM decisions";

/// Bigtable's emulator forgets everything when it dies: replicas go on from memory and from draws.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bigtable_dies_and_comes_back() {
    let Some(mut house) = House::open().await else { return };
    let (a, _updater) = (house.api("a"), house.updater("updater"));
    begin(&[&a]).await;
    let visitors = Visitors::come(&[&a], 200_000, DEADLINE);
    visitors.more(300).await;
    house.bigtable.kill();
    visitors.until(|t| t.fallbacks > 50, "fallbacks while Bigtable is away").await;
    let ready = a.expect(reqwest::Method::GET, "/readyz", None, 200).await;
    assert!(ready["parts"].as_array().unwrap().iter().any(|p| p["name"] == "state" && p["ok"] == false), "{ready}");
    house.bigtable.restart();
    house.make_tables();
    visitors.more(300).await;
    let told = visitors.leave().await;
    check(&house, &a, &told).await;
}

/// An answer after two seconds is none: a decision waits for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bigtable_is_slow() {
    let Some(house) = House::open().await else { return };
    let (a, b, _updater) = (house.api("a"), house.api("b"), house.updater("updater"));
    begin(&[&a, &b]).await;
    let visitors = Visitors::come(&[&a, &b], 200_000, DEADLINE);
    visitors.more(300).await;
    house.bigtable_proxy.delay(Duration::from_secs(2));
    visitors.until(|t| t.fallbacks > 50, "fallbacks while Bigtable is slow").await;
    assert!(visitors.look(|t| t.longest) >= TIMEOUT, "it was waited for");
    house.bigtable_proxy.mend();
    visitors.more(300).await;
    let told = visitors.leave().await;
    check(&house, &a, &told).await;
}

/// Decisions wait on the replica's disk, across its own death too, and are published when Pub/Sub is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pubsub_is_away() {
    let Some(house) = House::open().await else { return };
    let away = Duration::from_secs(setting("AWAY_SECONDS", 8));
    let (a, b, _updater) = (house.api("a"), house.api("b"), house.updater("updater"));
    begin(&[&a, &b]).await;
    let visitors = Visitors::come(&[&a, &b], 200_000, DEADLINE);
    visitors.more(300).await;
    house.pubsub_proxy.cut();
    house.updater_proxy.cut();
    let begun = Instant::now();
    while begun.elapsed() < away {
        visitors.more(100).await;
    }
    until_metric(&a, "croupier_spool_events", |n| n > 0.0).await;
    assert_eq!(visitors.look(|t| t.fallbacks), 0, "a decision in the spool is safe");
    let told = visitors.leave().await;
    b.kill();
    let b = house.api("b");
    until_metric(&b, "croupier_spool_events", |n| n > 0.0).await;
    house.pubsub_proxy.mend();
    house.updater_proxy.mend();
    check(&house, &a, &told).await;
    until_metric(&a, "croupier_spool_events", |n| n == 0.0).await;
    until_metric(&b, "croupier_spool_events", |n| n == 0.0).await;
}

/// Decisions need no database; events wait in the log until it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_dies_and_comes_back() {
    let Some(mut house) = House::open().await else { return };
    let (a, _updater) = (house.api("a"), house.updater("updater"));
    begin(&[&a]).await;
    let visitors = Visitors::come(&[&a], 200_000, DEADLINE);
    house.until(DECISIONS, 100).await;
    house.postgres.kill();
    visitors.more(500).await;
    assert_eq!(visitors.look(|t| (t.fallbacks, t.refused)), (0, 0), "decisions and events need no database");
    house.postgres.restart();
    let told = visitors.leave().await;
    check(&house, &a, &told).await;
}

/// One of two updaters works; the other takes over when it dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_updaters_at_once() {
    let Some(house) = House::open().await else { return };
    let a = house.api("a");
    begin(&[&a]).await;
    let first = house.updater("first");
    house.until("SELECT count(*) FROM update_runs WHERE status = 'done'", 1).await;
    let _second = house.updater("second");
    let visitors = Visitors::come(&[&a], 200_000, DEADLINE);
    house.until(DECISIONS, 100).await;
    a.update(EXPERIMENT).await;
    let (code, _, err) = crate::support::finish(house.command(&["updater", "--once"], "third", &[]));
    assert!(code == 1 && err.contains("croupier: another updater is at work"), "{code}: {err}");
    let holder = "SELECT holder FROM leases";
    let before: String = sqlx::query_scalar(holder).fetch_one(&house.pool).await.unwrap();
    first.kill();
    let begun = Instant::now();
    let after = loop {
        let after: String = sqlx::query_scalar(holder).fetch_one(&house.pool).await.unwrap();
        if after != before {
            break after;
        }
        assert!(begun.elapsed() < PATIENCE, "nobody takes over from {before}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_ne!(before, after);
    visitors.more(100).await;
    visitors.leave().await;
    a.update(EXPERIMENT).await;
    let overlapping = "SELECT count(*) FROM update_runs x JOIN update_runs y ON x.id < y.id AND x.kind = y.kind \
        WHERE x.started_at < y.finished_at AND y.started_at < x.finished_at";
    assert_eq!(house.number(overlapping).await, 0, "two worked at once");
}

/// A full spool sheds load visibly; what it took is published when Pub/Sub is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spool_sheds() {
    let Some(house) = House::open().await else { return };
    let more = ["--listen", "127.0.0.1:0", "--spool-mb", "1"];
    let a = crate::support::Server::of(house.command(&["api"], "a", &more));
    let _updater = house.updater("updater");
    begin(&[&a]).await;
    house.pubsub_proxy.cut();
    let begun = Instant::now();
    let mut accepted = 0;
    let refused = loop {
        let events: Vec<Value> = (0..500)
            .map(|n| json!({"id": format!("{accepted}-{n}"), "type": "view", "user": "u".repeat(200), "item": "i"}))
            .collect();
        let answer = a.send(reqwest::Method::POST, "/v1/events", Some(&json!(events))).await.unwrap();
        if answer.status() != 202 {
            break answer;
        }
        accepted += 500;
        assert!(begun.elapsed() < PATIENCE, "{accepted} events were taken");
    };
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    house.pubsub_proxy.mend();
    house.until("SELECT count(*) FROM events", accepted).await;
}
