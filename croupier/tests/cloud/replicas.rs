//! Replicas that decide at once agree, and the database learns each decision once.

use crate::house::House;
use crate::support::{Server, setting};
use crate::visitors::{EXPERIMENT, begin};
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;

const USERS: u64 = 2_000;
const ITEMS: u64 = 10;

/// Two replicas, one updater, 200,000 concurrent decides over 20,000 keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_gets_two_arms() {
    let Some(house) = House::open().await else { return };
    let decides = setting("CLOUD_DECIDES", 200_000);
    // So long that none falls back on a busy machine: this is not about time.
    let patient =
        |name| Server::of(house.command(&["api"], name, &["--listen", "127.0.0.1:0", "--decide-timeout-ms", "30000"]));
    let (a, b) = (patient("a"), patient("b"));
    let _updater = house.updater("updater");
    begin(&[&a, &b]).await;
    let seen: Mutex<HashMap<String, String>> = Mutex::default();
    let batches = decides / ITEMS;
    // Neighbours in time ask both replicas for the same keys.
    let visits = (0..batches).map(|n| visit(if n % 2 == 0 { &a } else { &b }, n / 2 % USERS, &seen));
    let firsts: u64 = stream::iter(visits).buffer_unordered(32).fold(0, async |sum, n| sum + n).await;
    let keys = seen.lock().unwrap().len() as u64;
    // Twice as many at most, where midnight passes meanwhile.
    assert!((USERS * ITEMS..=2 * USERS * ITEMS).contains(&keys), "{keys}");
    assert_eq!(firsts, keys, "each key was first once");
    let count = "SELECT count(*) FROM decisions";
    house.until(count, i64::try_from(keys).unwrap()).await;
    a.update(EXPERIMENT).await;
    assert_eq!(house.number(count).await, i64::try_from(keys).unwrap());
    assert_eq!(house.number("SELECT count(DISTINCT id) FROM decisions").await, i64::try_from(keys).unwrap());
    assert_eq!(house.number("SELECT sum(trials)::bigint FROM outcomes").await, i64::try_from(keys).unwrap());
}

/// Ten decisions of one user; how many were first.
async fn visit(server: &Server, user: u64, seen: &Mutex<HashMap<String, String>>) -> u64 {
    let requests: Vec<Value> = (0..ITEMS).map(|n| json!({"experiment": EXPERIMENT, "item": format!("i{n}")})).collect();
    let answer = server.post("/v1/decide/batch", &json!({"user": format!("u{user}"), "requests": requests})).await;
    let mut firsts = 0;
    for d in answer["decisions"].as_array().unwrap() {
        let (id, arm) = (d["decision_id"].as_str().unwrap(), d["arm"].as_str().unwrap());
        assert_eq!(d["source"], "policy", "{d}");
        let mut seen = seen.lock().unwrap();
        let first = seen.entry(id.to_owned()).or_insert_with(|| arm.to_owned());
        assert_eq!(first, arm, "decision {id} of user {user} got two arms");
        firsts += u64::from(d["first"] == true);
    }
    firsts
}
