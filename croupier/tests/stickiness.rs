//! No key is ever dealt two arms in a day: concurrent, with posteriors changing, across a restart.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use futures::stream::{self, StreamExt};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use support::{Server, five_arms, setting};

const USERS: u64 = 5_000;
const ITEMS: u64 = 10;
/// Each request of a batch comes twice, so that first requests race.
const BATCH: u64 = 2 * ITEMS;

/// Nothing is to fall back or be refused because the machine of the test is slow.
const PATIENT: [&str; 2] = ["--decide-timeout-ms", "5000"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_gets_two_arms() {
    let decides = setting("DECIDES", 1_000_000);
    let dir = tempfile::tempdir().unwrap();
    let seen: Mutex<HashMap<String, String>> = Mutex::default();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let rounds = 10;
    let mut versions = std::collections::BTreeSet::new();
    let mut rewards: Vec<Value> = Vec::new();
    let mut server = Server::start(dir.path(), &PATIENT);
    server.run(&five_arms("page")).await;
    for round in 0..rounds {
        if round == rounds / 2 {
            server.kill();
            server = Server::start(dir.path(), &PATIENT);
        }
        let batches = decides / BATCH / rounds;
        // Each round brings new users among the old ones.
        let so_far = USERS * (round + 1) / rounds;
        let mut users: Vec<u64> = (0..batches).map(|n| n % so_far).collect();
        users.shuffle(&mut rng);
        for chunk in rewards.chunks(2_000) {
            server.post("/v1/events", &json!(chunk)).await;
        }
        // The posteriors move while the round is under way.
        let visits = stream::iter(users).map(|user| visit(&server, user, &seen)).buffer_unordered(64);
        let (all, _) = futures::join!(visits.flat_map(stream::iter).collect::<Vec<Value>>(), server.update("page"));
        rewards = all.into_iter().filter(|_| rng.random_bool(0.3)).collect();
        versions.insert(server.get("/v1/experiments/page/results").await["posterior_version"].as_u64().unwrap());
    }
    let keys = seen.lock().unwrap().len() as u64;
    assert!(keys == USERS * ITEMS || decides < 1_000_000, "only {keys} keys were asked for");
    assert_eq!(versions.len() as u64, rounds, "posteriors changed in every round");
    server.update("page").await;
    let results = server.get("/v1/experiments/page/results").await;
    let trials: u64 = results["arms"].as_array().unwrap().iter().map(|a| a["trials"].as_u64().unwrap()).sum();
    assert_eq!(trials, keys, "each key is one trial, however often it was asked for");
    server.stop();
}

/// Twenty requests for ten keys; returns rewards for the first decisions of arm `b`.
async fn visit(server: &Server, user: u64, seen: &Mutex<HashMap<String, String>>) -> Vec<Value> {
    let requests: Vec<Value> =
        (0..BATCH).map(|n| json!({"experiment": "page", "item": format!("i{}", n % ITEMS)})).collect();
    let answer = server.post("/v1/decide/batch", &json!({"user": format!("u{user}"), "requests": requests})).await;
    let mut rewards = Vec::new();
    for d in answer["decisions"].as_array().unwrap() {
        let (id, arm) = (d["decision_id"].as_str().unwrap(), d["arm"].as_str().unwrap());
        assert_eq!(d["source"], "policy");
        let mut seen = seen.lock().unwrap();
        let first = seen.entry(id.to_owned()).or_insert_with(|| arm.to_owned());
        assert_eq!(first, arm, "decision {id} of user {user} got two arms");
        if d["first"] == true && arm == "b" {
            rewards.push(json!({"id": id, "type": "reward", "name": "buy", "decision_id": id}));
        }
    }
    rewards
}
