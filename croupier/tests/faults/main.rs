//! What the disk and the clock do to a server: it goes on, or says in one line what, where and what to do; and nothing wrong is
//! ever served.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clock;
mod crash;
mod disk;
mod flips;
mod read_only;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::path::Path;
use support::Server;

/// Says that a test cannot run here; under CI it fails.
fn not_run(why: &str) {
    let line = format!("NOT RUN: {why}");
    assert!(std::env::var_os("CI").is_none(), "{line}");
    eprintln!("{line}");
}

async fn decide(server: &Server, user: &str) -> Value {
    server.post("/v1/decide", &json!({"experiment": "page", "user": user, "item": "i"})).await
}

fn event(id: &str, decision: &Value) -> Value {
    json!({"id": id, "type": "reward", "name": "buy", "decision_id": decision["decision_id"]})
}

fn trials(results: &Value) -> u64 {
    results["arms"].as_array().unwrap().iter().map(|arm| arm["trials"].as_u64().unwrap()).sum()
}

/// Files of a directory and of those in it.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
