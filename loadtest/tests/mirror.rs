//! `loadtest mirror`, behind a real nginx with the configuration of `deploy/`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{command, decision, interrupt, target, told};

/// Ended when the test is.
struct Killed(Option<Child>);

impl Drop for Killed {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Killed {
    fn interrupted(&mut self) -> (i32, String, String) {
        let child = self.0.take().unwrap();
        interrupt(&child);
        told(&child.wait_with_output().unwrap())
    }
}

/// A mirror to `target`, and where it listens.
fn mirror(target: SocketAddr, more: &[&str]) -> (Killed, SocketAddr, BufReader<std::process::ChildStdout>) {
    let url = format!("http://{target}");
    let arguments = ["mirror", "--listen", "127.0.0.1:0", "--target", &url];
    let mut child = command(&[&arguments[..], more].concat()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let address = line.split(['/', ';']).nth(2).unwrap_or_else(|| panic!("{line}")).parse().unwrap();
    (Killed(Some(child)), address, out)
}

/// `GET path` over a kept-alive connection; how long the answer took.
fn get(stream: &mut TcpStream, path: &str) -> Duration {
    let begun = Instant::now();
    // One write: the second of two would wait for the answer to the first.
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\ncookie: sid=s7\r\n\r\n").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let n = stream.read(&mut chunk).unwrap();
        assert!(n > 0, "closed: {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&chunk[..n]);
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        if let httparse::Status::Complete(used) = response.parse(&bytes).unwrap() {
            let length = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length"));
            let length: usize = length.map_or(0, |h| std::str::from_utf8(h.value).unwrap().parse().unwrap());
            if bytes.len() >= used + length {
                return begun.elapsed();
            }
        }
    }
}

/// A free port. Another process may take it before it is used, which fails loudly.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// nginx with the configuration of `deploy/`, with other ports; none if it is missing here.
fn nginx(directory: &Path, upstream: SocketAddr, mirror: SocketAddr) -> Option<(Killed, SocketAddr)> {
    let found =
        ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"].into_iter().find(|p| Path::new(p).exists());
    let Some(program) = found else {
        let line = "NOT TESTED: nginx is missing; .ci/services installs it";
        assert!(std::env::var_os("CI").is_none(), "{line}");
        eprintln!("{line}");
        return None;
    };
    let listen = SocketAddr::from(([127, 0, 0, 1], port()));
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/mirror/nginx.conf")).unwrap();
    let swaps = [
        ("127.0.0.1:8090", mirror.to_string()),
        ("127.0.0.1:8000", listen.to_string()),
        ("127.0.0.1:8001", upstream.to_string()),
    ];
    let text = swaps.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from));
        text.replace(from, to)
    });
    let here = directory.display();
    let paths: String =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|p| format!("{p}_temp_path {here}/{p};\n")).concat();
    let text = text.replace("http {", &format!("http {{\naccess_log off;\n{paths}"));
    let text = format!("daemon off;\nmaster_process off;\npid {here}/nginx.pid;\nerror_log {here}/error.log;\n{text}");
    let file = directory.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(program);
    command.arg("-c").arg(file).arg("-e").arg(directory.join("error.log"));
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let killed = Killed(Some(child));
    let begun = Instant::now();
    while TcpStream::connect(listen).is_err() {
        let log = || std::fs::read_to_string(directory.join("error.log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(20), "nginx does not come up: {}", log());
        std::thread::yield_now();
    }
    Some((killed, listen))
}

const RULES: [&str; 6] =
    ["--set", "experiment=page", "--map", "path:^/p/(?<item>.+)", "--map", "cookie.sid:(?<user>.+)"];

#[test]
fn what_nginx_mirrors_is_sent_on() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let theirs = seen.clone();
    let api = target(move |request| {
        theirs.lock().unwrap().push(request.path.clone());
        decision("x", "a", true)
    });
    let upstream = target(|_| (200, "the page".to_owned()));
    let (mut mirror, address, mut out) = mirror(api, &RULES);
    let directory = tempfile::tempdir().unwrap();
    let Some((_nginx, front)) = nginx(directory.path(), upstream, address) else { return };
    let mut client = TcpStream::connect(front).unwrap();
    for i in 0..100 {
        get(&mut client, &format!("/p/{i}?x=1"));
    }
    get(&mut client, "/elsewhere");
    while seen.lock().unwrap().len() < 100 {
        std::thread::yield_now();
    }
    let (code, _, err) = mirror.interrupted();
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    assert_eq!(code, 0, "{text}{err}");
    assert!(text.contains("100 × 200") && text.contains("101 lines, 100 requests"), "{text}");
    assert!(text.contains("1 noted: no rule made a request of it"), "{text}");
    assert_eq!(seen.lock().unwrap()[7], "/v1/decide?experiment=page&user=s7&item=7");
}

/// nginx holds a client's connection until the mirror has answered. The mirror's target never answers here; had the
/// mirror waited for it, each of these requests would have waited for nginx's timeout of 100 ms.
#[test]
fn a_target_that_hangs_does_not_slow_the_source() {
    let asked = Arc::new(AtomicU64::new(0));
    let theirs = asked.clone();
    let api = target(move |_| {
        theirs.fetch_add(1, Ordering::Relaxed);
        loop {
            std::thread::park();
        }
    });
    let upstream = target(|_| (200, "the page".to_owned()));
    let more = ["--connections", "2", "--queue", "10", "--timeout", "1m"];
    let (mut mirror, address, mut out) = mirror(api, &[&RULES[..], &more].concat());
    let directory = tempfile::tempdir().unwrap();
    let Some((_nginx, front)) = nginx(directory.path(), upstream, address) else { return };
    let mut client = TcpStream::connect(front).unwrap();
    let mut took: Vec<Duration> = (0..200).map(|i| get(&mut client, &format!("/p/{i}"))).collect();
    took.sort_unstable();
    // Of 200 on a busy machine some are slow by chance; all would be if the answer waited.
    assert!(took[100] < Duration::from_millis(20), "{:?}", took[100]);
    while asked.load(Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    let (_, _, err) = mirror.interrupted();
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    assert!(text.contains("run ended before the answer"), "{text}{err}");
}

/// The queue is bounded, and what does not fit is counted: every request is either asked for or dropped.
#[test]
fn nothing_is_dropped_uncounted() {
    let api = target(|_| (200, String::new()));
    let json = tempfile::tempdir().unwrap();
    let file = json.path().join("r.json");
    let more = ["--as-is", "--queue", "1", "--json", file.to_str().unwrap()];
    let (mut mirror, address, _out) = mirror(api, &more);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = TcpStream::connect(address).unwrap();
                for _ in 0..500 {
                    get(&mut client, "/x");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    mirror.interrupted();
    let found: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let dropped: u64 = found["log"]["noted"].as_array().unwrap().iter().map(|n| n["count"].as_u64().unwrap()).sum();
    let target = &found["targets"][0];
    assert_eq!(found["log"]["lines"].as_u64().unwrap() + dropped, 2_000, "{}", found["log"]);
    assert!(target["asked"].as_u64() <= found["log"]["requests"].as_u64(), "{target}");
}
