//! A target that does as it is told, and the program under test.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part, and a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

/// A request as the target saw it.
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    /// A parameter of the query.
    pub(crate) fn query(&self, wanted: &str) -> Option<String> {
        let query = self.path.split_once('?')?.1;
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    }
}

/// Status and body.
pub(crate) type Reply = (u16, String);

/// A target with a thread for each connection, on any free port.
pub(crate) fn target(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let handler = Arc::new(handler);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handler = handler.clone();
            std::thread::spawn(move || drop(serve(stream, &*handler)));
        }
    });
    address
}

fn serve(mut stream: TcpStream, handler: &dyn Fn(&Seen) -> Reply) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut chunk) = (Vec::new(), [0; 16 << 10]);
    loop {
        if let Some((seen, used)) = parse(&buffer) {
            buffer.drain(..used);
            let (status, body) = handler(&seen);
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes())?;
            continue;
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            n => buffer.extend_from_slice(&chunk[..n]),
        }
    }
}

fn parse(bytes: &[u8]) -> Option<(Seen, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(used) = request.parse(bytes).unwrap() else { return None };
    let headers: Vec<(String, String)> =
        request.headers.iter().map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).into_owned())).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, v)| v.parse().unwrap());
    let body = bytes.get(used..used + length)?;
    let body = String::from_utf8_lossy(body).into_owned();
    let (method, path) = (request.method.unwrap().to_owned(), request.path.unwrap().to_owned());
    Some((Seen { method, path, headers, body }, used + length))
}

/// An answer to a decide request.
pub(crate) fn decision(id: &str, arm: &str, first: bool) -> Reply {
    let body = format!(
        r#"{{"decision_id":"{id}","experiment":"page","arm":"{arm}","payload":null,"first":{first},"day":"2026-11-21","segment":"","propensity":0.5,"posterior_version":1,"source":"policy"}}"#
    );
    (200, body)
}

/// `loadtest` with these arguments. Tests share their cores, so that none is invalid for being late unless it says so.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    if matches!(arguments, ["replay" | "mirror", ..]) && !arguments.contains(&"--max-lag") {
        command.args(&arguments[..1]).args(["--max-lag", "1m"]).args(&arguments[1..]);
    } else {
        command.args(arguments);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// Exit code, standard output and standard error.
pub(crate) fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Runs it with a report, which must be written; gives the exit code and the report.
pub(crate) fn report(arguments: &[&str], directory: &Path) -> (i32, serde_json::Value) {
    let file = directory.join("report.json");
    let _ = std::fs::remove_file(&file);
    let output = run(&[arguments, &["--json", file.to_str().unwrap()]].concat());
    let (code, out, err) = told(&output);
    let json = std::fs::read(&file).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
    (code, serde_json::from_slice(&json).unwrap())
}

/// A line of a combined log.
pub(crate) fn line(second: u32, client: &str, target: &str) -> String {
    format!(
        "{client} - - [17/May/2015:10:{:02}:{:02} +0000] \"GET {target} HTTP/1.1\" 200 5 \"-\" \"test\"\n",
        second / 60 % 60,
        second % 60
    )
}

/// A line of a JSON log with nanoseconds.
pub(crate) fn exact(ns: u64, client: &str, target: &str) -> String {
    let (seconds, ns) = (ns / 1_000_000_000, ns % 1_000_000_000);
    format!(
        "{{\"ts\":\"2015-05-17T10:{:02}:{:02}.{ns:09}Z\",\"remote_addr\":\"{client}\",\"method\":\"GET\",\"uri\":\"{target}\"}}\n",
        seconds / 60,
        seconds % 60
    )
}

/// Writes a log into a directory.
pub(crate) fn log(directory: &Path, lines: &str) -> String {
    let file = directory.join("access.log");
    std::fs::write(&file, lines).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Asks a process to end, as Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}
