//! Catalogs on the cloud's stores: what one replica is told, the other shows within a second.

use crate::house::House;
use crate::support::Server;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longest until every replica shows a change.
const VISIBLE: Duration = Duration::from_secs(1);

async fn put(server: &Server, items: &Value) {
    let answer = server.expect(Method::PUT, "/v1/catalogs/shop/items", Some(items), 200).await;
    assert_eq!(answer["rejected"], json!([]), "{answer}");
}

/// What a replica shows to somebody who looked at `u`.
async fn shown(server: &Server, user: &str) -> Vec<String> {
    let answer = server.get(&format!("/v1/catalogs/shop/recommendations?user={user}&k=50")).await;
    answer["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect()
}

/// How long until a replica's lists are as they should be; the time of the last look that did not see it, at least.
async fn until(server: &Server, user: &str, is: impl Fn(&[String]) -> bool) -> Duration {
    let begun = Instant::now();
    loop {
        let asked = begun.elapsed();
        if is(&shown(server, user).await) {
            return asked;
        }
        assert!(begun.elapsed() < VISIBLE * 20, "it is never seen");
    }
}

/// The clock of this machine, which the replicas read as well.
#[expect(clippy::disallowed_methods, reason = "they are processes with a clock of their own")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// New, changed, expired and removed items, views and what restarts find.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_show_the_same() {
    let Some(house) = House::open().await else { return };
    let (a, b) = (house.api("a"), house.api("b"));
    let definition = json!({"dimension": 2, "diversity": 0});
    a.expect(Method::PUT, "/v1/catalogs/shop", Some(&definition), 201).await;
    put(&a, &json!([{"id": "red", "vector": [1, 0]}, {"id": "green", "vector": [0.5, 0.8]}])).await;
    let begun = Instant::now();
    while b.send(Method::GET, "/v1/catalogs/shop/items/red/related", None).await.unwrap().status() != 200 {
        assert!(begun.elapsed() < VISIBLE, "the catalog is not seen");
    }
    // Views are in the store when they are acknowledged: at the next request, on any replica.
    a.post("/v1/events", &json!({"type": "view", "user": "u", "item": "red"})).await;
    assert_eq!(shown(&b, "u").await, ["green"]);
    let mut waits = Vec::new();
    for n in 0..20 {
        let (teller, other) = if n % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let id = format!("new-{n}");
        put(teller, &json!([{"id": id, "vector": [0.9, -0.1 - f64::from(n) * 0.02]}])).await;
        assert!(shown(teller, "u").await.contains(&id), "whoever put it sees it at once");
        waits.push(until(other, "u", |ids| ids.contains(&id)).await);
        let gone = teller.send(Method::DELETE, &format!("/v1/catalogs/shop/items/{id}"), None).await.unwrap();
        assert_eq!(gone.status(), 204);
        assert!(!shown(teller, "u").await.contains(&id));
        waits.push(until(other, "u", |ids| !ids.contains(&id)).await);
    }
    waits.sort_unstable();
    println!("seen by the other replica after {:?} at the median, {:?} at most", waits[20], waits[39]);
    assert!(waits[39] <= VISIBLE, "{waits:?}");
    // Expiry needs no word between replicas.
    let end = now() + jiff::SignedDuration::from_secs(2);
    put(&a, &json!([{"id": "brief", "vector": [1, 0.2], "expires_at": end}])).await;
    until(&b, "u", |ids| ids.contains(&"brief".to_owned())).await;
    until(&b, "u", |ids| !ids.contains(&"brief".to_owned())).await;
    let late = now().duration_since(end);
    assert!(late.as_secs_f64() >= 0.0 && late.as_secs_f64() <= VISIBLE.as_secs_f64(), "{late} after its end");
    assert!(!shown(&a, "u").await.contains(&"brief".to_owned()));
    // A replica that comes later knows all of it.
    let c = house.api("c");
    assert_eq!(shown(&c, "u").await, ["green"]);
    let gone = c.send(Method::DELETE, "/v1/catalogs/shop", None).await.unwrap();
    assert_eq!(gone.status(), 204);
    let begun = Instant::now();
    while a.send(Method::GET, "/v1/catalogs/shop", None).await.unwrap().status() != 404 {
        assert!(begun.elapsed() < VISIBLE, "the catalog is still there");
    }
}
