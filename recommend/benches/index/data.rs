//! Vectors to search.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use recommend::index::unit;
use std::path::Path;

/// A mixture of this many normal distributions, as embeddings of things of so many kinds are.
const CENTRES: usize = 1_000;

/// Deviation of each number from its centre's, where that has deviation 1: cosines of two of one centre are around
/// 1 / (1 + 0.7²) = 0.67, of others around 0.
const NOISE: f32 = 0.7;

/// Vectors of length 1, `seed` for seed. Centres depend on the dimension alone, so those of other seeds are alike.
pub(crate) fn clustered(seed: u64, count: usize, dimension: usize) -> Vec<Vec<f32>> {
    mixture(seed, count, dimension, NOISE)
}

/// The same with another deviation.
pub(crate) fn mixture(seed: u64, count: usize, dimension: usize, noise: f32) -> Vec<Vec<f32>> {
    let normal = |random: &mut ChaCha8Rng| -> f32 { StandardNormal.sample(random) };
    let mut random = ChaCha8Rng::seed_from_u64(dimension as u64);
    let centres: Vec<Vec<f32>> = (0..CENTRES).map(|_| (0..dimension).map(|_| normal(&mut random)).collect()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut one = || {
        let centre = &centres[random.random_range(0..CENTRES)];
        let vector: Vec<f32> = centre.iter().map(|v| v + noise * normal(&mut random)).collect();
        unit(&vector).unwrap_or(vector)
    };
    (0..count).map(|_| one()).collect()
}

pub(crate) fn write(folder: &Path, name: &str, vectors: &[Vec<f32>]) {
    let bytes: Vec<u8> = vectors.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(folder.join(name), bytes).expect("a scratch directory can be written");
}

pub(crate) fn write_slots(folder: &Path, name: &str, slots: impl Iterator<Item = u32>) {
    let bytes: Vec<u8> = slots.flat_map(u32::to_le_bytes).collect();
    std::fs::write(folder.join(name), bytes).expect("a scratch directory can be written");
}
