//! Answers are looked at, compared and rewarded.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{decision, exact, log, report, target};

const PAGE: [&str; 6] = ["--set", "experiment=page", "--map", "path:^/p/(?<item>.+)", "--map", "client:(?<user>.+)"];

/// A log of `n` requests a millisecond apart, of as many users as asked.
fn visits(n: u64, users: u64) -> String {
    (0..n).map(|i| exact(i * 1_000_000, &format!("10.0.0.{}", i % users), &format!("/p/{i}"))).collect()
}

#[test]
fn a_second_arm_and_a_bad_answer_are_found() {
    let count = AtomicU64::new(0);
    let address = target(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        5 => decision("x", "b", false),
        6 => (200, r#"{"arm":"a"}"#.to_owned()),
        7 => (503, String::new()),
        _ => decision("x", "a", false),
    });
    let directory = tempfile::tempdir().unwrap();
    let lines: String = (0..20).map(|i| exact(i * 1_000_000, "10.0.0.1", "/p/same")).collect();
    let file = log(directory.path(), &lines);
    let url = format!("http://{address}");
    let arguments = ["replay", &file, "--target", &url, "--assert", "unsticky<1"];
    let (code, found) = report(&[&arguments[..], &PAGE].concat(), directory.path());
    let findings = &found["findings"];
    assert_eq!(code, 1);
    assert_eq!((findings["decisions"].as_u64(), findings["unsticky"].as_u64()), (Some(18), Some(1)), "{findings}");
    assert_eq!(findings["malformed"].as_u64(), Some(1));
    assert!(findings["first_unsticky"].as_str().unwrap().contains("item=same"), "{findings}");
    assert_eq!(found["targets"][0]["statuses"]["503"].as_u64(), Some(1));
    assert_eq!(found["targets"][0]["arms"]["b"].as_u64(), Some(1));
}

#[test]
fn two_targets_are_compared() {
    let one = target(|request| decision("x", if request.path.contains("item=7") { "b" } else { "a" }, true));
    let two = target(|_| decision("x", "a", true));
    let directory = tempfile::tempdir().unwrap();
    let file = log(directory.path(), &visits(20, 20));
    let (one, two) = (format!("http://{one}"), format!("http://{two}"));
    let arguments = ["replay", &file, "--target", &one, "--compare", &two];
    let (code, found) = report(&[&arguments[..], &PAGE].concat(), directory.path());
    let differences = &found["differences"];
    assert_eq!((code, differences["compared"].as_u64(), differences["different"].as_u64()), (0, Some(20), Some(1)));
    assert_eq!(differences["by"], serde_json::json!({"arm": 1}));
    assert_eq!(found["targets"].as_array().unwrap().len(), 2);
}

#[test]
fn rewards_follow_from_a_model_and_from_the_log() {
    let events: Arc<Mutex<Vec<String>>> = Arc::default();
    let theirs = events.clone();
    let address = target(move |request| {
        if request.path == "/v1/events" {
            theirs.lock().unwrap().push(request.body.clone());
            return (202, r#"{"accepted":1,"rejected":[]}"#.to_owned());
        }
        let user = request.query("user").unwrap();
        decision(&format!("id-{user}"), if user.ends_with('1') { "a" } else { "b" }, true)
    });
    let directory = tempfile::tempdir().unwrap();
    let file = log(directory.path(), &visits(10, 10));
    let url = format!("http://{address}");
    let arguments = ["replay", &file, "--target", &url, "--allow-method", "POST", "--reward-delay", "20ms"];
    let model = ["--reward-model", "a=100%,*=0", "--reward-name", "buy"];
    let (code, found) = report(&[&arguments[..], &PAGE, &model].concat(), directory.path());
    assert_eq!((code, found["targets"][0]["events"].as_u64()), (0, Some(1)), "{found}");
    assert_eq!(*events.lock().unwrap(), [r#"{"decision_id":"id-10.0.0.1","name":"buy","type":"reward"}"#]);
    // Lines of the log that are rewards, of users whom other rules name.
    events.lock().unwrap().clear();
    let file = log(directory.path(), &(exact(0, "10.0.0.2", "/p/7") + &exact(1_000_000, "10.0.0.2", "/bought/7/3.5")));
    let rule = ["--reward-map", "path:^/bought/(?<item>[^/]+)/(?<value>.+)"];
    let arguments = ["replay", &file, "--target", &url, "--allow-method", "POST"];
    let (code, found) = report(&[&arguments[..], &PAGE, &rule].concat(), directory.path());
    assert_eq!((code, found["targets"][0]["events"].as_u64()), (0, Some(1)), "{found}");
    let wanted = r#"{"experiment":"page","item":"7","name":"purchase","type":"reward","user":"10.0.0.2","value":3.5}"#;
    assert_eq!(*events.lock().unwrap(), [wanted]);
    // A decision log with its rewards, as late as they were.
    events.lock().unwrap().clear();
    let lines = concat!(
        r#"{"record":"decision","experiment":"page","user":"u1","item":"i","segment":"","arm":"a","at":"2026-11-21T10:00:00.1Z"}"#,
        "\n",
        r#"{"record":"user","id":"e1","kind":"reward","name":"buy","user":"u1","item":"i","decision_id":"old","value":2,"at":"2026-11-21T10:00:00.3Z"}"#,
        "\n"
    );
    let file = log(directory.path(), lines);
    let arguments = ["replay", &file, "--target", &url, "--allow-method", "POST", "--rewards"];
    let begun = Instant::now();
    let (code, found) = report(&arguments, directory.path());
    assert_eq!((code, found["targets"][0]["sent"].as_u64()), (0, Some(2)), "{found}");
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let wanted = r#"{"item":"i","name":"buy","type":"reward","user":"u1","value":2.0}"#;
    assert_eq!(*events.lock().unwrap(), [wanted]);
}
