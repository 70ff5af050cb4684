//! What is known of a user is told and erased, wherever it is: in the database, in the state, in memory and in the log.

use crate::page;
use crate::support::{Api, start};
use bandit::{DecisionId, Event};
use jiff::SignedDuration;
use serde_json::{Value, json};
use updater::Updater;

const USER: &str = "anna@例え.jp";

/// Puts what is in the log into the database, as the updater does.
async fn consume(api: &Api) {
    let config = updater::Config { interval: SignedDuration::from_hours(1), retention_days: 0, name: "test".into() };
    Updater::new(api.stores.clone(), api.clock.clone(), config).once().await.unwrap();
}

fn path(rest: &str) -> String {
    format!("/v1/users/anna@%E4%BE%8B%E3%81%88.jp{rest}")
}

async fn data(api: &Api) -> Value {
    let mut all = api.call("GET", &path("/data"), "").await.1;
    while let Some(next) = all.as_object_mut().unwrap().remove("next") {
        let (status, more) = api.call("GET", &path(&format!("/data?after={}", next.as_str().unwrap())), "").await;
        assert_eq!((status, &more["views"]), (200, &json!([])));
        for part in ["decisions", "events"] {
            let more = more[part].as_array().unwrap().clone();
            all[part].as_array_mut().unwrap().extend(more);
        }
        all["next"] = more["next"].clone();
        if all["next"].is_null() {
            all.as_object_mut().unwrap().remove("next");
        }
    }
    all
}

/// Whoever reads to the first page without events must not take it for all.
#[tokio::test]
async fn the_first_page_has_events_once_decisions_are_told() {
    let api = start().await;
    api.run(&page()).await;
    visit(&api, USER).await;
    consume(&api).await;
    let (status, first) = api.call("GET", &path("/data"), "").await;
    let count = |page: &Value, part: &str| page[part].as_array().unwrap().len();
    assert_eq!((status, count(&first, "decisions"), count(&first, "events")), (200, 1, 2), "{first}");
    assert_eq!(first.get("next"), None, "that is all");
    // A page is bounded, whatever it holds: of 1,000 events more, two wait for the next.
    let view = |n: u32| json!({"id": format!("v{n}"), "type": "view", "user": USER, "item": format!("sku-{n}")});
    api.post("/v1/events", &(0..999).map(view).collect()).await;
    consume(&api).await;
    let first = api.call("GET", &path("/data"), "").await.1;
    assert_eq!((count(&first, "decisions"), count(&first, "events")), (1, 999));
    assert!(first["next"].as_str().unwrap().starts_with("events-"), "{}", first["next"]);
    let all = data(&api).await;
    let keys: std::collections::HashSet<&str> =
        all["events"].as_array().unwrap().iter().map(|event| event["key"].as_str().unwrap()).collect();
    assert_eq!((keys.len(), count(&all, "events")), (1_001, 1_001), "each once");
}

async fn decide(api: &Api, user: &str) -> Value {
    api.post("/v1/decide", &json!({"experiment": "page", "user": user})).await.1
}

/// A decision that was rewarded, and a view by a clock that is ahead.
async fn visit(api: &Api, user: &str) -> Value {
    let decision = decide(api, user).await;
    let events = json!([
        {"id": format!("{user}-buy"), "type": "reward", "name": "buy", "user": user, "decision_id": decision["decision_id"]},
        {"id": format!("{user}-view"), "type": "view", "user": user, "item": "sku-1", "at": "2026-11-21T10:04:00Z"}
    ]);
    assert_eq!(api.post("/v1/events", &events).await.1["accepted"], 2);
    decision
}

#[tokio::test]
async fn what_is_known_of_a_user_is_told_and_then_nothing_is() {
    let api = start().await;
    api.run(&page()).await;
    let decision = visit(&api, USER).await;
    visit(&api, "other").await;
    consume(&api).await;
    let counts = api.stores.outcomes.evidence("page").await.unwrap();

    let known = data(&api).await;
    let record = &known["decisions"][0];
    assert_eq!(record["record"]["decision_id"], decision["decision_id"]);
    assert_eq!((&record["record"]["user"], &record["rewarded"]), (&json!(USER), &json!(true)));
    let mut kinds: Vec<&str> =
        known["events"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!((kinds, known["decisions"].as_array().unwrap().len()), (vec!["reward", "view"], 1));
    assert_eq!((&known["views"][0]["item"], &known["user"]), (&json!("sku-1"), &json!(USER)));

    let erase = async || {
        let (status, erased) = api.call("DELETE", &path(""), "").await;
        assert_eq!(status, 200, "{erased}");
        erased
    };
    assert_eq!(erase().await, json!({"decisions": 1, "events": 2, "set_aside": 0, "views": 1}));
    assert_eq!(erase().await, json!({"decisions": 0, "events": 0, "set_aside": 0, "views": 0}), "again");
    let nothing = json!({"user": USER, "decisions": [], "events": [], "views": []});
    assert_eq!(data(&api).await, nothing);
    assert_eq!(api.stores.outcomes.evidence("page").await.unwrap(), counts, "sums stay");
    assert_eq!(api.stores.outcomes.recount("page").await.unwrap(), counts);
    // The assignment is gone from the state and from memory: what comes now is a first decision.
    let id: DecisionId = decision["decision_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(api.stores.decisions.decision(&id).await.unwrap(), None);
    api.clock.set("2026-11-21T10:00:01Z");
    assert_eq!(decide(&api, USER).await["first"], true);
    assert_eq!(decide(&api, "other").await["first"], false, "others stay");
    let reward = json!({"type": "reward", "name": "buy", "user": USER, "at": "2026-11-21T10:00:30Z"});
    assert_eq!(api.post("/v1/events", &reward).await.1["accepted"], 1);
    consume(&api).await;
    let anew = data(&api).await;
    assert_eq!((&anew["decisions"][0]["rewarded"], &anew["decisions"][1]), (&json!(true), &Value::Null));
    assert_eq!((&anew["events"][0]["at"], &anew["events"][1]), (&json!("2026-11-21T10:00:01Z"), &Value::Null));
}

#[tokio::test]
async fn what_waits_in_the_log_is_erased_when_it_is_read() {
    let api = start().await;
    api.run(&page()).await;
    let decision = visit(&api, USER).await;
    visit(&api, "other").await;
    assert_eq!(api.call("DELETE", &path(""), "").await.1["decisions"], 0, "nothing of it is in the database yet");
    consume(&api).await;
    assert_eq!(data(&api).await, json!({"user": USER, "decisions": [], "events": [], "views": []}));
    let trials: u64 = api.stores.outcomes.evidence("page").await.unwrap().outcomes.iter().map(|o| o.trials).sum();
    assert_eq!(trials, 1, "the other's");
    // The log's reader removed the assignment that the erasure could not know of; this replica's memory is another's.
    let record = json!({"decision_id": decision["decision_id"], "day": "2026-11-21"});
    let id: DecisionId = record["decision_id"].as_str().unwrap().parse().unwrap();
    let key = bandit::AssignmentKey { id, day: Some("2026-11-21".parse().unwrap()) };
    assert_eq!(api.stores.assignments.get(&key).await.unwrap(), None);
    // Delivered again it is left out again.
    let again = Event::Decision(bandit::DecisionRecord {
        decision_id: id,
        experiment: "page".into(),
        user: USER.into(),
        item: None,
        day: "2026-11-21".parse().unwrap(),
        segment: "all".into(),
        features: None,
        arm: "a".into(),
        position: None,
        list: None,
        propensity: 0.5,
        posterior_version: 0,
        revision: 1,
        source: bandit::Source::Policy,
        at: "2026-11-21T10:00:00Z".parse().unwrap(),
    });
    api.stores.events.append(&[again]).await.unwrap();
    consume(&api).await;
    assert_eq!(data(&api).await["decisions"], json!([]));
}

/// What was offered ahead of being shown is a user's, too.
#[tokio::test]
async fn what_was_offered_is_erased() {
    let api = start().await;
    api.run(&page()).await;
    let context = json!({"context": {"targetingKey": USER}}).to_string();
    let offer = async || {
        let (status, answer) = api.call("POST", "/ofrep/v1/evaluate/flags", context.clone()).await;
        assert_eq!(status, 200, "{answer}");
        answer["flags"][0]["metadata"]["decision_id"].as_str().unwrap().to_owned()
    };
    let id: DecisionId = offer().await.parse().unwrap();
    consume(&api).await;
    let told = data(&api).await;
    assert_eq!(told["decisions"][0]["record"]["decision_id"], json!(id), "{told}");
    let key = bandit::AssignmentKey { id, day: Some("2026-11-21".parse().unwrap()) };
    assert!(api.stores.assignments.get(&key).await.unwrap().is_some());
    assert_eq!(api.call("DELETE", &path(""), "").await.1["decisions"], 1);
    assert_eq!(api.stores.assignments.get(&key).await.unwrap(), None);
    // Nothing of it is remembered: what is offered from now on is kept anew.
    offer().await;
    assert!(api.stores.assignments.get(&key).await.unwrap().is_some());
}

#[tokio::test]
async fn odd_users_and_places_are_refused() {
    let api = start().await;
    let long = format!("/v1/users/{}/data", "x".repeat(257));
    for path in [
        &*long,
        "/v1/users/a%01/data",
        "/v1/users/u/data?after=x",
        "/v1/users/u/data?after=1-x",
        "/v1/users/u/data?from=1",
    ] {
        assert_eq!(api.call("GET", path, "").await.0, 400, "{path}");
    }
    assert_eq!(api.call("DELETE", "/v1/users/a%01", "").await.0, 400);
}
