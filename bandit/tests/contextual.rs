//! Contextual policies on a simulated environment whose every random number is known (`contextual6` of the reference):
//! regret beside that of reference implementations on the same seeds.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small counts"
)]

use bandit::{
    Context, ContextOutcome, ContextPolicy, ContextValue, DecisionId, Experiment, PolicyKind, PolicySpec,
    recompute_model,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

const ARMS: usize = 6;
const HOURS: usize = 720;
const PER_HOUR: usize = 100;
/// P(bit j of the context is 1).
const LIKELY: [f64; 5] = [0.5, 0.4, 0.3, 0.2, 0.1];

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Number t of a stream of uniforms: SplitMix64.
fn uniform(seed: u64, stream: u64, t: usize) -> f64 {
    const G: u64 = 0x9E37_79B9_7F4A_7C15;
    let key = mix(mix(seed.wrapping_add(G)) ^ stream.wrapping_mul(G));
    (mix(key.wrapping_add((t as u64 + 1).wrapping_mul(G))) >> 11) as f64 * 2f64.powi(-53)
}

fn reference(name: &str) -> Option<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            eprintln!("NOT RUN: reference values are absent ({})", path.display());
            None
        }
    }
}

fn experiment(policy: &Value, kind: &str) -> Experiment {
    serde_json::from_value(json!({
        "id": "e", "arms": (0..ARMS).map(|i| json!({"id": format!("a{i}")})).collect::<Vec<_>>(),
        "policy": policy, "reward": {"event": "r"},
        "features": (0..5).map(|j| json!({"name": format!("x{j}"), "kind": kind})).collect::<Vec<_>>(),
    }))
    .unwrap()
}

fn context(cell: usize, kind: &str) -> Context {
    let value =
        |bit: usize| if kind == "numeric" { ContextValue::Number(bit.into()) } else { ContextValue::Bool(bit == 1) };
    (0..5).map(|j| (format!("x{j}"), value(cell >> j & 1))).collect()
}

/// Regret of one seed: hours of 100 decisions, of which the model learns at full hours what has come back by then.
fn regret(environments: &Value, e: &Experiment, kind: &str, seed: u64, rep: u64) -> f64 {
    let theta: Vec<Vec<f64>> =
        serde_json::from_value(environments["envs"]["contextual6"]["seeds"][seed.to_string()]["theta"].clone())
            .unwrap();
    let contexts: Vec<Context> = (0..32).map(|cell| context(cell, kind)).collect();
    let p = |cell: usize, arm: usize| {
        let slopes: f64 = (0..5).map(|j| theta[arm][j + 1] * f64::from(u8::from(cell >> j & 1 == 1))).sum();
        1.0 / (1.0 + (-theta[arm][0] - slopes).exp())
    };
    let best: Vec<f64> = (0..32).map(|c| (0..ARMS).map(|a| p(c, a)).fold(0.0, f64::max)).collect();
    let ids: Vec<String> = e.arms.iter().map(|a| a.id.clone()).collect();
    let mut inbox: Vec<Vec<(usize, usize, bool)>> = vec![Vec::new(); HOURS + 1];
    let mut known: BTreeMap<(usize, usize), (u64, u64)> = BTreeMap::new();
    let mut regret = 0.0;
    for hour in 0..HOURS {
        for (cell, arm, reward) in std::mem::take(&mut inbox[hour]) {
            let counts = known.entry((cell, arm)).or_default();
            counts.0 += 1;
            counts.1 += u64::from(reward);
        }
        let outcomes: Vec<ContextOutcome> = known
            .iter()
            .map(|(&(cell, arm), &(trials, rewards))| ContextOutcome {
                hour: 0,
                features: contexts[cell].clone(),
                arm,
                trials,
                rewards,
            })
            .collect();
        let model = recompute_model(e, &outcomes, Timestamp::UNIX_EPOCH, &|_| 1.0).unwrap();
        let policy = ContextPolicy::new(e, &model, &ids);
        for k in 0..PER_HOUR {
            let t = hour * PER_HOUR + k;
            let cell = (0..5).map(|j| usize::from(uniform(seed, 10 + j as u64, t) < LIKELY[j]) << j).sum();
            let id = DecisionId((u128::from(seed) << 64 | u128::from(rep) << 32 | t as u128).to_be_bytes());
            let arm = policy.draw(&contexts[cell], id, hour as u64, false);
            regret += best[cell] - p(cell, arm);
            let normal =
                (-2.0 * (-uniform(seed, 1, t)).ln_1p()).sqrt() * (std::f64::consts::TAU * uniform(seed, 2, t)).cos();
            let minute = 60.0 * hour as f64 + 60.0 * (k as f64 + 0.5) / PER_HOUR as f64;
            let ready = ((minute + 20.0 * (1.5 * normal).exp()) / 60.0).ceil() as usize;
            if ready < HOURS {
                inbox[ready].push((cell, arm, uniform(seed, 0, t) < p(cell, arm)));
            }
        }
    }
    regret
}

fn mean_and_error(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    (mean, (x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt())
}

#[test]
fn streams_are_those_of_the_reference() {
    let Some(environments) = reference("environments.json") else { return };
    let check = &environments["check"];
    for t in 0..5 {
        assert_eq!(Some(uniform(0, 0, t)), check["u(seed=0,stream=0,t=0..4)"][t].as_f64());
    }
}

fn streams() -> u64 {
    std::env::var("STREAMS").ok().and_then(|n| n.parse().ok()).unwrap_or(4)
}

/// Regret of the ten seeds under one policy; `STREAMS` runs of each, with draws of their own, are averaged (4 unless set).
fn regrets(policy: &PolicySpec) -> Option<(Value, Vec<f64>)> {
    let (environments, known) = (reference("environments.json")?, reference("regret.json")?);
    let streams = streams();
    let e = experiment(&json!(policy), "numeric");
    let of_seed =
        |seed| (0..streams).map(|s| regret(&environments, &e, "numeric", seed, s)).sum::<f64>() / streams as f64;
    let ours: Vec<f64> = std::thread::scope(|s| {
        let halves = [0..5, 5..10].map(|half| s.spawn(|| half.map(of_seed).collect::<Vec<f64>>()));
        halves.into_iter().flat_map(|h| h.join().unwrap()).collect()
    });
    Some((known["environments"]["contextual6"]["policies"].clone(), ours))
}

/// Ours less theirs, seed by seed: mean and standard error.
fn beside(known: &Value, name: &str, ours: &[f64]) -> (f64, f64) {
    let theirs: Vec<f64> = serde_json::from_value(known[name]["per_seed"].clone()).unwrap();
    let paired: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a - b).collect();
    let ((mean, error), (difference, of_difference)) = (mean_and_error(ours), mean_and_error(&paired));
    println!("regret {mean:.1} ± {error:.1}; less {name}: {difference:+.1} ± {of_difference:.1}");
    (difference, of_difference)
}

fn policy(kind: PolicyKind, scale: f64) -> PolicySpec {
    PolicySpec { kind, posterior_scale: Some(scale), ..PolicySpec::default() }
}

#[test]
fn recommended_regret_is_no_worse_than_the_best_entry() {
    let Some((known, ours)) = regrets(&PolicySpec::recommended(true)) else { return };
    let (difference, error) = beside(&known, "np_logit_ts_a0.5", &ours);
    assert!(difference <= 2.0 * error, "{difference} {error}: {ours:?}");
    let (difference, error) = beside(&known, "mabwiser_lints_a0.25", &ours);
    assert!(difference + 2.0 * error < 0.0, "{difference} {error}: {ours:?}");
    let Some((_, without)) = regrets(&policy(PolicyKind::LogisticThompson, 0.5)) else { return };
    let less: Vec<f64> = ours.iter().zip(&without).map(|(a, b)| a - b).collect();
    let (difference, error) = mean_and_error(&less);
    println!("less draws around the mean: {difference:+.1} ± {error:.1}");
    assert!(difference < 0.0, "{ours:?} {without:?}");
}

#[test]
fn unscaled_logistic_regret_is_no_worse_than_its_like() {
    let Some((known, ours)) = regrets(&policy(PolicyKind::LogisticThompson, 1.0)) else { return };
    let (difference, error) = beside(&known, "np_logit_ts", &ours);
    assert!(difference <= 2.0 * error, "{difference} {error}: {ours:?}");
}

#[test]
fn linear_regret_is_no_worse_than_the_best_linear_entry() {
    let Some((known, ours)) = regrets(&policy(PolicyKind::LinearThompson, 0.5)) else { return };
    let (difference, error) = beside(&known, "mabwiser_lints_a0.25", &ours);
    beside(&known, "np_logit_ts_a0.5", &ours);
    assert!(difference <= 2.0 * error, "{difference} {error}: {ours:?}");
}
