//! A breached guardrail freezes allocation at the control, for everyone new, until somebody acts.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::Server;

async fn decide(server: &Server, user: &str) -> Value {
    server.post("/v1/decide", &json!({"experiment": "page", "user": user})).await
}

/// The experiment once replicas have noticed: `is` is asked of decisions of new users.
async fn noticed(server: &Server, name: &str, is: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    for n in 0.. {
        if is(&decide(server, &format!("{name}{n}")).await) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_breached_guardrail_freezes_allocation_at_the_control() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let definition = json!({
        "id": "page", "arms": [{"id": "a", "control": true}, {"id": "b"}], "reward": {"event": "buy"},
        "policy": {"kind": "fixed"}, "guardrails": [{"event": "error", "max_rate": 0.05, "freeze": true}],
    });
    server.run(&definition).await;
    let mut of_b = Vec::new();
    for n in 0..120 {
        let user = format!("u{n}");
        let decision = decide(&server, &user).await;
        if decision["arm"] == "b" {
            let id = decision["decision_id"].clone();
            server.post("/v1/events", &json!({"id": user, "type": "reward", "name": "error", "decision_id": id})).await;
            of_b.push(user);
        }
    }
    assert!(of_b.len() > 30);
    server.update("page").await;
    let experiment = server.get("/v1/experiments/page").await;
    assert!(experiment["frozen_at"].is_string() && experiment["status"] == "running", "{experiment}");
    let results = server.get("/v1/experiments/page/results").await;
    let line = results["health"].as_array().unwrap().iter().find(|h| h["check"] == "guardrails").unwrap();
    assert_eq!((&line["ok"], &line["guardrails"][1]["standing"]), (&json!(false), &json!("breached")), "{line}");

    noticed(&server, "new", |d| d["source"] == "paused").await;
    for n in 0..40 {
        let decision = decide(&server, &format!("after{n}")).await;
        let told = (&decision["arm"], &decision["source"], &decision["propensity"]);
        assert_eq!(told, (&json!("a"), &json!("paused"), &json!(1.0)), "everyone new");
    }
    for user in &of_b {
        let decision = decide(&server, user).await;
        assert_eq!((&decision["arm"], &decision["first"]), (&json!("b"), &json!(false)), "who has an arm keeps it");
    }

    // What was read may be sent back, and ends it.
    let back = server.expect(Method::PUT, "/v1/experiments/page", Some(&experiment), 200).await;
    assert!(back["frozen_at"].is_null(), "{back}");
    noticed(&server, "later", |d| d["arm"] == "b" && d["source"] == "policy").await;
    server.update("page").await;
    assert!(server.get("/v1/experiments/page").await["frozen_at"].is_null(), "the past is judged once");
    server.stop();
}
