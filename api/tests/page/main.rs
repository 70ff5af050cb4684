//! What pages meet: the client's files, and the protocol of `OpenFeature`, spoken by its own providers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod client;
mod ofrep;
mod providers;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Something that `.ci/services` installs; says so and gives none where it is missing, and fails under CI.
fn tool(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools").join(path);
    if found.exists() { Some(found.canonicalize().unwrap()) } else { missing(path) }
}

fn missing<T>(what: &str) -> Option<T> {
    let line = format!("NOT RUN: this test needs {what}, which is not installed ('make test' installs it)");
    assert!(std::env::var_os("CI").is_none(), "{line}");
    eprintln!("{line}");
    None
}

/// Node, of the machine's.
fn node() -> Option<Command> {
    let there = Command::new("node").arg("--version").output().is_ok_and(|o| o.status.success());
    if there { Some(Command::new("node")) } else { missing("node") }
}

/// Runs a command to its end, off the threads that serve it.
async fn succeeds(mut command: Command) {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
}
