//! Agreement with values computed outside the project, and with closed forms.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bandit::{Beta, compare};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    arms: Vec<[f64; 2]>,
    prob_best: Vec<f64>,
    expected_loss: Vec<f64>,
    expected_max: f64,
    prob_beats_first: Vec<f64>,
    ci95: Vec<[f64; 2]>,
}

fn beta([alpha, beta]: [f64; 2]) -> Beta {
    Beta::new(alpha, beta).unwrap()
}

fn close(what: &str, got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-9, "{what}: {got:e} is not {want:e}, off by {:e}", (got - want).abs());
}

#[test]
fn values_of_the_reference_are_met_to_1e_9() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/propensity.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("NOT RUN: reference values are absent ({})", path.display());
        return;
    };
    let reference: Reference = serde_json::from_str(&text).unwrap();
    assert!(reference.cases.len() >= 22);
    for case in reference.cases {
        let arms: Vec<Beta> = case.arms.iter().copied().map(beta).collect();
        let got = compare(&arms);
        let name = &case.name;
        close(&format!("{name} sum"), got.p_best.iter().sum(), 1.0);
        close(&format!("{name} expected max"), got.expected_max, case.expected_max);
        for i in 0..arms.len() {
            close(&format!("{name} p_best[{i}]"), got.p_best[i], case.prob_best[i]);
            close(&format!("{name} expected_loss[{i}]"), got.expected_loss[i], case.expected_loss[i]);
            if i > 0 {
                let pair = compare(&[arms[0], arms[i]]);
                close(&format!("{name} beats_first[{i}]"), pair.p_best[1], case.prob_beats_first[i]);
            }
            for (side, (got, want)) in arms[i].interval(0.95).into_iter().zip(case.ci95[i]).enumerate() {
                close(&format!("{name} interval[{i}][{side}]"), got, want);
            }
        }
    }
}

/// P(θ₂ > θ₁) for integer parameters as a finite sum (Miller 2015, "Formulas for Bayesian A/B testing", eq. 6).
fn beats(a: [u32; 2], b: [u32; 2]) -> f64 {
    use statrs::function::beta::ln_beta;
    let [a1, b1] = a.map(f64::from);
    let b2 = f64::from(b[1]);
    (0..b[0])
        .map(f64::from)
        .map(|i| (ln_beta(a1 + i, b2 + b1) - (b2 + i).ln() - ln_beta(1.0 + i, b2) - ln_beta(a1, b1)).exp())
        .sum()
}

#[test]
fn pairs_agree_with_the_closed_form() {
    for (a, b) in
        [([1, 1], [1, 1]), ([3, 7], [5, 5]), ([40, 960], [55, 945]), ([1, 30], [90, 2]), ([200, 10], [210, 9])]
    {
        let [pa, pb] = [a, b].map(|p: [u32; 2]| beta(p.map(f64::from)));
        close(&format!("{a:?} {b:?}"), compare(&[pa, pb]).p_best[1], beats(a, b));
    }
}

#[test]
fn hostile_parameters_stay_finite_and_sum_to_one() {
    let values = [1e-3, 0.02, 0.5, 1.0, 37.5, 1e4, 1e9];
    let all: Vec<Beta> = values.iter().flat_map(|&a| values.map(|b| beta([a, b]))).collect();
    for pair in all.iter().flat_map(|&a| all.iter().map(move |&b| [a, b])) {
        let [p, q] = [compare(&pair), compare(&[pair[1], pair[0]])];
        assert!((p.p_best[0] - q.p_best[1]).abs() < 1e-9, "{pair:?}: order matters");
        assert!(p.expected_max >= pair[0].mean().max(pair[1].mean()) - 1e-9, "{pair:?}: {}", p.expected_max);
    }
    let c = compare(&all);
    assert!((c.p_best.iter().sum::<f64>() - 1.0).abs() < 1e-9 && c.p_best.iter().all(|p| (0.0..=1.0).contains(p)));
}

#[test]
fn equal_arms_share_equally() {
    for n in [2, 7, 100] {
        for b in [beta([0.5, 0.5]), beta([1e6, 1e8]), beta([1.0, 1e7])] {
            for p in compare(&vec![b; n]).p_best {
                close("share", p, 1.0 / f64::from(u32::try_from(n).unwrap()));
            }
        }
    }
}

#[test]
fn ratio_interval_is_that_of_independent_draws() {
    use rand::SeedableRng;
    use rand_distr::Distribution;
    let (a, b) = (beta([61.0, 1140.0]), beta([40.0, 1100.0]));
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let [draw_a, draw_b] = [a, b].map(|p| rand_distr::Beta::new(p.alpha, p.beta).unwrap());
    let mut ratios: Vec<f64> = (0..200_000).map(|_| draw_a.sample(&mut rng) / draw_b.sample(&mut rng)).collect();
    ratios.sort_by(f64::total_cmp);
    let [low, high] = bandit::ratio_interval(a, b, 0.95);
    // Sampling error of a 2.5 % quantile from 200,000 draws is about 0.002 here.
    assert!((low - ratios[5_000]).abs() < 0.01 && (high - ratios[195_000]).abs() < 0.02, "{low} {high}");
}
