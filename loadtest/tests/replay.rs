//! `loadtest replay` as its users meet it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{command, decision, exact, interrupt, line, log, report, run, target, told};

const PAGE: [&str; 6] = ["--set", "experiment=page", "--map", "path:^/p/(?<item>.+)", "--map", "client:(?<user>.+)"];

/// A log of `n` requests a millisecond apart, of as many users as asked.
fn visits(n: u64, users: u64) -> String {
    (0..n).map(|i| exact(i * 1_000_000, &format!("10.0.0.{}", i % users), &format!("/p/{i}"))).collect()
}

#[test]
fn each_users_requests_arrive_in_their_order() {
    let seen: Arc<Mutex<HashMap<String, Vec<u64>>>> = Arc::default();
    let theirs = seen.clone();
    let address = target(move |request| {
        let item: u64 = request.query("item").unwrap().parse().unwrap();
        theirs.lock().unwrap().entry(request.query("user").unwrap()).or_default().push(item);
        // Slow for some: what is sent meanwhile over other connections overtakes.
        std::thread::sleep(Duration::from_millis(if item.is_multiple_of(3) { 12 } else { 0 }));
        decision(&item.to_string(), "a", true)
    });
    let directory = tempfile::tempdir().unwrap();
    let file = log(directory.path(), &visits(1_500, 7));
    let arguments = ["replay", &file, "--target", &format!("http://{address}")];
    let (code, found) = report(&[&arguments[..], &PAGE].concat(), directory.path());
    assert_eq!((code, found["findings"]["decisions"].as_u64()), (0, Some(1_500)), "{found}");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 7);
    for (user, items) in seen.iter() {
        assert!(items.is_sorted(), "{user}: {items:?}");
    }
}

#[test]
fn users_are_hashed_and_sampled_whole() {
    let seen: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
    let theirs = seen.clone();
    let address = target(move |request| {
        *theirs.lock().unwrap().entry(request.query("user").unwrap()).or_default() += 1;
        decision("x", "a", true)
    });
    let directory = tempfile::tempdir().unwrap();
    let file = log(directory.path(), &visits(2_000, 200));
    let url = format!("http://{address}");
    let arguments = ["replay", &file, "--target", &url, "--hash-users", "salt", "--sample", "25%", "--speed", "20x"];
    let (code, found) = report(&[&arguments[..], &PAGE].concat(), directory.path());
    let seen = seen.lock().unwrap();
    assert_eq!(code, 0);
    // 50 of 200 users, give or take four standard deviations of a binomial, each with all of its requests.
    assert!((26..=74).contains(&seen.len()), "{}", seen.len());
    assert!(seen.iter().all(|(user, n)| user.len() == 32 && *n == 10), "{seen:?}");
    assert!(!found["command"].as_str().unwrap().contains(" salt "), "{}", found["command"]);
}

#[test]
fn standard_input_loops_durations_and_steps() {
    let address = target(|_| (200, String::new()));
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://{address}");
    let mut child = command(&["replay", "-", "--target", &url, "--as-is", "--speed", "10x"]);
    let mut child = child.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let lines: String = (0..3).flat_map(|s| (0..4).map(move |_| line(s, "10.0.0.1", "/"))).collect();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.as_bytes()).unwrap();
    let (code, out, err) = told(&child.wait_with_output().unwrap());
    assert!(code == 0 && out.contains("12 × 200"), "{out}{err}");
    let file = log(directory.path(), &lines);
    let steps = ["--rate", "100/s@500ms,400/s@500ms", "--loop"];
    let (code, found) =
        report(&[&["replay", &file, "--target", &url, "--as-is"][..], &steps].concat(), directory.path());
    assert_eq!((code, found["targets"][0]["sent"].as_u64()), (0, Some(250)));
    let lasting = ["--rate", "200/s", "--loop", "--duration", "700ms", "--spread", "poisson"];
    let (code, found) =
        report(&[&["replay", &file, "--target", &url, "--as-is"][..], &lasting].concat(), directory.path());
    let sent = found["targets"][0]["sent"].as_u64().unwrap();
    // 140, give or take four standard deviations of a Poisson count.
    assert!(code == 0 && (92..=188).contains(&sent), "{sent}");
}

#[test]
fn what_is_dangerous_needs_leave() {
    let address = target(|_| (200, String::new()));
    let directory = tempfile::tempdir().unwrap();
    let file = log(directory.path(), &line(0, "10.0.0.1", "/"));
    let url = format!("http://{address}");
    for (arguments, why) in [
        (&["--target", "http://192.0.2.1", "--as-is"][..], "--allow-host 192.0.2.1"),
        (&["--target", &url, "--post", "--set", "user=u"], "--allow-method POST"),
        (&["--target", &url, "--reward-model", "a=1"], "--allow-method POST"),
        (&["--target", "https://127.0.0.1"], "HTTPS"),
        (&["--target", &url, "--map", "path:("], "unclosed group"),
        (&["--target", &url, "--assert", "p99"], "is no condition"),
        (&["--target", &url, "--rate", "fast"], "is no rate"),
    ] {
        let (code, _, err) = told(&run(&[&["replay", &file][..], arguments].concat()));
        assert!(code == 2 && err.contains(why), "{arguments:?}: {code} {err}");
    }
}

#[test]
fn a_generator_that_cannot_keep_up_says_so() {
    let address = target(|_| (200, String::new()));
    let directory = tempfile::tempdir().unwrap();
    let file = log(directory.path(), &visits(50, 5));
    let url = format!("http://{address}");
    // No machine sends within a nanosecond.
    let arguments = ["replay", &file, "--target", &url, "--as-is", "--max-lag", "1ns"];
    let (code, found) = report(&arguments, directory.path());
    assert_eq!(code, 3, "{found}");
    assert!(found["invalid"].as_str().unwrap().contains("late by itself"), "{found}");
}

#[test]
fn nobody_there_is_a_line_and_not_a_hang() {
    let directory = tempfile::tempdir().unwrap();
    let file = log(directory.path(), &visits(50, 5));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, err) = told(&run(&["replay", &file, "--target", &format!("http://{nobody}"), "--as-is"]));
    assert_eq!((code, err.lines().count()), (1, 1));
    assert!(err.contains("cannot connect to") && err.contains("refused"), "{err}");
    let (code, _, err) = told(&run(&["replay", "/nowhere.log", "--target", &format!("http://{nobody}"), "--dry-run"]));
    assert!(code == 1 && err.contains("/nowhere.log"), "{err}");
}

/// A target that takes connections and never answers, and one that goes away in the middle.
#[test]
fn a_target_that_falls_silent_ends_the_run_with_its_report() {
    let directory = tempfile::tempdir().unwrap();
    let file = log(directory.path(), &visits(60_000, 5));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mute = Arc::new(AtomicBool::new(false));
    let theirs = mute.clone();
    let dying = target(move |request| {
        if request.path == "/p/300" {
            theirs.store(true, Ordering::Relaxed);
        }
        while theirs.load(Ordering::Relaxed) {
            std::thread::park();
        }
        (200, String::new())
    });
    for url in [url, format!("http://{dying}")] {
        let begun = Instant::now();
        let arguments = ["replay", &file, "--target", &url, "--as-is", "--patience", "700ms", "--timeout", "500ms"];
        let (code, out, err) = told(&run(&arguments));
        assert!(code == 1 && err.contains("has answered nothing for"), "{out}{err}");
        assert!(out.contains("no answer in time") && out.contains("p99.9"), "{out}");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn ctrl_c_ends_with_a_full_report() {
    let count = Arc::new(AtomicU64::new(0));
    let theirs = count.clone();
    let address = target(move |_| {
        theirs.fetch_add(1, Ordering::Relaxed);
        (200, String::new())
    });
    let directory = tempfile::tempdir().unwrap();
    let file = log(directory.path(), &visits(60_000, 5));
    let (json, html) = (directory.path().join("r.json"), directory.path().join("r.html"));
    let files = ["--json", json.to_str().unwrap(), "--html", html.to_str().unwrap()];
    let url = format!("http://{address}");
    let child = command(&[&["replay", &file, "--target", &url, "--as-is"][..], &files].concat()).spawn().unwrap();
    while count.load(Ordering::Relaxed) < 200 {
        std::thread::yield_now();
    }
    interrupt(&child);
    let (code, out, err) = told(&child.wait_with_output().unwrap());
    let found: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert!(code == 0 && out.contains("early, as asked"), "{out}{err}");
    let sent = found["targets"][0]["sent"].as_u64().unwrap();
    assert!((200..60_000).contains(&sent) && found["ended"] == "stopped", "{found}");
    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("<svg") && page.ends_with("</html>"));
    // It needs nothing from anywhere.
    assert!(!page.contains("src=") && !page.contains("<link") && !page.contains("url("));
}

#[test]
fn the_highest_rate_is_found() {
    // One after the other, 8 ms each: 125 a second at most.
    let one = Mutex::new(());
    let address = target(move |_| {
        let _alone = one.lock().unwrap();
        std::thread::sleep(Duration::from_millis(8));
        (200, String::new())
    });
    let directory = tempfile::tempdir().unwrap();
    let file = log(directory.path(), &visits(100, 5));
    let url = format!("http://{address}");
    let arguments = ["replay", &file, "--target", &url, "--as-is", "--find-step", "700ms"];
    let (code, out, err) = told(&run(&[&arguments[..], &["--find-rate", "p99<100ms,errors<1%"]].concat()));
    assert!(matches!(code, 0 | 3), "{out}{err}");
    let found = out
        .lines()
        .find_map(|line| line.strip_prefix("found     ")?.split_once("/s"))
        .unwrap_or_else(|| panic!("{out}{err}"));
    let rate: f64 = found.0.parse().unwrap();
    assert!((50.0..=150.0).contains(&rate), "{out}");
}

#[test]
fn two_runs_are_compared() {
    let address = target(|_| (200, String::new()));
    let directory = tempfile::tempdir().unwrap();
    let file = log(directory.path(), &visits(20, 5));
    let files = ["a.json", "b.json"].map(|name| directory.path().join(name).to_str().unwrap().to_owned());
    for json in &files {
        let url = format!("http://{address}");
        let output = run(&["replay", &file, "--target", &url, "--as-is", "--json", json]);
        assert!(output.status.success(), "{}", told(&output).2);
    }
    let (code, out, err) = told(&run(&["diff", &files[0], &files[1]]));
    assert!(code == 0 && out.contains("p99 ms") && out.contains("status 200"), "{out}{err}");
    let (code, _, err) = told(&run(&["diff", &file, &files[1]]));
    assert!(code == 1 && err.contains("is not what --json writes"), "{err}");
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_is_sent() {
    let asked = Arc::new(AtomicU64::new(0));
    let theirs = asked.clone();
    let address = target(move |_| {
        theirs.fetch_add(1, Ordering::Relaxed);
        decision("x", "a", true)
    });
    let directory = tempfile::tempdir().unwrap();
    let file = log(directory.path(), &visits(3, 1));
    let nowhere = directory.path().join("none/report");
    for kind in ["--json", "--html"] {
        let arguments = ["replay", &file, "--target", &format!("http://{address}"), kind, nowhere.to_str().unwrap()];
        let (code, out, err) = told(&run(&[&arguments[..], &PAGE].concat()));
        assert_eq!((code, &*out), (1, ""), "{err}");
        assert!(err.contains("none/report") && err.lines().count() == 1, "{err}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn a_reader_that_left_costs_no_report() {
    let address = target(|_| decision("x", "a", true));
    let directory = tempfile::tempdir().unwrap();
    let (file, json) = (log(directory.path(), &visits(3, 1)), directory.path().join("report.json"));
    let url = format!("http://{address}");
    let arguments = ["replay", &file, "--target", &url, "--json", json.to_str().unwrap()];
    let mut child = command(&[&arguments[..], &PAGE].concat()).spawn().unwrap();
    drop(child.stdout.take());
    let (code, _, err) = told(&child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    assert!(std::fs::read_to_string(json).unwrap().contains("\"whole\""));
}
