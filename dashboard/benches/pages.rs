//! How long pages take to their first byte, and how large they are: 500 experiments, one of them with 50 arms, 200 segments
//! and 90 days of hourly versions. `BENCH_ROUNDS` says how often each is asked for.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "../tests/house/mod.rs"]
mod house;

use house::House;
use house::crowd::Size;
use house::paths::{CATALOG, PAGES};
use std::time::Instant;

/// Milliseconds to the first byte that are asked for.
const LIMIT_MS: f64 = 150.0;

/// A catalog of 100,000 items of 64 numbers.
async fn catalog(house: &House) {
    let definition = serde_json::from_value(serde_json::json!({"dimension": 64})).unwrap();
    house.stores.catalogs.put_catalog(&store::Catalog { id: "large".into(), definition }).await.unwrap();
    let item = |n: usize| recommend::Item {
        id: format!("sku-{n:06}"),
        vector: (0..64_u16)
            .map(|d| f32::from(d + 1) * f32::from(u16::try_from(n % 997).unwrap()) % 7.3 - 3.0)
            .collect(),
        tags: vec![format!("shelf-{}", n % 200)],
        expires_at: None,
        payload: None,
        added_at: Some(house.now),
        text: None,
    };
    for page in 0..100 {
        let items: Vec<recommend::Item> = (page * 1_000..(page + 1) * 1_000).map(item).collect();
        house.stores.catalogs.put_items("large", &items).await.unwrap();
    }
    house.shelf.catch_up(&*house.stores.catalogs, &house::At(house.now)).await.unwrap();
}

#[tokio::main]
async fn main() {
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(21_usize);
    let house = House::open().await;
    let began = Instant::now();
    house.crowd(Size { experiments: 500, arms: 50, segments: 200, versions: 2_160, trials: 10 }).await;
    catalog(&house).await;
    println!("fixture made in {:.0} s", began.elapsed().as_secs_f64());
    println!("{:<90} {:>9} {:>9} {:>9} {:>9}", "page", "first ms", "median", "worst", "KB");
    for page in PAGES.iter().chain(CATALOG) {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..rounds {
            let began = Instant::now();
            let reply = house.get(page).await;
            times.push(began.elapsed().as_secs_f64() * 1e3);
            assert_eq!(reply.status, 200, "{page}");
            bytes = reply.body.len();
        }
        let first = times[0];
        times.sort_by(f64::total_cmp);
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        let told = if median <= LIMIT_MS { "" } else { "  TOO SLOW" };
        println!("{page:<90} {first:>9.1} {median:>9.1} {worst:>9.1} {:>9.1}{told}", bytes as f64 / 1024.0);
    }
}
