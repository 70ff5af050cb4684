//! One pass of the batch layer on the embedded store: `cargo bench -p updater`. Clustered vectors; every visitor looked at
//! ten items of one cluster and its neighbours. `USERS`, `ITEMS`, `DIMENSION` and `THREADS` set the size: 100,000, 10,000,
//! 512 and 2 where they are not set.
//!
//! Told are wall and CPU seconds of making the lists alone, from views in memory, and of the whole pass: views read, lists
//! made, kept and synchronised. On a machine that others use, CPU seconds by the threads are what it takes alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]

use bandit::Clock;
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use recommend::{Candidates, Item};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::time::Instant;
use store::{Catalog, Locations, RunKind, Seen, Stores, View};
use updater::{Config, Pace, Updater, make};

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Wall and CPU seconds of work.
async fn timed<T>(name: &str, work: impl Future<Output = T>) -> T {
    let cpu = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let (began, before) = (Instant::now(), cpu());
    let done = work.await;
    println!("| {name} | {:.1} s | {:.1} CPU s |", began.elapsed().as_secs_f64(), cpu() - before);
    done
}

/// A number around 0, near enough to normal.
fn around(random: &mut ChaCha8Rng) -> f32 {
    (0..4).map(|_| random.random_range(-1.0_f32..1.0)).sum()
}

fn items(count: usize, dimension: usize) -> Vec<Item> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let kinds = (count / 20).max(1);
    let centres: Vec<Vec<f32>> = (0..kinds).map(|_| (0..dimension).map(|_| around(&mut random)).collect()).collect();
    let item = |n: usize| Item {
        id: format!("item-{n}"),
        vector: centres[n % kinds].iter().map(|v| v + 0.7 * around(&mut random)).collect(),
        tags: Vec::new(),
        expires_at: None,
        payload: None,
        added_at: None,
        text: None,
    };
    (0..count).map(item).collect()
}

/// What user `n` looked at.
fn past(n: usize, count: usize) -> Vec<Seen> {
    let kinds = (count / 20).max(1);
    let item = |i: usize| (n % kinds + i % 2 + i / 2 * kinds) % count;
    let at = |i: usize| Fixed.now() - SignedDuration::from_secs(60 * (i as i64 + 1));
    (0..10).map(|i| Seen { item: format!("item-{}", item(i)), at: at(i) }).collect()
}

async fn filled(stores: &Stores, users: usize, items: &[Item]) {
    let dimension = items[0].vector.len();
    let definition = serde_json::from_value(serde_json::json!({"dimension": dimension})).unwrap();
    stores.catalogs.put_catalog(&Catalog { id: "shop".into(), definition }).await.unwrap();
    for some in items.chunks(1_000) {
        stores.catalogs.put_items("shop", some).await.unwrap();
    }
    for first in (0..users).step_by(2_000) {
        let views = (first..users.min(first + 2_000)).flat_map(|n| {
            past(n, items.len()).into_iter().map(move |seen| View {
                user: format!("user-{n}"),
                item: seen.item,
                at: seen.at,
            })
        });
        stores.views.append(&views.collect::<Vec<_>>()).await.unwrap();
    }
}

#[tokio::main]
async fn main() {
    let (users, count, dimension) = (setting("USERS", 100_000), setting("ITEMS", 10_000), setting("DIMENSION", 512));
    let pace = Pace { threads: setting("THREADS", 2), percent: 100 };
    println!("{users} users × {count} items × {dimension}, {} threads", pace.threads);
    let items = items(count, dimension);
    let definition = serde_json::from_value(serde_json::json!({"dimension": dimension})).unwrap();
    let candidates = Candidates::new(definition);
    items.iter().for_each(|item| candidates.put(item, Fixed.now()));
    let past: Vec<Vec<Seen>> = (0..users).map(|n| past(n, count)).collect();
    let borrowed: Vec<&[Seen]> = past.iter().map(Vec::as_slice).collect();
    let one = timed("one by one, a hundredth of them", async {
        borrowed
            .iter()
            .take(users / 100)
            .filter(|seen| make(&candidates, &[**seen], Fixed.now(), pace)[0].is_some())
            .count()
    });
    one.await;
    let made = timed("made", async { make(&candidates, &borrowed, Fixed.now(), pace) }).await;
    assert!(made.iter().all(Option::is_some));
    let dir = tempfile::tempdir().unwrap();
    let stores = store::open(&Locations::in_dir(dir.path())).await.unwrap();
    timed("filling the store", filled(&stores, users, &items)).await;
    let config = Config { interval: SignedDuration::from_hours(1), retention_days: 0, name: "bench".into() };
    let updater = Updater::with(stores.clone(), Arc::new(Fixed), config, Arc::default(), pace, false);
    let done = timed("whole pass", updater.once_of(&[RunKind::Lists])).await.unwrap();
    for step in &done[0].report.steps {
        println!("| … {} | {} ms | {} |", step.name, step.duration_ms, step.detail);
    }
    assert_eq!(done[0].report.error, None);
}
