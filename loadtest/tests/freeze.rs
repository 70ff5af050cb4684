//! A target that freezes cannot hide it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use support::{exact, log, report, target};

/// At 1,000/s for 20 s with four freezes of 500 ms, a tenth of all requests waits for the rest of a freeze, which
/// is uniform from 0 to 500 ms: the mean is 25 ms, the 95th percentile 250 ms, the 99th 450 ms.
#[test]
fn a_freeze_is_seen_by_all_that_were_due() {
    let gate = Arc::new(Mutex::new(()));
    let begun = Arc::new(OnceLock::new());
    let (theirs, first) = (gate.clone(), begun.clone());
    let address = target(move |_| {
        let _ = first.set(Instant::now());
        drop(theirs.lock().unwrap());
        (200, "ok".to_owned())
    });
    std::thread::spawn(move || {
        let begun = *begun.wait();
        for at in [2_500, 7_500, 12_500, 17_500] {
            std::thread::sleep((begun + Duration::from_millis(at)).saturating_duration_since(Instant::now()));
            let closed = gate.lock().unwrap();
            std::thread::sleep(Duration::from_millis(500));
            drop(closed);
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let lines: String = (0..20_000).map(|i| exact(i * 1_000_000, "10.0.0.1", "/")).collect();
    let file = log(directory.path(), &lines);
    let url = format!("http://{address}");
    let (code, found) = report(&["replay", &file, "--target", &url, "--as-is"], directory.path());
    let target = &found["targets"][0];
    let ms = |name: &str| target["response"][name].as_f64().unwrap();
    let shown = serde_json::json!([target["response"], target["lag"]]).to_string();
    assert_eq!((code, target["answered"].as_u64()), (0, Some(20_000)), "{shown}");
    assert!((ms("mean") - 25.0).abs() <= 4.0, "{shown}");
    assert!((ms("p95") - 250.0).abs() <= 25.0, "{shown}");
    assert!((ms("p99") - 450.0).abs() <= 25.0, "{shown}");
    // What the target took once it was asked is another matter: most of those that waited were not even sent.
    assert!(target["lag"]["p99"].as_f64().unwrap() < 10.0, "{shown}");
}
