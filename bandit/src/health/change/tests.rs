#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test fails by panicking")]

use super::*;
use crate::Beta;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution};

fn runs() -> u64 {
    std::env::var("RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(200)
}

/// Hourly counts under Thompson sampling that learns each hour; `rates(hour)` are the arms'.
fn simulate(seed: u64, hours: i64, per_hour: u64, rates: impl Fn(i64) -> Vec<f64>) -> Vec<HourCount> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let arms = rates(0).len();
    let mut beta = vec![Beta { alpha: 1.0, beta: 1.0 }; arms];
    let mut counts = Vec::new();
    for hour in 0..hours {
        let rates = rates(hour);
        let mut dealt = vec![0_u64; arms];
        for _ in 0..per_hour {
            let draws = beta.iter().map(|b| rand_distr::Beta::new(b.alpha, b.beta).unwrap().sample(&mut rng));
            dealt[draws.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0] += 1;
        }
        for arm in 0..arms {
            let rewards = Binomial::new(dealt[arm], rates[arm]).unwrap().sample(&mut rng) as f64;
            let trials = dealt[arm] as f64;
            beta[arm].alpha += rewards;
            beta[arm].beta += trials - rewards;
            counts.push(HourCount { hour, arm, trials, rewards });
        }
    }
    counts
}

#[test]
fn stationary_arms_raise_no_more_alarms_than_stated() {
    let level = ChangeConfig { false_alarms: 0.2 };
    let families: [&[f64]; 4] = [&[0.05, 0.05], &[0.5, 0.3, 0.2], &[0.002, 0.001, 0.003, 0.001], &[0.9, 0.95]];
    for (f, rates) in families.into_iter().enumerate() {
        let alarms = (0..runs())
            .filter(|seed| {
                let counts = simulate(1000 * f as u64 + seed, 24 * 14, 40, |_| rates.to_vec());
                !changes(&counts, rates.len(), &level).is_empty()
            })
            .count();
        println!("{rates:?}: {alarms} alarms in {} runs", runs());
        assert!((alarms as f64) <= 0.2 * runs() as f64, "{alarms}");
    }
}

#[test]
fn a_fall_of_the_leader_is_found_within_hours() {
    let mut delays = Vec::new();
    for seed in 0..50 {
        let counts = simulate(seed, 24 * 8, 100, |h| {
            let mut rates = vec![0.03; 10];
            rates[3] = if h < 168 { 0.15 } else { 0.05 };
            rates
        });
        let found = changes(&counts, 10, &ChangeConfig::default());
        let first = found.first().unwrap();
        assert_eq!(first.arm, 3);
        assert!((first.before - 0.15).abs() < 0.03 && first.after < 0.1, "{first:?}");
        assert!((first.hour - 168).abs() <= 3, "{first:?}");
        delays.push(first.found - 167);
    }
    delays.sort_unstable();
    println!("hours to the alarm: median {}, worst {}", delays[25], delays[49]);
    assert!(delays[25] <= 6 && delays[49] <= 12, "{delays:?}");
}

#[test]
fn hostile_counts_are_harmless() {
    let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e-300, 1e9, 5.0];
    let mut counts = Vec::new();
    for (i, &trials) in odd.iter().enumerate() {
        for &rewards in &odd {
            for hour in [i64::MIN, -1, 0, 1, i64::MAX] {
                counts.push(HourCount { hour, arm: i % 3, trials, rewards });
            }
        }
    }
    for change in changes(&counts, 2, &ChangeConfig::default()) {
        assert!(change.evidence.is_finite() && change.before.is_finite() && change.after.is_finite(), "{change:?}");
    }
    assert!(changes(&[], 0, &ChangeConfig::default()).is_empty());
}

#[test]
fn a_year_of_ten_arms_is_quick() {
    let counts: Vec<HourCount> = (0..8760)
        .flat_map(|hour| {
            let trials = 100.0;
            (0..10).map(move |arm| HourCount {
                hour,
                arm,
                trials,
                rewards: f64::from((hour as i32 * 7 + arm as i32) % 10),
            })
        })
        .collect();
    let began = std::time::Instant::now();
    let found = changes(&counts, 10, &ChangeConfig::default());
    println!("{} changes in {:?}", found.len(), began.elapsed());
    assert!(began.elapsed().as_secs_f64() < 1.0);
}
