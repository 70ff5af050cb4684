//! The services that cloud backends speak to, as children of the test: Google's emulators and a private PostgreSQL, each
//! on a free port of the loopback address and in a scratch directory.
//!
//! `setpriv` ends each with the process that started it, however that ends. A service that is not installed is named;
//! under `CI` that fails the test, elsewhere the test says that it did not run.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Google's Bigtable emulator.
    Bigtable,
    /// Google's Pub/Sub emulator.
    PubSub,
    /// PostgreSQL.
    Postgres,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Bigtable => "the Bigtable emulator (cbtemulator, package google-cloud-cli-bigtable-emulator)",
            Self::PubSub => "the Pub/Sub emulator (cloud-pubsub-emulator, package google-cloud-cli-pubsub-emulator)",
            Self::Postgres => "PostgreSQL (initdb, postgres, package postgresql)",
        }
    }

    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Bigtable => find("cbtemulator", &["platform/bigtable-emulator"]),
            Self::PubSub => find("cloud-pubsub-emulator", &["platform/pubsub-emulator/bin"]),
            Self::Postgres => find("postgres", &[]),
        }
    }
}

/// A program of the path, of PostgreSQL's folders or of the Cloud SDK.
fn find(program: &str, in_sdk: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sdks = std::env::split_paths(&path)
        .filter_map(|dir| std::fs::canonicalize(dir.join("gcloud")).ok())
        .filter_map(|gcloud| Some(gcloud.parent()?.parent()?.to_owned()))
        .chain(["/usr/lib/google-cloud-sdk".into()]);
    let sdks = sdks.flat_map(|sdk| in_sdk.iter().map(move |dir| sdk.join(dir)));
    let postgres =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|v| v.path().join("bin"));
    std::env::split_paths(&path)
        .chain(sdks)
        .chain(postgres)
        .find_map(|dir| std::fs::canonicalize(dir.join(program)).ok())
}

/// A service that runs. Dropping it ends it.
pub struct Service {
    kind: Kind,
    program: PathBuf,
    port: u16,
    dir: TempDir,
    child: Option<Child>,
}

impl Service {
    /// Starts one; none if it is not installed, which is said, and fails under `CI`.
    #[must_use]
    pub fn start(kind: Kind) -> Option<Self> {
        let installed = kind.program().filter(|_| find("setpriv", &[]).is_some());
        let Some(program) = installed else {
            let line = format!("NOT RUN: this test needs {} and setpriv, and they are not installed", kind.name());
            assert!(std::env::var_os("CI").is_none(), "{line}");
            eprintln!("{line}");
            return None;
        };
        let dir = scratch();
        if kind == Kind::Postgres {
            make_database(&program, dir.path());
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut service = Self { kind, program, port, dir, child: None };
        service.restart();
        Some(service)
    }

    /// One for all tests of this process.
    #[must_use]
    pub fn shared(kind: Kind) -> Option<&'static Self> {
        static SHARED: [OnceLock<Option<Service>>; 3] = [OnceLock::new(), OnceLock::new(), OnceLock::new()];
        SHARED[kind as usize].get_or_init(|| Self::start(kind)).as_ref()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// URL of the PostgreSQL database `name`.
    #[must_use]
    pub fn postgres_url(&self, name: &str) -> String {
        format!("postgres://croupier@{}/{name}", self.address())
    }

    /// Ends it at once, as a crash does. An emulator forgets everything.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // PostgreSQL's own processes end when they miss this one.
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again at the same address; returns when it answers.
    pub fn restart(&mut self) {
        self.kill();
        let (program, dir, port) = (self.program.clone(), self.dir.path().to_owned(), self.port);
        let kind = self.kind;
        self.child = Some(on_a_lasting_thread(move || command(kind, &program, &dir, port).spawn().unwrap()));
        let begun = Instant::now();
        while !self.answers() {
            let ended = self.child.as_mut().and_then(|c| c.try_wait().unwrap());
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "{} does not start: {ended:?}\n{}",
                self.kind.name(),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it printed.
    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn answers(&self) -> bool {
        if self.kind == Kind::Postgres {
            let ready = self.program.with_file_name("pg_isready");
            let port = self.port.to_string();
            let mut command = Command::new(ready);
            return command.args(["-q", "-h", "127.0.0.1", "-p", &port]).status().is_ok_and(|s| s.success());
        }
        let Ok(stream) = TcpStream::connect(self.address()) else { return false };
        self.kind != Kind::PubSub || is_told(stream, "GET /v1/projects/test/topics HTTP/1.0\r\n\r\n")
    }
}

/// Whether anything is said to `request` in time. The Pub/Sub emulator listens seconds before its first answer, which on a
/// busy machine is longer than a client waits.
fn is_told(mut stream: TcpStream, request: &str) -> bool {
    let sent = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.write_all(request.as_bytes()));
    sent.is_ok() && stream.read(&mut [0]).is_ok_and(|n| n > 0)
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A directory named after this process. Those of processes that were cut off, or shared services until their end, are
/// removed by the next.
fn scratch() -> TempDir {
    const PREFIX: &str = "croupier-service-";
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|n| n.strip_prefix(PREFIX)?.split_once('-')).map(|(pid, _)| pid.to_owned());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another test may be at it too.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", std::process::id())).tempdir().unwrap()
}

/// `setpriv` ends a child with the thread that started it, so that thread has to stay.
fn on_a_lasting_thread(start: impl FnOnce() -> Child + Send + 'static) -> Child {
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new()
        .name("services".into())
        .spawn(move || {
            sender.send(start()).unwrap();
            loop {
                std::thread::park();
            }
        })
        .unwrap();
    receiver.recv().unwrap()
}

fn command(kind: Kind, program: &Path, dir: &Path, port: u16) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    match kind {
        Kind::Bigtable => command.arg(program).args(["-host", "127.0.0.1", "-port", &port.to_string()]),
        // Its script starts Java in its own place; Java must not take a quarter of the memory.
        Kind::PubSub => command
            .env("JAVA_OPTS", "-Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1")
            .arg(program)
            .args(["--host=127.0.0.1", &format!("--port={port}")]),
        Kind::Postgres => as_postgres(&mut command)
            .arg(program)
            .arg("-D")
            .arg(dir.join("data"))
            .arg("-k")
            .arg(dir)
            .args(["-c", "listen_addresses=127.0.0.1", "-p", &port.to_string(), "-c", "max_connections=200"]),
    };
    command.current_dir(dir).stdin(Stdio::null());
    let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log);
    command
}

/// PostgreSQL refuses to run as root.
fn as_postgres(command: &mut Command) -> &mut Command {
    if is_root() { command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]) } else { command }
}

fn is_root() -> bool {
    let status = std::fs::File::open("/proc/self/status").map(BufReader::new);
    let lines = status.into_iter().flat_map(|s| s.lines().map_while(Result::ok));
    lines
        .into_iter()
        .any(|line| line.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0")))
}

fn make_database(postgres: &Path, dir: &Path) {
    if is_root() {
        let done = Command::new("chown").arg("postgres").arg(dir).status().unwrap();
        assert!(done.success(), "the scratch directory cannot be given to the user 'postgres'");
    }
    let mut command = Command::new("setpriv");
    as_postgres(command.args(["--pdeathsig", "KILL"]));
    command
        .arg(postgres.with_file_name("initdb"))
        .args(["-U", "croupier", "-A", "trust", "-E", "UTF8", "--locale=C", "-D"])
        .arg(dir.join("data"));
    let output = command.current_dir(dir).output().unwrap();
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_start_end_and_start_again() {
        for kind in [Kind::Bigtable, Kind::PubSub, Kind::Postgres] {
            let Some(mut service) = Service::start(kind) else { continue };
            assert!(service.answers());
            service.kill();
            assert!(!service.answers(), "{kind:?} is gone");
            service.restart();
            assert!(service.answers());
        }
    }
}
