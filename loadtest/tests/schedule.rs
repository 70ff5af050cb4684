//! A log arrives whole, when it should.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use rand::{RngExt, SeedableRng};
use support::{exact, log, report, target};

/// The long form has the full rates; the short one leaves room for other tests and an unoptimised build.
fn long() -> bool {
    std::env::var_os("LOADTEST_LONG").is_some()
}

/// Requests per second and a Poisson log with so many for 12 s.
fn poisson(rate: f64, requests: usize, seed: u64) -> (String, f64) {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut at = 0.0;
    let mut lines = String::new();
    let mut last = 0.0;
    for i in 0..requests {
        lines += &exact((at * 1e9) as u64, "10.0.0.1", &format!("/{i}"));
        last = at;
        at -= (1.0 - rng.random::<f64>()).ln() / rate;
    }
    (lines, last)
}

#[test]
fn a_poisson_log_is_delivered_whole_and_in_its_time() {
    let (rate, requests) = if long() { (5_000.0, 60_000) } else { (1_000.0, 8_000) };
    let address = target(|_| (200, String::new()));
    let directory = tempfile::tempdir().unwrap();
    let (lines, seconds) = poisson(rate, requests, 1);
    let file = log(directory.path(), &lines);
    let (code, found) =
        report(&["replay", &file, "--target", &format!("http://{address}"), "--as-is"], directory.path());
    let target = &found["targets"][0];
    let requests = u64::try_from(requests).unwrap();
    assert_eq!((code, target["sent"].as_u64(), target["answered"].as_u64()), (0, Some(requests), Some(requests)));
    let achieved = target["rate_achieved"].as_f64().unwrap();
    let took = (requests - 1) as f64 / achieved;
    assert!((took / seconds - 1.0).abs() <= 0.002, "{took} s instead of {seconds}: {}", target["lag"]);
}

/// Twenty times as fast, delays do not add up: the median request leaves within 0.1 ms of its deadline.
#[test]
fn a_fast_log_keeps_its_schedule() {
    let (rate, requests) = if long() { (250.0, 40_000) } else { (50.0, 4_000) };
    let address = target(|_| (200, String::new()));
    let directory = tempfile::tempdir().unwrap();
    let (lines, _) = poisson(rate, requests, 2);
    let file = log(directory.path(), &lines);
    let url = format!("http://{address}");
    let (code, found) = report(&["replay", &file, "--target", &url, "--as-is", "--speed", "20x"], directory.path());
    let target = &found["targets"][0];
    assert_eq!((code, target["answered"].as_u64()), (0, u64::try_from(requests).ok()));
    assert!(target["lag"]["p50"].as_f64().unwrap() <= 0.1, "{}", target["lag"]);
}
