//! Visitors who go on whatever happens, and remember what they were told.

use crate::house::{House, PATIENCE};
use crate::support::{Server, five_arms};
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sqlx::Row;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The one experiment.
pub const EXPERIMENT: &str = "page";

/// How many visit at once.
const TASKS: u64 = 12;

/// What visitors were told.
#[derive(Default)]
pub struct Told {
    /// Decision → arm, of all answers.
    arms: HashMap<String, String>,
    /// The same, of decisions that the policy dealt and that are safe.
    pub decisions: HashMap<String, String>,
    /// Decisions whose reward was accepted.
    pub rewarded: BTreeSet<String>,
    pub fallbacks: u64,
    /// Requests that were shed, or met a reward that could not be taken.
    pub refused: u64,
    /// The longest that a decision took.
    pub longest: Duration,
}

/// Visitors at work.
pub struct Visitors {
    told: Arc<Mutex<Told>>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// Starts the experiment, and waits until every replica knows of it.
pub async fn begin(servers: &[&Server]) {
    servers[0].run(&five_arms(EXPERIMENT)).await;
    for server in servers {
        until_metric(server, "croupier_experiments", |n| n >= 1.0).await;
    }
}

/// Waits until a metric of a replica, summed over its labels, is as it should be.
pub async fn until_metric(server: &Server, name: &str, reached: impl Fn(f64) -> bool) {
    let begun = Instant::now();
    loop {
        let text = server.client.get(format!("{}/metrics", server.base)).send().await.unwrap().text().await.unwrap();
        let of_metric = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let sum: f64 =
            text.lines().filter(of_metric).map(|l| l.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
        if reached(sum) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{name} is {sum}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Visitors {
    /// Sends visitors to all of `servers`, `users` of them with four items each. A decision must come within `deadline`.
    pub fn come(servers: &[&Server], users: u64, deadline: Duration) -> Self {
        let bases: Vec<String> = servers.iter().map(|s| s.base.clone()).collect();
        let (told, stop) = (Arc::<Mutex<Told>>::default(), Arc::<AtomicBool>::default());
        let mut tasks = JoinSet::new();
        for number in 0..TASKS {
            let visitor = Visitor {
                bases: bases.clone(),
                told: told.clone(),
                client: reqwest::Client::new(),
                rng: rand_chacha::ChaCha8Rng::seed_from_u64(number),
                users,
                deadline,
            };
            let stop = stop.clone();
            tasks.spawn(visitor.visit(stop));
        }
        Self { told, stop, tasks }
    }

    /// Waits until a further `decisions` were told.
    pub async fn more(&self, decisions: usize) {
        let goal = self.look(|t| t.decisions.len()) + decisions;
        self.until(|t| t.decisions.len() >= goal, "more decisions").await;
    }

    pub async fn until(&self, reached: impl Fn(&Told) -> bool, what: &str) {
        let begun = Instant::now();
        while !self.look(&reached) {
            assert!(begun.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn look<T>(&self, f: impl Fn(&Told) -> T) -> T {
        f(&self.told.lock().unwrap())
    }

    /// Sends everybody home; fails if one of them met what none may meet.
    pub async fn leave(mut self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

struct Visitor {
    bases: Vec<String>,
    told: Arc<Mutex<Told>>,
    client: reqwest::Client,
    rng: rand_chacha::ChaCha8Rng,
    users: u64,
    deadline: Duration,
}

impl Visitor {
    async fn visit(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            let (user, item) = (self.rng.random_range(0..self.users), self.rng.random_range(0..4));
            let body = json!({"experiment": EXPERIMENT, "user": format!("u{user}"), "item": format!("i{item}")});
            let begun = Instant::now();
            let (status, decision) = self.post("/v1/decide", &body).await;
            let took = begun.elapsed();
            assert!(took < self.deadline, "a decision took {took:?}");
            assert_eq!(status, 200, "{decision}");
            let (id, arm) = (decision["decision_id"].as_str().unwrap(), decision["arm"].as_str().unwrap());
            {
                let mut told = self.told.lock().unwrap();
                told.longest = told.longest.max(took);
                let first = told.arms.entry(id.into()).or_insert_with(|| arm.into()).clone();
                assert_eq!(first, arm, "decision {id} was told twice, differently");
                if decision["source"] == "fallback" {
                    told.fallbacks += 1;
                    continue;
                }
                assert_eq!(decision["source"], "policy");
                told.decisions.insert(id.into(), arm.into());
            }
            if self.rng.random_bool(0.3) {
                let reward = json!({"id": id, "type": "reward", "name": "buy", "decision_id": id});
                let (status, _) = self.post("/v1/events", &reward).await;
                let mut told = self.told.lock().unwrap();
                if status == 202 {
                    told.rewarded.insert(id.into());
                } else {
                    told.refused += 1
                }
            }
        }
    }

    async fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let base = &self.bases[self.rng.random_range(0..self.bases.len())];
        let answer = self.client.post(format!("{base}{path}")).json(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }
}

/// Waits until the database has all that was told, and checks it against what was told: each decision once with its
/// arm, each reward once, and posteriors from nothing else.
pub async fn check(house: &House, server: &Server, told: &Told) {
    let begun = Instant::now();
    loop {
        server.post(&format!("/v1/experiments/{EXPERIMENT}/update"), &Value::Null).await;
        let missing = missing(house, told).await;
        if missing.is_empty() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{} are missing, as {:?}", missing.len(), missing.first());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let stores = store::open_database(&house.locations()).await.unwrap();
    let counted = stores.outcomes.evidence(EXPERIMENT).await.unwrap();
    assert_eq!(counted, stores.outcomes.recount(EXPERIMENT).await.unwrap());
    let decided = house.number("SELECT count(*) FROM decisions").await;
    let ids = house.number("SELECT count(DISTINCT id) FROM decisions").await;
    assert_eq!(decided, ids, "a decision is in the database twice");
    let trials: u64 = counted.outcomes.iter().map(|o| o.trials).sum();
    assert_eq!(trials, u64::try_from(decided).unwrap());
    let rewards: u64 = counted.outcomes.iter().map(|o| o.rewards).sum();
    assert!(rewards >= told.rewarded.len() as u64 && rewards <= trials, "{rewards} of {}", told.rewarded.len());
    assert_eq!(stores.outcomes.dead_letters(None, 10).await.unwrap(), []);
}

/// What was told and is not in the database, or is there with another arm.
async fn missing(house: &House, told: &Told) -> Vec<String> {
    let arms = ["a", "b", "c", "d", "e"];
    let rows = sqlx::query("SELECT id, arm, counted_reward FROM decisions").fetch_all(&house.pool).await.unwrap();
    let mut known = HashMap::new();
    for row in rows {
        let id: Vec<u8> = row.get("id");
        let id: String = id.iter().map(|b| format!("{b:02x}")).collect();
        known.insert(id, (row.get::<i32, _>("arm"), row.get::<bool, _>("counted_reward")));
    }
    let decisions = told.decisions.iter().filter(|(id, arm)| {
        let found = known.get(*id).map(|(place, _)| arms[usize::try_from(*place).unwrap()]);
        assert!(found.is_none() || found == Some(arm), "{id}: told {arm}, kept {found:?}");
        found.is_none()
    });
    let rewards = told.rewarded.iter().filter(|id| known.get(*id).is_none_or(|(_, rewarded)| !rewarded));
    decisions.map(|(id, _)| id.clone()).chain(rewards.map(|id| format!("reward of {id}"))).collect()
}
