//! Stores that fail or do not answer: a decision all the same, and never a second arm.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use async_trait::async_trait;
use bandit::Event;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Delivery, EventLog, Receipt, Result, StoreError};
use support::start_on;

/// A log that stops answering.
struct Stuck {
    log: Arc<dyn EventLog>,
    stuck: AtomicBool,
}

#[async_trait]
impl EventLog for Stuck {
    async fn append(&self, events: &[Event]) -> Result<()> {
        if self.stuck.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.log.append(events).await
    }
    async fn pull(&self, max: usize) -> Result<Delivery> {
        self.log.pull(max).await
    }
    async fn acknowledge(&self, receipt: Receipt) -> Result<()> {
        self.log.acknowledge(receipt).await
    }
    async fn check(&self) -> Result<()> {
        if self.stuck.load(Ordering::Relaxed) { Err(StoreError::Embedded("stuck".into())) } else { Ok(()) }
    }
    async fn backlog(&self) -> Result<Option<u64>> {
        self.log.backlog().await
    }
}

#[tokio::test]
async fn while_the_log_is_stuck_what_stands_is_told_as_fallback() {
    let mut log = None;
    let api = start_on(|stores| {
        let stuck = Arc::new(Stuck { log: stores.events.clone(), stuck: AtomicBool::new(false) });
        stores.events = stuck.clone();
        log = Some(stuck);
    })
    .await;
    let log = log.unwrap();
    api.run(&json!({"id": "page", "arms": [{"id": "a"}, {"id": "b"}], "reward": {"event": "buy"}})).await;
    let decide = async |user: &str| {
        let (status, d) = api.post("/v1/decide", &json!({"experiment": "page", "user": user})).await;
        assert_eq!(status, 200, "{d}");
        (d["arm"].as_str().unwrap().to_owned(), d["source"].as_str().unwrap().to_owned(), d["first"] == true)
    };
    // Assignments of another replica, or of before a restart: memory does not know them, and the draw differs.
    let mut others = Vec::new();
    for n in 0..30 {
        let user = format!("u{n}");
        let request = bandit::DecideRequest { experiment: "page".into(), user: user.clone(), ..Default::default() };
        let record = api.stores.experiments.get("page").await.unwrap().unwrap();
        let decider = bandit::Decider::new(record.definition, record.status, None, 1, None).unwrap();
        let mut deal = decider.deal(&request, bandit::Clock::now(&*api.clock)).assignment;
        deal.arm = if &*deal.arm == "a" { "b".into() } else { "a".into() };
        api.stores.assignments.put_if_absent(&deal).await.unwrap().durable.wait().await.unwrap();
        others.push((user, deal.arm.to_string()));
    }
    log.stuck.store(true, Ordering::Relaxed);
    for (user, arm) in &others {
        assert_eq!(decide(user).await, (arm.clone(), "fallback".into(), false));
    }
    let (new, source, _) = decide("new").await;
    assert_eq!(source, "fallback");
    let (status, ready) = api.call_plain("GET", "/readyz").await;
    assert_eq!((status, &ready["ready"]), (503, &json!(false)));
    log.stuck.store(false, Ordering::Relaxed);
    assert_eq!(decide("new").await, (new, "policy".into(), false), "what was told stands");
    for (user, arm) in &others {
        assert_eq!(decide(user).await, (arm.clone(), "policy".into(), false));
    }
}
