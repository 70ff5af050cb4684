//! A request's trace goes on where its record is consumed: a collector hears of both.

use crate::support::{Server, five_arms};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::json;
use std::time::Duration;
use tokio::sync::mpsc;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_has_the_decision_and_its_consumption() {
    let (send, mut heard) = mpsc::unbounded_channel();
    let collect = move |body: Bytes| async move { drop(send.send(body)) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/traces", post(collect))).await });
    let dir = tempfile::tempdir().unwrap();
    // Nobody's own choice: only who says so is traced.
    let server = Server::start(dir.path(), &["--otlp-endpoint", &endpoint, "--trace-sample", "0"]);
    server.run(&five_arms("page")).await;
    server.post("/v1/decide", &json!({"experiment": "page", "user": "untraced"})).await;
    let ask = json!({"experiment": "page", "user": "traced"});
    let traced = server.client.post(format!("{}/v1/decide", server.base)).json(&ask);
    let answer = traced.header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    server.update("page").await;
    // What it has gathered is sent before it ends.
    server.stop();
    let mut spans = Vec::new();
    while let Ok(Some(body)) = tokio::time::timeout(Duration::from_secs(10), heard.recv()).await {
        let told = ExportTraceServiceRequest::decode(body).unwrap();
        let of_resource = told.resource_spans.into_iter().flat_map(|r| r.scope_spans);
        spans.extend(of_resource.flat_map(|scope| scope.spans));
        if spans.len() >= 2 {
            break;
        }
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{spans:?}");
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"));
    let (request, consumption) = (named("POST /v1/decide"), named("consume"));
    assert_eq!(hex(&request.parent_span_id), "b7ad6b7169203331");
    assert_eq!(consumption.parent_span_id, request.span_id);
    assert!(consumption.end_time_unix_nano >= consumption.start_time_unix_nano);
}
