//! Confidence sequences hold at every row of adaptively dealt logs, where the usual interval does not.
//!
//! `RUNS=2000` for the full number of runs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bandit::evaluate::{ConfidenceSequence, SequenceError};
use bandit::{Beta, compare};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ROWS: usize = 3_000;
/// Rows between two updates of the posteriors that deal.
const BATCH: usize = 100;
const FLOOR: f64 = 0.05;

fn runs(default: u64) -> u64 {
    std::env::var("RUNS").ok().map_or(default, |n| n.parse().unwrap())
}

/// A bandit's world: what arms earn at a row, and the policy whose value is asked for.
struct World {
    rates: fn(usize) -> [f64; 3],
    policy: [f64; 3],
}

/// Thompson sampling with a floor, which deals the log.
struct Dealer {
    beliefs: [Beta; 3],
    seen: [Beta; 3],
    propensities: [f64; 3],
}

impl Dealer {
    fn new() -> Self {
        let prior = [Beta::new(1.0, 1.0).unwrap(); 3];
        let mut new = Self { beliefs: prior, seen: prior, propensities: [0.0; 3] };
        new.update();
        new
    }

    fn update(&mut self) {
        self.beliefs = self.seen;
        for (p, best) in self.propensities.iter_mut().zip(compare(&self.beliefs).p_best) {
            *p = FLOOR + (1.0 - 3.0 * FLOOR) * best;
        }
    }

    fn deal(&self, rng: &mut ChaCha8Rng) -> usize {
        let u: f64 = rng.random();
        if u < self.propensities[0] {
            0
        } else if u < self.propensities[0] + self.propensities[1] {
            1
        } else {
            2
        }
    }
}

/// What somebody who looks after every row would see.
#[derive(Default)]
struct Seen {
    /// Runs in which each interval missed at some row: normal, sequence, sequence with a bound on weights.
    missed: [u64; 3],
    /// Widths at the end, summed over runs.
    width: [f64; 3],
}

fn watch(world: &World, runs: u64) -> Seen {
    let mut seen = Seen::default();
    let largest = world.policy.iter().copied().fold(0.0, f64::max) / FLOOR;
    for run in 0..runs {
        let mut rng = ChaCha8Rng::seed_from_u64(run);
        let mut dealer = Dealer::new();
        let mut sequences = [None, Some(largest)].map(|bound| ConfidenceSequence::new(0.95, 1.0, bound).unwrap());
        let (mut sum, mut squares, mut truth) = (0.0, 0.0, 0.0);
        let mut missed = [false; 3];
        let mut normal = 0.0;
        for row in 0..ROWS {
            if row > 0 && row % BATCH == 0 {
                dealer.update();
            }
            let rates = (world.rates)(row);
            let arm = dealer.deal(&mut rng);
            let reward = f64::from(u8::from(rng.random::<f64>() < rates[arm]));
            dealer.seen[arm].alpha += reward;
            dealer.seen[arm].beta += 1.0 - reward;
            let weight = world.policy[arm] / dealer.propensities[arm];
            truth += rates.iter().zip(world.policy).map(|(r, p)| r * p).sum::<f64>();
            let (n, x) = ((row + 1) as f64, weight * reward);
            (sum, squares) = (sum + x, squares + x * x);
            let mean = sum / n;
            let half = 1.96 * ((squares / n - mean * mean).max(0.0) / n).sqrt();
            // From row 100 on, where it begins to be believed.
            missed[0] |= row >= 100 && (truth / n - mean).abs() > half;
            normal = 2.0 * half;
            for (sequence, missed) in sequences.iter_mut().zip(&mut missed[1..]) {
                sequence.push(reward, weight).unwrap();
                *missed |= !sequence.covers(truth / n);
            }
        }
        seen.width[0] += normal;
        for (runs, missed) in seen.missed.iter_mut().zip(missed) {
            *runs += u64::from(missed);
        }
        for (i, sequence) in sequences.iter().enumerate() {
            let [low, high] = sequence.interval();
            seen.width[i + 1] += high - low;
            for (mean, inside) in [(low - 1e-6, false), (low + 1e-6, true), (high - 1e-6, true), (high + 1e-6, false)] {
                assert_eq!(sequence.covers(mean), inside, "{mean} and {low} to {high}");
            }
        }
    }
    seen
}

#[expect(clippy::cast_precision_loss, reason = "few runs")]
fn check(name: &str, world: &World) {
    let runs = runs(300);
    let seen = watch(world, runs);
    let n = runs as f64;
    let coverage = seen.missed.map(|m| 1.0 - m as f64 / n);
    let width = seen.width.map(|w| w / n);
    println!(
        "{name}, {runs} runs of {ROWS} rows: the normal interval covers at all rows in {:.1} % of runs (width {:.3} at \
         the end); the sequence in {:.1} % ({:.3}), with bounded weights in {:.1} % ({:.3})",
        coverage[0] * 100.0,
        width[0],
        coverage[1] * 100.0,
        width[1],
        coverage[2] * 100.0,
        width[2],
    );
    assert!(coverage[0] < 0.95, "the normal interval does not fail: the simulation is too easy");
    // Two standard errors for the short form.
    let allowance = if runs < 2_000 { 2.0 * (0.05 * 0.95 / n).sqrt() } else { 0.0 };
    assert!(coverage[1] >= 0.95 - allowance && coverage[2] >= 0.95 - allowance, "{coverage:?}");
    assert!(width[1] < 0.5 && width[2] <= width[1], "{width:?}: too wide to be of use");
}

#[test]
fn they_hold_at_every_row_while_thompson_sampling_deals() {
    check("steady rates", &World { rates: |_| [0.10, 0.12, 0.20], policy: [0.2, 0.6, 0.2] });
}

#[test]
fn they_hold_for_the_running_mean_when_rates_drift() {
    let rates = |row: usize| if (row / 500).is_multiple_of(2) { [0.30, 0.10, 0.20] } else { [0.05, 0.40, 0.20] };
    check("drifting rates", &World { rates, policy: [0.5, 0.4, 0.1] });
}

/// A bound that is told of the widths one meets: uniform log of ten arms, a policy that prefers one.
#[test]
fn widths_shrink_with_the_log() {
    let mut found = Vec::new();
    for (rate, bound) in [(0.05, None), (0.05, Some(5.5)), (0.5, None), (0.5, Some(5.5))] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut sequence = ConfidenceSequence::new(0.95, 1.0, bound).unwrap();
        let mut widths = Vec::new();
        let (mut sum, mut squares) = (0.0, 0.0);
        for n in 1..=100_000_u32 {
            let weight = if rng.random_range(0..10) == 0 { 5.5 } else { 0.5 };
            let reward = f64::from(u8::from(rng.random::<f64>() < rate));
            sequence.push(reward, weight).unwrap();
            (sum, squares) = (sum + weight * reward, squares + weight * weight * reward);
            if [1_000, 10_000, 100_000].contains(&n) {
                let [low, high] = sequence.interval();
                assert!(low <= rate && rate <= high, "{n}: {low} {high}");
                let n = f64::from(n);
                let normal = 2.0 * 1.96 * ((squares / n - sum * sum / n / n) / n).sqrt();
                widths.push((high - low, normal));
            }
        }
        println!(
            "rate {rate}, bound on weights {bound:?}: widths beside normal at 1,000, 10,000, 100,000: {widths:.4?}"
        );
        assert!(widths[0].0 > 2.0 * widths[1].0 && widths[1].0 > 2.0 * widths[2].0, "{widths:?}");
        found.push(widths);
    }
    // Bounded weights: nowhere wider than 3 normal intervals.
    assert!(found[1].iter().chain(&found[3]).all(|(own, normal)| own / normal < 3.0), "{found:?}");
}

#[test]
fn broken_promises_are_refused() {
    for (level, reward, weight) in
        [(0.0, 1.0, None), (1.0, 1.0, None), (f64::NAN, 1.0, None), (0.9, 0.0, None), (0.9, 1.0, Some(0.5))]
    {
        assert!(ConfidenceSequence::new(level, reward, weight).is_err());
    }
    let mut sequence = ConfidenceSequence::new(0.95, 2.0, Some(4.0)).unwrap();
    assert_eq!(sequence.interval(), [0.0, 2.0]);
    for (reward, weight) in [(2.5, 1.0), (-0.1, 1.0), (f64::NAN, 1.0), (1.0, 4.5), (1.0, -1.0), (1.0, f64::NAN)] {
        assert!(sequence.push(reward, weight).is_err(), "{reward} {weight}");
    }
    assert_eq!(sequence.rows(), 0);
    sequence.push(2.0, 4.0).unwrap();
    assert!(matches!(sequence.push(3.0, 1.0), Err(SequenceError::Reward { row: 2, .. })));
    let [low, high] = sequence.interval();
    assert!(0.0 <= low && low <= high && high <= 2.0);
}

#[test]
fn weights_of_any_size_leave_it_finite() {
    let mut sequence = ConfidenceSequence::new(0.95, 1.0, None).unwrap();
    for weight in [0.0, 1e-300, 1.0, 1e6, 1e50, 1e100] {
        for reward in [0.0, 1.0, 1e-300] {
            sequence.push(reward, weight).unwrap();
            let [low, high] = sequence.interval();
            assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high) && low <= high, "{low} {high}");
        }
    }
}
