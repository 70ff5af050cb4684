//! How fast items and views are kept and read by the embedded store: `items [ITEMS] [DIMENSION] [BATCH]`.

use jiff::Timestamp;
use recommend::Item;
use std::time::{Duration, Instant};
use store::{Catalog, Locations, View};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn item(n: usize, dimension: usize) -> Item {
    // Of no pattern that compression would find.
    let number = |at: usize| {
        let mixed = (n * dimension + at).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d);
        f32::from(u16::try_from(mixed >> 48).unwrap_or(0)) / 65_536.0
    };
    let vector = (0..dimension).map(number).collect();
    Item {
        id: format!("sku-{n:07}"),
        vector,
        tags: vec![format!("shop-{}", n % 50)],
        expires_at: None,
        payload: None,
        added_at: None,
        text: None,
    }
}

fn rate(what: &str, count: usize, took: Duration) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    println!("{what}: {count} in {:.2} s, {:.0}/s", took.as_secs_f64(), f64::from(count) / took.as_secs_f64());
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut numbers = std::env::args().skip(1).map(|n| n.parse::<usize>());
    let mut next = |default| numbers.next().unwrap_or(Ok(default));
    let (count, dimension, batch) = (next(100_000)?, next(128)?, next(1_000)?);
    let dir = tempfile::tempdir()?;
    let stores = store::open(&Locations::in_dir(dir.path())).await?;
    let definition = serde_json::from_str(&format!(r#"{{"dimension":{dimension}}}"#))?;
    stores.catalogs.put_catalog(&Catalog { id: "c".into(), definition }).await?;

    let begun = Instant::now();
    for from in (0..count).step_by(batch) {
        let items: Vec<_> = (from..count.min(from + batch)).map(|n| item(n, dimension)).collect();
        stores.catalogs.put_items("c", &items).await?;
    }
    rate("items put", count, begun.elapsed());

    let (begun, mut read, mut last) = (Instant::now(), 0, None);
    loop {
        let page = stores.catalogs.page_of_items("c", last.as_deref(), batch).await?;
        let Some(item) = page.last() else { break };
        (read, last) = (read + page.len(), Some(store::id_of(item).to_owned()));
    }
    rate("items read in pages", read, begun.elapsed());

    let ids: Vec<String> = (0..count).step_by(97).map(|n| format!("sku-{n:07}")).collect();
    let begun = Instant::now();
    let found = stores.catalogs.items("c", &ids).await?;
    rate("items read by id", found.iter().flatten().count(), begun.elapsed());

    let (users, each) = (500, 300);
    let begun = Instant::now();
    for n in 0..each {
        let at = Timestamp::from_millisecond(1_795_255_200_000 + i64::from(n) * 1_000)?;
        let view = |u| View { user: format!("u{u}"), item: format!("sku-{}", (u * 31 + n * 17) % 5_000), at };
        stores.views.append(&(0..users).map(view).collect::<Vec<_>>()).await?;
    }
    rate("views appended", usize::try_from(users * each)?, begun.elapsed());
    for limit in [10, 50, 400] {
        let mut took = Vec::new();
        for user in 0..users {
            let begun = Instant::now();
            let seen = stores.views.recent(&format!("u{user}"), limit).await?;
            took.push(begun.elapsed());
            assert!(!seen.is_empty());
        }
        took.sort_unstable();
        println!("the newest {limit}: p50 {:?}, p99 {:?}", took[took.len() / 2], took[took.len() * 99 / 100]);
    }
    Ok(())
}
