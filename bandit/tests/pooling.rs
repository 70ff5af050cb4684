//! Segments that lend each other strength: what is fitted is sane, and its intervals are calibrated.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bandit::{Beta, Evidence, Experiment, HourOutcome, PosteriorSet, recompute};
use jiff::Timestamp;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution, Normal};

fn experiment(arms: usize, policy: &str) -> Experiment {
    let arms: Vec<String> = (0..arms).map(|i| format!(r#"{{"id":"a{i}"}}"#)).collect();
    serde_json::from_str(&format!(
        r#"{{"id":"e","arms":[{}],"segment_by":["s"],"policy":{policy},"reward":{{"event":"r"}}}}"#,
        arms.join(",")
    ))
    .unwrap()
}

fn pooled(arms: usize) -> Experiment {
    experiment(arms, r#"{"pooling":"hierarchical"}"#)
}

/// Posteriors of segments 0, 1, 2 … from (trials, rewards) of each arm, all of whose windows have closed.
fn learn(e: &Experiment, counts: &[Vec<(u64, u64)>]) -> PosteriorSet {
    let rows = counts.iter().enumerate().flat_map(|(segment, arms)| {
        arms.iter().enumerate().map(move |(arm, &(trials, rewards))| HourOutcome {
            hour: 0,
            segment: format!("s={segment:05}"),
            arm,
            holdout: false,
            trials,
            rewards,
        })
    });
    let evidence = Evidence::from(rows.collect::<Vec<_>>());
    recompute(e, 1, 1, &evidence, Timestamp::from_second(1_000 * 3_600).unwrap())
}

fn beta(set: &PosteriorSet, segment: usize, arm: usize) -> Beta {
    set.segments[&format!("s={segment:05}")][arm].beta()
}

#[test]
fn without_evidence_the_owners_prior_stands() {
    let mut e = pooled(3);
    for counts in [vec![], vec![vec![(0, 0); 3]], vec![vec![(0, 0); 3]; 5]] {
        let set = learn(&e, &counts);
        for list in set.segments.values().chain([&set.shared.as_ref().unwrap().unseen]) {
            for p in list {
                assert!((p.alpha - 1.0).abs() < 0.02 && (p.beta - 1.0).abs() < 0.02, "{p:?}");
            }
        }
    }
    // Arms that were given beliefs of their own keep them apart.
    e.arms[1].prior = bandit::Prior { alpha: 30.0, beta: 70.0 };
    let set = learn(&e, &[vec![(0, 0); 3]]);
    assert_eq!(beta(&set, 0, 1), Beta { alpha: 30.0, beta: 70.0 });
    assert_eq!(beta(&set, 0, 0), Beta { alpha: 1.0, beta: 1.0 });
}

#[test]
fn one_segment_is_itself() {
    let set = learn(&pooled(2), &[vec![(10_000, 500), (10_000, 700)]]);
    for (arm, rate) in [(0, 0.05), (1, 0.07)] {
        let b = beta(&set, 0, arm);
        assert!((b.mean() - rate).abs() < 5e-4, "{b:?}");
        assert!((b.alpha + b.beta - 10_000.0).abs() < 400.0, "{b:?}");
    }
}

#[test]
fn no_successes_say_that_rates_are_low() {
    let counts = vec![vec![(50, 0), (50, 0)]; 20];
    let set = learn(&pooled(2), &counts);
    let b = beta(&set, 3, 0);
    // A thousand trials of the arm without a success.
    assert!(b.mean() < 0.005 && b.mean() > 1e-5, "{b:?}");
    assert!(b.interval(0.95)[1] < 0.02);
}

#[test]
fn identical_segments_are_nearly_one() {
    let counts = vec![vec![(100, 10), (100, 20)]; 30];
    let (set, alone) = (learn(&pooled(2), &counts), learn(&experiment(2, "{}"), &counts));
    for (arm, rate) in [(0, 0.1), (1, 0.2)] {
        let (b, own) = (beta(&set, 7, arm), beta(&alone, 7, arm));
        let width = |b: Beta| b.interval(0.95)[1] - b.interval(0.95)[0];
        assert!((b.mean() - rate).abs() < 0.01, "{b:?}");
        assert!(width(b) < 0.5 * width(own), "{b:?} of {own:?}");
    }
}

#[test]
fn segments_that_have_nothing_in_common_learn_alone() {
    // Arms change places from segment to segment, with rates far apart.
    let counts: Vec<Vec<(u64, u64)>> =
        (0..40).map(|i| if i % 2 == 0 { vec![(400, 20), (400, 340)] } else { vec![(400, 340), (400, 20)] }).collect();
    let set = learn(&pooled(2), &counts);
    let b = beta(&set, 0, 0);
    assert!((b.mean() - 0.05).abs() < 0.01, "{b:?}");
}

#[test]
fn a_new_segment_has_what_others_have_in_common() {
    let counts: Vec<Vec<(u64, u64)>> = (0..50).map(|i| vec![(200, 8 + i % 5), (200, 18 + i % 5)]).collect();
    let set = learn(&pooled(2), &counts);
    let shared = set.shared.as_ref().unwrap();
    let [low, high] = [0, 1].map(|arm| shared.unseen[arm].beta().mean());
    assert!((low - 0.05).abs() < 0.01 && (high - 0.1).abs() < 0.01, "{low} {high}");
    assert!(shared.unseen[1].propensity > 0.9);
}

/// Rates drawn from the model with the level of segments, of arms and of both; trials uneven.
#[test]
fn intervals_are_calibrated() {
    let runs = std::env::var("RUNS").map_or(40, |n| n.parse().unwrap());
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for (of_segments, of_arms, of_both) in [(0.6, 0.25, 0.4), (0.0, 0.4, 0.15), (1.0, 0.2, 0.2)] {
        let (mut covered, mut all) = ([0.0; 2], 0.0);
        for _ in 0..runs {
            let mut normal = |sd: f64| Normal::new(0.0, sd).unwrap().sample(&mut rng);
            let arms: [f64; 4] = std::array::from_fn(|_| normal(of_arms));
            let rates: Vec<Vec<f64>> = (0..60)
                .map(|_| {
                    let level = -2.5 + normal(of_segments);
                    arms.iter().map(|arm| 1.0 / (1.0 + (-(level + arm + normal(of_both))).exp())).collect()
                })
                .collect();
            let mut counts = |row: &Vec<f64>| -> Vec<(u64, u64)> {
                row.iter()
                    .map(|&p| {
                        let n = [5, 20, 60, 200, 800][rng.random_range(0..5)];
                        (n, Binomial::new(n, p).unwrap().sample(&mut rng))
                    })
                    .collect()
            };
            let set = learn(&pooled(4), &rates.iter().map(&mut counts).collect::<Vec<_>>());
            for (segment, row) in rates.iter().enumerate() {
                for (arm, rate) in row.iter().enumerate() {
                    all += 1.0;
                    for (sum, mass) in covered.iter_mut().zip([0.95, 0.8]) {
                        let [low, high] = beta(&set, segment, arm).interval(mass);
                        *sum += f64::from(u8::from((low..=high).contains(rate)));
                    }
                }
            }
        }
        let [at95, at80] = covered.map(|c| c / all);
        println!(
            "sd {of_segments} {of_arms} {of_both}: 95 % interval covers {at95:.3}, 80 % covers {at80:.3} of {all}"
        );
        assert!((at95 - 0.95).abs() <= 0.02 && (at80 - 0.8).abs() <= 0.03, "{at95} {at80}");
    }
}

/// What a segment explores with grows with the rewards that it has seen; one segment alone is not held back.
#[test]
fn pace_follows_rewards() {
    let e = experiment(2, r#"{"pooling":"hierarchical","pace_rewards":100}"#);
    let set = learn(&e, &[vec![(100, 0), (100, 0)], vec![(100, 10), (100, 10)], vec![(9_000, 900), (9_000, 900)]]);
    let scale = |segment| set.scale(&format!("s={segment:05}"));
    assert!(scale(0) < 0.11 && scale(0) < scale(1) && scale(1) < 0.5 && scale(2) > 0.99, "{:?}", set.shared);
    assert_eq!(set.shared.as_ref().unwrap().unseen_scale, scale(0));
    let alone = learn(&e, &[vec![(100, 3), (100, 2)]]);
    assert_eq!(alone.scale("s=00000"), 1.0);
    // Draws are from the narrower posterior, and the propensity is theirs.
    let [a, b] = [0, 1].map(|arm| beta(&set, 1, arm));
    let by = scale(1) * scale(1);
    let narrow = [a, b].map(|b| Beta { alpha: b.alpha / by, beta: b.beta / by });
    let told = set.segments["s=00001"][1].propensity;
    assert!((bandit::compare(&narrow).p_best[1] - told).abs() < 1e-9);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn anything_that_is_counted_has_a_finite_answer(
        rows in proptest::collection::vec(
            proptest::collection::vec((prop_oneof![Just(0_u64), 1..50_u64, Just(1_000_000_000)], 0.0..=1.0_f64), 3), 0..12),
    ) {
        let counts: Vec<Vec<(u64, u64)>> = rows
            .iter()
            .map(|row| row.iter().map(|&(n, p)| (n, ((n as f64) * if p > 0.9 { 1.0 } else { p }) as u64)).collect())
            .collect();
        let set = learn(&pooled(3), &counts);
        prop_assert!(PosteriorSet::decode(&set.encode().unwrap()).is_ok());
        for (segment, row) in counts.iter().enumerate() {
            for (arm, &(trials, rewards)) in row.iter().enumerate() {
                let b = beta(&set, segment, arm);
                // The prior is never taken back.
                prop_assert!(b.alpha >= rewards as f64 && b.beta >= (trials - rewards) as f64, "{b:?}");
                prop_assert!(b.alpha.is_finite() && b.beta.is_finite());
            }
        }
    }
}
