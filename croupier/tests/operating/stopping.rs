//! A process says how it is to those who start, stop and watch it.

use crate::support::{Server, croupier, finish, five_arms};
use serde_json::{Value, json};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

#[tokio::test]
async fn it_is_unready_first_answers_on_and_then_ends() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--drain-seconds", "3"]);
    server.run(&five_arms("page")).await;
    assert_eq!(server.get("/readyz").await["ready"], true);
    let told = Command::new("kill").args(["-TERM", &server.pid().to_string()]).status().unwrap();
    assert!(told.success());
    let said = loop {
        let answer = server.send(reqwest::Method::GET, "/readyz", None).await.expect("it still answers");
        if answer.status() == 503 {
            break answer.json::<Value>().await.unwrap();
        }
    };
    assert!(said["parts"].as_array().unwrap().iter().any(|p| p["name"] == "process" && p["ok"] == false), "{said}");
    let decision = server.post("/v1/decide", &json!({"experiment": "page", "user": "late"})).await;
    assert_eq!(decision["source"], "policy");
    // In order: it succeeds.
    server.stop();
}

#[test]
fn systemd_is_told_that_it_is_ready_and_that_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("notify");
    let heard = UnixDatagram::bind(&socket).unwrap();
    heard.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let data = dir.path().join("data");
    let mut command = croupier(&["serve", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", &socket);
    let server = Server::of(command);
    let word = || {
        let mut word = [0; 64];
        let n = heard.recv(&mut word).unwrap();
        String::from_utf8_lossy(&word[..n]).trim().to_owned()
    };
    assert_eq!(word(), "READY=1");
    server.stop();
    assert_eq!(word(), "STOPPING=1");
}

#[test]
fn lines_of_the_log_are_json_if_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let mut command = croupier(&["serve", "--log-format", "json", "--data", &data, "--listen", "127.0.0.1:0"]);
    let errors = std::fs::File::create(dir.path().join("log")).unwrap();
    command.stderr(Stdio::from(errors));
    Server::of(command).stop();
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.lines().count() > 0);
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let said = line["message"].as_str().unwrap();
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["target"].is_string(), "{line}");
        assert!(said.starts_with(|c: char| !c.is_uppercase()), "{said}");
    }
}

/// The unit parses, where systemd is there to say so, and names a command that exists.
#[test]
fn the_unit_is_sound() {
    let unit = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/croupier.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    assert_eq!((value("Type"), value("NotifyAccess")), (Some("notify"), Some("main")));
    let words: Vec<&str> = value("ExecStart").unwrap().split_whitespace().collect();
    let (code, _, err) = finish(croupier(&[&words[1..], &["--help"]].concat()));
    assert_eq!(code, 0, "{err}");
    let Ok(verify) = Command::new("systemd-analyze").arg("--version").output() else {
        eprintln!("systemd is not here: its own check of the unit is left out");
        return;
    };
    assert!(verify.status.success());
    let copy = tempfile::tempdir().unwrap();
    let here = copy.path().join("croupier.service");
    std::fs::write(&here, text.replace(words[0], env!("CARGO_BIN_EXE_croupier"))).unwrap();
    let said = Command::new("systemd-analyze").arg("verify").arg(&here).output().unwrap();
    let errors = String::from_utf8_lossy(&said.stderr);
    let ours: Vec<&str> = errors.lines().filter(|line| line.contains("croupier.service")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}
