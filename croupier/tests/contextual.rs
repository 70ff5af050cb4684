//! A contextual experiment on the real binary: what was rewarded in one context is dealt there, and stays so.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use bandit::{ContextPolicy, DecisionId, Experiment, PosteriorSet};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::Server;

fn definition() -> Value {
    json!({
        "id": "page", "arms": [{"id": "a"}, {"id": "b"}, {"id": "c"}],
        "policy": {"kind": "logistic_thompson", "floor": 0.02},
        "features": [{"name": "device", "kind": "categorical"}, {"name": "age", "kind": "numeric"}],
        "reward": {"event": "buy", "window_hours": 24},
    })
}

async fn decide(server: &Server, user: &str, context: &Value) -> Value {
    server.post("/v1/decide", &json!({"experiment": "page", "user": user, "context": context})).await
}

/// The published set, as the server tells it.
async fn published(server: &Server) -> PosteriorSet {
    let sets = server.get("/v1/experiments/page/posteriors?since=0").await;
    let newest = sets["posteriors"].as_array().unwrap().last().unwrap().clone();
    PosteriorSet::decode(newest.to_string().as_bytes()).unwrap()
}

/// What a decision must have been: the draw is repeated from its id, its version and its features.
fn replay(e: &Experiment, set: &PosteriorSet, decision: &Value, context: &Value) {
    let policy = ContextPolicy::new(e, set.model.as_ref().unwrap(), &set.arms);
    let id: DecisionId = decision["decision_id"].as_str().unwrap().parse().unwrap();
    let context = serde_json::from_value(context.clone()).unwrap();
    let (arm, propensity) = policy.deal(&context, id, set.version, false);
    assert_eq!(
        (&e.arms[arm].id, propensity),
        (&decision["arm"].as_str().unwrap().to_owned(), decision["propensity"].as_f64().unwrap())
    );
    assert_eq!(decision["posterior_version"], json!(set.version));
}

#[tokio::test]
async fn an_arm_that_is_rewarded_in_one_context_is_dealt_there() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let mut lacking = definition();
    lacking["features"] = json!([]);
    let problem = server.expect(Method::POST, "/v1/experiments", Some(&lacking), 400).await;
    assert!(problem["errors"]["features"].is_string(), "{problem}");
    server.run(&definition()).await;
    let e: Experiment = serde_json::from_value(definition()).unwrap();

    // Nothing is known: equal shares. On mobiles arm b is rewarded, elsewhere arm a.
    for n in 0..480 {
        let device = if n % 2 == 0 { "mobile" } else { "desktop" };
        let decision =
            decide(&server, &format!("u{n}"), &json!({"device": device, "age": n % 50, "secret": "x"})).await;
        // If the hour ends meanwhile, the scheduled update is the first.
        if decision["posterior_version"] == 0 {
            assert!((decision["propensity"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-9, "{decision}");
        }
        let wins = if device == "mobile" { "b" } else { "a" };
        if decision["arm"] == wins {
            let id = &decision["decision_id"];
            server.post("/v1/events", &json!({"type": "reward", "name": "buy", "decision_id": id})).await;
        }
    }
    server.update("page").await;
    let set = published(&server).await;
    let results = server.get("/v1/experiments/page/results").await;
    let allocation: f64 = results["arms"].as_array().unwrap().iter().map(|a| a["allocation"].as_f64().unwrap()).sum();
    assert!((allocation - 1.0).abs() < 1e-9, "{results}");
    assert!(
        results["health"].as_array().unwrap().iter().any(|h| h["check"] == "context" && h["ok"] == true),
        "{results}"
    );

    // How much more depends on the minute: of an hour that has just begun, what was not rewarded hardly counts yet.
    let mut seen = Vec::new();
    for (device, wins) in [("mobile", "b"), ("desktop", "a")] {
        let mut propensities = BTreeMap::new();
        for n in 0..40 {
            let context = json!({"device": device, "age": 20});
            let decision = decide(&server, &format!("{device}{n}"), &context).await;
            replay(&e, &set, &decision, &context);
            propensities.insert(decision["arm"].as_str().unwrap().to_owned(), decision["propensity"].as_f64().unwrap());
            seen.push(decision);
        }
        let best = propensities.iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        assert!(best.0 == wins && *best.1 > 1.0 / 3.0, "on {device}: {propensities:?}");
    }
    // What lacks features, has unknown ones or means no number is answered too, and so is a page's query.
    for context in [json!({}), json!({"device": "fridge", "age": "old"}), json!({"age": 1e300})] {
        let decision = decide(&server, &format!("odd{context}"), &context).await;
        replay(&e, &set, &decision, &context);
    }
    let by_query = server.get("/v1/decide?experiment=page&user=q&context.device=mobile&context.age=20").await;
    replay(&e, &set, &by_query, &json!({"device": "mobile", "age": 20}));

    server.stop();
    let server = Server::start(dir.path(), &[]);
    for decision in &seen[..3] {
        let again = decide(&server, "mobile0", &json!({"device": "desktop"})).await;
        assert_eq!(again["arm"], seen[0]["arm"], "{decision}");
    }
    let context = json!({"device": "mobile", "age": 20});
    let decision = decide(&server, "after", &context).await;
    replay(&e, &set, &decision, &context);
    // The same evidence says the same: nothing new but the decisions since.
    server.update("page").await;
    server.update("page").await;
    let run = server.update("page").await;
    assert_eq!(run["published"], json!(0));
    server.stop();
}
