//! The protocol's answers, to the letter.

use crate::support::{Api, start, start_with};
use api::Access;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use bandit::Event;
use serde_json::{Value, json};

const ALL: &str = "/ofrep/v1/evaluate/flags";

pub(crate) fn experiment(id: &str, payloads: [Value; 2]) -> Value {
    let [a, b] = payloads;
    json!({"id": id, "arms": [{"id": "a", "payload": a}, {"id": "b", "payload": b}], "reward": {"event": "buy"},
        "segment_by": ["device"]})
}

pub(crate) async fn post(api: &Api, path: &str, body: &str, known: Option<&str>) -> (u16, HeaderMap, Value) {
    let mut request = Request::builder().method("POST").uri(path);
    if let Some(known) = known {
        request = request.header("if-none-match", known);
    }
    let (status, headers, body) = api.send(request.body(Body::from(body.to_owned())).unwrap()).await;
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    (status.as_u16(), headers, body)
}

async fn one(api: &Api, key: &str, context: &Value) -> Value {
    let body = json!({"context": context}).to_string();
    let (status, headers, flag) = post(api, &format!("{ALL}/{key}"), &body, None).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "application/json"), "{flag}");
    flag
}

#[tokio::test]
async fn a_flag_is_a_decision() {
    let api = start().await;
    api.run(&experiment("page", [json!({"layout": "a"}), json!({"layout": "b"})])).await;
    let context = json!({"targetingKey": "u", "item": "i", "device": "mobile", "extra": {"deep": [1]}});
    let flag = one(&api, "page", &context).await;
    let asked = json!({"experiment": "page", "user": "u", "item": "i", "context": {"device": "mobile"}});
    let decision = api.post("/v1/decide", &asked).await.1;
    assert_eq!((&flag["key"], &flag["reason"]), (&json!("page"), &json!("SPLIT")));
    assert_eq!((&flag["variant"], &flag["value"]), (&decision["arm"], &decision["payload"]));
    for field in ["decision_id", "day", "segment", "propensity", "posterior_version", "source"] {
        assert_eq!(flag["metadata"][field], decision[field], "{field}");
    }
    assert!(flag["metadata"].as_object().unwrap().values().all(|v| !v.is_object() && !v.is_array()), "flat: {flag}");
    assert_eq!(decision["first"], false, "it was dealt by the first of the two");
}

#[tokio::test]
async fn values_are_payloads_of_any_type() {
    let api = start().await;
    for (id, payload) in [("o", json!({"x": [1]})), ("s", json!("red")), ("n", json!(0.5)), ("b", json!(false))] {
        api.run(&experiment(id, [payload.clone(), payload.clone()])).await;
        assert_eq!(one(&api, id, &json!({"targetingKey": "u"})).await["value"], payload);
    }
    api.run(&experiment("bare", [Value::Null, Value::Null])).await;
    let bare = one(&api, "bare", &json!({"targetingKey": "u"})).await;
    assert_eq!(bare["value"], bare["variant"], "without any payload an arm is told by its id");
    api.run(&experiment("mixed", [Value::Null, json!({"x": 1})])).await;
    for n in 0..20 {
        let flag = one(&api, "mixed", &json!({"targetingKey": format!("u{n}")})).await;
        let expected = if flag["variant"] == "a" { None } else { Some(&json!({"x": 1})) };
        assert_eq!(flag.get("value"), expected, "else the page's default holds");
    }
}

#[tokio::test]
async fn reasons_say_who_chose() {
    let api = start().await;
    let reason = async |id: &str, user: &str| {
        let flag = one(&api, id, &json!({"targetingKey": user})).await;
        (flag["reason"].as_str().unwrap().to_owned(), flag["metadata"]["source"].as_str().unwrap().to_owned())
    };
    let mut outside = experiment("outside", [json!(1), json!(2)]);
    outside["traffic"] = json!(0.0001);
    let mut held = experiment("held", [json!(1), json!(2)]);
    held["holdout"] = json!(0.5);
    for e in [&outside, &held, &experiment("page", [json!(1), json!(2)])] {
        api.run(e).await;
    }
    api.post("/v1/experiments", &experiment("draft", [json!(1), json!(2)])).await;
    assert_eq!(reason("outside", "u").await, ("SPLIT".into(), "not_enrolled".into()));
    let mut sources = Vec::new();
    for n in 0..20 {
        sources.push(reason("held", &format!("u{n}")).await);
    }
    assert!(
        sources.contains(&("SPLIT".into(), "holdout".into())) && sources.contains(&("SPLIT".into(), "policy".into()))
    );
    assert_eq!(reason("draft", "u").await, ("DISABLED".into(), "paused".into()));
    reason("page", "early").await;
    api.call("POST", "/v1/experiments/page/pause", "").await;
    assert_eq!(reason("page", "late").await, ("DISABLED".into(), "paused".into()));
    assert_eq!(reason("page", "early").await, ("SPLIT".into(), "policy".into()), "what was dealt stands");
    api.post("/v1/experiments/page/stop", &json!({"winner": "b"})).await;
    assert_eq!(reason("page", "early").await, ("STATIC".into(), "paused".into()));
    let flag = one(&api, "page", &json!({"targetingKey": "late"})).await;
    assert_eq!((&flag["variant"], &flag["value"]), (&json!("b"), &json!(2)));
    api.call("POST", "/v1/experiments/held/stop", "").await;
    assert_eq!(reason("held", "new").await, ("DISABLED".into(), "paused".into()), "stopped without a winner");
}

#[tokio::test]
async fn errors_have_the_protocols_codes() {
    let api = start().await;
    api.run(&experiment("page", [json!(1), json!(2)])).await;
    let long = json!({"context": {"targetingKey": "u".repeat(300)}}).to_string();
    let long_item = json!({"context": {"targetingKey": "u", "item": "i".repeat(300)}}).to_string();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, code) in [
        ("", "PARSE_ERROR"),
        ("{", "PARSE_ERROR"),
        ("[]", "PARSE_ERROR"),
        (&deep, "PARSE_ERROR"),
        ("{}", "INVALID_CONTEXT"),
        (r#"{"context": 1}"#, "INVALID_CONTEXT"),
        (r#"{"context": {}}"#, "TARGETING_KEY_MISSING"),
        (r#"{"context": {"targetingKey": ""}}"#, "TARGETING_KEY_MISSING"),
        (r#"{"context": {"targetingKey": 1}}"#, "INVALID_CONTEXT"),
        (r#"{"context": {"targetingKey": "u", "item": 1}}"#, "INVALID_CONTEXT"),
        (r#"{"context": {"targetingKey": "u", "device": ["mobile"]}}"#, "INVALID_CONTEXT"),
        (&long, "INVALID_CONTEXT"),
        (&long_item, "INVALID_CONTEXT"),
        (r#"{"context": {"targetingKey": "u\n"}}"#, "INVALID_CONTEXT"),
        (r#"{"context": {"targetingKey": "u", "item": ""}}"#, "INVALID_CONTEXT"),
    ] {
        let (status, headers, failure) = post(&api, &format!("{ALL}/page"), body, None).await;
        assert_eq!((status, &failure["errorCode"]), (400, &json!(code)), "{body:.80}: {failure}");
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(failure["key"], "page");
        assert!(!failure["errorDetails"].as_str().unwrap().is_empty());
        let (status, _, all) = post(&api, ALL, body, None).await;
        if body.contains("device") {
            // One flag of many cannot be evaluated, and says so beside the others.
            assert_eq!(
                (status, &all["flags"][0]["errorCode"], &all["flags"][0]["key"]),
                (200, &json!(code), &json!("page"))
            );
        } else {
            assert_eq!((status, &all["errorCode"], all.get("key")), (400, &json!(code), None), "{body:.80}");
            assert_eq!(all["errorDetails"], failure["errorDetails"], "{body:.80}");
        }
    }
    let (status, _, failure) =
        post(&api, &format!("{ALL}/none%0A"), r#"{"context": {"targetingKey": "u"}}"#, None).await;
    assert_eq!((status, &failure["errorCode"], &failure["key"]), (404, &json!("FLAG_NOT_FOUND"), &json!("none\n")));
    let (status, _, _) = post(&api, ALL, &" ".repeat(2 << 20), None).await;
    assert_eq!(status, 413);

    let api = start_with(Access::keys()).await;
    for path in [ALL, "/ofrep/v1/evaluate/flags/page"] {
        assert_eq!(post(&api, path, "{}", None).await.0, 401);
    }
}

#[tokio::test]
async fn bulk_has_what_can_be_shown_and_a_tag_that_changes_with_it_alone() {
    let api = start().await;
    for id in ["one", "two", "won", "over"] {
        api.run(&experiment(id, [json!(1), json!(2)])).await;
    }
    api.post("/v1/experiments", &experiment("draft", [json!(1), json!(2)])).await;
    api.post("/v1/experiments/won/stop", &json!({"winner": "b"})).await;
    api.call("POST", "/v1/experiments/over/stop", "").await;
    api.call("POST", "/v1/experiments/two/pause", "").await;
    let body = |user: &str, more: &str| {
        json!({"context": {"targetingKey": user, "device": "mobile", "more": more}}).to_string()
    };
    let (status, headers, all) = post(&api, ALL, &body("u", ""), None).await;
    let keys: Vec<&str> = all["flags"].as_array().unwrap().iter().map(|f| f["key"].as_str().unwrap()).collect();
    assert_eq!((status, keys), (200, vec!["one", "two", "won"]));
    assert_eq!(all["metadata"], json!({"left_out": 0}));
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let status_of = async |body: &str, known: &str| post(&api, ALL, body, Some(known)).await.0;
    for known in [&tag, &format!("\"x\", {tag}"), tag.trim_start_matches("W/"), "*"] {
        let (status, headers, body) = post(&api, ALL, &body("u", ""), Some(known)).await;
        assert_eq!((status, headers["etag"].to_str().unwrap(), body), (304, &*tag, Value::Null));
    }
    assert_eq!(status_of(&body("u", ""), "\"x\"").await, 200);
    assert_eq!(status_of(&body("v", ""), &tag).await, 200, "another visitor");
    assert_eq!(status_of(&body("u", "x"), &tag).await, 200, "another context");
    // New posteriors change nothing for who has been dealt to.
    api.call("POST", "/v1/experiments/one/update", "").await;
    api.app.refresh().await.unwrap();
    assert_eq!(status_of(&body("u", ""), &tag).await, 304);
    api.run(&experiment("new", [json!(1), json!(2)])).await;
    let (status, headers, _) = post(&api, ALL, &body("u", ""), Some(&tag)).await;
    assert_eq!(status, 200, "another flag");
    let tag = headers["etag"].to_str().unwrap().to_owned();
    api.clock.set("2026-11-22T10:00:00Z");
    assert_eq!(status_of(&body("u", ""), &tag).await, 200, "another day, other decisions");
}

#[tokio::test]
async fn a_hundred_flags_and_no_more() {
    let api = start().await;
    for n in 0..103 {
        api.run(&experiment(&format!("e{n:03}"), [json!(1), json!(2)])).await;
    }
    let (_, _, all) = post(&api, ALL, r#"{"context": {"targetingKey": "u"}}"#, None).await;
    assert_eq!((all["flags"].as_array().unwrap().len(), &all["metadata"]["left_out"]), (100, &json!(3)));
}

/// Trials of an experiment, once the log is read.
async fn trials(api: &Api, experiment: &str) -> u64 {
    let delivery = api.stores.events.pull(1_000).await.unwrap();
    let mut batch = store::Ingest { at: bandit::Clock::now(&*api.clock), ..store::Ingest::default() };
    for event in delivery.events.into_iter().map(Result::unwrap) {
        match event {
            Event::Decision(record) => batch.decisions.push(record),
            Event::Offer(record) => batch.offers.push(record),
            Event::User(event) => {
                let claims = event.decision_id.into_iter().collect();
                batch.events.push((event, claims));
            }
        }
    }
    api.stores.outcomes.ingest(&batch).await.unwrap();
    if let Some(receipt) = delivery.receipt {
        api.stores.events.acknowledge(receipt).await.unwrap();
    }
    let evidence = api.stores.outcomes.evidence(experiment).await.unwrap();
    assert_eq!(evidence, api.stores.outcomes.recount(experiment).await.unwrap());
    evidence.outcomes.iter().map(|o| o.trials).sum()
}

#[tokio::test]
async fn what_was_offered_is_a_trial_once_it_was_seen_or_asked_for() {
    let api = start().await;
    api.run(&experiment("page", [json!(1), json!(2)])).await;
    let offered = async |user: &str| {
        let body = json!({"context": {"targetingKey": user, "device": "mobile"}}).to_string();
        post(&api, ALL, &body, None).await.2["flags"][0].clone()
    };
    let flag = offered("u").await;
    offered("u").await;
    offered("v").await;
    let id = &flag["metadata"]["decision_id"];
    api.post("/v1/events", &json!({"type": "reward", "name": "buy", "decision_id": id})).await;
    assert_eq!(trials(&api, "page").await, 0, "nobody has seen it, whatever was bought");
    api.post("/v1/events", &json!({"type": "exposure", "decision_id": id})).await;
    assert_eq!(trials(&api, "page").await, 1);
    // Who asks for it by itself shows it.
    let decision =
        api.post("/v1/decide", &json!({"experiment": "page", "user": "v", "context": {"device": "tv"}})).await.1;
    assert_eq!((&decision["first"], &decision["segment"]), (&json!(false), &json!("device=mobile")));
    assert_eq!(trials(&api, "page").await, 2);
    // In whatever order: who was dealt to is not asked about again.
    one(&api, "page", &json!({"targetingKey": "w"})).await;
    offered("w").await;
    assert_eq!(trials(&api, "page").await, 3);
    offered("x").await;
    one(&api, "page", &json!({"targetingKey": "x"})).await;
    assert_eq!(trials(&api, "page").await, 4, "in one batch");
}
