//! Deciding over HTTP, beside what others would set up: FastAPI with Redis, and Node with GrowthBook's SDK.

use crate::Outcome;
use crate::server::Server;
use crate::table::{Against, Goal, Line, median};
use crate::traffic::{CLASSES, FIRST, KNOWN_USERS, REPEAT, decide, experiment, introductions, mixed, strangers};
use loadtest::{Extent, Load, Report, Request, closed};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// As many as both others were fastest with.
const CONNECTIONS: usize = 32;
const ROUNDS: usize = 3;
const WINDOW: Duration = Duration::from_secs(5);
/// How long a server has until it answers.
const PATIENCE: Duration = Duration::from_secs(30);
/// Workers of the one in Python.
const WORKERS: &str = "2";

/// First decisions beside FastAPI, numpy and Redis, which keep them too; first and repeats beside GrowthBook, which keeps
/// nothing. Those that cannot be had here are left out, and said to be.
pub(crate) async fn measure() -> Outcome<Vec<Line>> {
    let real = Server::start(&[]).await?;
    real.begin(&experiment()).await?;
    closed(&Load::new(real.address, CONNECTIONS, &CLASSES), Extent::Requests(KNOWN_USERS), introductions).await?;
    let mut lines = Vec::new();
    match python() {
        Some(python) => {
            let other = Other::start(&python, "sticky.py", &[WORKERS]).await?;
            let (ours, theirs) = beside(&real, &other, "python", strangers).await?;
            let rate =
                line("python_rate", "first decisions", "FastAPI, numpy and Redis, two workers", Goal::AtLeast(12.0));
            lines.push(rate(ours.rate, theirs.rate, "/s"));
            let tail = line("python_p99", "p99 of first decisions", "FastAPI's", Goal::AtMost(0.067));
            lines.push(tail(ours.p99, theirs.p99, "ms"));
        }
        None => {
            eprintln!("FastAPI and Redis are not to be had: no Python that installs the packages of requirements.txt")
        }
    }
    match node() {
        Some(script) => {
            let other = Other::start(Path::new("node"), &script, &[]).await?;
            let (ours, theirs) = beside(&real, &other, "node", mixed).await?;
            let rate = line("node_rate", "1 first : 4 repeats", "Node with GrowthBook", Goal::AtLeast(1.5));
            lines.push(rate(ours.rate, theirs.rate, "/s"));
        }
        None => eprintln!("GrowthBook is not to be had: no Node, or no npm that installs it"),
    }
    Ok(lines)
}

fn line(key: &'static str, what: &str, peer: &'static str, goal: Goal) -> impl FnOnce(f64, f64, &'static str) -> Line {
    let what = format!("{what}, {CONNECTIONS} connections");
    move |measured, other, unit| Line { key, what, measured, unit, against: Against::Peer(peer, other), goal }
}

struct Figures {
    /// Answers per second.
    rate: f64,
    /// Of all requests, in milliseconds.
    p99: f64,
}

/// Ours and theirs, by turns under the same load.
async fn beside<S>(real: &Server, other: &Other, name: &str, source: impl Fn(&str) -> S) -> Outcome<(Figures, Figures)>
where
    S: Fn(u64) -> (usize, Request) + Send + Sync + 'static,
{
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        for (target, figures) in [(real.address, &mut ours), (other.address, &mut theirs)] {
            let load = Load::new(target, CONNECTIONS, &CLASSES);
            let report = closed(&load, Extent::Duration(WINDOW), source(&format!("{name}-{round}"))).await?;
            if report.succeeded() == 0 || report.succeeded() != report.answered() || report.failures() > 0 {
                return Err(format!("not every request succeeded: {report}").into());
            }
            println!("{target}: {report}");
            // The first is for warming up.
            if round > 0 {
                figures.push((report.rate(), p99(&report)));
            }
        }
    }
    let figures = |of: Vec<(f64, f64)>| {
        let (rates, p99s) = of.into_iter().unzip();
        Figures { rate: median(rates), p99: median(p99s) }
    };
    Ok((figures(ours), figures(theirs)))
}

/// The larger of both kinds'.
fn p99(report: &Report) -> f64 {
    let of = |class| report.class(class).map(|c| c.latency.p99().as_secs_f64() * 1e3);
    [FIRST, REPEAT].into_iter().filter_map(of).fold(0.0, f64::max)
}

/// Another server as a child: it ends when its input does.
struct Other {
    child: Child,
    address: SocketAddr,
}

impl Other {
    async fn start(program: &Path, script: &str, more: &[&str]) -> Outcome<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(program);
        command.arg(script).arg(free.port().to_string()).args(more).current_dir(scripts()).stdin(Stdio::piped());
        let other = Self { child: command.spawn()?, address: free };
        let asked = || async {
            let body = decide("anyone");
            let url = format!("http://{free}/v1/decide");
            let answer = reqwest::Client::new().post(url).header("content-type", "application/json").body(body);
            answer.send().await.is_ok_and(|answer| answer.status().is_success())
        };
        let ready = async {
            while !asked().await {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.map_err(|_| format!("{script} does not answer on {free}"))?;
        Ok(other)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.child.stdin = None;
        let _ = self.child.wait();
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/others")
}

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/others")
}

/// Whether this ends well.
fn run(program: &Path, arguments: &[&str], folder: &Path) -> bool {
    Command::new(program).args(arguments).current_dir(folder).status().is_ok_and(|status| status.success())
}

/// Python with the packages of `requirements.txt`, installed on first use.
fn python() -> Option<PathBuf> {
    let folder = tools().join("python");
    let (python, done) = (folder.join("bin/python"), folder.join("installed"));
    if done.exists() {
        return Some(python);
    }
    let installed = run(Path::new("python3"), &["-m", "venv", &folder.to_string_lossy()], &scripts())
        && run(&python, &["-m", "pip", "install", "-q", "-r", "requirements.txt"], &scripts());
    (installed && std::fs::write(done, "").is_ok()).then_some(python)
}

/// The script, beside GrowthBook's SDK, which is installed on first use.
fn node() -> Option<String> {
    let folder = tools().join("node");
    std::fs::create_dir_all(&folder).ok()?;
    for file in ["growthbook.mjs", "package.json"] {
        std::fs::copy(scripts().join(file), folder.join(file)).ok()?;
    }
    let installed = folder.join("node_modules").exists() || run(Path::new("npm"), &["install", "--silent"], &folder);
    installed.then(|| folder.join("growthbook.mjs").to_string_lossy().into_owned())
}
