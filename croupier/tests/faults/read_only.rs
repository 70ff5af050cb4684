//! A file system that takes no more writes while a server runs, and does not say so.

use crate::support::{Server, croupier, five_arms};
use crate::{decide, event, not_run, trials};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/read_only.c");

/// Whether files in a directory can be written, by processes that are started with it.
struct Switch {
    dir: tempfile::TempDir,
}

impl Switch {
    /// None without a C compiler.
    fn new() -> Option<Self> {
        let switch = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(switch.file(), [0]).unwrap();
        let library = switch.dir.path().join("read_only.so");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(library).args([SOURCE, "-ldl"]).status();
        if !compiled.is_ok_and(|status| status.success()) {
            not_run("a test of a disk that becomes read-only needs a C compiler, as cc");
            return None;
        }
        Some(switch)
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("switch")
    }

    fn set(&self, read_only: bool) {
        // In place: processes look at this byte.
        let file = std::fs::File::options().write(true).open(self.file()).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[read_only.into()], 0).unwrap();
    }

    fn serve(&self, data: &Path, log: &Path) -> Server {
        let of = data.display().to_string();
        let mut command = croupier(&["serve", "--log", "warn", "--listen", "127.0.0.1:0", "--data", &of]);
        command.env("LD_PRELOAD", self.dir.path().join("read_only.so"));
        command.env("READ_ONLY_SWITCH", self.file()).env("READ_ONLY_DIR", data);
        command.stderr(std::fs::File::options().create(true).append(true).open(log).unwrap());
        Server::of(command)
    }
}

async fn refused(server: &Server, path: &str, body: &Value) {
    let answer = server.send(Method::POST, path, Some(body)).await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert_eq!(status, 503, "{path}: {text}");
    assert!(text.contains("again"), "{path}: {text}");
}

async fn status(server: &Server, path: &str) -> u16 {
    server.send(Method::GET, path, None).await.unwrap().status().as_u16()
}

/// It answers what it can for as long as that lasts, and says that it is no use to start it again; once the disk takes writes it
/// ends, to be started again, and what was acknowledged is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_becomes_read_only_is_lived_through() {
    let Some(switch) = Switch::new() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let (data, log) = (scratch.path().join("data"), scratch.path().join("log"));
    let server = switch.serve(&data, &log);
    server.run(&five_arms("page")).await;
    let mut dealt = Vec::new();
    for n in 0..20 {
        let decision = decide(&server, &format!("u{n}")).await;
        server.post("/v1/events", &event(&format!("r{n}"), &decision)).await;
        dealt.push(decision);
    }
    server.update("page").await;
    switch.set(true);
    let fallback = decide(&server, "late").await;
    assert_eq!(fallback["source"], "fallback");
    refused(&server, "/v1/experiments", &five_arms("more")).await;
    refused(&server, "/v1/events", &event("late", &fallback)).await;
    refused(&server, "/v1/experiments/page/update", &Value::Null).await;
    // The process looks every five seconds whether it should end, and the updater fails every second.
    let said = || std::fs::read_to_string(&log).unwrap();
    while said().lines().filter(|line| line.contains("the updater failed and goes on")).count() < 8 {
        for (n, before) in dealt.iter().enumerate() {
            let again = decide(&server, &format!("u{n}")).await;
            assert_eq!((&again["arm"], &again["source"]), (&before["arm"], &json!("policy")));
        }
    }
    assert_eq!(decide(&server, "late").await["arm"], fallback["arm"]);
    assert_eq!((status(&server, "/healthz").await, status(&server, "/readyz").await), (200, 503), "{}", said());
    assert_eq!(status(&server, "/dashboard/experiments/page").await, 200);
    switch.set(false);
    let code = server.ended();
    assert_eq!(code, 1, "{}", said());
    assert!(said().contains("the disk takes writes again") && said().contains("start the process again"), "{}", said());
    let server = switch.serve(&data, &log);
    for (n, before) in dealt.iter().enumerate() {
        assert_eq!(decide(&server, &format!("u{n}")).await["arm"], before["arm"]);
    }
    let late = decide(&server, "late").await;
    assert_eq!((&late["arm"], &late["source"]), (&fallback["arm"], &json!("policy")));
    server.update("page").await;
    let results = server.get("/v1/experiments/page/results").await;
    assert_eq!(trials(&results), 21, "{results}");
    let rewards: u64 = results["arms"].as_array().unwrap().iter().map(|arm| arm["rewards"].as_u64().unwrap()).sum();
    assert_eq!(rewards, 20);
    server.stop();
}
