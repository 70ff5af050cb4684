//! The examples of the document are what the server takes and answers: sent here one after the other, on a clock that stands,
//! and compared with `src/examples.json`. `WRITE_EXAMPLES=1` writes that file anew.

use crate::support::{Api, start};
use axum::body::Body;
use axum::http::Request;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use updater::{Config, Updater};

const EXPERIMENT: &str = "product-page";
const USER: &str = "visitor-1";

/// A call: operation, method, path with its parameters in braces, query, body.
type Call = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)], Value);

fn calls() -> Vec<Call> {
    let experiment = json!({
        "id": EXPERIMENT, "name": "Product page",
        "arms": [
            {"id": "control", "control": true, "payload": {"layout": "a"}},
            {"id": "b", "payload": {"layout": "b"}}
        ],
        "segment_by": ["device"], "reward": {"event": "purchase", "window_hours": 24}
    });
    let arms = json!([
        {"id": "control", "control": true, "payload": {"layout": "a"}},
        {"id": "b", "payload": {"layout": "b"}},
        {"id": "c", "payload": {"layout": "c"}}
    ]);
    let changed = json!({"id": EXPERIMENT, "name": "Product page", "arms": arms, "segment_by": ["device"],
        "reward": {"event": "purchase", "window_hours": 24}});
    let ask = json!({"experiment": EXPERIMENT, "user": USER, "item": "sku-9", "context": {"device": "mobile"}});
    let reward =
        json!({"id": "order-77", "type": "reward", "name": "purchase", "user": USER, "item": "sku-9", "value": 1.0});
    let items = json!([
        {"id": "sku-9", "vector": [0.1, 0.9], "tags": ["shop-3"], "payload": {"title": "Blue shirt"}},
        {"id": "sku-10", "vector": [0.2, 0.8], "tags": ["shop-3"], "expires_at": "2027-01-01T00:00:00Z"}
    ]);
    let id: &[_] = &[("id", EXPERIMENT)];
    let catalog: &[_] = &[("catalog", "shop")];
    let item: &[_] = &[("catalog", "shop"), ("id", "sku-9")];
    let list: &[_] = &[("catalog", "shop"), ("user", USER), ("k", "2")];
    let asked: &[_] = &[("experiment", EXPERIMENT), ("user", USER), ("item", "sku-9")];
    let user: &[_] = &[("user", USER)];
    let flags = json!({"context": {"targetingKey": USER, "item": "sku-9", "device": "mobile"}});
    vec![
        ("alive", "GET", "/healthz", &[], Value::Null),
        ("ready", "GET", "/readyz", &[], Value::Null),
        ("put_catalog", "PUT", "/v1/catalogs/{catalog}", catalog, json!({"dimension": 2, "metric": "cosine"})),
        ("put_catalog", "PUT", "/v1/catalogs/{catalog}", catalog, json!({"dimension": 2, "metric": "cosine"})),
        ("put_items", "PUT", "/v1/catalogs/{catalog}/items", catalog, items),
        ("get_item", "GET", "/v1/catalogs/{catalog}/items/{id}", item, Value::Null),
        ("list_catalogs", "GET", "/v1/catalogs", &[], Value::Null),
        ("get_catalog", "GET", "/v1/catalogs/{catalog}", catalog, Value::Null),
        ("recommend", "GET", "/v1/catalogs/{catalog}/recommendations", list, Value::Null),
        ("related", "GET", "/v1/catalogs/{catalog}/items/{id}/related", item, Value::Null),
        ("search", "POST", "/v1/catalogs/{catalog}/search", catalog, json!({"vector": [0.1, 0.9], "k": 1})),
        ("vectors", "GET", "/v1/catalogs/{catalog}/vectors", catalog, Value::Null),
        ("retry_items", "POST", "/v1/catalogs/{catalog}/items/retry", catalog, json!({})),
        ("delete_item", "DELETE", "/v1/catalogs/{catalog}/items/{id}", item, Value::Null),
        ("delete_catalog", "DELETE", "/v1/catalogs/{catalog}", catalog, Value::Null),
        ("create_experiment", "POST", "/v1/experiments", &[], experiment),
        ("start_experiment", "POST", "/v1/experiments/{id}/start", id, Value::Null),
        ("decide", "POST", "/v1/decide", &[], ask.clone()),
        ("decide_by_get", "GET", "/v1/decide", asked, Value::Null),
        (
            "decide_batch",
            "POST",
            "/v1/decide/batch",
            &[],
            json!({"user": USER, "context": {"device": "mobile"},
            "requests": [{"experiment": EXPERIMENT, "item": "sku-9"}, {"experiment": "none"}]}),
        ),
        ("evaluate_flag", "POST", "/ofrep/v1/evaluate/flags/{key}", &[("key", EXPERIMENT)], flags.clone()),
        ("evaluate_flags", "POST", "/ofrep/v1/evaluate/flags", &[], flags),
        ("send_events", "POST", "/v1/events", &[], reward),
        ("update_posteriors", "POST", "/v1/experiments/{id}/update", id, Value::Null),
        ("get_results", "GET", "/v1/experiments/{id}/results", id, Value::Null),
        ("get_posteriors", "GET", "/v1/experiments/{id}/posteriors", id, Value::Null),
        ("put_experiment", "PUT", "/v1/experiments/{id}", id, changed),
        ("pause_experiment", "POST", "/v1/experiments/{id}/pause", id, Value::Null),
        ("get_experiment", "GET", "/v1/experiments/{id}", id, Value::Null),
        ("list_experiments", "GET", "/v1/experiments", &[], Value::Null),
        ("stop_experiment", "POST", "/v1/experiments/{id}/stop", id, json!({"winner": "b"})),
        ("delete_experiment", "DELETE", "/v1/experiments/{id}", id, Value::Null),
        ("get_user_data", "GET", "/v1/users/{user}/data", user, Value::Null),
        ("erase_user", "DELETE", "/v1/users/{user}", user, Value::Null),
        ("read_audit", "GET", "/v1/audit", &[("limit", "2")], Value::Null),
    ]
}

#[tokio::test]
async fn examples_are_what_is_sent_and_answered() {
    let api = start().await;
    let config = Config { interval: SignedDuration::from_hours(1), retention_days: 0, name: "example".into() };
    let updater = || Updater::new(api.stores.clone(), api.clock.clone(), config.clone());
    // What is due has run, so that the one that is asked for comes next.
    updater().once().await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let updater = tokio::spawn(updater().run(stopped));
    let mut examples: Map<String, Value> = Map::new();
    for (operation, method, path, parameters, body) in calls() {
        let (status, mut answer) = call(&api, method, path, parameters, &body).await;
        assert!(status < 400, "{operation}: {answer}");
        timeless(&mut answer);
        let entry = examples.entry(operation).or_insert_with(|| json!({}));
        entry[status.to_string()] = answer;
        if !body.is_null() {
            entry["request"] = body;
        }
        for (name, value) in parameters {
            entry["parameters"][*name] = json!(value);
        }
    }
    stop.send(true).unwrap();
    updater.await.unwrap();
    // The protocol has a form of its own for what goes wrong.
    let nobody = json!({"context": {"item": "sku-9"}});
    let one = "/ofrep/v1/evaluate/flags/{key}";
    for (operation, path, key, body) in [
        ("evaluate_flag", one, Some(("key", EXPERIMENT)), &nobody),
        ("evaluate_flag", one, Some(("key", "none")), &json!({"context": {"targetingKey": USER}})),
        ("evaluate_flags", "/ofrep/v1/evaluate/flags", None, &nobody),
    ] {
        let (status, answer) = call(&api, "POST", path, key.as_slice(), body).await;
        examples[operation][status.to_string()] = answer;
        for failure in ["500", "503"] {
            examples[operation][failure] =
                json!({"errorCode": "GENERAL", "errorDetails": "the server failed; the cause is in its log"});
        }
    }
    // Rare answers: told when an update takes long, or a store is away.
    let mut waiting = examples["update_posteriors"]["200"].clone();
    waiting["status"] = json!("running");
    examples["update_posteriors"]["202"] = waiting;
    let mut away = examples["ready"]["200"].clone();
    away["ready"] = json!(false);
    away["parts"][3] = json!({"name": "events", "ok": false,
        "detail": "decisions and events cannot be written; see the log of this process"});
    examples["ready"]["503"] = away;
    examples["alive"]["503"] = json!({"status": "cannot write: see the log, then restart"});

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples.json");
    let text = serde_json::to_string_pretty(&examples).unwrap() + "\n";
    if std::env::var_os("WRITE_EXAMPLES").is_some() {
        std::fs::write(file, text).unwrap();
    } else {
        assert_eq!(std::fs::read_to_string(file).unwrap(), text, "write them anew with WRITE_EXAMPLES=1");
    }
}

async fn call(api: &Api, method: &str, path: &str, parameters: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let (mut uri, mut query) = (path.to_owned(), Vec::new());
    for (name, value) in parameters {
        let place = format!("{{{name}}}");
        if uri.contains(&place) {
            uri = uri.replace(&place, value);
        } else {
            query.push(format!("{name}={value}"));
        }
    }
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let uri = format!("{uri}?{}", query.join("&"));
    let (status, _, body) = api.send(Request::builder().method(method).uri(uri).body(body).unwrap()).await;
    (status.as_u16(), serde_json::from_slice(&body).unwrap_or_default())
}

/// What a stopwatch said, or a request is called, is another each time.
fn timeless(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in &mut *fields {
                match &**name {
                    "request" | "request_id" if value.is_string() => *value = json!("2f1c6f6e0d4b8a57"),
                    name if name.ends_with("_ms") => *value = json!(12),
                    _ => timeless(value),
                }
            }
            // Runs are numbered as they begin, those that nobody asked for too.
            if fields.contains_key("trigger") {
                fields["id"] = json!(7);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(timeless),
        _ => {}
    }
}
