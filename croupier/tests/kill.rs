//! `kill -9` at random moments, in everything that a server does: what was acknowledged is there, counted once, and the
//! posteriors that are rebuilt from it are those that were published.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use bandit::{Assignment, AssignmentKey, DecisionId, Source, recompute};
use rand::{RngExt, SeedableRng};
use reqwest::{Client, Method};
use serde_json::json;
use sqlx::{Row, SqlitePool};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Durability, Locations};
use support::{Server, croupier, finish, five_arms, setting};

/// What the server said was safe.
#[derive(Default)]
struct Acknowledged {
    /// Decision id → arm, user.
    decisions: BTreeMap<String, (String, String)>,
    rewards: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_counted_twice() {
    let kills = setting("KILLS", 21);
    let dir = tempfile::tempdir().unwrap();
    let acknowledged: Arc<Mutex<Acknowledged>> = Arc::default();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let mut server = Server::start(dir.path(), &[]);
    server.run(&five_arms("page")).await;
    let mut items = BTreeSet::new();
    server.expect(Method::PUT, "/v1/catalogs/shop", Some(&json!({"dimension": 2})), 201).await;
    for cycle in 0..kills {
        let phase = PHASES[usize::try_from(cycle).unwrap() % PHASES.len()];
        if phase == Phase::Expiring {
            server.stop();
            put_old_assignments(dir.path()).await;
            server = Server::start(dir.path(), &[]);
        }
        let load: Vec<_> = (0..16)
            .map(|n| tokio::spawn(work(server.client.clone(), server.base.clone(), cycle, n, acknowledged.clone())))
            .collect();
        let beside =
            tokio::spawn(beside(phase, server.client.clone(), server.base.clone(), dir.path().to_owned(), cycle));
        tokio::time::sleep(Duration::from_millis(rng.random_range(20..500))).await;
        if phase == Phase::Stopping {
            server.terminate();
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..100))).await;
        }
        server.kill();
        for task in load {
            task.await.unwrap();
        }
        items.extend(beside.await.unwrap());
        if phase == Phase::Starting {
            kill_at_once(dir.path(), &["serve", "--listen", "127.0.0.1:0"], rng.random_range(0..400)).await;
        }
        if phase == Phase::Restoring {
            restore(dir.path(), rng.random_range(0..400)).await;
        }
        server = Server::start(dir.path(), &[]);
    }
    for page in items.iter().collect::<Vec<_>>().chunks(100) {
        for id in page {
            let found = server.send(Method::GET, &format!("/v1/catalogs/shop/items/{id}/related?k=1"), None).await;
            assert_eq!(found.unwrap().status(), 200, "acknowledged item {id} is lost");
        }
    }
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    let (decisions, rewards) = (acknowledged.decisions.len(), acknowledged.rewards.len());
    assert!(decisions > 100 && rewards > 20, "the load did little: {decisions} decisions and {rewards} rewards");
    for (id, (arm, user)) in acknowledged.decisions.iter().take(500) {
        let again = server.post("/v1/decide", &json!({"experiment": "page", "user": user, "item": "i"})).await;
        assert_eq!((&again["arm"], &again["first"]), (&json!(arm), &json!(false)), "{id}");
    }
    server.update("page").await;
    server.stop();
    check_database(dir.path(), &acknowledged).await;
    check_posteriors(dir.path()).await;
}

/// What else a server is at when it is killed. Decisions, rewards and updates come in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Deciding,
    Starting,
    LoadingCatalogs,
    BackingUp,
    Expiring,
    Restoring,
    Stopping,
}

const PHASES: [Phase; 7] = [
    Phase::Deciding,
    Phase::Starting,
    Phase::LoadingCatalogs,
    Phase::BackingUp,
    Phase::Expiring,
    Phase::Restoring,
    Phase::Stopping,
];

/// Does what the phase is about until the connection breaks; the items that were acknowledged.
async fn beside(phase: Phase, client: Client, base: String, dir: PathBuf, cycle: u64) -> Vec<String> {
    let mut kept = Vec::new();
    match phase {
        Phase::LoadingCatalogs => {
            for n in 0.. {
                let ids: Vec<String> = (0..200).map(|i| format!("{cycle}-{n}-{i}")).collect();
                let items: Vec<_> = ids.iter().map(|id| json!({"id": id, "vector": [n, 1]})).collect();
                match client.put(format!("{base}/v1/catalogs/shop/items")).json(&items).send().await {
                    // Some of each, to ask for later.
                    Ok(answer) if answer.status() == 200 => kept.extend(ids.into_iter().step_by(50)),
                    _ => break,
                }
            }
        }
        Phase::BackingUp => {
            // A whole backup, or none.
            let file = dir.with_extension("backup");
            let address = base.trim_start_matches("http://");
            let data = dir.display().to_string();
            let command = croupier(&["backup", file.to_str().unwrap(), "--data", &data, "--listen", address]);
            let (code, _, _) = tokio::task::spawn_blocking(|| finish(command)).await.unwrap();
            assert_eq!(code == 0, file.exists());
            assert!(code != 0 || store::read_about(&file).is_ok());
            let _ = std::fs::remove_file(file);
        }
        Phase::Expiring => {
            let _ = client.post(format!("{base}/v1/experiments/page/update")).send().await;
        }
        _ => {}
    }
    kept
}

/// Assignments of a day that the next update lets go of.
async fn put_old_assignments(dir: &Path) {
    let stores = store::open(&Locations { durability: Durability::Os, ..Locations::in_dir(dir) }).await.unwrap();
    for n in 0..100 {
        let id = DecisionId([n; 16]);
        let key = AssignmentKey { id, day: Some("2020-01-01".parse().unwrap()) };
        let (arm, segment) = ("a".into(), "".into());
        let at = "2020-01-01T00:00:00Z".parse().unwrap();
        let old = Assignment {
            key,
            arm,
            segment,
            propensity: 1.0,
            posterior_version: 0,
            revision: 1,
            source: Source::Policy,
            at,
        };
        stores.assignments.put_if_absent(&old).await.unwrap().durable.wait().await.unwrap();
    }
    stores.events.close().await;
}

/// Starts a command and kills it after some milliseconds.
async fn kill_at_once(dir: &Path, args: &[&str], milliseconds: u64) {
    let data = dir.display().to_string();
    let mut command = croupier(&[args, &["--data", &data]].concat());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A restore that is cut off is opened by nobody; one that is not is whole. And a first start, which makes every table, is as
/// if it had not been.
async fn restore(dir: &Path, milliseconds: u64) {
    let scratch = tempfile::tempdir().unwrap();
    let (file, target, new) = (scratch.path().join("backup"), scratch.path().join("data"), scratch.path().join("new"));
    let data = dir.display().to_string();
    let (code, _, err) = finish(croupier(&["backup", file.to_str().unwrap(), "--data", &data]));
    assert_eq!(code, 0, "{err}");
    kill_at_once(&target, &["restore", file.to_str().unwrap()], milliseconds).await;
    match store::open(&Locations::in_dir(&target)).await {
        Ok(stores) => {
            // Nothing was in its place yet, or all of it is.
            let restored = stores.experiments.get("page").await.unwrap();
            assert!(restored.is_some() || stores.experiments.list(None, 1).await.unwrap().is_empty());
        }
        Err(e) => assert!(e.to_string().contains("cut off"), "{e}"),
    }
    kill_at_once(&new, &["serve", "--listen", "127.0.0.1:0"], milliseconds).await;
    Server::start(&new, &[]).run(&five_arms("page")).await;
}

/// Decides and rewards until the connection breaks.
async fn work(client: Client, base: String, cycle: u64, number: u64, acknowledged: Arc<Mutex<Acknowledged>>) {
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
