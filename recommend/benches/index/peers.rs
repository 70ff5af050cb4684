//! Other engines, in a Python process of their own.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The process: it ends when its input does.
pub(crate) struct Peers {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// Python with the packages of `requirements.txt`, installed on first use under `target/tools/peers`.
fn python() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("../target/tools/peers");
    let (python, done) = (folder.join("bin/python"), folder.join("installed"));
    if done.exists() {
        return Some(python);
    }
    let run =
        |program: &Path, arguments: &[&str]| Command::new(program).args(arguments).status().is_ok_and(|s| s.success());
    let requirements = here.join("benches/requirements.txt");
    let installed = run(Path::new("python3"), &["-m", "venv", &folder.to_string_lossy()])
        && run(&python, &["-m", "pip", "install", "-q", "-r", &requirements.to_string_lossy()]);
    (installed && std::fs::write(done, "").is_ok()).then_some(python)
}

impl Peers {
    /// None if there is no Python with these packages to be had.
    pub(crate) fn start() -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers.py");
        let one = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"].map(|name| (name, "1"));
        let mut child = Command::new(python()?)
            .arg(script)
            .envs(one)
            .env_remove("OPENBLAS_CORETYPE")
            .env_remove("OPENBLAS_L2_SIZE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take()?));
        Some(Self { child, input, output })
    }

    /// The answer; null if there is none.
    pub(crate) fn ask(&mut self, request: &Value) -> Value {
        let mut line = String::new();
        let sent = self.input.as_mut().is_some_and(|input| writeln!(input, "{request}").is_ok());
        if !sent || self.output.read_line(&mut line).is_err() {
            return Value::Null;
        }
        serde_json::from_str(&line).unwrap_or_default()
    }

    /// CPU seconds of building an engine on what was loaded; none if it cannot be had.
    pub(crate) fn build(&mut self, engine: &str) -> Option<f64> {
        self.ask(&json!({"do": "build", "engine": engine}))["cpu"].as_f64()
    }

    /// CPU seconds of all queries, and recall.
    pub(crate) fn search(&mut self, engine: &str, k: usize) -> (f64, f64) {
        let answer = self.ask(&json!({"do": "search", "engine": engine, "k": k}));
        let number = |name: &str| answer[name].as_f64().unwrap_or(f64::NAN);
        (number("cpu"), number("recall"))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}
