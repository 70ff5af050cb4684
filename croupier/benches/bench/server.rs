//! The real server as a child on a scratch directory, ended when it is dropped.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// How long it may take to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `croupier serve`.
pub(crate) struct Server {
    child: Child,
    scratch: TempDir,
    pub(crate) address: SocketAddr,
    http: reqwest::Client,
}

impl Server {
    /// Starts one on an empty directory, on the disk where Cargo builds: a memory file system would have no
    /// cost of synchronising. Returns when it can decide.
    pub(crate) async fn start(settings: &[&str]) -> Outcome<Self> {
        let scratch = tempfile::Builder::new().prefix("server-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        // Free until another takes it in the next milliseconds; then the server says so and the run ends.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = fs::File::create(scratch.path().join("log"))?;
        let child = Command::new(env!("CARGO_BIN_EXE_croupier"))
            .args(["serve", "--listen", &address.to_string(), "--data"])
            .arg(scratch.path().join("data"))
            .args(settings)
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        store::choose_cryptography();
        let mut server = Self { child, scratch, address, http: reqwest::Client::new() };
        server.wait_until_ready().await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self) -> Outcome<()> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended with {status}: {}", self.log()).into());
            }
            let answer = self.http.get(self.url("/readyz")).timeout(Duration::from_secs(1)).send().await;
            if answer.is_ok_and(|a| a.status().is_success()) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the server is not ready after {PATIENCE:?}: {}", self.log()).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it printed.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    /// Where it keeps everything.
    pub(crate) fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// `POST`, to be answered with a 2xx; the answer as JSON.
    pub(crate) async fn post(&self, path: &str, body: &serde_json::Value) -> Outcome<serde_json::Value> {
        let answer = self.http.post(self.url(path)).timeout(PATIENCE * 3).json(body).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            return Err(format!("POST {path}: {status} {text}").into());
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// Creates and starts an experiment.
    pub(crate) async fn begin(&self, definition: &serde_json::Value) -> Outcome<()> {
        self.post("/v1/experiments", definition).await?;
        let id = definition["id"].as_str().unwrap_or_default();
        self.post(&format!("/v1/experiments/{id}/start"), &serde_json::json!({})).await?;
        Ok(())
    }

    /// One update run from its request to its end; the run.
    pub(crate) async fn update(&self, experiment: &str) -> Outcome<serde_json::Value> {
        let begun = Instant::now();
        loop {
            // Answered before the end when it takes long; asking again waits for the next run.
            let run = self.post(&format!("/v1/experiments/{experiment}/update"), &serde_json::json!({})).await?;
            match run["status"].as_str() {
                Some("done") => return Ok(run),
                Some("failed") => return Err(format!("the update failed: {run}").into()),
                _ if begun.elapsed() > PATIENCE * 6 => return Err(format!("the update does not end: {run}").into()),
                _ => {}
            }
        }
    }

    /// The sum of a metric over all labels that contain `label`.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> Outcome<f64> {
        let text = self.http.get(self.url("/metrics")).timeout(PATIENCE).send().await?.text().await?;
        let of_metric = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
        };
        let values = text.lines().filter(of_metric).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(values.sum())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time that it has used.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        cpu(self.child.id())
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Open file handles.
    pub(crate) fn handles(&self) -> Outcome<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Asks it to end and waits until it has; fails unless it ends with success and in time.
    pub(crate) async fn stop(mut self) -> Outcome<()> {
        let pid = self.child.id().to_string();
        let asked = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status()?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the server ended with {status}: {}", self.log()).into()),
                None => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
        Err(format!("the server is still there {PATIENCE:?} after SIGTERM (kill: {asked}): {}", self.log()).into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time that a process has used, in hundredths of a second.
pub(crate) fn cpu(pid: u32) -> Outcome<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold spaces; user and system time are fields 14 and 15.
    let rest = stat.rsplit_once(')').ok_or("no name in stat")?.1;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// Bytes that a directory takes on the disk.
pub(crate) fn disk_bytes(directory: &Path) -> Outcome<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => sum += disk_bytes(&entry.path())?,
            Ok(meta) => sum += meta.blocks() * 512,
            // Compaction removes files while we look.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(sum)
}
