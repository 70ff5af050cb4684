//! `kill -9` at random moments under load: what was acknowledged is there, counted once, and the posteriors that
//! are rebuilt from it are those that were published.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use bandit::recompute;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use sqlx::{Row, SqlitePool};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Durability, Locations};
use support::{Server, five_arms, setting};

/// What the server said was safe.
#[derive(Default)]
struct Acknowledged {
    /// Decision id → arm, user.
    decisions: BTreeMap<String, (String, String)>,
    rewards: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_counted_twice() {
    let kills = setting("KILLS", 20);
    let dir = tempfile::tempdir().unwrap();
    let acknowledged: Arc<Mutex<Acknowledged>> = Arc::default();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let mut server = Server::start(dir.path(), &[]);
    server.run(&five_arms("page")).await;
    for cycle in 0..kills {
        let load: Vec<_> =
            (0..16).map(|n| tokio::spawn(work(server.base.clone(), cycle, n, acknowledged.clone()))).collect();
        tokio::time::sleep(Duration::from_millis(rng.random_range(20..500))).await;
        server.kill();
        for task in load {
            task.await.unwrap();
        }
        server = Server::start(dir.path(), &[]);
    }
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    assert!(acknowledged.decisions.len() > 100 && acknowledged.rewards.len() > 20, "the load did something");
    for (id, (arm, user)) in acknowledged.decisions.iter().take(500) {
        let again = server.post("/v1/decide", &json!({"experiment": "page", "user": user, "item": "i"})).await;
        assert_eq!((&again["arm"], &again["first"]), (&json!(arm), &json!(false)), "{id}");
    }
    server.update("page").await;
    server.stop();
    check_database(dir.path(), &acknowledged).await;
    check_posteriors(dir.path()).await;
}

/// Decides and rewards until the connection breaks.
async fn work(base: String, cycle: u64, number: u64, acknowledged: Arc<Mutex<Acknowledged>>) {
    let client = reqwest::Client::new();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(cycle * 100 + number);
    for n in 0.. {
        // Some users come again in later cycles and after other posteriors.
        let user = if rng.random_bool(0.3) {
            format!("u{}", rng.random_range(0..200))
        } else {
            format!("u{cycle}-{number}-{n}")
        };
        let ask = json!({"experiment": "page", "user": user, "item": "i"});
        let Ok(answer) = client.post(format!("{base}/v1/decide")).json(&ask).send().await else { return };
        assert_eq!(answer.status(), 200);
        let Ok(decision) = answer.json::<serde_json::Value>().await else { return };
        assert_ne!(decision["source"], "fallback");
        let (id, arm) =
            (decision["decision_id"].as_str().unwrap().to_owned(), decision["arm"].as_str().unwrap().to_owned());
        {
            let mut known = acknowledged.lock().unwrap();
            let first = known.decisions.entry(id.clone()).or_insert_with(|| (arm.clone(), user.clone()));
            assert_eq!(*first, (arm, user), "one user, one arm");
        }
        if rng.random_bool(0.4) {
            let reward = json!({"id": format!("r-{id}"), "type": "reward", "name": "buy", "decision_id": id});
            match client.post(format!("{base}/v1/events")).json(&reward).send().await {
                Ok(answer) if answer.status() == 202 => drop(acknowledged.lock().unwrap().rewards.insert(id)),
                Ok(answer) => panic!("{}", answer.status()),
                Err(_) => return,
            }
        }
        if number == 0 && n % 20 == 19 {
            // Whether it ends is the kill's choice.
            let _ = client.post(format!("{base}/v1/experiments/page/update")).send().await;
        }
    }
}

async fn check_database(dir: &Path, acknowledged: &Acknowledged) {
    let pool = SqlitePool::connect(&format!("sqlite:{}/croupier.db", dir.display())).await.unwrap();
    let rows = sqlx::query("SELECT lower(hex(id)) AS id, arm, counted_trial, counted_reward FROM decisions")
        .fetch_all(&pool)
        .await
        .unwrap();
    let kept: BTreeMap<String, (i64, i64, i64)> = rows
        .iter()
        .map(|r| (r.get::<String, _>("id"), (r.get("arm"), r.get("counted_trial"), r.get("counted_reward"))))
        .collect();
    for (id, (arm, _)) in &acknowledged.decisions {
        let (index, trial, reward) = kept.get(id).unwrap_or_else(|| panic!("acknowledged decision {id} is lost"));
        assert_eq!((["a", "b", "c", "d", "e"][usize::try_from(*index).unwrap()], *trial), (arm.as_str(), 1));
        assert!(!acknowledged.rewards.contains(id) || *reward == 1, "acknowledged reward of {id} is lost");
    }
    let (trials, rewards): (i64, i64) =
        sqlx::query_as("SELECT sum(trials), sum(rewards) FROM outcomes").fetch_one(&pool).await.unwrap();
    assert_eq!(usize::try_from(trials).unwrap(), kept.len(), "each decision is counted once");
    assert_eq!(rewards, kept.values().map(|(_, _, reward)| reward).sum::<i64>(), "each reward is counted once");
    let (aside,): (i64,) = sqlx::query_as("SELECT count(*) FROM dead_letters").fetch_one(&pool).await.unwrap();
    assert_eq!(aside, 0);
}

async fn check_posteriors(dir: &Path) {
    let stores = store::open(&Locations { durability: Durability::Os, ..Locations::in_dir(dir) }).await.unwrap();
    let published = stores.posteriors.latest("page").await.unwrap().unwrap();
    let record = stores.experiments.get("page").await.unwrap().unwrap();
    let recounted = stores.outcomes.recount("page").await.unwrap();
    assert_eq!(recounted, stores.outcomes.evidence("page").await.unwrap());
    let rebuilt = recompute(&record.definition, record.revision, published.version, &recounted, published.as_of);
    assert_eq!(rebuilt.encode().unwrap(), published.encode().unwrap(), "rebuilt from the log, byte for byte");
    assert_eq!(stores.events.backlog().await.unwrap(), Some(0));
}
