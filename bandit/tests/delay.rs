//! Delayed rewards: trials whose reward may still come are not failures, and the numbers stay calibrated.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small counts"
)]

use bandit::{
    ArmPosterior, Beta, DelayCurve, Evidence, Experiment, HourDelay, HourOutcome, delay_bucket, hour_of, recompute,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};
use statrs::distribution::{ContinuousCDF, LogNormal as Known};
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;
/// Delays of the reference environments: median 20 minutes, 95 % within 236.
const MEDIAN_MS: f64 = 1_200_000.0;
const SPREAD: f64 = 1.5;

fn experiment(arms: usize, window_hours: u32, policy: &str) -> Experiment {
    let arms: Vec<String> = (0..arms).map(|i| format!(r#"{{"id":"a{i}"}}"#)).collect();
    let json = format!(
        r#"{{"id":"e","arms":[{}],"policy":{policy},"reward":{{"event":"buy","window_hours":{window_hours}}}}}"#,
        arms.join(",")
    );
    let e: Experiment = serde_json::from_str(&json).unwrap();
    bandit::validate(&e).unwrap();
    e
}

fn hour(n: i64) -> Timestamp {
    Timestamp::from_millisecond(n * HOUR_MS).unwrap()
}

fn delay(hour: i64, bucket: usize, rewards: u64) -> HourDelay {
    HourDelay { hour, bucket, rewards }
}

fn outcome(hour: i64, arm: usize, trials: u64, rewards: u64) -> HourOutcome {
    HourOutcome { hour, segment: "all".into(), arm, holdout: false, trials, rewards }
}

fn whole(e: &Experiment, evidence: &Evidence, as_of: Timestamp) -> Vec<ArmPosterior> {
    recompute(e, 1, 1, evidence, as_of).segments.remove("all").unwrap()
}

/// A log of trials: what an updater would have read by some moment.
#[derive(Default, Clone)]
struct Log(Vec<Trial>);

#[derive(Clone, Copy)]
struct Trial {
    arm: usize,
    at: i64,
    /// When its reward comes, if it ever does.
    reward: Option<i64>,
}

impl Log {
    /// The evidence at `now`, in milliseconds, of rewards within the window.
    fn evidence(&self, now: i64, window_hours: u32) -> Evidence {
        let mut outcomes: BTreeMap<(i64, usize), (u64, u64)> = BTreeMap::new();
        let mut delays: BTreeMap<(i64, usize), u64> = BTreeMap::new();
        let mut latest = None;
        for t in self.0.iter().filter(|t| t.at <= now) {
            latest = latest.max(Some(t.at));
            let hour = t.at.div_euclid(HOUR_MS);
            let cell = outcomes.entry((hour, t.arm)).or_default();
            cell.0 += 1;
            if let Some(at) = t.reward.filter(|&at| at <= now && at <= t.at + i64::from(window_hours) * HOUR_MS) {
                cell.1 += 1;
                *delays.entry((hour, delay_bucket(at - t.at))).or_default() += 1;
            }
        }
        Evidence {
            outcomes: outcomes
                .into_iter()
                .map(|((h, arm), (trials, rewards))| outcome(h, arm, trials, rewards))
                .collect(),
            delays: delays.into_iter().map(|((h, bucket), rewards)| delay(h, bucket, rewards)).collect(),
            latest: latest.map(|ms| Timestamp::from_millisecond(ms).unwrap()),
            ..Evidence::default()
        }
    }
}

fn true_share(hours: f64) -> f64 {
    Known::new((MEDIAN_MS / HOUR_MS as f64).ln(), SPREAD).unwrap().cdf(hours)
}

#[test]
fn buckets_are_those_of_what_is_stored() {
    let minute = 60_000;
    for (ms, bucket) in [
        (-minute, 0),
        (0, 0),
        (minute - 1, 0),
        (minute, 1),
        (20 * minute, 11),
        (60 * minute, 16),
        (24 * 60 * minute, 32),
        (90 * 24 * 60 * minute - 1, 58),
        (90 * 24 * 60 * minute, 59),
        (i64::MAX, 59),
        (i64::MIN, 0),
    ] {
        assert_eq!(delay_bucket(ms), bucket, "{ms}");
    }
    // Counts of buckets are kept: another division would read them wrong.
    let sum: i64 = (0..=129_600).map(|m| delay_bucket(m * minute) as i64).sum();
    assert_eq!(sum, 6_826_988);
}

proptest! {
    /// Whatever is counted, the curve rises from 0 to 1, and means over ages lie between its ends.
    #[test]
    fn curves_are_distribution_functions(
        delays in prop::collection::vec((0i64..3_000, 0usize..60, prop_oneof![0u64..4, 0u64..1_000_000_000]), 0..40),
        window in 1u32..=2_160, now in 0i64..3_100, into in 0i64..HOUR_MS,
    ) {
        let delays: Vec<HourDelay> = delays.into_iter().map(|(h, b, n)| delay(h, b, n)).collect();
        let now = Timestamp::from_millisecond(now * HOUR_MS + into).unwrap();
        let curve = DelayCurve::estimate(&delays, window, now);
        let points: Vec<(f64, f64)> = curve.points().collect();
        prop_assert_eq!((points[0], *points.last().unwrap()), ((0.0, 0.0), (f64::from(window), 1.0)));
        prop_assert!(points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{:?}", points);
        prop_assert!(curve.known_hours() <= f64::from(window));
        for (from, width) in [(0.0, 0.0), (0.0, 1.0), (0.3, 0.7), (11.0, 1.0), (f64::from(window) - 0.5, 1.0), (9e3, 1.0)] {
            let mean = curve.mean_share(from, from + width);
            let (low, high) = (curve.share(from), curve.share(from + width));
            prop_assert!(low - 1e-9 <= mean && mean <= high + 1e-9, "{} is not from {} to {}", mean, low, high);
        }
        for share in [0.0, 0.2, 0.5, 0.95, 1.0] {
            let hours = curve.quantile(share);
            prop_assert!((0.0..=f64::from(window)).contains(&hours) && curve.share(hours) >= share - 1e-9);
        }
    }
}

/// With nothing to go by, with one reward, and before any trial is as old as the window.
#[test]
fn few_rewards_give_cautious_curves() {
    let none = DelayCurve::estimate(&[], 24, hour(100));
    assert_eq!((none.rewards(), none.known_hours()), (0, 0.0));
    for (hours, share) in [(1.0, 0.391), (6.0, 0.726), (23.0, 0.991)] {
        assert!((none.share(hours) - share).abs() < 1e-3, "{hours}: {}", none.share(hours));
    }
    // One reward at once, of a trial a day old: it outweighs nothing, but moves the curve.
    let one = DelayCurve::estimate(&[delay(1, 0, 1)], 24, hour(100));
    assert!(one.share(1.0) > none.share(1.0) && one.share(1.0) < 0.75, "{}", one.share(1.0));
    // Many at once, but nobody has waited for more than three hours: some may still come.
    let young = DelayCurve::estimate(&[delay(96, 0, 1_000)], 24, hour(100));
    assert_eq!((young.rewards(), young.known_hours()), (1_000, 3.0));
    let old = DelayCurve::estimate(&[delay(1, 0, 1_000)], 24, hour(100));
    assert!(young.share(3.0) < old.share(3.0) && young.share(3.0) > 0.95, "{} {}", young.share(3.0), old.share(3.0));
    // A reward that comes in its trials' own hour says nothing yet: slower ones of that hour are not there.
    let now = DelayCurve::estimate(&[delay(99, 0, 1_000)], 24, hour(100));
    assert_eq!(now, DelayCurve::estimate(&[], 24, hour(100)));
}

/// The estimate is consistent while most trials are young, and rates may differ between old and young ones.
#[test]
fn the_curve_is_that_of_the_delays() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let delays = LogNormal::new(MEDIAN_MS.ln(), SPREAD).unwrap();
    let mut log = Log::default();
    // Traffic moves to an arm ten times as good: most trials are young, and most rewards.
    for h in 0..30 {
        for _ in 0..20_000 {
            let at = h * HOUR_MS + rng.random_range(0..HOUR_MS);
            let rate = if h < 20 { 0.02 } else { 0.2 };
            let reward = rng.random_bool(rate).then(|| at + delays.sample(&mut rng) as i64);
            log.0.push(Trial { arm: 0, at, reward });
        }
    }
    let curve = DelayCurve::estimate(&log.evidence(30 * HOUR_MS, 24).delays, 24, hour(30));
    let all = true_share(24.0);
    for hours in [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 20.0] {
        let (got, want) = (curve.share(hours), true_share(hours) / all);
        assert!((got - want).abs() < 0.012, "{hours} h: {got} is not {want}");
    }
    let (median, late) = (curve.quantile(0.5) * 60.0, curve.quantile(0.95) * 60.0);
    assert!((median - 20.0).abs() < 1.0 && (late - 226.0).abs() < 20.0, "{median} {late}");
}

/// A trial is a failure in part from its hour to the end of its window, and then in full, bit for bit.
#[test]
fn a_pending_trial_becomes_a_failure() {
    let e = experiment(2, 24, "{}");
    let evidence = Evidence { delays: vec![delay(0, 3, 500), delay(0, 17, 300)], ..vec![outcome(50, 0, 80, 3)].into() };
    let beta = |ms: i64| whole(&e, &evidence, Timestamp::from_millisecond(51 * HOUR_MS + ms).unwrap())[0].beta;
    let mut last = 1.0;
    for quarter in 0..4 * 24 {
        let now = beta(quarter * HOUR_MS / 4);
        assert!(now >= last && now <= 78.0 + 1e-9, "{now} after {last}");
        last = now;
    }
    assert!(beta(0) < 45.0, "{}", beta(0));
    for (ms, exact) in [(24 * HOUR_MS - HOUR_MS / 4, false), (24 * HOUR_MS, true), (1_000 * HOUR_MS, true)] {
        assert_eq!(beta(ms).to_bits() == 78f64.to_bits(), exact, "{ms}");
    }
}

/// Updates are asked for within an hour: its rewards do not count without its trials.
#[test]
fn now_is_the_newest_trial_if_that_is_later() {
    let e = experiment(2, 24, "{}");
    let mut evidence: Evidence = vec![outcome(100, 0, 1_000, 50)].into();
    evidence.delays = vec![delay(0, 0, 1_000)];
    let rate = |evidence: &Evidence| whole(&e, evidence, hour(100))[0].beta().mean();
    evidence.latest = Some(Timestamp::from_millisecond(100 * HOUR_MS + HOUR_MS / 2).unwrap());
    // Rewards come within a minute, so that nearly all that will come are there.
    assert!((rate(&evidence) - 0.05).abs() < 0.005, "{}", rate(&evidence));
    evidence.latest = None;
    assert!(rate(&evidence) > 0.9, "without it they would");
}

/// So many full hours count, and the one under way, whatever clocks on the wall do; and a stopped experiment stands.
#[test]
fn a_window_slides_by_whole_hours() {
    let e = experiment(2, 1, r#"{"window_hours":24}"#);
    let alpha = |evidence: &Evidence, as_of: Timestamp| whole(&e, evidence, as_of)[0].alpha - 1.0;
    // On 2026-10-25 the day in Berlin has 25 hours; UTC knows nothing of it.
    for text in ["2026-10-25T12:00:00Z", "1970-01-02T12:00:00Z", "2026-03-29T00:00:00Z"] {
        let as_of: Timestamp = text.parse().unwrap();
        let now = hour_of(as_of);
        for (hours_ago, counts) in [(0, true), (1, true), (24, true), (25, false), (26, false)] {
            let evidence: Evidence = vec![outcome(now - hours_ago, 0, 9, 4)].into();
            for (ms, counts) in [(0, counts), (HOUR_MS - 1, counts), (HOUR_MS, counts && hours_ago != 24)] {
                let as_of = as_of + SignedDuration::from_millis(ms);
                assert_eq!(alpha(&evidence, as_of), if counts { 4.0 } else { 0.0 }, "{as_of}, {hours_ago}");
                let ended = Evidence { ended: Some(as_of), ..evidence.clone() };
                assert_eq!(alpha(&ended, as_of + SignedDuration::from_hours(999)), alpha(&evidence, as_of));
            }
        }
    }
}

/// An experiment that has ended goes on waiting for rewards: its last trials become failures.
#[test]
fn after_the_end_windows_still_close() {
    let e = experiment(2, 24, r#"{"half_life_hours":24}"#);
    let evidence = Evidence { ended: Some(hour(100)), ..vec![outcome(99, 0, 10, 1), outcome(75, 0, 10, 1)].into() };
    let b = whole(&e, &evidence, hour(1_000))[0];
    assert_eq!((b.alpha, b.beta), (1.0 + 1.0 + 0.5, 1.0 + 9.0 + 4.5));
}

/// The exact posterior of `rewards` and of pending trials, by the trapezoidal rule on the log-odds axis, under a uniform
/// prior: its mean, and the mass of an interval.
fn exact(rewards: f64, pending: f64, share: f64, [low, high]: [f64; 2]) -> (f64, f64) {
    let log = |t: f64| {
        let rate = 1.0 / (1.0 + (-t).exp());
        ((rewards + 1.0) * rate.ln() + (1.0 - rate).ln() + pending * (-rate * share).ln_1p(), rate)
    };
    let points: Vec<(f64, f64)> = (-20_000..20_000).map(|i| log(f64::from(i) * 1e-3)).collect();
    let most = points.iter().map(|p| p.0).fold(f64::MIN, f64::max);
    let (mut all, mut sum, mut inside) = (0.0, 0.0, 0.0);
    for (log, rate) in points {
        let density = (log - most).exp();
        all += density;
        sum += density * rate;
        inside += if (low..high).contains(&rate) { density } else { 0.0 };
    }
    (sum / all, inside / all)
}

/// The Beta beside the exact posterior: at rates of conversions it is the same, at a half it is narrow, as documented.
#[test]
fn the_beta_is_the_exact_posterior_at_small_rates() {
    for (rate, share, trials, mean_within, mass) in [
        (0.02, 0.5, 2_000.0, 0.01, 0.945..0.955),
        (0.05, 0.2, 5_000.0, 0.01, 0.94..0.955),
        (0.05, 0.5, 1_000.0, 0.01, 0.94..0.955),
        (0.05, 0.9, 200.0, 0.02, 0.94..0.955),
        (0.1, 0.5, 1_000.0, 0.01, 0.94..0.955),
        (0.3, 0.5, 400.0, 0.01, 0.92..0.95),
        (0.5, 0.5, 400.0, 0.01, 0.88..0.95),
        (0.5, 1.0, 400.0, 1e-8, 0.949..0.951),
    ] {
        let n: f64 = trials;
        let rewards = (n * rate * share).round();
        let pending = n - rewards;
        let beta = fitted(rewards, pending, share);
        let interval = beta.interval(0.95);
        let (mean, inside) = exact(rewards, pending, share, interval);
        let off = (beta.mean() / mean - 1.0).abs();
        println!("rate {rate} share {share}: mean off by {:.2} %, interval holds {:.2} %", 100.0 * off, 100.0 * inside);
        assert!(off <= mean_within && mass.contains(&inside), "rate {rate}, share {share}: {off} {inside}");
    }
}

/// The posterior under a curve that is `share` over the whole of the trials' hour.
fn fitted(rewards: f64, pending: f64, share: f64) -> Beta {
    let e = experiment(2, 48, "{}");
    // A share of the rewards come at once and the others after more than a day.
    let many = 1e9;
    let delays = vec![delay(0, 0, (many * share) as u64), delay(0, 34, (many * (1.0 - share)) as u64)];
    let trials = (rewards + pending) as u64;
    let evidence = Evidence { delays, ..vec![outcome(100, 0, trials, rewards as u64)].into() };
    whole(&e, &evidence, hour(110))[0].beta()
}

/// Ten thousand segments of four arms, all with trials of every hour of the window: what this costs an update.
#[test]
fn many_segments_take_little_time() {
    let mut e = experiment(4, 24, r#"{"kind":"fixed"}"#);
    e.segment_by = vec!["item".into()];
    let mut evidence = Evidence { delays: (0..60).map(|b| delay(0, b, 1_000)).collect(), ..Evidence::default() };
    for (hours, most_ms) in [(1, 1_000), (12, 5_000)] {
        evidence.outcomes = (0..hours)
            .flat_map(|h| (0..10_000).flat_map(move |s| (0..4).map(move |arm| (h, s, arm))))
            .map(|(h, s, arm)| HourOutcome { segment: format!("item={s}"), ..outcome(100 + h, arm, 50, 3) })
            .collect();
        // While they are pending, and long after.
        let [pending, closed] = [hours, 1_000].map(|later| {
            let began = std::time::Instant::now();
            assert_eq!(recompute(&e, 1, 1, &evidence, hour(100 + later)).segments.len(), 10_000);
            began.elapsed().as_millis()
        });
        println!("{} rows: {pending} ms while pending, {closed} ms once closed", evidence.outcomes.len());
        // The machine may be busy with other tests.
        assert!(pending < most_ms, "{pending} ms");
    }
}
