//! Decide over the routes, on real stores.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use support::{Api, beside, start};

fn page(extra: &Value) -> Value {
    let mut e = json!({
        "id": "page", "arms": [{"id": "a", "payload": {"layout": "a"}}, {"id": "b", "payload": {"layout": "b"}}],
        "policy": {"kind": "fixed"}, "segment_by": ["device"], "reward": {"event": "buy"},
        "sticky": {"by": ["user", "item", "day"], "time_zone": "Asia/Tokyo"}
    });
    for (k, v) in extra.as_object().unwrap() {
        e[k] = v.clone();
    }
    e
}

async fn decide(api: &Api, user: &str) -> Value {
    let (status, d) = api.post("/v1/decide", &json!({"experiment": "page", "user": user, "item": "i"})).await;
    assert_eq!(status, 200, "{d}");
    d
}

#[tokio::test]
async fn a_decision_has_what_the_contract_says_and_repeats() {
    let api = start().await;
    api.run(&page(&json!({}))).await;
    let ask = json!({"experiment": "page", "user": "u1", "item": "sku-9", "context": {"device": "mobile"}});
    let (status, first) = api.post("/v1/decide", &ask).await;
    assert_eq!(status, 200);
    assert_eq!(first["payload"], json!({"layout": first["arm"]}));
    assert_eq!((&first["first"], &first["day"]), (&json!(true), &json!("2026-11-21")));
    assert_eq!((&first["segment"], &first["source"]), (&json!("device=mobile"), &json!("policy")));
    assert_eq!((&first["propensity"], &first["posterior_version"]), (&json!(0.5), &json!(0)));
    // The same over GET, with another context: the first draw's segment stands.
    let (_, second) = api.call("GET", "/v1/decide?experiment=page&user=u1&item=sku-9&context.device=desktop", "").await;
    let mut expected = first.clone();
    expected["first"] = json!(false);
    assert_eq!(second, expected);
}

#[tokio::test]
async fn the_day_turns_in_the_experiments_time_zone() {
    let api = start().await;
    api.run(&page(&json!({}))).await;
    api.clock.set("2026-11-21T14:59:59Z");
    let mut before = Vec::new();
    for i in 0..40 {
        before.push(decide(&api, &format!("u{i}")).await);
    }
    api.clock.set("2026-11-21T15:00:00Z");
    let mut moved = 0;
    for (i, old) in before.iter().enumerate() {
        let new = decide(&api, &format!("u{i}")).await;
        assert_eq!((&new["day"], &new["first"]), (&json!("2026-11-22"), &json!(true)));
        assert_ne!(new["decision_id"], old["decision_id"]);
        moved += u32::from(new["arm"] != old["arm"]);
    }
    assert!(moved > 0, "a new day is a new draw");
    api.clock.set("2026-11-21T14:00:00Z");
    for (i, old) in before.iter().enumerate() {
        assert_eq!(
            decide(&api, &format!("u{i}")).await["arm"],
            old["arm"],
            "a clock that steps back finds the old day"
        );
    }
}

#[tokio::test]
async fn whatever_happens_in_between_an_arm_stays_for_the_day() {
    let api = start().await;
    api.run(&page(&json!({"policy": {"kind": "thompson"}, "segment_by": []}))).await;
    let mut arms = Vec::new();
    for i in 0..60 {
        arms.push(decide(&api, &format!("u{i}")).await["arm"].clone());
    }
    let expect_same = async |why: &str| {
        for (i, arm) in arms.iter().enumerate() {
            assert_eq!(&decide(&api, &format!("u{i}")).await["arm"], arm, "{why}");
        }
    };
    assert_eq!(api.call("POST", "/v1/experiments/page/pause", "").await.0, 200);
    expect_same("paused").await;
    let (_, new) = api.post("/v1/decide", &json!({"experiment": "page", "user": "new", "item": "i"})).await;
    assert_eq!((&new["arm"], &new["source"]), (&json!("a"), &json!("paused")));
    assert_eq!(api.call("POST", "/v1/experiments/page/start", "").await.0, 200);
    assert_eq!(decide(&api, "new").await["arm"], "a", "who was dealt the control in a pause keeps it for the day");
    // One arm is disabled, another added, traffic cut to nothing.
    let mut changed = page(&json!({"policy": {"kind": "thompson"}, "segment_by": [], "traffic": 0.0}));
    changed["arms"][1]["enabled"] = json!(false);
    changed["arms"].as_array_mut().unwrap().push(json!({"id": "c"}));
    let (status, answer) = api.call("PUT", "/v1/experiments/page", changed.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    expect_same("changed").await;
    assert_eq!(decide(&api, "newer").await["source"], "not_enrolled");
    let (status, _) = api.post("/v1/experiments/page/stop", &json!({"winner": "c"})).await;
    assert_eq!(status, 200);
    assert_eq!(decide(&api, "u1").await["arm"], "c", "every later decide serves the winner");
}

#[tokio::test]
async fn a_batch_answers_in_order_each_by_itself() {
    let api = start().await;
    api.run(&page(&json!({}))).await;
    let body = json!({"user": "u", "requests": [
        {"experiment": "page", "item": "1"}, {"experiment": "nope"}, {"experiment": "page", "item": ""}, {"experiment": "page", "item": "1"}
    ]});
    let (status, answer) = api.post("/v1/decide/batch", &body).await;
    assert_eq!(status, 200);
    let d = answer["decisions"].as_array().unwrap();
    assert_eq!((d.len(), &d[1]["status"], &d[2]["errors"]["item"]), (4, &json!(404), &json!("must not be empty")));
    assert_eq!(
        (&d[0]["decision_id"], &d[0]["arm"]),
        (&d[3]["decision_id"], &d[3]["arm"]),
        "two first requests at once"
    );
    let many = vec![json!({"experiment": "page"}); 101];
    assert_eq!(api.post("/v1/decide/batch", &json!({"user": "u", "requests": many})).await.0, 400);
}

#[tokio::test]
async fn where_stickiness_has_no_end_a_pause_or_the_traffic_excludes_nobody_for_good() {
    let api = start().await;
    let lasting = json!({"sticky": {"by": ["user"]}, "segment_by": [], "traffic": 0.5, "policy": {"kind": "fixed"}});
    api.run(&page(&lasting)).await;
    let mut arms = Vec::new();
    for n in 0..60 {
        arms.push(decide(&api, &format!("u{n}")).await);
    }
    assert!(arms.iter().any(|d| d["source"] == "not_enrolled") && arms.iter().any(|d| d["source"] == "policy"));
    assert_eq!(api.call("POST", "/v1/experiments/page/pause", "").await.0, 200);
    assert_eq!(decide(&api, "late").await["source"], "paused");
    for (n, before) in arms.iter().enumerate().filter(|(_, d)| d["source"] == "policy") {
        assert_eq!(decide(&api, &format!("u{n}")).await["arm"], before["arm"], "who has an arm keeps it in the pause");
    }
    assert_eq!(api.call("POST", "/v1/experiments/page/start", "").await.0, 200);
    let mut all = page(&lasting);
    all["traffic"] = json!(1.0);
    assert_eq!(api.call("PUT", "/v1/experiments/page", all.to_string()).await.0, 200);
    assert_eq!(decide(&api, "late").await["source"], "policy");
    for (n, before) in arms.iter().enumerate() {
        let now = decide(&api, &format!("u{n}")).await;
        assert_eq!(now["source"], "policy");
        assert!(before["source"] != "policy" || now["arm"] == before["arm"]);
    }
}

/// Beta(2, 1) is above Beta(1, 1) with probability 2/3; of two arms the challenger is always the other one.
#[tokio::test]
async fn top_two_deals_at_the_propensity_of_the_formula() {
    let api = start().await;
    let policy = json!({"kind": "top_two_thompson", "leader_share": 0.75, "floor": 0.1});
    let mut e = page(&json!({"policy": policy, "segment_by": [], "holdout": 0.2}));
    e["arms"][0]["prior"] = json!({"alpha": 2, "beta": 1});
    api.run(&e).await;
    let own = 0.75 * 2.0 / 3.0 + 0.25 / 3.0;
    let first = 0.2 / 2.0 + 0.8 * (0.1 + (1.0 - 2.0 * 0.1) * own);
    for i in 0..20 {
        let d = decide(&api, &format!("u{i}")).await;
        let want = if d["arm"] == "a" { first } else { 1.0 - first };
        assert!((d["propensity"].as_f64().unwrap() - want).abs() < 1e-9, "{d}: {want}");
    }
    let mut wrong = page(&json!({"id": "wrong", "policy": {"kind": "bayes_ucb", "posterior_scale": 0.5}}));
    let (status, answer) = api.post("/v1/experiments", &wrong).await;
    assert!(status == 400 && answer["errors"]["policy.posterior_scale"].is_string(), "{status} {answer}");
    wrong["policy"] = json!({"kind": "bayes_ucb"});
    assert_eq!(api.post("/v1/experiments", &wrong).await.0, 201);
}

/// What another replica does is taken in piece by piece, and in the end is what a new replica reads as a whole.
#[tokio::test]
async fn changes_taken_in_one_by_one_come_to_what_is_read_at_once() {
    use bandit::{ArmPosterior, PosteriorSet};
    let mine = start().await;
    let other = beside(&mine).await;
    let ids: Vec<String> = (0..12).map(|n| format!("e{n}")).collect();
    let publish = async |id: &str, version: u64| {
        let arm = |alpha| ArmPosterior { alpha, beta: 9.0, propensity: 0.5 };
        let segments = [(String::new(), vec![arm(1.0), arm(version as f64)])].into();
        let at = "2026-11-21T09:00:00Z".parse().unwrap();
        let set = PosteriorSet::new(id, version, 1, at, vec!["a".into(), "b".into()], segments);
        mine.stores.posteriors.publish(&set).await.unwrap();
    };
    let mut versions = [0; 12];
    for step in 0..60_usize {
        let id = &ids[step * 5 % 12];
        let arms = json!([{"id": "a"}, {"id": "b", "payload": step}]);
        let definition = json!({"id": id, "arms": arms, "reward": {"event": "buy"}});
        match step / 12 {
            0 => other.run(&definition).await,
            1 => drop(other.call("PUT", &format!("/v1/experiments/{id}"), definition.to_string()).await),
            2 if step % 3 == 0 => drop(other.call("POST", &format!("/v1/experiments/{id}/pause"), "").await),
            3 if step % 4 == 0 => {
                drop(other.call("POST", &format!("/v1/experiments/{id}/stop"), "").await);
                drop(other.call("DELETE", &format!("/v1/experiments/{id}"), "").await);
            }
            _ => {
                versions[step * 5 % 12] += 1;
                publish(id, versions[step * 5 % 12]).await;
            }
        }
        mine.app.refresh().await.unwrap();
        if step % 6 == 5 {
            let fresh = beside(&mine).await;
            for id in &ids {
                let ask = json!({"experiment": id, "user": format!("u{step}")});
                let (here, there) = (mine.post("/v1/decide", &ask).await, fresh.post("/v1/decide", &ask).await);
                let known = |(status, d): &(u16, Value)| {
                    (
                        *status,
                        d["arm"].clone(),
                        d["payload"].clone(),
                        d["posterior_version"].clone(),
                        d["source"].clone(),
                    )
                };
                assert_eq!(known(&here), known(&there), "{id} after step {step}");
            }
        }
    }
    assert!(versions.iter().sum::<u64>() > 20);
}
