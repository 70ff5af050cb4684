//! `OpenFeature`'s own providers, unmodified, against the API on a port.

use crate::ofrep::experiment;
use crate::support::{Api, start, start_with};
use crate::{missing, node, succeeds, tool};
use api::Access;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use serde_json::{Value, json};
use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page/");

async fn listen(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    base
}

/// Experiments of every type and state.
async fn flags() -> Api {
    let api = start().await;
    for (id, payload) in [
        ("object", json!({"layout": "wide"})),
        ("text", json!("red")),
        ("integer", json!(7)),
        ("number", json!(0.5)),
        ("truth", json!(true)),
        ("bare", Value::Null),
        ("off", json!("control")),
        ("won", json!("winner")),
    ] {
        api.run(&experiment(id, [payload.clone(), payload])).await;
    }
    let mut default = experiment("default", [Value::Null, json!("b")]);
    default["traffic"] = json!(0.0001);
    api.run(&default).await;
    assert_eq!(api.call("POST", "/v1/experiments/off/pause", "").await.0, 200);
    assert_eq!(api.post("/v1/experiments/won/stop", &json!({"winner": "b"})).await.0, 200);
    api
}

/// A server that refuses whatever it is asked, as ours does when there is too much, and when it is broken.
fn refusing() -> Router {
    let problem = [("content-type", "application/problem+json")];
    let busy = (StatusCode::TOO_MANY_REQUESTS, problem, [("retry-after", "30")], r#"{"status":429}"#);
    let broken = (
        StatusCode::INTERNAL_SERVER_ERROR,
        [("content-type", "application/json")],
        r#"{"errorCode":"GENERAL","errorDetails":"the server failed; the cause is in its log"}"#,
    );
    Router::new().route("/busy/{*rest}", any(async move || busy)).route("/broken/{*rest}", any(async move || broken))
}

/// Runs a script with the addresses of a server, of one that wants keys, and of one that refuses.
async fn speak(mut command: Command) {
    let (api, keyed) = (flags().await, start_with(Access::keys()).await);
    let bases = [listen(api.router.clone()), listen(keyed.router.clone()), listen(refusing())];
    for base in bases {
        command.arg(base.await);
    }
    succeeds(command).await;
}

#[tokio::test]
async fn the_web_provider() {
    let (Some(folder), Some(mut node)) = (tool("openfeature/web"), node()) else { return };
    node.arg(format!("{FOLDER}web_provider.mjs")).arg(folder);
    speak(node).await;
}

#[tokio::test]
async fn the_server_provider() {
    let (Some(folder), Some(mut node)) = (tool("openfeature/server"), node()) else { return };
    node.arg(format!("{FOLDER}server_provider.mjs")).arg(folder);
    speak(node).await;
}

#[tokio::test]
async fn the_python_provider() {
    let Some(folder) = tool("openfeature/python") else { return };
    let mut python = Command::new("python3");
    if python.arg("--version").output().is_err() {
        return missing("python3").unwrap_or(());
    }
    let mut python = Command::new("python3");
    python.arg(format!("{FOLDER}provider.py")).env("PYTHONPATH", folder).env("PYTHONDONTWRITEBYTECODE", "1");
    speak(python).await;
}
