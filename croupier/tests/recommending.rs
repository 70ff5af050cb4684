//! Catalogs under `kill -9`: what was acknowledged is there, and a load that was cut off is sent again to its end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

#[path = "recommending/endpoint.rs"]
mod endpoint;
mod support;
#[path = "recommending/texts.rs"]
mod texts;

use rand::{RngExt, SeedableRng};
use recommend::Candidates;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use store::{Durability, Locations, Shelf, Stores, View, Visitor};
use support::{Server, croupier, finish, setting};

const DIMENSION: usize = 64;
/// Items of a request: a few megabytes.
const LOAD: usize = 2_500;

/// Item `n` as it was sent the `round`th time: its payload says which, and so does its vector.
fn item(n: usize, round: u64) -> Value {
    let vector: Vec<f64> = (0..DIMENSION).map(|i| ((n * 31 + i * 7) as f64 + round as f64 * 0.1).sin()).collect();
    json!({"id": format!("item-{n}"), "vector": vector, "payload": round})
}

fn lines(of: impl Iterator<Item = usize>, round: u64) -> String {
    of.map(|n| item(n, round).to_string() + "\n").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_was_cut_off_is_sent_again_and_nothing_acknowledged_is_lost() {
    let kills = setting("KILLS", 3);
    let dir = tempfile::tempdir().unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let mut server = Server::start(dir.path(), &[]);
    let definition = json!({"dimension": DIMENSION});
    server.expect(Method::PUT, "/v1/catalogs/shop", Some(&definition), 201).await;
    // Item → the rounds in which it may have been kept; after an acknowledgement only that one.
    let mut may_be: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
    let mut removed: BTreeSet<usize> = BTreeSet::new();
    for round in 0..kills {
        let first = usize::try_from(round).unwrap() * LOAD / 2;
        // A few that are acknowledged, one by one, and a removal.
        for n in first..first + 20 {
            let answer =
                server.expect(Method::PUT, "/v1/catalogs/shop/items", Some(&json!([item(n, round)])), 200).await;
            assert_eq!(answer["accepted"], 1);
            may_be.insert(n, [round].into());
            removed.remove(&n);
        }
        let gone = server.send(Method::DELETE, &format!("/v1/catalogs/shop/items/item-{first}"), None).await.unwrap();
        assert_eq!(gone.status(), 204);
        may_be.remove(&first);
        removed.insert(first);
        // Then a large load, and the plug is pulled somewhere in it.
        let url = format!("{}/v1/catalogs/shop/items", server.base);
        let request = server.client.put(url).body(lines(first + 1..first + LOAD, round + 1_000)).send();
        let loading = tokio::spawn(request);
        tokio::time::sleep(Duration::from_millis(rng.random_range(20..900))).await;
        server.kill();
        let answer = loading.await.unwrap();
        let done = answer.is_ok_and(|a| a.status() == 200);
        for n in first + 1..first + LOAD {
            let rounds = may_be.entry(n).or_default();
            if done {
                rounds.clear();
            }
            rounds.insert(round + 1_000);
        }
        server = Server::start(dir.path(), &[]);
        for (n, rounds) in may_be.iter().filter(|(n, _)| **n < first + 40 || n.is_multiple_of(97)) {
            let found = server.send(Method::GET, &format!("/v1/catalogs/shop/items/item-{n}"), None).await.unwrap();
            if found.status() == 404 {
                assert!(rounds.iter().all(|r| *r >= 1_000) && !done, "item-{n} was acknowledged and is lost");
                continue;
            }
            let found: Value = found.json().await.unwrap();
            let of = found["payload"].as_u64().unwrap();
            assert!(rounds.contains(&of), "item-{n} is of round {of}, may be of {rounds:?}");
            assert_eq!(found["vector"][3].as_f64().unwrap() as f32, item(*n, of)["vector"][3].as_f64().unwrap() as f32);
        }
        for n in &removed {
            let found = server.send(Method::GET, &format!("/v1/catalogs/shop/items/item-{n}"), None).await.unwrap();
            assert_eq!(found.status(), 404, "item-{n} was removed");
        }
        // Sent again, it comes to its end, however far it had come.
        let answer = server.client.put(format!("{}/v1/catalogs/shop/items", server.base));
        let answer = answer.body(lines(first + 1..first + LOAD, round + 1_000)).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer, json!({"accepted": LOAD - 1, "rejected": []}));
        for n in first + 1..first + LOAD {
            may_be.insert(n, [round + 1_000].into());
            removed.remove(&n);
        }
        let catalog = server.get("/v1/catalogs/shop").await;
        assert_eq!(catalog["items"].as_u64().unwrap(), may_be.len() as u64, "in lists is what was kept");
    }
}

/// The items of a round: other vectors under the same ids.
async fn put_round(stores: &Stores, round: u64) -> (u64, Arc<Candidates>) {
    let items: Vec<recommend::Item> = (0..1_500).map(|n| serde_json::from_value(item(n, round)).unwrap()).collect();
    stores.catalogs.put_items("shop", &items).await.unwrap();
    let shelf = Shelf::default();
    shelf.catch_up(&*stores.catalogs, &Then).await.unwrap();
    (shelf.reached(), shelf.get("shop").unwrap())
}

struct Then;

impl bandit::Clock for Then {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
}

/// The updater is killed in passes over all visitors, while the items become others between them: the last pass goes on to
/// the end, and each list is of one round's vectors, that of its change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_was_killed_is_gone_on_with_and_no_list_mixes_versions() {
    let (kills, users) = (setting("KILLS", 2), 4_000);
    let dir = tempfile::tempdir().unwrap();
    let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let data = dir.path().display().to_string();
    let pass = || {
        let args = ["updater", "--once", "--only", "lists", "--log", "warn", "--data", &data, "--durability", "os"];
        croupier(&args)
    };
    let stores = store::open(&locations).await.unwrap();
    let definition = serde_json::from_value(json!({"dimension": DIMENSION, "active_hours": 2_160})).unwrap();
    stores.catalogs.put_catalog(&store::Catalog { id: "shop".into(), definition }).await.unwrap();
    // Later than any test is run: whoever looks at something then is active.
    let at = "2100-01-01T00:00:00Z".parse().unwrap();
    let view = |n: usize| View { user: format!("u{n}"), item: format!("item-{}", n * 7 % 1_500), at };
    stores.views.append(&(0..users).map(view).collect::<Vec<_>>()).await.unwrap();
    let mut versions = BTreeMap::new();
    let (change, items) = put_round(&stores, 0).await;
    versions.insert(change, items);
    drop(stores);
    for round in 1..=kills {
        let mut child = pass().stdout(std::process::Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..2_500))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let stores = store::open(&locations).await.unwrap();
        let (change, items) = put_round(&stores, round).await;
        versions.insert(change, items);
    }
    let (code, out, err) = finish(pass());
    assert!(code == 0 && out.contains("lists of shop: read"), "{out}{err}");
    println!("{} kills, then: {out}", kills);
    let stores = store::open(&locations).await.unwrap();
    let mut of_versions: BTreeMap<u64, usize> = BTreeMap::new();
    for n in 0..users {
        let visit = stores.lists.visit(&Visitor::of(&format!("u{n}")), "shop").await.unwrap();
        let list = visit.list.unwrap_or_else(|| panic!("u{n} has no list"));
        *of_versions.entry(list.change).or_default() += 1;
        if n.is_multiple_of(10) {
            let seen = [store::ages(&visit.seen, list.made_at)];
            let again = versions[&list.change].for_visitors(&seen, list.made_at).remove(0);
            assert_eq!(again, Some(list.made), "u{n}");
        }
    }
    println!("lists by version: {of_versions:?}");
    drop(stores);
    // What a pass that went on left of earlier versions, the next makes anew.
    let (code, out, err) = finish(pass());
    assert!(code == 0 && out.contains(&format!("read {users} visitors; make {users} lists")), "{out}{err}");
}

/// How long decides take while lists of all visitors are made, beside how long they take afterwards, on one server: printed,
/// since it is the machine's as well. `LISTS_USERS=100000` is the long form.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decides_beside_a_pass() {
    let users = usize::try_from(setting("LISTS_USERS", 1_000)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
    let stores = store::open(&locations).await.unwrap();
    let definition = serde_json::from_value(json!({"dimension": DIMENSION})).unwrap();
    stores.catalogs.put_catalog(&store::Catalog { id: "shop".into(), definition }).await.unwrap();
    put_round(&stores, 0).await;
    let at = "2100-01-01T00:00:00Z".parse().unwrap();
    for first in (0..users).step_by(1_000) {
        let view = |n: usize| View { user: format!("u{n}"), item: format!("item-{}", n * 7 % 1_500), at };
        stores.views.append(&(first..users.min(first + 1_000)).map(view).collect::<Vec<_>>()).await.unwrap();
    }
    drop(stores);
    let server = Server::start(dir.path(), &[]);
    server.run(&support::five_arms("page")).await;
    let mut user = 0;
    let mut decide = async || {
        user += 1;
        let began = std::time::Instant::now();
        server.post("/v1/decide", &json!({"experiment": "page", "user": format!("v{user}")})).await;
        let took = began.elapsed();
        // About half of what one connection can do.
        tokio::time::sleep(took).await;
        took
    };
    let runs = "/dashboard/pipeline?table=runs&as=json&kind=lists";
    let (mut beside, mut after) = (Vec::new(), Vec::new());
    let report = loop {
        for _ in 0..50 {
            beside.push(decide().await);
        }
        let all = server.get(runs).await;
        if all[0]["status"] == "done" {
            break all[0].clone();
        }
    };
    for _ in 0..beside.len().max(200) {
        after.push(decide().await);
    }
    let p99 = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() * 99 / 100]
    };
    let (beside, after) = (p99(&mut beside), p99(&mut after));
    println!(
        "p99 of decides beside a pass {beside:?}, after it {after:?}: {:.2}",
        beside.as_secs_f64() / after.as_secs_f64()
    );
    println!("the pass: {report}");
}
