//! However long a log is, it is streamed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufWriter, Write};
use std::process::Stdio;
use support::{command, line, target, told};

/// What a replay may hold, whatever the log's length.
const MOST_KIB: u64 = 64 << 10;

/// Peak of resident memory of a process that lives.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The short form is as many bytes in fewer lines, so that a replay that kept its log would hold thrice the limit.
#[test]
fn a_long_log_is_not_held() {
    let (lines, path) = match std::env::var_os("LOADTEST_LONG") {
        Some(_) => (10_000_000, "/page".to_owned()),
        None => (60_000, format!("/{}", "x".repeat(3_000))),
    };
    let address = target(|_| (200, String::new()));
    let url = format!("http://{address}");
    // The rate is far beyond what the reader gives, so that nothing waits for the clock.
    let arguments = ["replay", "-", "--target", &url, "--as-is", "--sample", "1%", "--rate", "1000000/s"];
    let mut child = command(&arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = BufWriter::new(child.stdin.take().unwrap());
    for i in 0..lines {
        input.write_all(line(i / 1_000, &format!("10.0.{}.{}", i % 16, i % 251), &path).as_bytes()).unwrap();
    }
    input.flush().unwrap();
    let peak = peak_kib(child.id());
    drop(input);
    let (code, out, err) = told(&child.wait_with_output().unwrap());
    assert!(code == 0 && out.contains(&format!("{lines} lines")), "{out}{err}");
    assert!(peak <= MOST_KIB, "{peak} KiB: {out}");
}
