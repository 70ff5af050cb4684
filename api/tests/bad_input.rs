//! Whatever comes in: a clear problem document, never a panic, never a 5xx, nothing half-written.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use axum::body::Body;
use axum::http::Request;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{Api, start};

fn valid() -> Value {
    json!({"id": "page", "arms": [{"id": "a"}, {"id": "b"}], "reward": {"event": "buy"}})
}

/// Sends a body and expects a problem of this status that names the field.
async fn refused(api: &Api, path: &str, body: impl Into<Body>, status: u16, field: &str) {
    let (got, problem) = api.call("POST", path, body).await;
    assert_eq!(got, status, "{path}: {problem}");
    assert_eq!(problem["status"], status);
    assert!(!problem["detail"].as_str().unwrap().is_empty());
    if !field.is_empty() {
        assert!(problem["errors"].get(field).is_some(), "{field} is not named: {problem}");
    }
}

/// `call` asserts that it is told as a problem.
#[tokio::test]
async fn a_path_that_is_not_utf_8_is_a_problem_on_every_kind_of_route() {
    let api = start().await;
    for path in ["/v1/experiments/%FF", "/v1/catalogs/%FF/recommendations?user=u", "/v1/catalogs/%FF/items/i/related"] {
        assert_eq!(api.call("GET", path, "").await.0, 400, "{path}");
    }
    assert_eq!(api.call("POST", "/v1/catalogs/%FF/search", "{}").await.0, 400);
}

#[tokio::test]
async fn decide_names_what_is_wrong() {
    let api = start().await;
    api.run(&valid()).await;
    let long = "x".repeat(257);
    for (body, field) in [
        (json!({"experiment": "page"}), "user"),
        (json!({"user": "u"}), "experiment"),
        (json!({"experiment": "page", "user": "u", "colour": 1}), "colour"),
        (json!({"experiment": "page", "user": 7}), "user"),
        (json!({"experiment": "page", "user": ""}), "user"),
        (json!({"experiment": "page", "user": long}), "user"),
        (json!({"experiment": "page", "user": "a\u{0}b"}), "user"),
        (json!({"experiment": "page", "user": "u", "item": "a\nb"}), "item"),
        (json!({"experiment": "page", "user": "u", "context": {"device": ["x"]}}), "context.device"),
        (json!({"experiment": "page", "user": "u", "context": {"device": null}}), "context.device"),
        (json!({"experiment": "page", "user": "u", "context": []}), "context"),
        (json!([]), "body"),
        (json!(["page", "u", null, {}]), "body"),
        (json!("page"), "body"),
    ] {
        refused(&api, "/v1/decide", body.to_string(), 400, field).await;
    }
    refused(&api, "/v1/decide", r#"{"experiment":"page","user":"u","user":"v"}"#, 400, "user").await;
    refused(&api, "/v1/decide", "{", 400, "").await;
    refused(&api, "/v1/decide", "", 400, "").await;
    refused(&api, "/v1/decide", b"{\"experiment\":\"page\",\"user\":\"\xff\"}".to_vec(), 400, "").await;
    refused(&api, "/v1/decide", r#"{"experiment":"page","user":"u"} trailing"#, 400, "").await;
    refused(&api, "/v1/decide", json!({"experiment": "none", "user": "u"}).to_string(), 404, "").await;
    refused(&api, "/v1/decide", " ".repeat((1 << 20) + 1), 413, "").await;
    for (query, field) in [
        ("user=u", "experiment"),
        ("experiment=page", "user"),
        ("experiment=page&user=u&x=1", "x"),
        ("experiment=page&user=u&user=v", "user"),
        ("experiment=page&user=%ff", "user"),
        ("experiment=page&user=u&item=", "item"),
    ] {
        let (status, problem) = api.call("GET", &format!("/v1/decide?{query}"), "").await;
        assert_eq!(status, 400, "{query}");
        assert!(problem["errors"].get(field).is_some(), "{query}: {problem}");
    }
    assert_eq!(api.call("PATCH", "/v1/decide", "").await.0, 405);
    assert_eq!(api.call("GET", "/nowhere", "").await.0, 404);
}

#[tokio::test]
async fn experiments_name_every_mistake() {
    let api = start().await;
    let with = |path: &[&str], value: Value| {
        let mut e = valid();
        let mut at = &mut e;
        for p in path {
            at = if let Ok(i) = p.parse::<usize>() { &mut at[i] } else { &mut at[*p] };
        }
        *at = value;
        e
    };
    for (body, field) in [
        (with(&["id"], json!("Not Good")), "id"),
        (with(&["arms"], json!([])), "arms"),
        (with(&["arms", "0", "prior"], json!({"alpha": -1, "beta": 1})), "arms[0].prior.alpha"),
        (with(&["arms", "1", "id"], json!("a")), "arms[1].id"),
        (with(&["arms", "1", "colour"], json!("red")), "arms[1].colour"),
        (with(&["policy"], json!({"kind": "magic"})), "policy.kind"),
        (with(&["policy"], json!({"floor": 0.9})), "policy.floor"),
        (with(&["traffic"], json!(1.5)), "traffic"),
        (with(&["holdout"], json!("x")), "holdout"),
        (with(&["sticky"], json!({"by": ["day"]})), "sticky.by"),
        (with(&["sticky"], json!({"time_zone": "Mars/Olympus"})), "sticky.time_zone"),
        (with(&["reward"], json!({"event": "buy", "window_hours": -1})), "reward.window_hours"),
        (with(&["reward"], json!({})), "reward.event"),
    ] {
        refused(&api, "/v1/experiments", body.to_string(), 400, field).await;
    }
    refused(
        &api,
        "/v1/experiments",
        r#"{"id":"e","arms":[{"id":"a","prior":{"alpha":1e999,"beta":1}},{"id":"b"}],"reward":{"event":"x"}}"#,
        400,
        "",
    )
    .await;
    assert_eq!(api.call("GET", "/v1/experiments", "").await.1["experiments"], json!([]), "nothing was half-written");
    assert_eq!(api.post("/v1/experiments", &valid()).await.0, 201);
    refused(&api, "/v1/experiments", valid().to_string(), 409, "").await;
    refused(&api, "/v1/experiments/page/stop", json!({"winner": "a"}).to_string(), 409, "").await;
    let mut off = valid();
    off["id"] = json!("off");
    off["arms"][1]["enabled"] = json!(false);
    api.run(&off).await;
    refused(&api, "/v1/experiments/off/stop", json!({"winner": "b"}).to_string(), 400, "winner").await;
    refused(&api, "/v1/experiments/page/stop", json!({"winner": "zzz"}).to_string(), 400, "winner").await;
    refused(&api, "/v1/experiments/none/start", "", 404, "").await;
    refused(&api, "/v1/experiments/page/start?why=x", "", 400, "").await;
}

#[tokio::test]
async fn an_experiment_can_be_read_edited_and_sent_back() {
    let api = start().await;
    api.run(&valid()).await;
    let (_, mut read) = api.call("GET", "/v1/experiments/page", "").await;
    read["name"] = json!("Page");
    let (status, now) = api.call("PUT", "/v1/experiments/page?reason=naming", read.to_string()).await;
    assert_eq!((status, &now["name"], &now["revision"]), (200, &json!("Page"), &json!(2)));
    let (status, problem) = api.call("PUT", "/v1/experiments/page", read.to_string()).await;
    assert_eq!(status, 409, "the revision that was read is no longer the newest: {problem}");
    let mut forbidden = now.clone();
    forbidden["reward"]["window_hours"] = json!(1);
    let (status, problem) = api.call("PUT", "/v1/experiments/page", forbidden.to_string()).await;
    assert!(status == 400 && problem["errors"].get("reward").is_some(), "{problem}");
    let audit = api.stores.experiments.audit(Some("page"), None, 10).await.unwrap();
    let actions: Vec<_> = audit.iter().map(|a| (a.action.as_str(), a.why.as_str())).collect();
    assert_eq!(actions, [("replace", "naming"), ("running", ""), ("create", "")]);
}

#[tokio::test]
async fn events_are_taken_one_by_one() {
    let api = start().await;
    api.run(&valid()).await;
    let good = json!({"id": "1", "type": "reward", "name": "buy", "user": "u"});
    let bad = [
        (json!({"type": "reward", "user": "u"}), "name"),
        (json!({"type": "reward", "name": "buy"}), "decision_id"),
        (json!({"type": "exposure", "user": "u"}), "decision_id"),
        (json!({"type": "view", "user": "u"}), "item"),
        (json!({"name": "buy"}), "type"),
        (json!({"type": "sale", "user": "u"}), "type"),
        (json!({"type": "reward", "name": "buy", "user": "u", "value": -1}), "value"),
        (json!({"type": "reward", "name": "buy", "user": "u", "value": "1"}), "value"),
        (json!({"type": "reward", "name": "buy", "user": "u", "at": "2026-11-21T10:06:00Z"}), "future"),
        (json!({"type": "reward", "name": "buy", "user": "u", "at": "2024-11-21T10:00:00Z"}), "400 days"),
        (json!({"type": "reward", "name": "buy", "user": "u", "at": "yesterday"}), "at"),
        (json!({"type": "reward", "name": "buy", "user": "u", "decision_id": "xyz"}), "decision_id"),
        (json!({"type": "reward", "name": "buy", "user": "u", "experiment": "none"}), "experiment"),
        (json!({"type": "reward", "name": "buy", "user": "u", "colour": 1}), "colour"),
        (json!({"type": "reward", "name": "buy", "user": "a\u{7f}"}), "user"),
        (json!(7), ""),
    ];
    let mut all = vec![good.clone()];
    all.extend(bad.iter().map(|(e, _)| e.clone()));
    let lines = all.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n{\"cut";
    for (body, extra) in [(Value::Array(all).to_string(), 0), (lines, 1)] {
        let (status, receipt) = api.call("POST", "/v1/events", body).await;
        assert_eq!((status, &receipt["accepted"]), (202, &json!(1)), "{receipt}");
        let rejected = receipt["rejected"].as_array().unwrap();
        assert_eq!(rejected.len(), bad.len() + extra);
        for (i, (_, word)) in bad.iter().enumerate() {
            assert_eq!(rejected[i]["index"], i + 1);
            assert!(rejected[i]["detail"].as_str().unwrap().contains(word), "{word}: {}", rejected[i]);
        }
    }
    // One event, on several lines, as a beacon sends it.
    let pretty = serde_json::to_string_pretty(&good).unwrap();
    let request = Request::post("/v1/events").header("content-type", "text/plain").body(Body::from(pretty)).unwrap();
    assert_eq!(api.send(request).await.0, 202);
    refused(&api, "/v1/events", "", 400, "").await;
    refused(&api, "/v1/events", "[1,", 400, "").await;
    refused(&api, "/v1/events", "nonsense", 400, "").await;
    assert_eq!(
        api.stores.events.backlog().await.unwrap(),
        Some(3),
        "what was accepted is in the log, and nothing else"
    );
}

#[tokio::test]
async fn without_keys_other_sites_cannot_administer() {
    let api = start().await;
    for (host, origin, expected) in [
        ("localhost:8080", None, 201),
        ("127.0.0.1:8080", Some("http://127.0.0.1:8080"), 409),
        ("127.0.0.1:8080", Some("https://evil.example"), 403),
        ("evil.example", None, 403),
        ("[::1]:8080", None, 409),
    ] {
        let mut request = Request::post("/v1/experiments").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let status = api.send(request.body(Body::from(valid().to_string())).unwrap()).await.0;
        assert_eq!(status.as_u16(), expected, "{host} {origin:?}");
    }
    // A proxy on this machine speaks for others.
    for name in ["x-forwarded-for", "forwarded", "x-real-ip"] {
        let request = Request::post("/v1/experiments").header("host", "localhost:8080").header(name, "203.0.113.9");
        let status = api.send(request.body(Body::from(valid().to_string())).unwrap()).await.0;
        assert_eq!(status.as_u16(), 403, "{name}");
    }
}

/// JSON near the truth: real field names with any values, and any bytes.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!("page")),
        Just(json!("reward")),
        Just(json!("2026-11-21T10:00:00Z")),
    ];
    let value = leaf.prop_recursive(3, 24, 6, |inner| {
        let name = prop::sample::select(vec![
            "experiment",
            "user",
            "item",
            "context",
            "requests",
            "id",
            "type",
            "name",
            "value",
            "at",
            "arms",
            "policy",
            "kind",
            "reward",
            "event",
            "window_hours",
            "prior",
            "alpha",
            "beta",
            "sticky",
            "by",
            "time_zone",
            "decision_id",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..8)
                .prop_map(|o| o.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    });
    prop_oneof![
        4 => value.prop_map(|v| v.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

#[test]
fn any_body_gets_an_answer() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let api = runtime.block_on(async {
        let api = start().await;
        api.run(&valid()).await;
        api
    });
    proptest!(ProptestConfig::with_cases(400), |(body in bodies(), path in prop::sample::select(vec![
        "/v1/decide", "/v1/decide/batch", "/v1/events", "/v1/experiments",
    ]))| {
        let (status, _) = runtime.block_on(api.call("POST", path, body));
        prop_assert!(status < 500, "{path}: {status}");
    });
}
