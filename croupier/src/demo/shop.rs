//! The demo's shop: items that come and are sold, and shoppers who each like one kind of thing.

use super::{LOOK, send};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::watch;

/// The catalog's name.
pub(super) const CATALOG: &str = "shop";
/// What there is, each kind with a direction of its own.
const KINDS: [&str; 12] = [
    "chairs", "tables", "lamps", "rugs", "shelves", "beds", "mirrors", "clocks", "plants", "vases", "curtains",
    "stools",
];
/// Numbers of a vector.
const DIMENSION: usize = 16;
/// How far items of a kind are from its direction.
const SPREAD: f64 = 0.5;
/// Items on the first day.
const STOCK: usize = 600;
/// How often one comes and one is sold.
const TRADE: Duration = Duration::from_secs(2);
/// Shoppers at a time, and how many things each looks at.
pub(super) const SHOPPERS: u64 = 8;
const LOOKS: usize = 8;
/// How many of a shopper's looks follow their taste.
const TASTE: f64 = 0.85;

/// Item number `n`: of a kind, near that kind's direction. A kind's direction, and each item, is a function of its number.
fn item(n: usize) -> Value {
    let kind = n % KINDS.len();
    let gauss = |seed: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        move || -> f64 { StandardNormal.sample(&mut rng) }
    };
    let (mut centre, mut own) = (gauss(kind as u64), gauss(1_000 + n as u64));
    let vector: Vec<f64> = (0..DIMENSION).map(|_| centre() + SPREAD * own()).collect();
    json!({
        "id": format!("{}-{n}", KINDS[kind]), "vector": vector, "tags": [KINDS[kind], format!("shop-{}", n % 5)],
        "payload": {"title": format!("{} no. {n}", KINDS[kind].trim_end_matches('s')), "price": 10 + n % 90},
    })
}

/// Fills the shop.
pub(super) async fn open(client: &Client, base: &str) -> Option<()> {
    let catalog = format!("{base}/v1/catalogs/{CATALOG}");
    let definition = json!({"dimension": DIMENSION, "history_length": 20, "max_per_tag": 4});
    put(client, &catalog, &definition).await?;
    put(client, &format!("{catalog}/items"), &json!((0..STOCK).map(item).collect::<Vec<_>>())).await
}

async fn put(client: &Client, url: &str, body: &Value) -> Option<()> {
    let answer = client.put(url).json(body).send().await.ok()?;
    answer.status().is_success().then_some(())
}

/// Something new comes in, something old is sold, until the demo ends.
pub(super) async fn trade(base: String, mut stop: watch::Receiver<bool>) {
    let client = Client::new();
    let items = format!("{base}/v1/catalogs/{CATALOG}/items");
    for n in 0.. {
        tokio::select! { () = tokio::time::sleep(TRADE) => {}, _ = stop.changed() => return }
        put(&client, &items, &json!([item(STOCK + n)])).await;
        let sold = item(n)["id"].as_str().map(|id| format!("{items}/{id}"));
        if let Some(url) = sold {
            // One that is gone already is gone.
            let _ = client.request(Method::DELETE, url).send().await;
        }
    }
}

/// One shopper after another: sees a list, looks at something, sees the next list.
pub(super) async fn shop(number: u64, base: String, stop: watch::Receiver<bool>) {
    let mut rng = ChaCha8Rng::seed_from_u64(number);
    let client = Client::new();
    let catalog = format!("{base}/v1/catalogs/{CATALOG}");
    while !*stop.borrow() {
        let user = format!("shopper-{}", rng.random_range(0..10_000));
        let taste = KINDS[rng.random_range(0..KINDS.len())];
        for _ in 0..LOOKS {
            let Some(list) = list(&client, &format!("{catalog}/recommendations?user={user}&k=12")).await else { break };
            let liked: Vec<&String> = list.iter().filter(|id| id.starts_with(taste)).collect();
            let any = if liked.is_empty() || !rng.random_bool(TASTE) { list.iter().collect() } else { liked };
            let (true, false) = (!any.is_empty(), *stop.borrow()) else { break };
            let view = json!({"type": "view", "user": user, "item": any[rng.random_range(0..any.len())]});
            send(&client, &format!("{base}/v1/events"), &view).await;
            tokio::time::sleep(LOOK.mul_f64(rng.random_range(0.5..1.5))).await;
        }
    }
}

async fn list(client: &Client, url: &str) -> Option<Vec<String>> {
    let answer: Value = client.get(url).send().await.ok()?.json().await.ok()?;
    Some(answer["items"].as_array()?.iter().filter_map(|item| Some(item["id"].as_str()?.to_owned())).collect())
}
