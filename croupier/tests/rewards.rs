//! Rewards: twice, late, early, outside the window; by decision or by user and item; and what an update changes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use support::{Server, five_arms};

/// Rewards and trials over all arms.
async fn counted(server: &Server) -> (u64, u64) {
    server.update("page").await;
    let results = server.get("/v1/experiments/page/results").await;
    let sum = |field: &str| results["arms"].as_array().unwrap().iter().map(|a| a[field].as_u64().unwrap()).sum();
    (sum("trials"), sum("rewards"))
}

async fn decide(server: &Server, user: &str) -> Value {
    server.post("/v1/decide", &json!({"experiment": "page", "user": user, "item": "i"})).await
}

async fn reward(server: &Server, event: Value) {
    let receipt = server.post("/v1/events", &event).await;
    assert_eq!(receipt, json!({"accepted": 1, "rejected": []}), "{event}");
}

#[tokio::test]
async fn a_reward_counts_once_if_it_is_in_its_window() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    server.run(&five_arms("page")).await;
    let id = decide(&server, "u1").await["decision_id"].clone();
    decide(&server, "u1").await;
    assert_eq!(counted(&server).await, (1, 0), "a repeat is no trial");

    let once = json!({"id": "r1", "type": "reward", "name": "buy", "decision_id": id});
    reward(&server, once.clone()).await;
    reward(&server, once.clone()).await;
    assert_eq!(counted(&server).await, (1, 1), "sent twice");
    reward(&server, once).await;
    reward(&server, json!({"id": "r2", "type": "reward", "name": "buy", "decision_id": id})).await;
    assert_eq!(
        counted(&server).await,
        (1, 1),
        "sent again after an update, and a second purchase of the same decision"
    );

    // Before its decision is read, and without its id.
    reward(&server, json!({"id": "r3", "type": "reward", "name": "buy", "user": "u2", "item": "i"})).await;
    assert_eq!(counted(&server).await, (1, 1), "a reward without a decision");
    decide(&server, "u2").await;
    assert_eq!(counted(&server).await, (2, 2), "the decision came after");

    decide(&server, "u3").await;
    #[expect(clippy::disallowed_methods, reason = "a client of the real server lives on the wall clock")]
    let now = Timestamp::now();
    let at = |id: &str, user: &str, at: Timestamp| json!({"id": id, "type": "reward", "name": "buy", "user": user, "item": "i", "at": at});
    reward(&server, at("r4", "u3", now - 2.hours())).await;
    reward(&server, json!({"id": "r5", "type": "reward", "name": "click", "user": "u3", "item": "i"})).await;
    reward(&server, json!({"id": "r6", "type": "reward", "name": "buy", "user": "u3", "item": "other"})).await;
    reward(&server, json!({"id": "r7", "type": "reward", "name": "buy", "user": "u3", "item": "i", "value": 0})).await;
    assert_eq!(counted(&server).await, (3, 2), "before the decision, another name, another item, no value");
    reward(&server, at("r8", "u3", now)).await;
    assert_eq!(counted(&server).await, (3, 3));

    let version = server.get("/v1/experiments/page/results").await["posterior_version"].clone();
    let run = server.update("page").await;
    assert_eq!((&run["published"], &run["recomputed"]), (&json!(0), &json!(1)), "nothing new, nothing published");
    assert_eq!(server.get("/v1/experiments/page/results").await["posterior_version"], version);
    server.stop();
}

#[tokio::test]
async fn with_exposure_by_event_only_what_was_seen_is_a_trial() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let mut experiment = five_arms("page");
    experiment["exposure"] = json!("event");
    server.run(&experiment).await;
    let id = decide(&server, "u1").await["decision_id"].clone();
    decide(&server, "u2").await;
    reward(&server, json!({"id": "r1", "type": "reward", "name": "buy", "decision_id": id})).await;
    assert_eq!(counted(&server).await, (0, 0));
    reward(&server, json!({"id": "x1", "type": "exposure", "decision_id": id})).await;
    assert_eq!(counted(&server).await, (1, 1));
    reward(&server, json!({"id": "x2", "type": "exposure", "experiment": "page", "user": "u2", "item": "i"})).await;
    assert_eq!(counted(&server).await, (2, 1));
    server.stop();
}

#[tokio::test]
async fn results_and_posteriors_read_as_documented() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let mut experiment = five_arms("page");
    experiment["holdout"] = json!(0.3);
    server.run(&experiment).await;
    for n in 0..60 {
        let decision = decide(&server, &format!("u{n}")).await;
        if n % 3 == 0 {
            reward(
                &server,
                json!({"id": n.to_string(), "type": "reward", "name": "buy", "decision_id": decision["decision_id"]}),
            )
            .await;
        }
    }
    assert_eq!(counted(&server).await, (60, 20));
    let results = server.get("/v1/experiments/page/results").await;
    assert_eq!((&results["posterior_version"], &results["status"]), (&json!(1), &json!("running")));
    let arms = results["arms"].as_array().unwrap();
    let sum = |field: &str| arms.iter().map(|a| a[field].as_f64().unwrap()).sum::<f64>();
    assert!((sum("p_best") - 1.0).abs() < 1e-9 && (sum("allocation") - 1.0).abs() < 1e-9);
    assert_eq!(sum("pending") as u64, 40, "the window is open");
    let holdout = &results["holdout"];
    let trials = |group: &str| holdout[group]["trials"].as_u64().unwrap();
    assert_eq!(trials("holdout") + trials("policy"), 60);
    let set = &server.get("/v1/experiments/page/posteriors?since=0").await["posteriors"][0];
    let posterior = &set["segments"]["all"][0];
    assert_eq!(posterior["alpha"].as_f64().unwrap(), 1.0 + arms[0]["rewards"].as_f64().unwrap());
    assert_eq!(server.get("/v1/experiments/page/posteriors?since=1").await["posteriors"], json!([]));
    server.stop();
}
