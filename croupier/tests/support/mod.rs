//! The real binary on a data directory of the test's.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `croupier` with arguments, without settings of the machine it runs on.
pub fn croupier(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_croupier"));
    command.args(args).current_dir(std::env::temp_dir());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CROUPIER_")) {
        command.env_remove(name);
    }
    command
}

/// A running `croupier serve`; killed when dropped.
pub struct Server {
    child: Child,
    pub base: String,
    pub client: Client,
}

impl Server {
    /// Starts on `data` and waits for its line that it listens.
    pub fn start(data: &Path, args: &[&str]) -> Self {
        let data = data.display().to_string();
        let mut all = vec!["serve", "--log", "warn", "--data", &data];
        all.extend(args);
        if !args.contains(&"--listen") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        Self::of(croupier(&all))
    }

    /// Starts a command that listens, and waits for its line that it does.
    pub fn of(command: Command) -> Self {
        Self::attempt(command).unwrap_or_else(|code| panic!("it did not start: exit code {code}"))
    }

    /// The same of one that may refuse to: its exit code then.
    pub fn attempt(mut command: Command) -> Result<Self, i32> {
        store::choose_cryptography();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut server = Self { child, base: String::new(), client: Client::new() };
        match line.trim().strip_prefix("listening on ") {
            Some(base) => server.base = base.to_owned(),
            None => return Err(server.child.wait().unwrap().code().unwrap_or(-1)),
        }
        Ok(server)
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> reqwest::Result<Response> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.expect(Method::GET, path, None, 200).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let status = if path == "/v1/events" { 202 } else { 200 };
        self.expect(Method::POST, path, Some(body), status).await
    }

    pub async fn expect(&self, method: Method, path: &str, body: Option<&Value>, status: u16) -> Value {
        let response = self.send(method, path, body).await.unwrap();
        let got = response.status().as_u16();
        let text = response.text().await.unwrap();
        assert_eq!(got, status, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Creates and starts an experiment. Unless it says where its days are, they are where it is noon: none ends while
    /// a test looks at who keeps an arm.
    pub async fn run(&self, definition: &Value) {
        let mut definition = definition.clone();
        if definition["sticky"]["time_zone"].is_null() {
            definition["sticky"]["time_zone"] = self.noon().await.into();
        }
        self.expect(Method::POST, "/v1/experiments", Some(&definition), 201).await;
        self.post(&format!("/v1/experiments/{}/start", definition["id"].as_str().unwrap()), &Value::Null).await;
    }

    /// A time zone in which it is noon, by the server's clock.
    async fn noon(&self) -> String {
        let answer = self.send(Method::GET, "/healthz", None).await.unwrap();
        let hour = jiff::fmt::rfc2822::parse(answer.headers()["date"].to_str().unwrap()).unwrap().hour();
        // Etc/GMT+5 is five hours behind.
        format!("Etc/GMT{:+}", hour - 12)
    }

    /// Updates posteriors; all that was acknowledged before is in them.
    pub async fn update(&self, experiment: &str) -> Value {
        let path = format!("/v1/experiments/{experiment}/update");
        loop {
            let answer = self.send(Method::POST, &path, Some(&Value::Null)).await.unwrap();
            let (status, run) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
            // On a busy machine it is answered before the end; asking again waits for the next run.
            if status != 202 {
                assert_eq!((status, &run["status"]), (200, &"done".into()), "{run}");
                return run;
            }
        }
    }

    /// Pulls the plug.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits until it has ended by itself; its exit code.
    pub fn ended(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) {
        self.terminate();
        assert!(self.child.wait().unwrap().success());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end: exit code, output, errors.
pub fn finish(mut command: Command) -> (i32, String, String) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Both are read at once: whoever writes much to one must not wait for the other.
    let ended = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
}

/// An experiment of five arms.
pub fn five_arms(id: &str) -> Value {
    let arms = ["a", "b", "c", "d", "e"].map(|arm| json!({"id": arm, "payload": {"layout": arm}}));
    json!({
        "id": id, "arms": arms, "reward": {"event": "buy", "window_hours": 24}, "policy": {"kind": "thompson", "floor": 0.01},
    })
}

/// A number from the environment: the long form of a test sets it.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name} must be a number, is '{v}'")))
}
