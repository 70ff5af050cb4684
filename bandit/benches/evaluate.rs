//! What an off-policy evaluation takes. The promise: a million rows in a second, without the bootstrap.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros; a benchmark fails by panicking")]

use bandit::evaluate::{ArmRates, Bootstrap, ConfidenceSequence, Log, ModelSettings, Predictions, Tuning, evaluate};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;

const ARMS: usize = 10;

struct Columns {
    arms: Vec<usize>,
    rewards: Vec<f64>,
    propensities: Vec<f64>,
    evaluated: Vec<f64>,
}

fn columns(rows: usize) -> Columns {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    Columns {
        arms: (0..rows).map(|_| rng.random_range(0..ARMS)).collect(),
        rewards: (0..rows).map(|_| f64::from(u8::from(rng.random::<f64>() < 0.05))).collect(),
        propensities: (0..rows).map(|_| 0.02 + 0.5 * rng.random::<f64>()).collect(),
        evaluated: (0..rows).map(|_| 0.3 * rng.random::<f64>()).collect(),
    }
}

/// Model, every estimator, support, and the confidence sequence.
fn whole(c: &Columns, bootstrap: Option<Bootstrap>) -> f64 {
    let rates = ArmRates::fit(&c.arms, &c.rewards, ARMS, ModelSettings::default());
    let logged: Vec<f64> = c.arms.iter().enumerate().map(|(row, &arm)| rates.of_row(row)[arm]).collect();
    let expected: Vec<f64> = (0..c.arms.len()).map(|row| rates.expected(row, &[0.1; ARMS])).collect();
    let log = Log {
        rewards: &c.rewards,
        propensities: &c.propensities,
        evaluated: &c.evaluated,
        model: Some(Predictions { logged: &logged, expected: &expected }),
        unsupported: Some(0.0),
    };
    let found = evaluate(&log, Tuning::default(), bootstrap).unwrap();
    let mut sequence = ConfidenceSequence::new(0.95, 1.0, Some(15.0)).unwrap();
    for ((reward, e), p) in c.rewards.iter().zip(&c.evaluated).zip(&c.propensities) {
        sequence.push(*reward, e / p).unwrap();
    }
    found.estimates[0].value + sequence.interval()[0]
}

fn evaluation(c: &mut Criterion) {
    let mut group = c.benchmark_group("evaluate");
    group.sample_size(10);
    for rows in [10_000, 1_000_000] {
        let data = columns(rows);
        group.bench_with_input(BenchmarkId::new("without bootstrap", rows), &data, |b, data| {
            b.iter(|| whole(black_box(data), None));
        });
    }
    let data = columns(10_000);
    group.bench_function("10,000 resamples of 10,000 different rows", |b| {
        b.iter(|| whole(black_box(&data), Some(Bootstrap::default())));
    });
    group.finish();
}

criterion_group!(benches, evaluation);
criterion_main!(benches);
