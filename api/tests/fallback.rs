//! Stores that fail or do not answer: a decision all the same, and never a second arm.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use async_trait::async_trait;
use bandit::{Assignment, AssignmentKey, Event, PosteriorSet};
use jiff::civil::Date;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{Assignments, Delivery, EventLog, PosteriorSets, Put, Receipt, Result, StoreError};
use support::start_on;

/// How long a store that is stuck is waited for: longer than one that is not takes on a busy machine.
const PATIENCE: Duration = Duration::from_millis(300);

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
    let api = start_on(PATIENCE, |stores| {
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
    for n in 0..8 {
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

/// State that goes away and comes back.
struct Away {
    assignments: Arc<dyn Assignments>,
    posteriors: Arc<dyn PosteriorSets>,
    away: AtomicBool,
}

impl Away {
    fn reach(&self) -> Result<()> {
        let refused = || StoreError::Remote { service: "state", why: "away".into() };
        if self.away.load(Ordering::Relaxed) { Err(refused()) } else { Ok(()) }
    }
}

#[async_trait]
impl Assignments for Away {
    async fn get(&self, key: &AssignmentKey) -> Result<Option<Assignment>> {
        self.reach()?;
        self.assignments.get(key).await
    }
    async fn put_if_absent(&self, new: &Assignment) -> Result<Put> {
        self.reach()?;
        self.assignments.put_if_absent(new).await
    }
    async fn expire(&self, day: Date) -> Result<()> {
        self.assignments.expire(day).await
    }
    async fn remove(&self, keys: &[AssignmentKey]) -> Result<()> {
        self.reach()?;
        self.assignments.remove(keys).await
    }
    async fn check(&self) -> Result<()> {
        self.reach()
    }
}

#[async_trait]
impl PosteriorSets for Away {
    async fn latest_version(&self, experiment: &str) -> Result<u64> {
        self.reach()?;
        self.posteriors.latest_version(experiment).await
    }
    async fn latest(&self, experiment: &str) -> Result<Option<PosteriorSet>> {
        self.reach()?;
        self.posteriors.latest(experiment).await
    }
    async fn at(&self, experiment: &str, version: u64) -> Result<Option<PosteriorSet>> {
        self.posteriors.at(experiment, version).await
    }
    async fn since(&self, experiment: &str, version: u64, limit: usize) -> Result<Vec<PosteriorSet>> {
        self.posteriors.since(experiment, version, limit).await
    }
    async fn publish(&self, set: &PosteriorSet) -> Result<()> {
        self.posteriors.publish(set).await
    }
}

async fn start_away() -> (support::Api, Arc<Away>) {
    let mut state = None;
    let api = start_on(Duration::from_secs(10), |stores| {
        let (assignments, posteriors) = (stores.assignments.clone(), stores.posteriors.clone());
        let away = Arc::new(Away { assignments, posteriors, away: AtomicBool::new(false) });
        (stores.assignments, stores.posteriors) = (away.clone(), away.clone());
        state = Some(away);
    })
    .await;
    (api, state.unwrap())
}

/// What was told while the state was away stands afterwards, though the posteriors have moved.
#[tokio::test]
async fn a_fallback_that_was_told_is_dealt_again() {
    let (api, state) = start_away().await;
    let arms: Vec<_> = ["a", "b", "c", "d", "e"].map(|id| json!({"id": id})).into();
    api.run(&json!({"id": "page", "arms": arms, "reward": {"event": "buy"}})).await;
    let decide = async |n: u32| {
        let (status, d) = api.post("/v1/decide", &json!({"experiment": "page", "user": format!("u{n}")})).await;
        assert_eq!(status, 200, "{d}");
        (
            d["arm"].as_str().unwrap().to_owned(),
            d["source"].as_str().unwrap().to_owned(),
            d["posterior_version"].clone(),
        )
    };
    state.away.store(true, Ordering::Relaxed);
    let mut told = Vec::new();
    for n in 0..100 {
        let (arm, source, _) = decide(n).await;
        assert_eq!(source, "fallback");
        told.push(arm);
    }
    state.away.store(false, Ordering::Relaxed);
    let posterior = bandit::ArmPosterior { alpha: 1.0, beta: 1.0, propensity: 0.2 };
    let at = bandit::Clock::now(&*api.clock);
    let names = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
    let set = PosteriorSet::new("page", 1, 1, at, names, [("all".into(), vec![posterior; 5])].into());
    state.publish(&set).await.unwrap();
    api.app.refresh().await.unwrap();
    for (n, arm) in (0..).zip(told) {
        assert_eq!(decide(n).await, (arm, "policy".into(), json!(0)), "of version 0, though version 1 is out");
    }
    assert_eq!(decide(1_000).await.2, json!(1));
}

/// Posteriors that cannot be read hold up nothing else.
#[tokio::test]
async fn while_the_state_is_away_experiments_can_be_paused() {
    let (api, state) = start_away().await;
    let page = json!({"id": "page", "arms": [{"id": "a"}, {"id": "b"}], "reward": {"event": "buy"}});
    api.run(&page).await;
    state.away.store(true, Ordering::Relaxed);
    assert_eq!(api.call("POST", "/v1/experiments/page/pause", "").await.0, 200);
    assert!(api.app.refresh().await.is_err());
    let (status, ready) = api.call_plain("GET", "/readyz").await;
    let parts: Vec<_> = ready["parts"].as_array().unwrap().iter().map(|p| (&p["name"], &p["ok"])).collect();
    assert_eq!(status, 200, "it can decide: {ready}");
    assert_eq!(parts[0], (&json!("database"), &json!(true)));
    assert_eq!(parts[1], (&json!("state"), &json!(false)));
    let (_, d) = api.post("/v1/decide", &json!({"experiment": "page", "user": "u"})).await;
    assert_eq!(d["arm"], "a", "the control");
    // What is started now serves its control until its posteriors can be read.
    let mut other = page.clone();
    other["id"] = json!("other");
    api.run(&other).await;
    let ask = json!({"experiment": "other", "user": "u"});
    let (status, d) = api.post("/v1/decide", &ask).await;
    assert_eq!((status, &d["source"]), (200, &json!("paused")));
    assert_eq!(api.call_plain("GET", "/readyz").await.0, 200);
    state.away.store(false, Ordering::Relaxed);
    api.app.refresh().await.unwrap();
    let ask = json!({"experiment": "other", "user": "another"});
    assert_eq!(api.post("/v1/decide", &ask).await.1["source"], "policy");
    let (status, ready) = api.call_plain("GET", "/readyz").await;
    assert_eq!((status, &ready["parts"][1]["ok"]), (200, &json!(true)));
}

#[tokio::test]
async fn while_the_log_is_stuck_lists_are_told_as_fallback() {
    let mut log = None;
    let api = start_on(PATIENCE, |stores| {
        let stuck = Arc::new(Stuck { log: stores.events.clone(), stuck: AtomicBool::new(false) });
        stores.events = stuck.clone();
        log = Some(stuck);
    })
    .await;
    let log = log.unwrap();
    assert_eq!(api.call("PUT", "/v1/catalogs/shop", json!({"dimension": 2}).to_string()).await.0, 201);
    let items: Vec<_> = (0..9).map(|n| json!({"id": format!("i{n}"), "vector": [1, n]})).collect();
    assert_eq!(api.call("PUT", "/v1/catalogs/shop/items", json!(items).to_string()).await.1["accepted"], 9);
    for sticky in [false, true] {
        let id = if sticky { "sticky" } else { "shelf" };
        let candidates = json!({"catalog": "shop", "sticky": sticky});
        api.run(&json!({"id": id, "candidates": candidates, "reward": {"event": "buy"}})).await;
        let list = async || {
            let (status, list) = api.call("GET", "/v1/catalogs/shop/recommendations?user=u&k=4", "").await;
            assert_eq!(status, 200, "{list}");
            list
        };
        log.stuck.store(true, Ordering::Relaxed);
        let told = list().await;
        assert_eq!(told["dealt_by"], "fallback");
        log.stuck.store(false, Ordering::Relaxed);
        let again = list().await;
        assert_eq!((&again["dealt_by"], &again["items"]), (&json!("policy"), &told["items"]), "logged, and the same");
        let logged = log.pull(100).await.unwrap();
        assert_eq!(logged.events.len(), 4);
        log.acknowledge(logged.receipt.unwrap()).await.unwrap();
        assert_eq!(api.call("POST", &format!("/v1/experiments/{id}/stop"), "").await.0, 200);
    }
}
