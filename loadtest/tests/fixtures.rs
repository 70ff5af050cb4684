//! Ten logs that are damaged, each in its way: every line is used or counted with its reason.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;
use support::{exact, line, report};

/// Lines, requests, and counts with a word of their reason.
type Wanted = (u64, u64, &'static [(u64, &'static str)]);

fn read(bytes: &[u8], wanted: Wanted) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log");
    std::fs::write(&file, bytes).unwrap();
    check(&file, directory.path(), wanted);
}

fn check(file: &Path, directory: &Path, (lines, requests, reasons): Wanted) {
    let arguments = ["replay", file.to_str().unwrap(), "--target", "http://127.0.0.1:9", "--as-is", "--dry-run"];
    let (code, found) = report(&arguments, directory);
    let log = &found["log"];
    assert_eq!((code, log["lines"].as_u64(), log["requests"].as_u64()), (0, Some(lines), Some(requests)), "{log}");
    let told = [&log["refused"], &log["noted"]].map(|lines| lines.as_array().unwrap().clone()).concat();
    assert_eq!(told.len(), reasons.len(), "{log}");
    for (count, reason) in reasons {
        let with = |t: &&serde_json::Value| t["why"].as_str().unwrap().contains(reason);
        let told = told.iter().find(with).unwrap_or_else(|| panic!("{reason}: {log}"));
        assert_eq!(told["count"].as_u64(), Some(*count), "{told}");
        assert!(told["first_line"].as_u64() > Some(0), "{told}");
    }
    let refused: u64 = log["refused"].as_array().unwrap().iter().map(|r| r["count"].as_u64().unwrap()).sum();
    let left: u64 = reasons.iter().filter(|(_, why)| why.contains("allow-method")).map(|(n, _)| n).sum();
    assert!(requests + refused + left >= lines || reasons.is_empty(), "a line went missing: {log}");
}

fn good(n: u32) -> String {
    (0..n).map(|i| line(i, "10.0.0.1", "/a")).collect()
}

fn zipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_log_that_was_cut_in_its_last_line() {
    let text = good(10);
    read(&text.as_bytes()[..text.len() - 40], (10, 9, &[(1, "middle of a field")]));
    // Behind the request nothing is missed.
    read(&text.as_bytes()[..text.len() - 4], (10, 10, &[(1, "cut after the request")]));
}

#[test]
fn a_packed_log_that_was_cut() {
    let packed = zipped(&(0..20_000).map(|i| exact(i * 7_919, "10.0.0.1", &format!("/{i}"))).collect::<String>());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.gz");
    std::fs::write(&file, &packed[..packed.len() / 2]).unwrap();
    let arguments = ["replay", file.to_str().unwrap(), "--target", "http://127.0.0.1:9", "--as-is", "--dry-run"];
    let (code, found) = report(&arguments, directory.path());
    let log = &found["log"];
    // About half of it, and then the reason.
    assert!(code == 0 && (8_000..12_000).contains(&log["requests"].as_u64().unwrap()), "{log}");
    assert!(log["refused"].to_string().contains("compressed stream is damaged"), "{log}");
}

#[test]
fn latin_1() {
    let mut bytes = good(3).into_bytes();
    bytes.extend(b"10.0.0.1 - - [17/May/2015:10:05:03 +0000] \"GET /caf\xe9 HTTP/1.1\" 200 5 \"-\" \"M\xfcller\"\n");
    read(&bytes, (4, 4, &[(1, "not UTF-8")]));
}

#[test]
fn utf_16() {
    let bytes: Vec<u8> = std::iter::once(0xfeff).chain(good(3).encode_utf16()).flat_map(u16::to_le_bytes).collect();
    // The last is a zero byte after the last line feed.
    read(&bytes, (4, 0, &[(4, "UTF-16")]));
}

#[test]
fn lines_of_a_megabyte() {
    let long = line(1, "10.0.0.1", &format!("/{}", "x".repeat(1 << 20)));
    read([good(2), long.clone(), good(2), long].concat().as_bytes(), (6, 4, &[(2, "longer than")]));
}

#[test]
fn formats_that_change_midway() {
    let alb = "http 2018-07-02T22:23:00.186641Z app/x/5 10.0.0.1:2817 10.0.0.2:80 0.0 0.001 0.0 200 200 34 366 \"GET http://x:80/ HTTP/1.1\" \"curl\" - -\n";
    let envoy =
        "[2016-04-15T20:17:00.310Z] \"GET /a HTTP/2\" 204 - 154 0 226 100 \"10.0.35.28\" \"x\" \"c\" \"l\" \"t\"\n";
    let text = [&good(2), &exact(5, "10.0.0.1", "/j"), alb, envoy, &good(1)].concat();
    read(text.as_bytes(), (6, 6, &[]));
}

#[test]
fn a_clock_that_goes_back() {
    let directory = tempfile::tempdir().unwrap();
    let address = support::target(|_| (200, String::new()));
    let text = [good(3), line(600, "10.0.0.1", "/later"), good(3)].concat();
    let file = support::log(directory.path(), &text);
    let arguments = ["replay", &file, "--target", &format!("http://{address}"), "--as-is", "--speed", "2000x"];
    let (code, found) = report(&arguments, directory.path());
    assert_eq!((code, found["targets"][0]["answered"].as_u64()), (0, Some(7)), "{found}");
    let noted = found["log"]["noted"].to_string();
    assert!(noted.contains("clock went back further") && noted.contains("\"count\":3"), "{noted}");
}

#[test]
fn lines_of_something_else() {
    let text =
        ["-- Logs begin --\n", &good(2), "segfault at 0 ip 00007f\n", "{\"level\":\"info\"}\n", "\u{1}\u{2}\u{3}\n"]
            .concat();
    read(text.as_bytes(), (6, 2, &[(3, "no known format"), (1, "not one whole JSON")]));
}

#[test]
fn clients_that_do_not_speak_http() {
    let garbage = [
        line(1, "10.0.0.1", "/").replace("GET / HTTP/1.1", "\\x16\\x03\\x01\\x02"),
        line(1, "10.0.0.1", "/").replace("GET / HTTP/1.1", "-"),
        line(1, "10.0.0.1", "/").replace("GET", "POST"),
        line(1, "10.0.0.1", "/").replace("May", "Mai"),
    ];
    let text = good(2) + &garbage.concat();
    read(text.as_bytes(), (6, 2, &[(2, "no HTTP request line"), (1, "allow-method"), (1, "time cannot be read")]));
}

#[test]
fn empty_logs_and_empty_lines() {
    read(b"", (0, 0, &[]));
    read(b"\n\n\r\n", (3, 0, &[]));
    let text = good(2).replace('\n', "\r\n\r\n");
    let directory = tempfile::tempdir().unwrap();
    let file = support::log(directory.path(), &text);
    let arguments = ["replay", &file, "--target", "http://127.0.0.1:9", "--as-is", "--dry-run"];
    assert_eq!(report(&arguments, directory.path()).1["log"]["requests"].as_u64(), Some(2));
    // Packed in both ways it reads the same.
    let file = directory.path().join("log.gz");
    std::fs::write(&file, zipped(&good(5))).unwrap();
    check(&file, directory.path(), (5, 5, &[]));
    let file = directory.path().join("log.zst");
    std::fs::write(&file, zstd::encode_all(good(5).as_bytes(), 1).unwrap()).unwrap();
    check(&file, directory.path(), (5, 5, &[]));
}

/// The real log, where it is: a site's, with a damaged clock.
#[test]
fn a_real_log_is_read_whole() {
    let Some(folder) = std::env::var_os("ACCESS_LOGS") else {
        eprintln!("NOT TESTED: ACCESS_LOGS names no folder with apache-combined-10k.log");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let file = Path::new(&folder).join("apache-combined-10k.log");
    check(&file, directory.path(), (10_000, 9_995, &[(5, "allow-method"), (1, "cut after the request")]));
}
