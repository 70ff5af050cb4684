//! Puts, removals, sweeps and searches beside each other: what a list shows was all there at one moment, and memory stays
//! as it is. `SOAK_SECONDS` says for how long, a few seconds otherwise.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a test")]

use jiff::{SignedDuration, Timestamp};
use recommend::{Candidates, CatalogDefinition, Item, Wanted};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const DIMENSION: usize = 24;
const ITEMS: u64 = 4_000;

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// A vector that is a function of a number: whoever sees the number knows the vector.
fn vector(generation: u64) -> Vec<f32> {
    let angle = |i: usize| (generation as f32 * 0.618 + i as f32).sin();
    let raw: Vec<f32> = (0..DIMENSION).map(angle).collect();
    recommend::index::unit(&raw).unwrap()
}

/// Item `n`, whose payload is its generation; each third ends a while after it came.
fn item(n: u64, generation: u64, now: Timestamp) -> Item {
    let expires_at = n.is_multiple_of(3).then(|| now + SignedDuration::from_millis(200));
    let payload = Some(serde_json::value::RawValue::from_string(generation.to_string()).unwrap());
    Item {
        id: n.to_string(),
        vector: vector(generation),
        tags: vec![format!("t{}", n % 7)],
        expires_at,
        payload,
        added_at: None,
        text: None,
    }
}

#[test]
fn nothing_is_torn_and_memory_is_flat() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(3);
    let definition: CatalogDefinition =
        serde_json::from_value(serde_json::json!({"dimension": DIMENSION, "diversity": 0.2})).unwrap();
    let (candidates, done) = (Candidates::new(definition), AtomicBool::new(false));
    let (generations, searches) = (AtomicU64::new(1), AtomicU64::new(0));
    let began = Instant::now();
    let clock = || start() + SignedDuration::try_from(began.elapsed()).unwrap();
    for n in 0..ITEMS {
        candidates.put(&item(n, 0, clock()), clock());
    }
    let full = candidates.bytes();
    let write = |salt: u64| {
        let mut n = salt;
        while !done.load(Ordering::Relaxed) {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407 + salt);
            let which = (n >> 33) % ITEMS;
            match (n >> 60) % 4 {
                0 => drop(candidates.remove(&which.to_string())),
                _ => candidates.put(&item(which, generations.fetch_add(1, Ordering::Relaxed), clock()), clock()),
            }
            if n.is_multiple_of(64) {
                candidates.sweep(clock());
            }
        }
    };
    let read = |salt: u64| {
        let mut n = salt;
        while !done.load(Ordering::Relaxed) {
            n += 1;
            let query = vector(n * 7 + salt);
            let tags = [format!("t{}", n % 7)];
            let now = clock();
            let tags = if n.is_multiple_of(2) { &tags[..] } else { &[] };
            let wanted = Wanted {
                k: 10,
                diversity: None,
                max_per_tag: Some(3),
                tags,
                exclude: &[],
                alike: n.is_multiple_of(3),
                now,
            };
            let list = candidates.near(&query, &wanted);
            for c in &list {
                let generation: u64 = c.payload.as_ref().unwrap().get().parse().unwrap();
                let expected: f32 = vector(generation).iter().zip(&query).map(|(a, b)| a * b).sum();
                assert!((f64::from(expected) - c.score).abs() < 1e-5, "{} of generation {generation}", c.id);
            }
            let ids: std::collections::HashSet<&str> = list.iter().map(|c| &*c.id).collect();
            assert_eq!(ids.len(), list.len());
            searches.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut most = 0;
    std::thread::scope(|scope| {
        for salt in [1, 2] {
            scope.spawn(move || write(salt));
            scope.spawn(move || read(salt));
        }
        while began.elapsed() < Duration::from_secs(seconds) {
            most = most.max(candidates.bytes());
            std::thread::sleep(Duration::from_millis(20));
        }
        done.store(true, Ordering::Relaxed);
    });
    println!("{} puts, {} searches", generations.load(Ordering::Relaxed), searches.load(Ordering::Relaxed));
    assert!(searches.load(Ordering::Relaxed) > 10 && generations.load(Ordering::Relaxed) > 10);
    // As many items as at first at most, and what ended lately.
    let ended = 1_000 * (DIMENSION * 4 + 160);
    assert!(most < full * 5 / 4 + ended, "{most} bytes, {full} at first");
    for n in 0..ITEMS {
        candidates.remove(&n.to_string());
    }
    assert!(candidates.is_empty() && candidates.bytes() < full / 10 + ended);
}
