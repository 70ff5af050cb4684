//! What a draw, a comparison and an update cost: `cargo bench -p bandit`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench fails by panicking, and has no users")]

use bandit::{
    BaseRate, Beta, CandidatePolicy, DecisionId, Evidence, Experiment, HourOutcome, ListPolicy, SegmentPolicy, compare,
    recompute,
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rand::SeedableRng;
use rand_distr::Distribution;
use std::hint::black_box;

/// Arms of a real experiment: rates near 5 %, thousands of trials each.
fn betas(n: u32) -> Vec<Beta> {
    (0..n)
        .map(|i| {
            let trials = 2_000.0 + 37.0 * f64::from(i);
            let alpha = trials * (0.045 + 0.01 * f64::from(i % 7) / 7.0);
            Beta { alpha, beta: trials - alpha }
        })
        .collect()
}

fn experiment(arms: u32, policy: &str) -> Experiment {
    let arms: Vec<String> = (0..arms).map(|i| format!(r#"{{"id":"a{i}"}}"#)).collect();
    let json = format!(
        r#"{{"id":"e","arms":[{}],"policy":{policy},"segment_by":["s"],"reward":{{"event":"buy"}}}}"#,
        arms.join(",")
    );
    serde_json::from_str(&json).unwrap()
}

fn sampling(c: &mut Criterion) {
    let mut group = c.benchmark_group("ten arms");
    let e = experiment(10, r#"{"kind":"thompson"}"#);
    let small: Vec<Beta> = (0..10).map(|i| Beta { alpha: 0.5, beta: 0.5 + f64::from(i) }).collect();
    let mut turn = 0u64;
    for (name, arms) in [("posteriors", betas(10)), ("shapes below 1", small)] {
        let policy = SegmentPolicy::new(&e, &arms, Some(vec![0.1; 10]));
        group.bench_function(format!("draw, {name}"), |b| {
            b.iter(|| {
                turn += 1;
                black_box(&policy).draw(DecisionId(u128::from(turn).to_le_bytes()), 7, false)
            });
        });
        let peers: Vec<_> = arms.iter().map(|b| rand_distr::Beta::new(b.alpha, b.beta).unwrap()).collect();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        group.bench_function(format!("rand_distr::Beta, {name}"), |b| {
            b.iter(|| black_box(&peers).iter().map(|p| p.sample(&mut rng)).fold(0.0, f64::max));
        });
    }
    group.finish();
}

fn comparing(c: &mut Criterion) {
    let mut group = c.benchmark_group("compare");
    for k in [2, 4, 10, 100] {
        let arms = betas(k);
        group.bench_with_input(BenchmarkId::from_parameter(k), &arms, |b, arms| b.iter(|| compare(black_box(arms))));
    }
    group.finish();
    let mut group = c.benchmark_group("policy");
    for k in [2, 4, 10, 100] {
        let (e, arms) = (experiment(k, r#"{"kind":"thompson"}"#), betas(k));
        group.bench_with_input(BenchmarkId::from_parameter(k), &arms, |b, arms| {
            b.iter(|| SegmentPolicy::new(&e, black_box(arms), None));
        });
    }
    for kind in ["top_two_thompson", "bayes_ucb"] {
        let (e, arms) = (experiment(4, &format!(r#"{{"kind":"{kind}"}}"#)), betas(4));
        group.bench_function(format!("{kind}/4"), |b| b.iter(|| SegmentPolicy::new(&e, black_box(&arms), None)));
    }
    group.finish();
}

fn ranking(c: &mut Criterion) {
    let mut group = c.benchmark_group("lists");
    group.sample_size(10);
    let (e, arms) = (experiment(100, r#"{"kind":"thompson"}"#), betas(100));
    group.bench_function("20 of 100 arms, propensities", |b| b.iter(|| ListPolicy::new(&e, black_box(&arms), 20)));
    let policy = ListPolicy::new(&e, &arms, 20).unwrap();
    let mut turn = 0u64;
    group.bench_function("20 of 100 arms, draw", |b| {
        b.iter(|| {
            turn += 1;
            black_box(&policy).draw(DecisionId(u128::from(turn).to_le_bytes()), 7, false)
        });
    });
    group.finish();
}

/// A list of ten from pools of two sizes, half of whose items have been shown: what a visitor waits for.
fn exploring(c: &mut Criterion) {
    let mut group = c.benchmark_group("candidates");
    group.sample_size(20);
    let json = r#"{"id":"e","candidates":{"catalog":"shop"},"reward":{"event":"buy"}}"#;
    let e: Experiment = serde_json::from_str(json).unwrap();
    for (size, length) in [(20u32, 10usize), (50, 10), (50, 50)] {
        let counts = |i: u32| if i.is_multiple_of(2) { [f64::from(i), 20.0 * f64::from(i)] } else { [0.0, 0.0] };
        let pool: Vec<(f64, [f64; 2])> = (0..size).map(|i| (1.0 - f64::from(i) * 0.01, counts(i))).collect();
        let base = BaseRate::of(50.0, 950.0);
        let policy = CandidatePolicy::new(&e, base, &pool).unwrap();
        group.bench_function(format!("{length} of {size}, drawn and with probabilities"), |b| {
            let mut turn = 0u64;
            b.iter(|| {
                turn += 1;
                let policy = CandidatePolicy::new(&e, base, black_box(&pool)).unwrap();
                let order = policy.draw(DecisionId(u128::from(turn).to_le_bytes()), 7, false, length);
                policy.propensities(&order)
            });
        });
        group.bench_function(format!("{length} of {size}, the whole matrix"), |b| {
            b.iter(|| black_box(&policy).positions(length));
        });
    }
    group.finish();
}

fn updating(c: &mut Criterion) {
    let mut group = c.benchmark_group("update");
    group.sample_size(10);
    let e = experiment(4, r#"{"kind":"thompson","floor":0.01,"half_life_hours":168}"#);
    let mut outcomes = Vec::new();
    for s in 0..10_000u64 {
        for arm in 0..4 {
            for hour in 0..2 {
                let trials = 40 + (s * 7919 + arm as u64 * 104_729 + 13) % 900;
                let rewards = trials * (3 + (s + arm as u64) % 5) / 100;
                outcomes.push(HourOutcome { hour, segment: format!("s={s}"), arm, holdout: false, trials, rewards });
            }
        }
    }
    let at = jiff::Timestamp::from_second(3 * 3600).unwrap();
    let evidence = Evidence::from(outcomes);
    group.bench_function("10,000 segments of 4 arms", |b| b.iter(|| recompute(&e, 1, 1, black_box(&evidence), at)));
    let e = experiment(4, r#"{"kind":"thompson","floor":0.01,"half_life_hours":168,"pooling":"hierarchical"}"#);
    group.bench_function("the same, pooled", |b| b.iter(|| recompute(&e, 1, 1, black_box(&evidence), at)));
    group.finish();
}

criterion_group!(all, sampling, comparing, ranking, exploring, updating);
criterion_main!(all);
