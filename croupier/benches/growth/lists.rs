//! Lists of recommended items, in process, against the size of the catalog. Clustered vectors of 64 numbers.

use crate::curve::{Curve, median};
use crate::decide::{Fixed, micros};
use crate::{Extent, Outcome};
use bandit::Clock;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use recommend::{Candidates, Item, Wanted};
use serde_json::json;
use std::time::Instant;

const ROUNDS: usize = 7;
const ASKED: usize = 100;
const PUTS: usize = 200;
const DIMENSION: usize = 64;

/// Item `n` of a catalog of `count`: near one of a hundred centres or, of large ones, of a thousandth of it.
fn item(n: usize, count: usize, centres: &[Vec<f32>]) -> Item {
    let mut random = ChaCha8Rng::seed_from_u64(n as u64);
    let centre = &centres[n % (count / 1_000).clamp(100, centres.len())];
    Item {
        id: format!("item-{n}"),
        vector: centre.iter().map(|v| v + random.random_range(-0.8_f32..0.8)).collect(),
        tags: Vec::new(),
        expires_at: None,
        payload: None,
        added_at: None,
        text: None,
    }
}

pub(crate) fn measure(extent: Extent) -> Outcome<Vec<Curve>> {
    use Extent::{Long, Short, Usual};
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut centre = || (0..DIMENSION).map(|_| random.random_range(-1.0_f32..1.0)).collect();
    let centres: Vec<Vec<f32>> = (0..1_000).map(|_| centre()).collect();
    let now = Fixed.now();
    let mut catalogs = Vec::new();
    for count in extent.of(&[(1_000, Short), (10_000, Short), (100_000, Usual), (1_000_000, Long)]) {
        let candidates = Candidates::new(serde_json::from_value(json!({"dimension": DIMENSION}))?);
        (0..count).for_each(|n| candidates.put(&item(n, count, &centres), now));
        candidates.train(|| true);
        catalogs.push((count, candidates, [const { Vec::new() }; 2]));
    }
    for round in 0..ROUNDS {
        for (count, candidates, figures) in &mut catalogs {
            let begun = Instant::now();
            for n in 0..ASKED {
                let first = (n + round * ASKED) * 7_919;
                let seen: Vec<String> = (0..10).map(|i| format!("item-{}", (first + i * 100_000) % *count)).collect();
                let ages: Vec<(&str, f64)> = seen.iter().map(|id| (id.as_str(), 60.0)).collect();
                let wanted =
                    Wanted { k: 10, diversity: None, max_per_tag: None, tags: &[], exclude: &[], alike: false, now };
                if candidates.for_visitor(&ages, &wanted).items.len() != 10 {
                    return Err("a list is not full".into());
                }
            }
            figures[0].push(micros(begun, ASKED));
            let items: Vec<Item> = (0..PUTS).map(|n| item((n + round * PUTS) % *count, *count, &centres)).collect();
            let begun = Instant::now();
            items.iter().for_each(|item| candidates.put(item, now));
            figures[1].push(micros(begun, PUTS));
        }
    }
    let whats = [("list for a visitor", "µs"), ("put an item again", "µs")];
    let curve = |(i, (what, unit)): (usize, (&'static str, &'static str))| {
        let at = |(count, _, figures): &(usize, Candidates, [Vec<f64>; 2])| {
            Ok((f64::from(u32::try_from(*count)?), median(figures[i].clone())))
        };
        Ok(Curve { what, of: "items", unit, points: catalogs.iter().map(at).collect::<Outcome<_>>()? })
    };
    whats.into_iter().enumerate().map(curve).collect()
}
