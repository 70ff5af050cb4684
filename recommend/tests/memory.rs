//! What an index says it takes is what it takes: alone in its process, with an allocator that counts.

mod common;

use common::{clustered, train};
use recommend::Metric;
use recommend::index::Index;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes allocated since.
fn bytes(region: &Region<'_, System>) -> f64 {
    let stats = region.change();
    stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
}

fn assert_said(index: &Index, region: &Region<'_, System>, when: &str) {
    let (said, real) = (index.memory().total() as f64, bytes(region));
    assert!((said - real).abs() <= real * 0.02 + 512.0, "{when}: {said} said, {real} allocated");
}

#[test]
fn an_index_takes_what_it_says_and_gives_it_back() {
    let (count, dimension) = (30_000, 48);
    let vectors = clustered(1, count, dimension, 0.7);
    let region = Region::new(ALLOCATOR);
    let mut index = Index::new(dimension, Metric::Cosine);
    (0..).zip(&vectors).for_each(|(slot, row)| index.insert(slot, row));
    assert_said(&index, &region, "filled");
    let formula = 5.0 * dimension as f64 + 29.0;
    let each = index.memory().total() as f64 / count as f64;
    assert!((each / formula - 1.0).abs() < 0.02, "{each} bytes a vector, and {formula} by the formula");

    train(&mut index);
    assert_said(&index, &region, "trained");
    let mut training = index.begin_training();
    for _ in 0..20 {
        training.step(&index);
    }
    (0..100).for_each(|slot| index.insert(slot, &vectors[0]));
    drop(training);
    assert_said(&index, &region, "a training given up");

    (0..u32::try_from(count).unwrap()).for_each(|slot| assert!(index.remove(slot)));
    assert_said(&index, &region, "emptied");
    let layout = index.layout().map_or(0, |layout| layout.to_bytes().len()) as f64;
    assert!(bytes(&region) < 4.0 * layout + 200_000.0, "{} bytes left, of them {layout} of centres", bytes(&region));
    drop(index);
    assert!(bytes(&region) < 1.0, "{} bytes left", bytes(&region));
}
