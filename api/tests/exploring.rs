//! Lists that an experiment orders, over HTTP, on embedded stores and with the updater's own runs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use bandit::Event;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::{Api, start};
use updater::{Config, Updater};

/// Twelve items, each in a direction of its own: `i0` is the nearest to who looked at `seed`, then `i1`.
async fn fill(api: &Api) {
    let catalog = json!({"dimension": 13, "diversity": 0, "history_length": 3}).to_string();
    assert_eq!(api.call("PUT", "/v1/catalogs/shop", catalog).await.0, 201);
    let towards = |angle: f64, axis: usize| {
        let mut vector = vec![0.0; 13];
        vector[0] = angle.cos();
        vector[axis] = angle.sin();
        vector
    };
    let mut items = vec![json!({"id": "seed", "vector": towards(0.0, 1)})];
    items.extend((0..12u32).map(|n| {
        let angle = 0.6 + f64::from(n) * 0.05;
        let tag = if n % 2 == 0 { "even" } else { "odd" };
        json!({"id": format!("i{n}"), "vector": towards(angle, n as usize + 1), "tags": [tag], "payload": n})
    }));
    let lines: String = items.iter().map(|item| format!("{item}\n")).collect();
    assert_eq!(api.call("PUT", "/v1/catalogs/shop/items", lines).await.1["accepted"], 13);
}

async fn shop() -> Api {
    let api = start().await;
    fill(&api).await;
    api
}

fn shelf(change: &Value) -> Value {
    let mut e = json!({"id": "shelf", "candidates": {"catalog": "shop", "pool": 8},
        "reward": {"event": "click", "window_hours": 1}});
    e.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    e
}

trait Shop {
    async fn view(&self, user: &str);
    async fn list(&self, query: &str) -> Value;
    async fn update(&self);
    async fn logged(&self) -> Vec<bandit::DecisionRecord>;
}

impl Shop for Api {
    async fn view(&self, user: &str) {
        let event = json!({"type": "view", "user": user, "item": "seed", "at": "2026-11-21T09:59:58Z"});
        assert_eq!(self.post("/v1/events", &event).await.1["accepted"], 1);
    }

    async fn list(&self, query: &str) -> Value {
        let (status, answer) = self.call("GET", &format!("/v1/catalogs/shop/recommendations?{query}"), "").await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn update(&self) {
        let config = Config { interval: SignedDuration::from_hours(1), retention_days: 0, name: "test".into() };
        Updater::new(self.stores.clone(), self.clock.clone(), config).once().await.unwrap();
        self.app.refresh().await.unwrap();
    }

    /// Decisions of the log; they stay in it.
    async fn logged(&self) -> Vec<bandit::DecisionRecord> {
        let delivery = self.stores.events.pull(10_000).await.unwrap();
        let decision = |event| match event {
            Ok(Event::Decision(record)) => Some(record),
            _ => None,
        };
        delivery.events.into_iter().filter_map(decision).collect()
    }
}

fn ids(answer: &Value) -> Vec<String> {
    answer["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn lists_are_logged_as_they_are_told() {
    let api = shop().await;
    api.run(&shelf(&json!({}))).await;
    api.view("u1").await;
    let answer = api.list("user=u1&k=4").await;
    assert_eq!((&answer["experiment"], &answer["posterior_version"]), (&json!("shelf"), &json!(0)));
    assert_eq!((&answer["dealt_by"], &answer["source"]), (&json!("policy"), &json!("history")));
    let items = answer["items"].as_array().unwrap();
    assert_eq!(items.len(), 4);
    let logged = api.logged().await;
    assert_eq!(logged.len(), 4);
    for (position, (told, record)) in items.iter().zip(&logged).enumerate() {
        assert_eq!(told["id"], record.arm.as_str());
        assert_eq!((record.item.as_deref(), record.user.as_str()), (Some(record.arm.as_str()), "u1"));
        assert_eq!(told["decision_id"], record.decision_id.to_string());
        assert_eq!(told["propensity"].as_f64(), Some(record.propensity));
        assert!(record.propensity > 0.0 && record.propensity < 1.0);
        assert_eq!(record.position, Some(u32::try_from(position).unwrap()));
        assert_eq!(record.list, logged[0].list);
        assert!(told["score"].as_f64().unwrap() > 0.5 && told["payload"].is_number(), "{told}");
    }
    // The pool: of twelve the eight nearest compete.
    let pool: BTreeSet<String> = (0..8).map(|n| format!("i{n}")).collect();
    assert!(ids(&answer).iter().all(|id| pool.contains(id)));
    assert_eq!(api.list("user=u1&k=4").await, answer, "a reload is the same list");
    assert_eq!(api.logged().await.len(), 4, "which is not logged again");
    // Longer than the pool: what follows was not dealt.
    let longer = api.list("user=u1&k=11").await;
    let placed: Vec<bool> =
        longer["items"].as_array().unwrap().iter().map(|i| i.get("decision_id").is_some()).collect();
    assert_eq!(placed, [vec![true; 8], vec![false; 3]].concat());
    assert_eq!(ids(&longer)[8..], ["i8", "i9", "i10"]);
}

/// Rewards by decision id, and by user and item, land on the item that was shown; it rises though others are nearer.
#[tokio::test]
async fn what_is_rewarded_rises() {
    let api = shop().await;
    api.run(&shelf(&json!({}))).await;
    let mut shown = 0;
    for n in 0..60 {
        let user = format!("u{n}");
        api.view(&user).await;
        let answer = api.list(&format!("user={user}&k=8")).await;
        let item = answer["items"].as_array().unwrap().iter().find(|i| i["id"] == "i7").unwrap().clone();
        shown += 1;
        let mut event = json!({"type": "reward", "name": "click", "user": user});
        if n % 3 == 0 {
            event["experiment"] = json!("shelf");
        }
        if n % 2 == 0 {
            event["decision_id"] = item["decision_id"].clone();
        } else {
            event["item"] = json!("i7");
        }
        assert_eq!(api.post("/v1/events", &event).await.1["accepted"], 1);
    }
    api.clock.set("2026-11-21T12:00:00Z");
    api.update().await;
    let results = api.call("GET", "/v1/experiments/shelf/results", "").await.1;
    let arms = results["arms"].as_array().unwrap();
    let row = |id: &str| arms.iter().find(|a| a["id"] == id).unwrap().clone();
    assert_eq!((&row("i7")["trials"], &row("i7")["rewards"]), (&json!(shown), &json!(shown)));
    assert_eq!((&row("i0")["trials"], &row("i0")["rewards"]), (&json!(shown), &json!(0)));
    assert_eq!((arms.len(), &results["arms_left_out"]), (8, &json!(0)));
    assert!(row("i7")["p_best"].as_f64().unwrap() > 0.99);
    assert_eq!(results["health"].as_array().unwrap().iter().filter(|h| h["check"] == "lists").count(), 1);
    for n in 100..120 {
        let user = format!("u{n}");
        api.view(&user).await;
        let answer = api.list(&format!("user={user}&k=3")).await;
        assert_eq!(answer["posterior_version"], 1);
        assert_eq!(ids(&answer)[0], "i7", "the least similar of the pool leads");
        assert!(answer["items"][0]["propensity"].as_f64().unwrap() > 0.99);
    }
}

#[tokio::test]
async fn paused_is_switched_off_at_once() {
    let api = shop().await;
    api.view("u1").await;
    let plain = api.list("user=u1&k=5").await;
    assert_eq!(plain.as_object().unwrap().len(), 3, "nothing beside the list: {plain}");
    api.run(&shelf(&json!({}))).await;
    assert_eq!(api.list("user=u1&k=5").await["experiment"], "shelf");
    assert_eq!(api.call("POST", "/v1/experiments/shelf/pause", "").await.0, 200);
    assert_eq!(api.list("user=u1&k=5").await, plain);
    assert_eq!(api.call("POST", "/v1/experiments/shelf/start", "").await.0, 200);
    assert_eq!(api.list("user=u1&k=5").await["experiment"], "shelf");
    let (status, refused) = api.post("/v1/experiments/shelf/stop", &json!({"winner": "i0"})).await;
    assert_eq!((status, refused["errors"].get("winner").is_some()), (400, true), "{refused}");
    assert_eq!(api.call("POST", "/v1/experiments/shelf/stop", "").await.0, 200);
    assert_eq!(api.list("user=u1&k=5").await, plain);
}

#[tokio::test]
async fn who_is_outside_or_held_out_has_the_plain_list() {
    let api = shop().await;
    api.run(&shelf(&json!({"traffic": 0.5, "holdout": 0.5}))).await;
    let (mut outside, mut held_out, mut dealt) = (0, 0, 0);
    let plain: Vec<String> = (0..4).map(|n| format!("i{n}")).collect();
    for n in 0..80 {
        let user = format!("u{n}");
        api.view(&user).await;
        let answer = api.list(&format!("user={user}&k=4")).await;
        match answer.get("dealt_by").and_then(Value::as_str) {
            None => {
                outside += 1;
                assert_eq!(ids(&answer), plain);
            }
            Some("holdout") => {
                held_out += 1;
                assert_eq!(ids(&answer), plain);
                assert!(answer["items"][0]["propensity"].as_f64().unwrap() >= 0.5);
            }
            _ => dealt += 1,
        }
    }
    assert!(outside > 20 && held_out > 5 && dealt > 5, "{outside} {held_out} {dealt}");
    let logged = api.logged().await;
    assert_eq!(logged.len(), 4 * (held_out + dealt));
    assert_eq!(logged.iter().filter(|r| r.source == bandit::Source::Holdout).count(), 4 * held_out);
}

/// The first list of a day stays, less what ended or is not wanted, and filled up; with other tags it is another list.
#[tokio::test]
async fn sticky_lists_stay_for_their_day() {
    let api = shop().await;
    api.run(&shelf(&json!({"candidates": {"catalog": "shop", "pool": 8, "sticky": true}}))).await;
    api.view("u1").await;
    let first = api.list("user=u1&k=4").await;
    // Another view moves what is near; the list stays.
    let event = json!({"type": "view", "user": "u1", "item": "i11"});
    assert_eq!(api.post("/v1/events", &event).await.1["accepted"], 1);
    let again = api.list("user=u1&k=4").await;
    assert_eq!(again["items"], first["items"]);
    let all = ids(&first);
    let without = api.list(&format!("user=u1&k=4&exclude={}", all[1])).await;
    let left = [&all[0], &all[2], &all[3]];
    assert_eq!(ids(&without)[..3].iter().collect::<Vec<_>>(), left);
    assert_eq!(ids(&without).len(), 4);
    assert!(without["items"][3]["decision_id"].is_string(), "what fills it up is dealt too");
    assert_eq!(api.call("DELETE", &format!("/v1/catalogs/shop/items/{}", all[0]), "").await.0, 204);
    assert_eq!(ids(&api.list("user=u1&k=3").await), all[1..]);
    let even = api.list("user=u1&k=2&tag=even").await;
    assert!(ids(&even).iter().all(|id| id[1..].parse::<u32>().unwrap() % 2 == 0), "{even}");
    // The store keeps it: another replica with the same stores tells the same.
    let other = support::beside(&api).await;
    let answer = other.list("user=u1&k=3").await;
    assert_eq!(ids(&answer), all[1..]);
    assert_eq!(answer["items"][0]["propensity"], first["items"][1]["propensity"]);
    api.clock.set("2026-11-22T10:00:00Z");
    let tomorrow = api.list("user=u1&k=4").await;
    assert_ne!(tomorrow["items"][0]["decision_id"], first["items"][0]["decision_id"]);
}

/// Who turns pages by excluding what they had is dealt each page, by exact probabilities, once a day.
#[tokio::test]
async fn every_page_of_a_sticky_list_is_dealt() {
    let api = shop().await;
    api.run(&shelf(&json!({"candidates": {"catalog": "shop", "pool": 8, "sticky": true}}))).await;
    let mut led = BTreeSet::new();
    for n in 0..12 {
        let user = format!("u{n}");
        api.view(&user).await;
        let before = api.logged().await.len();
        let first = api.list(&format!("user={user}&k=4")).await;
        let had = ids(&first);
        let next = format!("user={user}&k=4&exclude={}", had.join(","));
        let second = api.list(&next).await;
        assert_eq!(second["dealt_by"], "policy");
        let shown = ids(&second);
        assert_eq!(shown.iter().chain(&had).collect::<BTreeSet<_>>().len(), 8, "{first} {second}");
        led.insert(shown[0].clone());
        let logged = api.logged().await.split_off(before + 4);
        assert_eq!(logged.len(), 4);
        for (position, (told, record)) in second["items"].as_array().unwrap().iter().zip(&logged).enumerate() {
            assert_eq!(told["decision_id"], record.decision_id.to_string());
            assert_eq!(told["propensity"].as_f64(), Some(record.propensity));
            assert!(record.propensity > 0.0 && record.propensity < 1.0);
            assert_eq!(record.position, Some(u32::try_from(position).unwrap()));
            assert_eq!(record.list, logged[0].list);
        }
        // A view moves what is near; both pages stay, in whatever order the excluded are named, and nothing is logged again.
        let event = json!({"type": "view", "user": user, "item": "i11"});
        assert_eq!(api.post("/v1/events", &event).await.1["accepted"], 1);
        let reversed: Vec<String> = had.iter().rev().cloned().collect();
        let again = api.list(&format!("user={user}&k=4&exclude={}", reversed.join("&exclude="))).await;
        assert_eq!(again["items"], second["items"]);
        assert_eq!(api.list(&format!("user={user}&k=4")).await["items"], first["items"]);
        assert_eq!(api.logged().await.len(), before + 8);
    }
    assert!(led.len() > 2, "the order of a second page is drawn: {led:?}");
}

#[tokio::test]
async fn mistakes_are_named() {
    let api = shop().await;
    let wrong =
        shelf(&json!({"arms": [{"id": "a"}, {"id": "b"}], "policy": {"kind": "bayes_ucb"}, "segment_by": ["x"]}));
    let (status, answer) = api.post("/v1/experiments", &wrong).await;
    assert_eq!(status, 400);
    let fields: Vec<&String> = answer["errors"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["arms", "policy.kind", "segment_by"]);
    api.run(&shelf(&json!({}))).await;
    let second = shelf(&json!({"id": "second"}));
    assert_eq!(api.post("/v1/experiments", &second).await.0, 201);
    let (status, answer) = api.call("POST", "/v1/experiments/second/start", "").await;
    assert_eq!(status, 409);
    assert!(answer["detail"].as_str().unwrap().contains("'shelf'"), "{answer}");
    let (status, answer) = api.post("/v1/decide", &json!({"experiment": "shelf", "user": "u"})).await;
    assert_eq!(status, 400);
    assert!(answer["errors"]["experiment"].as_str().unwrap().contains("/v1/catalogs/shop/recommendations"), "{answer}");
    let moved = shelf(&json!({"candidates": {"catalog": "other"}})).to_string();
    let (status, answer) = api.call("PUT", "/v1/experiments/shelf", moved).await;
    assert_eq!((status, answer["errors"].get("candidates.catalog").is_some()), (400, true), "{answer}");
}
