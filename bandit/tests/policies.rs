//! Every policy deals at the propensities it states, and these are its rule's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bandit::{Beta, DecisionId, Experiment, ListPolicy, SegmentPolicy, compare};
use proptest::prelude::*;
use statrs::distribution::{ChiSquared, ContinuousCDF};

const DRAWS: u32 = 200_000;

fn runs(default: u32) -> ProptestConfig {
    let cases = std::env::var("RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

fn beta(alpha: f64, beta: f64) -> Beta {
    Beta::new(alpha, beta).unwrap()
}

fn experiment(arms: usize, policy: &str) -> Experiment {
    let arms: Vec<String> = (0..arms).map(|i| format!(r#"{{"id":"a{i}"}}"#)).collect();
    let json = format!(r#"{{"id":"e","arms":[{}],"policy":{policy},"reward":{{"event":"buy"}}}}"#, arms.join(","));
    let e: Experiment = serde_json::from_str(&json).unwrap();
    if e.arms.len() > 1 {
        bandit::validate(&e).unwrap();
    }
    e
}

fn id(i: u32) -> DecisionId {
    DecisionId((u128::from(i) << 32 | 0xC0FFEE).to_le_bytes())
}

fn shares(policy: &str, arms: &[Beta]) -> Vec<f64> {
    SegmentPolicy::new(&experiment(arms.len(), policy), arms, None).propensities().to_vec()
}

fn near(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-9), "{got:?} is not {want:?}");
}

/// How likely counts this far from `chances` are. Cells that expect little are put together.
fn p_value(counts: &[u32], chances: &[f64]) -> f64 {
    let total = f64::from(counts.iter().sum::<u32>());
    let (mut cells, mut rare) = (Vec::new(), (0.0, 0.0));
    for (&n, &p) in counts.iter().zip(chances) {
        if p * total < 25.0 {
            rare = (rare.0 + f64::from(n), rare.1 + p * total);
        } else {
            cells.push((f64::from(n), p * total));
        }
    }
    if rare.1 < 25.0 {
        // Too few for the approximation: a bound for a Poisson variate instead.
        assert!(rare.0 <= rare.1 + 6.0 * rare.1.sqrt() + 6.0, "{counts:?} at {chances:?}");
    } else {
        cells.push(rare);
    }
    if cells.len() < 2 {
        return 1.0;
    }
    let statistic: f64 = cells.iter().map(|(n, e)| (n - e).powi(2) / e).sum();
    ChiSquared::new(cells.len() as f64 - 1.0).unwrap().sf(statistic)
}

/// Any parameters, or arms so close that none is hopeless.
fn posteriors(most: usize) -> impl Strategy<Value = Vec<Beta>> {
    let wild = (-3.0f64..9.0, -3.0f64..9.0).prop_map(|(a, b)| beta(10f64.powf(a), 10f64.powf(b)));
    let close = (-3.0f64..0.0, 0.0f64..7.0).prop_flat_map(move |(rate, n)| {
        let (p, n) = (0.6 * 10f64.powf(rate), 10f64.powf(n));
        let arm = (-2.0f64..2.0, 0.3f64..3.0).prop_map(move |(z, m)| {
            let rate = (p + z * (p / n).sqrt()).clamp(p / 5.0, 0.9);
            beta(n * m * rate + 1e-3, n * m * (1.0 - rate) + 1e-3)
        });
        prop::collection::vec(arm, 1..=most)
    });
    prop_oneof![prop::collection::vec(wild, 1..=most), close]
}

fn kinds() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(r#""kind":"thompson""#.to_owned()),
        (0.1f64..4.0).prop_map(|s| format!(r#""kind":"thompson","posterior_scale":{s}"#)),
        (0.0f64..1.0, 0.2f64..3.0)
            .prop_map(|(l, s)| { format!(r#""kind":"top_two_thompson","leader_share":{l},"posterior_scale":{s}"#) }),
        (0.0f64..1.0).prop_map(|e| format!(r#""kind":"epsilon_greedy","epsilon":{e}"#)),
        Just(r#""kind":"bayes_ucb""#.to_owned()),
        Just(r#""kind":"fixed""#.to_owned()),
    ]
}

#[derive(Debug, Clone)]
struct Setting {
    experiment: Experiment,
    posteriors: Vec<Beta>,
    version: u64,
}

fn settings(most: usize) -> impl Strategy<Value = Setting> {
    let share = || prop_oneof![Just(0.0), 0.0f64..1.0];
    (posteriors(most), kinds(), share(), share(), any::<(u64, u128)>()).prop_map(
        |(posteriors, kind, floor, holdout, bits)| {
            let k = posteriors.len();
            let mut experiment = experiment(k, &format!("{{{kind},\"floor\":{}}}", floor / k as f64));
            experiment.holdout = holdout;
            for (i, arm) in experiment.arms.iter_mut().enumerate() {
                // A quarter is disabled, never the first; a quarter has no weight.
                arm.enabled = i == 0 || bits.1 >> (2 * i) & 3 != 0;
                arm.weight = if i > 0 && bits.1 >> (64 + 2 * i) & 3 == 0 { 0.0 } else { 1.0 + i as f64 };
            }
            Setting { experiment, posteriors, version: bits.0 }
        },
    )
}

proptest! {
    #![proptest_config(runs(24))]

    #[test]
    fn draws_have_the_stated_propensities(s in settings(12)) {
        let e = &s.experiment;
        let policy = SegmentPolicy::new(e, &s.posteriors, None);
        let p = policy.propensities();
        let enabled = e.arms.iter().filter(|a| a.enabled).count() as f64;
        prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{:?}", p);
        for (arm, p) in e.arms.iter().zip(p) {
            let least = if arm.enabled { e.holdout / enabled + (1.0 - e.holdout) * e.policy.floor } else { 0.0 };
            prop_assert!(*p >= least - 1e-12 && (arm.enabled || *p <= 0.0), "{:?}", p);
        }
        // A replica that was told the propensities deals the same.
        let told = SegmentPolicy::new(e, &s.posteriors, Some(p.to_vec()));
        for holdout in [false, true] {
            let mut counts = vec![0; e.arms.len()];
            for i in 0..DRAWS {
                let arm = policy.draw(id(i), s.version, holdout);
                counts[arm] += 1;
                prop_assert!(i > 1_000 || told.draw(id(i), s.version, holdout) == arm);
            }
            let uniform = |a: &bandit::Arm| if a.enabled { enabled.recip() } else { 0.0 };
            let chances: Vec<f64> = e.arms.iter().zip(p)
                .map(|(a, p)| if holdout { uniform(a) } else { ((p - e.holdout * uniform(a)) / (1.0 - e.holdout)).max(0.0) })
                .collect();
            prop_assert!(p_value(&counts, &chances) > 1e-7, "{:?} at {:?}", counts, chances);
        }
    }

    #[test]
    fn lists_have_the_stated_propensities(s in settings(8), length in 1usize..9) {
        let e = &s.experiment;
        let Some(policy) = ListPolicy::new(e, &s.posteriors, length) else {
            prop_assert_eq!(e.policy.kind, bandit::PolicyKind::TopTwoThompson);
            return Ok(());
        };
        let p = policy.propensities();
        let enabled = e.arms.iter().filter(|a| a.enabled).count();
        prop_assert_eq!(p.len(), length.min(enabled));
        near(&p[0], SegmentPolicy::new(e, &s.posteriors, None).propensities());
        let draws = DRAWS / 4;
        let mut counts = vec![vec![0; e.arms.len()]; p.len()];
        for i in 0..draws {
            let list = policy.draw(id(i), s.version, f64::from(i) < e.holdout * f64::from(draws));
            for (j, &arm) in list.iter().enumerate() {
                prop_assert!(!list[..j].contains(&arm));
                counts[j][arm] += 1;
            }
        }
        for (counts, chances) in counts.iter().zip(p) {
            prop_assert!(p_value(counts, chances) > 1e-7, "{:?} at {:?}", counts, chances);
        }
    }
}

proptest! {
    #![proptest_config(runs(200))]

    /// Each arm is somewhere, and each position is taken.
    #[test]
    fn positions_of_whole_lists_sum_to_one_both_ways(s in settings(20)) {
        let Some(policy) = ListPolicy::new(&s.experiment, &s.posteriors, 20) else { return Ok(()) };
        let p = policy.propensities();
        for row in p {
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
        for (i, arm) in s.experiment.arms.iter().enumerate() {
            let sum: f64 = p.iter().map(|row| row[i]).sum();
            prop_assert!((sum - if arm.enabled { 1.0 } else { 0.0 }).abs() < 1e-9, "arm {}: {} {:?}", i, sum, p);
        }
    }

    /// Russo's formula, from probabilities computed another way.
    #[test]
    fn top_two_is_the_formula(arms in posteriors(9), leader in 0.0f64..1.0) {
        let best = compare(&arms).p_best;
        prop_assume!(arms.len() > 1 && best.iter().all(|p| *p < 0.9));
        let challenge = |i: usize| -> f64 {
            (0..arms.len()).filter(|&j| j != i).map(|j| best[j] / (1.0 - best[j])).sum()
        };
        let want: Vec<f64> = (0..arms.len()).map(|i| best[i] * (leader + (1.0 - leader) * challenge(i))).collect();
        near(&shares(&format!(r#"{{"kind":"top_two_thompson","leader_share":{leader}}}"#), &arms), &want);
    }

    #[test]
    fn a_scaled_posterior_is_a_smaller_or_larger_one(arms in posteriors(9), s in 0.3f64..3.0) {
        let by = |s: f64| arms.iter().map(|b| beta(b.alpha / (s * s), b.beta / (s * s))).collect::<Vec<_>>();
        prop_assume!(arms.len() > 1);
        for kind in ["thompson", "top_two_thompson"] {
            let scaled = shares(&format!(r#"{{"kind":"{kind}","posterior_scale":{s}}}"#), &arms);
            prop_assert_eq!(&scaled, &shares(&format!(r#"{{"kind":"{kind}"}}"#), &by(s)));
            let one = shares(&format!(r#"{{"kind":"{kind}","posterior_scale":1.0}}"#), &arms);
            prop_assert_eq!(one, shares(&format!(r#"{{"kind":"{kind}"}}"#), &arms));
        }
    }
}

/// The rule as it is told: draw, and draw again until another arm wins.
#[test]
fn top_two_is_what_redrawing_gives() {
    use rand::{RngExt, SeedableRng};
    use rand_distr::Distribution;
    for arms in [vec![beta(11.0, 90.0), beta(15.0, 86.0), beta(1.0, 3.0)], vec![beta(0.5, 0.5), beta(8.0, 2.0)]] {
        let draws: Vec<_> = arms.iter().map(|b| rand_distr::Beta::new(b.alpha, b.beta).unwrap()).collect();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut counts = vec![0; arms.len()];
        for _ in 0..DRAWS {
            let mut winner = || {
                let values: Vec<f64> = draws.iter().map(|d| d.sample(&mut rng)).collect();
                (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap()
            };
            let leader = winner();
            let redrawn = std::iter::repeat_with(&mut winner).find(|w| *w != leader).unwrap();
            counts[if rng.random::<f64>() < 0.3 { leader } else { redrawn }] += 1;
        }
        let chances = shares(r#"{"kind":"top_two_thompson","leader_share":0.3}"#, &arms);
        assert!(p_value(&counts, &chances) > 1e-6, "{counts:?} at {chances:?}");
    }
}

/// However certain the leader is, the challengers' shares are those of the evidence for them.
#[test]
fn top_two_with_a_certain_leader_is_finite() {
    let of = |arms: &[Beta]| shares(r#"{"kind":"top_two_thompson","leader_share":0.6}"#, arms);
    // P(best) of the others: about 1e-26 and 1e-31.
    let far = of(&[beta(2_000.0, 8_000.0), beta(1_450.0, 8_550.0), beta(1_400.0, 8_600.0)]);
    assert!((far[0] - 0.6).abs() < 1e-9 && far[1] > 0.39 && far[2] > 1e-9 && far[2] < 0.01, "{far:?}");
    // Nothing is resolved: the best of the rest challenges.
    let nil = of(&[beta(9e8, 1e8), beta(2e7, 9e8), beta(1e7, 9e8), beta(2e7, 9e8)]);
    near(&nil, &[0.6, 0.2, 0.0, 0.2]);
    near(&of(&[beta(1e9, 1e-3), beta(1e-3, 1e9)]), &[0.6, 0.4]);
    near(&of(&[beta(5.0, 5.0); 4]), &[0.25; 4]);
    let mut one = experiment(2, r#"{"kind":"top_two_thompson"}"#);
    one.arms[1].enabled = false;
    assert_eq!(SegmentPolicy::new(&one, &[beta(1.0, 9.0); 2], None).propensities(), [1.0, 0.0]);
}

#[test]
fn bayes_ucb_deals_the_highest_quantile() {
    let ucb = |arms: &[Beta]| shares(r#"{"kind":"bayes_ucb","floor":0.01}"#, arms);
    // 1,100 trials: the upper 1/1102 of Beta(11, 91) reaches beyond that of Beta(121, 881).
    let arms = [beta(121.0, 881.0), beta(11.0, 91.0)];
    let quantile = |b: &Beta| b.interval(1.0 - 2.0 / 1_102.0)[1];
    assert!(quantile(&arms[1]) > quantile(&arms[0]) && arms[1].mean() < arms[0].mean());
    near(&ucb(&arms), &[0.01, 0.99]);
    // With the same means and a hundred thousand trials the wider one leads still more.
    near(&ucb(&[beta(12_100.0, 88_100.0), beta(121.0, 881.0)]), &[0.01, 0.99]);
    // Nothing seen: the higher median, and ties evenly.
    near(&ucb(&[beta(1.0, 1.0); 4]), &[0.25; 4]);
    let mut e = experiment(3, r#"{"kind":"bayes_ucb"}"#);
    for (arm, alpha) in e.arms.iter_mut().zip([2.0, 3.0, 3.0]) {
        arm.prior.alpha = alpha;
    }
    near(
        SegmentPolicy::new(&e, &[beta(2.0, 1.0), beta(3.0, 1.0), beta(3.0, 1.0)], None).propensities(),
        &[0.0, 0.5, 0.5],
    );
    // Extremes are finite.
    for p in [ucb(&[beta(1e9, 1e-3), beta(1e-3, 1e9)]), ucb(&[beta(1e9, 1e9), beta(1e-3, 1e-3)])] {
        assert!((p[0] + p[1] - 1.0).abs() < 1e-12 && p.iter().all(|p| *p > 0.009), "{p:?}");
    }
}

#[test]
fn a_hundred_arms_are_ranked() {
    let arms: Vec<Beta> = (0..100).map(|i| beta(50.0 + f64::from(i % 10), 1_000.0)).collect();
    let whole = |length| ListPolicy::new(&experiment(100, r#"{"kind":"thompson"}"#), &arms, length).unwrap();
    let all = whole(100);
    near(&all.propensities()[0], &compare(&arms).p_best);
    for i in 0..100 {
        let sum: f64 = all.propensities().iter().map(|row| row[i]).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        near(&[all.propensities()[7][i]], &[all.propensities()[7][i % 10]]);
    }
    near(&whole(20).propensities()[19], &all.propensities()[19]);
}

/// Position two of successive draws without replacement, by the sum over who was first.
#[test]
fn weights_are_drawn_without_replacement() {
    let mut e = experiment(4, r#"{"kind":"fixed"}"#);
    let weights = [1e-3, 2.0, 1e6, 0.0];
    for (arm, weight) in e.arms.iter_mut().zip(weights) {
        arm.weight = weight;
    }
    let policy = ListPolicy::new(&e, &[beta(1.0, 1.0); 4], 4).unwrap();
    let total: f64 = weights.iter().sum();
    let second = |i: usize| -> f64 {
        let after =
            |h: usize| weights[h] / total * weights[i] / (0..4).filter(|&m| m != h).map(|m| weights[m]).sum::<f64>();
        (0..4).filter(|&h| h != i).map(after).sum()
    };
    near(&policy.propensities()[0], &weights.map(|w| w / total));
    near(&policy.propensities()[1], &[0, 1, 2, 3].map(second));
    near(&policy.propensities()[3], &[0.0, 0.0, 0.0, 1.0]);
}
