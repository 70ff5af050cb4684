//! Vectors, and what both files of tests do with indexes.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use recommend::index::{Index, Training};

/// A mixture of 200 normal distributions whose deviation is `noise` times that of their centres.
pub(crate) fn clustered(seed: u64, count: usize, dimension: usize, noise: f32) -> Vec<Vec<f32>> {
    let normal = |random: &mut ChaCha8Rng| -> f32 { StandardNormal.sample(random) };
    let mut random = ChaCha8Rng::seed_from_u64(dimension as u64);
    let centres: Vec<Vec<f32>> = (0..200).map(|_| (0..dimension).map(|_| normal(&mut random)).collect()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut one = || {
        let centre = &centres[random.random_range(0..centres.len())];
        centre.iter().map(|v| v + noise * normal(&mut random)).collect()
    };
    (0..count).map(|_| one()).collect()
}

/// Trains an index that nothing else changes.
pub(crate) fn train(index: &mut Index) {
    let mut training = index.begin_training();
    while training.step(index) {}
    finish(index, training);
}

/// Ends a training that is through.
pub(crate) fn finish(index: &mut Index, training: Training) {
    drop(index.finish_training(training));
    assert!(index.layout().is_some(), "lists are in use");
}
