//! `cargo bench -p loadtest`: what a request costs this program beside others that send at a fixed rate, how fast it reads a
//! log, and what a mirror adds. Everything is measured on the program itself, as processes, in one run.
//!
//! The target is nginx, which answers 200; wrk2 and oha are measured where `WRK2` and `OHA` name them or the path has
//! them. What is missing is said, not measured.

use serde_json::Value;
use std::io::{BufWriter, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const LOADTEST: &str = env!("CARGO_BIN_EXE_loadtest");
/// Lines of the log that is only read.
const LINES: usize = 3_000_000;
/// Requests per second of which the cost is compared, for how many seconds, and how often.
const RATE: usize = 5_000;
const SECONDS: usize = 10;
const ROUNDS: usize = 3;
/// Connections of the peers. This program opens what it needs.
const CONNECTIONS: &str = "32";
/// Requests per second that a mirror is to take.
const MIRRORED: usize = 20_000;

fn main() -> Outcome<()> {
    if !std::env::args().any(|arg| arg == "--bench") {
        println!("nothing is measured without optimisation: run 'cargo bench -p loadtest'");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    parser(dir.path())?;
    let Some(nginx) = Nginx::start(dir.path())? else {
        println!("nginx is missing: neither the cost of a request nor a mirror is measured");
        return Ok(());
    };
    pacing(dir.path(), &nginx)?;
    mirror(dir.path(), &nginx)
}

/// Lines per CPU second of a log in the combined format, and how many are refused that should not be.
fn parser(dir: &Path) -> Outcome<()> {
    let log = log(dir, LINES)?;
    let json = dir.join("parsed.json");
    let args =
        ["replay", path(&log)?, "--target", "http://127.0.0.1:9", "--as-is", "--dry-run", "--json", path(&json)?];
    let cpu = run(Command::new(LOADTEST).args(args))?;
    let report: Value = serde_json::from_slice(&std::fs::read(json)?)?;
    let refused: u64 =
        report["log"]["refused"].as_array().map_or(0, |all| all.iter().filter_map(|r| r["lines"].as_u64()).sum());
    println!(
        "log parser      {:>10.0} lines per CPU second, {refused} of {LINES} refused (at least 1,000,000; fewer than 0.01 %)",
        LINES as f64 / cpu
    );
    Ok(())
}

/// CPU time of each request at a fixed rate, in microseconds: this program on its grid, which is as coarse as wrk2's
/// timers, and exactly even; and the peers, by turns.
fn pacing(dir: &Path, nginx: &Nginx) -> Outcome<()> {
    let (rate, seconds, url) = (RATE.to_string(), SECONDS.to_string(), format!("http://{}", nginx.address));
    let log = log(dir, RATE * SECONDS)?;
    let ours = ["replay", path(&log)?, "--target", &url, "--as-is", "--rate", &format!("{rate}/s")].map(str::to_owned);
    let owned = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let mut all = vec![
        ("loadtest", PathBuf::from(LOADTEST), ours.to_vec()),
        ("loadtest --grain 0s", LOADTEST.into(), [ours.to_vec(), owned(&["--grain", "0s"])].concat()),
    ];
    let time = format!("{seconds}s");
    let peers = [
        ("wrk2", "WRK2", owned(&["-t1", "-c", CONNECTIONS, "-d", &time, "-R", &rate, &url])),
        ("oha", "OHA", owned(&["--no-tui", "-c", CONNECTIONS, "-z", &time, "-q", &rate, &url])),
    ];
    for (name, variable, args) in peers {
        match program(variable, name) {
            Some(found) => all.push((name, found, args)),
            None => println!("{name} is missing: its cost is not measured"),
        }
    }
    let mut costs = vec![Vec::new(); all.len()];
    for _ in 0..ROUNDS {
        for ((_, program, args), costs) in all.iter().zip(&mut costs) {
            costs.push(run(Command::new(program).args(args))? * 1e6 / (RATE * SECONDS) as f64);
        }
    }
    let costs: Vec<f64> = costs.into_iter().map(median).collect();
    for ((name, ..), cost) in all.iter().zip(&costs) {
        let ratios =
            all.iter().zip(&costs).skip(2).map(|((peer, ..), theirs)| format!("{:.2} of {peer}", cost / theirs));
        println!(
            "{name:<22}{cost:>6.1} µs of CPU for a request at {RATE}/s; {}",
            ratios.collect::<Vec<_>>().join(", ")
        );
    }
    Ok(())
}

/// What a mirror takes, sending it all on, and at the lower rate what it adds at the 99th percentile to what its target
/// takes to answer.
fn mirror(dir: &Path, nginx: &Nginx) -> Outcome<()> {
    let measure = |address: SocketAddr, rate: usize| -> Outcome<(f64, f64)> {
        let (log, json) = (log(dir, rate * SECONDS)?, dir.join("mirror.json"));
        let (url, rate) = (format!("http://{address}"), format!("{rate}/s"));
        let args = ["replay", path(&log)?, "--target", &url, "--as-is", "--rate", &rate, "--json", path(&json)?];
        run(Command::new(LOADTEST).args(args))?;
        let report: Value = serde_json::from_slice(&std::fs::read(json)?)?;
        let target = &report["targets"][0];
        let number = |value: &Value| value.as_f64().ok_or("the report lacks a number");
        let answered = number(&target["answered"])? / number(&target["seconds"])?;
        Ok((answered, number(&target["service"]["p99"])?))
    };
    let address = free()?;
    let (listen, target) = (address.to_string(), format!("http://{}", nginx.address));
    let args = ["mirror", "--listen", &listen, "--target", &target, "--as-is"];
    let mirror = Ended(Command::new(LOADTEST).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    up(address)?;
    let (mut rates, mut added) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        rates.push(measure(address, MIRRORED)?.0);
        let ((_, alone), (_, mirrored)) = (measure(nginx.address, RATE)?, measure(address, RATE)?);
        added.push(mirrored - alone);
    }
    drop(mirror);
    println!(
        "mirror          {:>10.0} requests taken per second of {MIRRORED}; at {RATE}/s {:+.2} ms at p99 beside nginx (at most 1 ms)",
        median(rates),
        median(added)
    );
    Ok(())
}

/// A log of so many lines, a thousand a second.
fn log(dir: &Path, lines: usize) -> Outcome<PathBuf> {
    let path = dir.join(format!("{lines}.log"));
    let mut out = BufWriter::new(std::fs::File::create(&path)?);
    for i in 0..lines {
        let (s, n) = (i / 1_000, i % 1_000);
        writeln!(
            out,
            "10.{}.{}.7 - - [21/Nov/2026:{:02}:{:02}:{:02} +0000] \"GET /products/sku-{n}?from=list&page={} HTTP/1.1\" 200 {} \
             \"https://shop.example/list/{}\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36\"",
            n % 250,
            i % 251,
            s / 3_600 % 24,
            s / 60 % 60,
            s % 60,
            i % 9,
            500 + n,
            i % 17
        )?;
    }
    out.flush()?;
    Ok(path)
}

/// Runs a program to its end, and tells the CPU time that it took, in seconds.
fn run(command: &mut Command) -> Outcome<f64> {
    let before = childrens_cpu()?;
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    // 3: this machine was late, which does not change what a request costs.
    if !matches!(status.code(), Some(0 | 3)) {
        return Err(format!("{command:?} failed: {status}").into());
    }
    Ok(childrens_cpu()? - before)
}

/// CPU time of all processes that were started and have ended, in seconds; proc(5): fields 16 and 17, in ticks.
fn childrens_cpu() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |field: usize| fields.get(field - 3).and_then(|t| t.parse::<u32>().ok()).ok_or("/proc/self/stat is odd");
    Ok(f64::from(ticks(16)? + ticks(17)?) / rustix::param::clock_ticks_per_second() as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn path(path: &Path) -> Outcome<&str> {
    path.to_str().ok_or_else(|| "a path is no text".into())
}

/// Where a variable says, or the first of the path that has it.
fn program(variable: &str, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os(variable).map(PathBuf::from);
    named.or_else(|| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.exists()))
}

fn free() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits until somebody listens.
fn up(address: SocketAddr) -> Outcome<()> {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err(format!("nobody listens on {address}").into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A process that ends with its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A web server that answers 200.
struct Nginx {
    address: SocketAddr,
    _process: Ended,
}

impl Nginx {
    fn start(dir: &Path) -> Outcome<Option<Self>> {
        let found =
            ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"].into_iter().find(|p| Path::new(p).exists());
        let Some(nginx) = found else { return Ok(None) };
        let (address, here, file) = (free()?, path(dir)?, dir.join("nginx.conf"));
        let text = format!(
            "daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/error.log;
             events {{ worker_connections 4096; }}
             http {{ access_log off; keepalive_requests 1000000000;
                 server {{ listen {address}; location / {{ return 200 'ok'; }} }} }}"
        );
        std::fs::write(&file, text)?;
        let args = ["-p", here, "-c", path(&file)?];
        let process = Ended(Command::new(nginx).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        up(address)?;
        Ok(Some(Self { address, _process: process }))
    }
}
