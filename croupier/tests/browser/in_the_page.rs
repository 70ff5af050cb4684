//! The examples, in pages of other origins than the API's: they decide, render and report, and outlive the API.

use crate::browser::{Browser, Look, PATIENCE, missing, program};
use crate::support::Server;
use axum::Router;
use axum::extract::Path as Asked;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
/// Where the examples suppose the API.
const SUPPOSED: &str = "http://127.0.0.1:8080";
const CONTROL: &str = "Fits like yours";

/// Serves folders as an origin of their own, with the API where it is in this test; under `/patient/` with a client that waits
/// for as long as a busy machine needs.
async fn pages(folders: Vec<PathBuf>, api: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let api = api.to_owned();
    let file = async move |Asked(path): Asked<String>| {
        let (path, patient) = path.strip_prefix("patient/").map_or((&*path, false), |rest| (rest, true));
        let text = folders.iter().find_map(|folder| std::fs::read_to_string(folder.join(path)).ok());
        let kind = if path.ends_with(".js") { "text/javascript" } else { "text/html" };
        // What Chromium asks for by itself is there, and empty.
        let text = text.or_else(|| (path == "favicon.ico").then(String::new)).ok_or(StatusCode::NOT_FOUND)?;
        let text = text.replace(SUPPOSED, &api);
        let waiting = |quote| {
            text.replace(&format!("url: {quote}{api}{quote}"), &format!("timeout: 20000, url: {quote}{api}{quote}"))
        };
        let text =
            if patient { [waiting('\''), waiting('"')].into_iter().find(|t| *t != text).unwrap_or(text) } else { text };
        Ok::<_, StatusCode>(([(CONTENT_TYPE, kind)], text))
    };
    let router = Router::new().route("/{*path}", get(file));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    base
}

async fn make_experiment(server: &Server) {
    let text = std::fs::read_to_string(Path::new(EXAMPLES).join("experiment.json")).unwrap();
    server.run(&serde_json::from_str(&text).unwrap()).await;
}

/// The arm that a page shows, once it shows one; its headline is visible.
async fn shown(browser: &Browser) -> (String, String) {
    browser.until("return !!document.querySelector('[data-arm]')", Vec::new()).await;
    let visible = "return getComputedStyle(document.querySelector('h1')).visibility === 'visible'";
    browser.until(visible, Vec::new()).await;
    let both = "return [document.querySelector('[data-arm]').dataset.arm, document.querySelector('h1').textContent]";
    let both = browser.execute(both, Vec::new()).await.unwrap();
    (both[0].as_str().unwrap().to_owned(), both[1].as_str().unwrap().to_owned())
}

fn text_of(arm: &str) -> &'static str {
    match arm {
        "plain" => CONTROL,
        "question" => "Found yours yet?",
        "number" => "12,000 things, one is yours",
        other => panic!("there is no arm '{other}'"),
    }
}

/// Waits until the API has acknowledged all that the page reported.
async fn until_sent(browser: &Browser) {
    browser.until("return localStorage.getItem('croupier.queue') === '[]'", Vec::new()).await;
}

async fn counted(server: &Server) -> (u64, u64) {
    server.update("headline").await;
    let results = server.get("/v1/experiments/headline/results").await;
    let sum = |field: &str| results["arms"].as_array().unwrap().iter().map(|a| a[field].as_u64().unwrap()).sum();
    (sum("trials"), sum("rewards"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_outlives_the_api() {
    let Some(browser) = Browser::open(Look::DESK).await else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    make_experiment(&server).await;
    let api = server.base.clone();
    let pages = pages(vec![Path::new(EXAMPLES).join("html")], &api).await;
    let (page, patient) = (format!("{pages}/index.html"), format!("{pages}/patient/index.html"));

    // Decided and rendered; the same again when it is loaded again.
    browser.goto(&patient).await.unwrap();
    let (arm, text) = shown(&browser).await;
    assert_eq!(text, text_of(&arm));
    browser.refresh().await.unwrap();
    assert_eq!(shown(&browser).await.0, arm);
    assert_eq!(browser.complaints().await, [""; 0]);
    assert_eq!(counted(&server).await, (1, 0), "one visitor");

    // The API is gone. What is reported waits; a page that is loaded meanwhile shows the control.
    let listens = api.trim_start_matches("http://").to_owned();
    server.kill();
    browser.click("button").await;
    let waits = "return JSON.parse(localStorage.getItem('croupier.queue') ?? '[]').length === 1";
    browser.until(waits, Vec::new()).await;
    browser.goto(&page).await.unwrap();
    assert_eq!(shown(&browser).await, ("none".into(), CONTROL.into()));

    // Worse, something takes connections there and never answers.
    let hung = tokio::net::TcpListener::bind(&listens).await.unwrap();
    let begun = Instant::now();
    browser.goto(&page).await.unwrap();
    assert_eq!(shown(&browser).await, ("none".into(), CONTROL.into()));
    assert!(begun.elapsed() < PATIENCE / 3, "the limit is 300 ms, an answer would never come");
    drop(hung);
    browser.until(waits, Vec::new()).await;
    // What the browser itself reports of connections is all.
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|c| c.contains("net::ERR_")), "{complaints:?}");

    // It returns: what was reported meanwhile arrives by itself, and the visitor is who they were.
    let server = Server::start(dir.path(), &["--listen", &listens]);
    until_sent(&browser).await;
    assert_eq!(counted(&server).await, (1, 1));
    browser.goto(&patient).await.unwrap();
    assert_eq!(shown(&browser).await, (arm.clone(), text_of(&arm).into()));
    server.stop();
}

/// The example that decides on its server; ended when dropped.
struct Rendering {
    child: Child,
    base: String,
}

impl Rendering {
    fn start(node: &Path, api: &str) -> Self {
        let script = Path::new(EXAMPLES).join("server/server.mjs");
        let mut child =
            Command::new(node).arg(script).args([api, "0", "20000"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, base }
    }
}

impl Drop for Rendering {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The React example, bundled as its `package.json` says, with packages that were installed before.
fn bundle(to: &Path) -> Option<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let packages = root.join("target/tools/page/node_modules");
    if !packages.join("react").exists() {
        return missing("react");
    }
    let out = Command::new(packages.join(".bin/esbuild"))
        .args([
            "app.jsx",
            "--bundle",
            "--format=esm",
            "--jsx=automatic",
            "--alias:@croupier/client=../../api/client/client.js",
        ])
        .arg(format!("--outfile={}", to.display()))
        .env("NODE_PATH", &packages)
        .current_dir(Path::new(EXAMPLES).join("react"))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_decides_renders_and_reports() {
    let Some(browser) = Browser::open(Look::DESK).await else { return };
    let Some(node) = program("node") else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(()) = bundle(&dir.path().join("app.js")) else { return };
    let server = Server::start(&dir.path().join("data"), &[]);
    make_experiment(&server).await;
    let folder = |name: &str| Path::new(EXAMPLES).join(name);
    let plain = pages(vec![folder("html")], &server.base).await;
    let react = pages(vec![folder("react"), dir.path().to_owned()], &server.base).await;
    let rendering = Rendering::start(&node, &server.base);

    for (n, page) in [
        format!("{plain}/patient/index.html"),
        // Of the same origin: the same visitor.
        format!("{plain}/patient/script.html"),
        format!("{react}/patient/index.html"),
        format!("{}/", rendering.base),
    ]
    .iter()
    .enumerate()
    {
        browser.goto(page).await.unwrap();
        let (arm, text) = shown(&browser).await;
        assert_eq!(text, text_of(&arm), "{page}");
        browser.refresh().await.unwrap();
        assert_eq!(shown(&browser).await.0, arm, "{page}");
        let ready = "return !location.port || document.body.dataset.ready === 'yes' || !document.querySelector('body > script[type=module]')";
        browser.until(ready, Vec::new()).await;
        browser.click("button").await;
        browser.until("return localStorage.getItem('croupier.queue') !== null", Vec::new()).await;
        until_sent(&browser).await;
        let visitors = [1, 1, 2, 3][n];
        assert_eq!(counted(&server).await, (visitors, visitors), "{page}");
        assert_eq!(browser.complaints().await, [""; 0], "{page}");
    }

    // A server that renders shows the control as well when the API is away.
    server.kill();
    browser.goto(&format!("{}/", rendering.base)).await.unwrap();
    assert_eq!(shown(&browser).await, ("none".to_owned(), CONTROL.to_owned()));
}
