//! A disk that is full, or read-only: a file system in memory, in a namespace of its own, that belongs to the test.

use crate::support::{Server, croupier, finish, five_arms};
use crate::{decide, event, not_run, trials};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A file system of 200 MiB on a directory that only its processes see.
struct Disk {
    holder: Child,
    dir: TempDir,
}

impl Disk {
    /// None if this machine does not let a test have one.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let script = r#"mount -t tmpfs -o size=200m none "$0" && echo mounted && exec sleep infinity"#;
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let disk = Self { holder, dir };
        if line.trim() != "mounted" {
            not_run("a test of a full disk mounts one in a user namespace, which is not allowed here");
            return None;
        }
        Some(disk)
    }

    /// Its directory, as its processes know it.
    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The same for others.
    fn outside(&self) -> PathBuf {
        let pid = self.holder.id();
        PathBuf::from(format!("/proc/{pid}/root{}", self.dir.path().display()))
    }

    /// `command` as one of its processes.
    fn within(&self, command: &Command) -> Command {
        let mut entered = Command::new("nsenter");
        entered.args(["--user", "--mount", "--preserve-credentials", "--target", &self.holder.id().to_string(), "--"]);
        entered.arg(command.get_program()).args(command.get_args()).current_dir("/tmp");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => entered.env(name, value),
                None => entered.env_remove(name),
            };
        }
        entered
    }

    fn remount(&self, how: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{how}")]).arg(self.path());
        assert!(self.within(&mount).status().unwrap().success());
    }

    /// Takes all room there is.
    fn fill(&self) {
        let mut ballast = std::fs::File::create(self.outside().join("ballast")).unwrap();
        let mut piece = 1 << 20;
        while piece > 0 {
            if ballast.write_all(&vec![1; piece]).is_err() {
                piece /= 2;
            }
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.outside().join("ballast")).unwrap();
    }

    /// A server on it, and the file of what it says.
    fn serve(&self, log: &Path) -> Server {
        let data = self.path().join("data").display().to_string();
        let arguments = ["serve", "--log", "info", "--listen", "127.0.0.1:0", "--data", &data];
        let mut command = self.within(&croupier(&arguments));
        command.stderr(std::fs::File::options().create(true).append(true).open(log).unwrap());
        Server::of(command)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // With its last process the file system goes.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

async fn status(server: &Server, method: Method, path: &str, body: Option<&Value>) -> u16 {
    server.send(method, path, body).await.unwrap().status().as_u16()
}

/// Asks until a server is ready, or is not.
async fn until_ready(server: &Server, ready: bool) {
    while (status(server, Method::GET, "/readyz", None).await == 200) != ready {
        tokio::task::yield_now().await;
    }
}

fn lines_with(log: &Path, text: &str) -> usize {
    std::fs::read_to_string(log).unwrap().lines().filter(|line| line.contains(text)).count()
}

/// While the disk takes nothing, decisions fall back and all else is refused, and one line says why; afterwards it goes on by
/// itself, and what was acknowledged is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_lived_through() {
    let Some(disk) = Disk::new() else { return };
    let said = format!("the disk of '{}/data' is full", disk.path().display());
    let scratch = tempfile::tempdir().unwrap();
    let log = scratch.path().join("log");
    let server = disk.serve(&log);
    server.run(&five_arms("page")).await;
    server.expect(Method::PUT, "/v1/catalogs/shop", Some(&json!({"dimension": 2})), 201).await;
    let mut dealt = Vec::new();
    for n in 0..20 {
        let decision = decide(&server, &format!("u{n}")).await;
        server.post("/v1/events", &event(&format!("r{n}"), &decision)).await;
        dealt.push(decision);
    }
    server.update("page").await;
    disk.fill();
    let fallback = decide(&server, "late").await;
    assert_eq!(fallback["source"], "fallback");
    for (n, before) in dealt.iter().enumerate() {
        let again = decide(&server, &format!("u{n}")).await;
        assert_eq!((&again["arm"], &again["source"]), (&before["arm"], &json!("policy")));
    }
    let items = json!([{"id": "hat", "vector": [0, 1]}]);
    for n in 0..3 {
        let more = event(&format!("late{n}"), &fallback);
        assert_eq!(status(&server, Method::POST, "/v1/events", Some(&more)).await, 503);
        assert_eq!(status(&server, Method::PUT, "/v1/catalogs/shop/items", Some(&items)).await, 503);
    }
    assert_eq!(status(&server, Method::POST, "/v1/backup", None).await, 503);
    until_ready(&server, false).await;
    let metrics = server.send(Method::GET, "/metrics", None).await.unwrap().text().await.unwrap();
    let down = |line: &str| line.contains("part=\"events\"") && line.ends_with(" 0");
    assert!(metrics.lines().any(down), "{metrics}");
    assert_eq!(status(&server, Method::GET, "/healthz", None).await, 200, "a restart would not help");
    assert_eq!(
        lines_with(&log, &format!("nothing can be kept: {said}")),
        1,
        "{}",
        std::fs::read_to_string(&log).unwrap()
    );
    disk.make_room();
    until_ready(&server, true).await;
    let kept = decide(&server, "late").await;
    assert_eq!((&kept["arm"], &kept["source"]), (&fallback["arm"], &json!("policy")));
    server.post("/v1/events", &event("late", &kept)).await;
    server.expect(Method::PUT, "/v1/catalogs/shop/items", Some(&items), 200).await;
    assert_eq!(lines_with(&log, "what comes is kept again"), 1);
    server.kill();
    let server = disk.serve(&log);
    for (n, before) in dealt.iter().chain([&kept]).enumerate() {
        let user = if n == dealt.len() { "late".into() } else { format!("u{n}") };
        assert_eq!(decide(&server, &user).await["arm"], before["arm"]);
    }
    server.update("page").await;
    let results = server.get("/v1/experiments/page/results").await;
    assert_eq!(trials(&results), 21, "{results}");
    let rewards: u64 = results["arms"].as_array().unwrap().iter().map(|arm| arm["rewards"].as_u64().unwrap()).sum();
    assert_eq!(rewards, 21);
    assert_eq!(lines_with(&log, "panicked"), 0);
    server.stop();
}

/// A write that breaks off in spite of room, as by a quota, closes the store: decisions fall back, and the process ends for
/// whoever watches it to start it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_breaks_off_ends_the_process_in_order() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, log) = (scratch.path().join("data"), scratch.path().join("log"));
    let serve = croupier(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    // A signal says that a file may not grow; ignored, it is an error of the write.
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#]).arg(serve.get_program()).args(serve.get_args());
    command.current_dir(scratch.path()).stderr(std::fs::File::create(&log).unwrap());
    let server = Server::of(command);
    server.run(&five_arms("page")).await;
    let before = decide(&server, "u").await;
    // So that the journal is beyond the limit, and what the server says is not.
    for n in 0..30 {
        decide(&server, &format!("u{n}")).await;
    }
    let pid = server.pid().to_string();
    assert!(Command::new("prlimit").args(["--pid", &pid, "--fsize=4000:unlimited"]).status().unwrap().success());
    let fallback = decide(&server, "late").await;
    assert_eq!(fallback["source"], "fallback");
    let code = server.ended();
    let said = std::fs::read_to_string(&log).unwrap();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("nothing can be kept") && said.contains("start the process again"), "{said}");
    let server = Server::start(&data, &[]);
    assert_eq!(decide(&server, "u").await["arm"], before["arm"]);
    assert_eq!(decide(&server, "late").await["arm"], fallback["arm"]);
    server.stop();
}

/// At the start it is one line, and nothing is half-written.
#[test]
fn a_disk_that_is_read_only_at_the_start_is_told() {
    let Some(disk) = Disk::new() else { return };
    let data = disk.path().join("data");
    let serve = croupier(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    disk.remount("ro");
    let (code, out, err) = finish(disk.within(&serve));
    assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 1), "{err}");
    assert!(err.contains(data.to_str().unwrap()) && err.contains("Read-only file system"), "{err}");
    disk.remount("rw");
    std::fs::create_dir(disk.outside().join("data")).unwrap();
    disk.remount("ro");
    let (code, _, err) = finish(disk.within(&serve));
    assert_eq!((code, err.lines().count()), (2, 1), "{err}");
    assert!(
        err.contains("data/lock") && err.contains("must be a directory with room that this user may write"),
        "{err}"
    );
    assert!(crate::files(&disk.outside()).is_empty());
}
