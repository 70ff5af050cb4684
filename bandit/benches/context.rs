//! Contextual policies: six arms, twenty features.

use bandit::{
    Context, ContextOutcome, ContextPolicy, ContextValue, DecisionId, Experiment, Normal, highest, recompute_model,
};
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use serde_json::json;
use std::hint::black_box;

fn experiment() -> Option<Experiment> {
    let arms: Vec<_> = (0..6).map(|i| json!({"id": format!("a{i}")})).collect();
    let features: Vec<_> = (0..20).map(|j| json!({"name": format!("x{j}"), "kind": "numeric"})).collect();
    let policy = json!({"kind": "logistic_thompson"});
    serde_json::from_value(
        json!({"id": "e", "arms": arms, "features": features, "policy": policy, "reward": {"event": "r"}}),
    )
    .ok()
}

/// Context number `n` of many.
fn context(n: u64) -> Context {
    let value = |j: u64| ContextValue::Number((n.wrapping_mul(j * 2 + 7_919) % 1_009).into());
    (0..20).map(|j| (format!("x{j}"), value(j))).collect()
}

fn benches(c: &mut Criterion) {
    let Some(e) = experiment() else { return };
    let outcomes: Vec<ContextOutcome> = (0..3_000u64)
        .map(|n| {
            let arm = usize::try_from(n % 6).unwrap_or(0);
            ContextOutcome { hour: 0, features: context(n), arm, trials: 10, rewards: u64::from(n % 11 == 0) }
        })
        .collect();
    let fit = || recompute_model(&e, &outcomes, Timestamp::UNIX_EPOCH, &|_| 1.0);
    c.bench_function("model of 6 arms x 20 features from 3,000 contexts", |b| b.iter(fit));
    let Some(model) = fit() else { return };
    let ids: Vec<String> = e.arms.iter().map(|a| a.id.clone()).collect();
    let policy = ContextPolicy::new(&e, &model, &ids);
    let asked = context(12_345);
    let mut n = 0u128;
    let mut id = || {
        n += 1;
        DecisionId(n.to_be_bytes())
    };
    c.bench_function("draw over 6 arms x 20 features, encoding included", |b| {
        b.iter(|| policy.draw(black_box(&asked), id(), 1, false));
    });
    c.bench_function("deal over 6 arms x 20 features: draw and propensity", |b| {
        b.iter(|| policy.deal(black_box(&asked), id(), 1, false));
    });
    let normals: Vec<Normal> = (0..6).map(|i| Normal::new(-2.5 + 0.1 * f64::from(i), 0.3)).collect();
    c.bench_function("propensity of one of 6 normals", |b| b.iter(|| highest(black_box(&normals), 3)));
}

criterion_group!(context_benches, benches);
criterion_main!(context_benches);
