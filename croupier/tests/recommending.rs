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
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use support::{Server, setting};

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
