//! What editors do: create, change, start, pause, stop, delete; and the list they find experiments in.
#![allow(clippy::unwrap_used)]

mod form;
mod house;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use form::{REQUEST, fields, post, post_in, set, shown};
use house::House;
use serde_json::{Value, json};
use store::{Change, manage};

const NEW: &str = "/dashboard/new";

fn why() -> Change {
    Change {
        who: "rival".into(),
        why: "I was <b>faster</b>".into(),
        at: "2026-11-21T09:59:00Z".parse().unwrap(),
        request: String::new(),
    }
}

async fn definition(house: &House, id: &str) -> bandit::Experiment {
    house.stores.experiments.get(id).await.unwrap().unwrap().definition
}

#[tokio::test]
async fn the_form_creates_what_the_json_it_shows_would() {
    let house = House::open().await;
    let mut pairs = fields(&house.get(NEW).await.body);
    for (name, text) in [
        ("id", "checkout"),
        ("name", "Checkout \"new\""),
        ("arms[0].payload", "{\"layout\": \"a\"}"),
        ("arms[1].prior.alpha", "2.5"),
        ("reward.event", "purchase"),
        ("reward.window_hours", "48"),
        ("policy.kind", "top_two_thompson"),
        ("policy.floor", ".01"),
        ("policy.leader_share", "0.4"),
        ("segment_by", "device\r\ncountry"),
        ("traffic", "0.5"),
        ("exposure", "event"),
        ("sticky.time_zone", "Asia/Tokyo"),
        ("stopping.confidence", "0.9"),
        ("reason", "we 'must' know"),
    ] {
        set(&mut pairs, name, text);
    }
    for wish in ["add-guardrails", "add-arms", "add-arms", "remove-arms-2"] {
        let reply = post(&house, NEW, &pairs, wish).await;
        assert_eq!(reply.status, StatusCode::OK);
        pairs = fields(&reply.body);
    }
    for (name, text) in [("guardrails[0].event", "error"), ("guardrails[0].max_rate", "0.05"), ("arms[2].id", "c")] {
        set(&mut pairs, name, text);
    }
    let preview = post(&house, NEW, &pairs, "preview").await;
    assert!(
        preview.body.contains("Nothing is wrong with it."),
        "{}",
        preview.body.split("id=\"problems\"").nth(1).unwrap_or_default()
    );
    assert_eq!(house.stores.experiments.list(None, 9).await.unwrap(), [], "a look changes nothing");
    let curl = shown(&preview.body, "curl");
    assert!(
        curl.starts_with("curl -X POST 'http://shop.example:8080/v1/experiments?reason=we+%27must%27+know' \\\n"),
        "{curl}"
    );
    assert!(curl.contains(&shown(&preview.body, "json").replace('\'', r"'\''")));

    let created = post(&house, NEW, &pairs, "save").await;
    assert_eq!(created.status, StatusCode::SEE_OTHER);
    assert_eq!(created.headers["location"], "/dashboard/experiments/checkout?done=created");
    assert!(house.get("/dashboard/experiments/checkout?done=created").await.body.contains("Created as a draft."));
    let other = House::open().await;
    let json = shown(&preview.body, "json");
    manage::create(&*other.stores.experiments, json.as_bytes(), &why()).await.unwrap();
    let made = definition(&house, "checkout").await;
    assert_eq!(made, definition(&other, "checkout").await);
    let expected: bandit::Experiment = serde_json::from_value(json!({
        "id": "checkout", "name": "Checkout \"new\"", "arms": [
            {"id": "control", "control": true, "payload": {"layout": "a"}}, {"id": "b", "prior": {"alpha": 2.5, "beta": 1}}, {"id": "c"}],
        "reward": {"event": "purchase", "window_hours": 48}, "policy": {"kind": "top_two_thompson", "floor": 0.01, "leader_share": 0.4},
        "segment_by": ["device", "country"], "traffic": 0.5, "exposure": "event", "sticky": {"time_zone": "Asia/Tokyo"},
        "guardrails": [{"event": "error", "max_rate": 0.05}], "stopping": {"confidence": 0.9},
    })).unwrap();
    assert_eq!(made, expected);
    let entry = house.stores.experiments.audit(Some("checkout"), None, 1).await.unwrap().remove(0);
    assert_eq!((&*entry.who, &*entry.why, &*entry.action), ("tester", "we 'must' know", "create"));
    assert_eq!(entry.request, REQUEST);
}

#[tokio::test]
async fn every_mistake_that_the_api_finds_is_told_at_its_input() {
    let house = House::open().await;
    let mut pairs = fields(&house.get(NEW).await.body);
    for group in ["arms", "features", "guardrails"] {
        pairs = fields(&post(&house, NEW, &pairs, &format!("add-{group}")).await.body);
    }
    let bad = [
        ("id", "Bad Id"),
        ("name", "a\u{7}b"),
        ("arms[0].id", ""),
        ("arms[1].prior.alpha", "-1"),
        ("arms[1].prior.beta", "1e10"),
        ("arms[1].weight", "-0.5"),
        ("arms[2].id", "b"),
        ("reward.event", ""),
        ("reward.window_hours", "0"),
        ("policy.floor", "0.6"),
        ("policy.epsilon", "2"),
        ("policy.half_life_hours", "0"),
        ("policy.window_hours", "0"),
        ("policy.posterior_scale", "0"),
        ("policy.optimism", "-1"),
        ("policy.pace_rewards", "-1"),
        ("policy.leader_share", "3"),
        ("segment_by", "device\ndevice"),
        ("sticky.time_zone", "Mars"),
        ("traffic", "1.5"),
        ("holdout", "-0.1"),
        ("guardrails[0].max_rate", "2"),
        ("stopping.value_remaining", "0"),
        ("stopping.confidence", "1"),
        ("features[0].name", ""),
    ];
    for (name, text) in bad {
        set(&mut pairs, name, text);
    }
    pairs.retain(|(name, _)| name != "sticky.by");
    let reply = post(&house, NEW, &pairs, "save").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let e: bandit::Experiment = serde_json::from_str(&shown(&reply.body, "json")).unwrap();
    let errors = bandit::validate(&e).unwrap_err();
    assert!(errors.len() >= 24, "{errors:?}");
    for error in &errors {
        let place = if error.field == "segment_by[1]" { "segment_by" } else { &error.field };
        let told = reply
            .body
            .split(&format!("id=\"{place}-error\""))
            .nth(1)
            .unwrap_or_else(|| panic!("{error:?} is told nowhere"));
        assert!(form::text(told.split("</p>").next().unwrap()).contains(&error.why), "{error:?}");
        assert!(reply.body.contains(&format!("href=\"#{place}\"")), "{place} is in the summary");
        assert!(reply.body.contains(&format!("{place}-error\"")) && reply.body.contains("aria-describedby"));
    }
    let japanese = post_in(&house, "ja", NEW, &pairs, "save").await;
    let whys: Vec<&str> =
        japanese.body.split("<p class=\"why\"").skip(1).map(|w| w.split("</p>").next().unwrap()).collect();
    assert!(whys.len() >= 24, "{whys:?}");
    for why in whys {
        assert!(is_japanese(why), "{why}");
    }
    for (name, text) in bad {
        assert!(fields(&reply.body).contains(&(name.to_owned(), text.to_owned())), "{name} is kept as it was typed");
    }
    let first = reply.body.split(" autofocus").next().unwrap();
    assert!(first.rsplit('<').next().unwrap().contains("id=\"id\"") && reply.body.matches(" autofocus").count() == 1);
    assert_eq!(house.stores.experiments.list(None, 9).await.unwrap(), []);
}

/// Whether it has a kana: no English has.
fn is_japanese(text: &str) -> bool {
    text.chars().any(|c| ('ぁ'..='ヺ').contains(&c))
}

#[tokio::test]
async fn what_is_no_number_and_no_json_is_told_too() {
    let house = House::open().await;
    let mut pairs = fields(&house.get(NEW).await.body);
    for (name, text) in [
        ("id", "e"),
        ("reward.event", "x"),
        ("traffic", "half"),
        ("arms[1].payload", "{oops"),
        ("reward.window_hours", "1.5"),
    ] {
        set(&mut pairs, name, text);
    }
    let reply = post(&house, NEW, &pairs, "save").await;
    let at = |name: &str| {
        form::text(reply.body.split(&format!("id=\"{name}-error\"")).nth(1).unwrap().split("</p>").next().unwrap())
    };
    assert!(
        at("traffic").ends_with("must be a number") && at("arms[1].payload").contains("is not JSON"),
        "{}",
        at("traffic")
    );
    assert!(at("reward.window_hours").ends_with("invalid type: floating point `1.5`, expected a whole number"));
}

#[tokio::test]
async fn a_taken_id_is_told_at_the_id() {
    let house = House::open().await;
    house.shop().await;
    let mut pairs = fields(&house.get(NEW).await.body);
    set(&mut pairs, "id", "product-page");
    set(&mut pairs, "reward.event", "x");
    let reply = post(&house, NEW, &pairs, "save").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.body.split("id=\"id-error\"").nth(1).unwrap().contains("exists already"));
}

#[tokio::test]
async fn a_copy_begins_as_its_original() {
    let house = House::open().await;
    let original = house.shop().await.definition;
    let pairs = fields(&house.get(&format!("{NEW}?copy=product-page")).await.body);
    assert_eq!(post(&house, NEW, &pairs, "save").await.status, StatusCode::SEE_OTHER);
    let copy = definition(&house, "product-page-copy").await;
    assert_eq!(bandit::Experiment { id: "product-page".into(), ..copy }, original);
    assert_eq!(house.get(&format!("{NEW}?copy=nothing")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_plan_becomes_a_definition() {
    let house = House::open().await;
    let mut pairs = fields(&house.get(&format!("{NEW}?arms=4&policy=top_two_thompson")).await.body);
    set(&mut pairs, "id", "planned");
    set(&mut pairs, "reward.event", "x");
    assert_eq!(post(&house, NEW, &pairs, "save").await.status, StatusCode::SEE_OTHER);
    let e = definition(&house, "planned").await;
    assert_eq!((e.arms.len(), e.control(), e.policy.kind), (4, 0, bandit::PolicyKind::TopTwoThompson));
    assert_eq!(house.get(&format!("{NEW}?arms=9999999&policy=none")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn recommended_settings_are_those_of_the_policy() {
    let house = House::open().await;
    let mut pairs = fields(&house.get(NEW).await.body);
    set(&mut pairs, "id", "e");
    set(&mut pairs, "reward.event", "x");
    for contextual in [false, true] {
        if contextual {
            pairs = fields(&post(&house, NEW, &pairs, "add-features").await.body);
            set(&mut pairs, "features[0].name", "age");
        }
        let body = post(&house, NEW, &pairs, "recommend").await.body;
        let e: bandit::Experiment = serde_json::from_str(&shown(&body, "json")).unwrap();
        assert_eq!(e.policy, bandit::PolicySpec::recommended(contextual));
        bandit::validate(&e).unwrap();
    }
}

#[tokio::test]
async fn an_edit_changes_what_was_typed_and_nothing_else() {
    let house = House::open().await;
    let before = house.shop().await;
    let edit = "/dashboard/experiments/product-page/edit";
    let mut pairs = fields(&house.get(edit).await.body);
    assert_eq!(
        post(&house, edit, &pairs, "save").await.headers["location"],
        "/dashboard/experiments/product-page?done=changed"
    );
    assert_eq!(definition(&house, "product-page").await, before.definition);
    pairs = fields(&house.get(edit).await.body);
    set(&mut pairs, "traffic", "0.25");
    pairs.retain(|(name, _)| name != "arms[2].enabled");
    set(&mut pairs, "reason", "half is enough");
    post(&house, edit, &pairs, "save").await;
    let mut expected = before.definition;
    expected.traffic = 0.25;
    expected.arms[2].enabled = false;
    assert_eq!(definition(&house, "product-page").await, expected);
    let entry = house.stores.experiments.audit(Some("product-page"), None, 1).await.unwrap().remove(0);
    assert_eq!((&*entry.who, &*entry.why, &*entry.action), ("tester", "half is enough", "replace"));
    // What a started experiment may not change, in the API's words at the API's fields.
    pairs = fields(&house.get(edit).await.body);
    set(&mut pairs, "reward.event", "click");
    pairs = fields(&post(&house, edit, &pairs, "remove-arms-1").await.body);
    let reply = post(&house, edit, &pairs, "save").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    for place in ["reward", "arms[1].id"] {
        assert!(reply.body.contains(&format!("id=\"{place}-error\"")), "{place}");
    }
    assert_eq!(definition(&house, "product-page").await, expected);
}

#[tokio::test]
async fn who_was_faster_is_named_and_nothing_typed_is_lost() {
    let house = House::open().await;
    let record = house.shop().await;
    let edit = "/dashboard/experiments/product-page/edit";
    let mut pairs = fields(&house.get(edit).await.body);
    set(&mut pairs, "traffic", "0.25");
    let mut theirs = record.definition.clone();
    (theirs.holdout, theirs.traffic) = (0.2, 0.75);
    house.stores.experiments.replace(&theirs, record.revision, record.status, &why()).await.unwrap();
    let reply = post(&house, edit, &pairs, "save").await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    for part in [
        "Somebody changed it meanwhile",
        "<bdi>rival</bdi>",
        "I was &#60;b&#62;faster",
        "<code>traffic</code></th><td><bdi>0.75</bdi></td><td><bdi>0.25</bdi>",
    ] {
        assert!(reply.body.contains(part), "{part}");
    }
    let again = fields(&reply.body);
    assert!(again.contains(&("traffic".to_owned(), "0.25".to_owned())));
    assert_eq!(post(&house, edit, &again, "save").await.status, StatusCode::CONFLICT, "not by pressing twice");
    assert_eq!(definition(&house, "product-page").await, theirs);
    assert_eq!(post(&house, edit, &again, "overwrite").await.status, StatusCode::SEE_OTHER);
    assert_eq!(definition(&house, "product-page").await, bandit::Experiment { traffic: 0.25, ..record.definition });
}

#[tokio::test]
async fn started_paused_and_stopped_with_a_winner() {
    let house = House::open().await;
    let record = house.shop().await;
    let page = "/dashboard/experiments/product-page";
    let reason = |text: &str| vec![("reason".to_owned(), text.to_owned()), ("csrf".to_owned(), "unguarded".to_owned())];
    for (button, done) in [("pause", "paused"), ("start", "resumed"), ("update", "update")] {
        let reply = post(&house, &format!("{page}/{button}"), &reason(button), "").await;
        assert_eq!(reply.headers["location"], format!("{page}?done={done}"), "{button}");
        assert!(
            house.get(&format!("{page}?done={done}")).await.body.contains("<p class=\"card fine\" role=\"status\">")
        );
    }
    assert_eq!(house.stores.runs.latest_runs(None, None, 1).await.unwrap()[0].status, store::RunStatus::Requested);
    assert_eq!(post(&house, &format!("{page}/start"), &reason(""), "").await.status, StatusCode::CONFLICT);

    let refused = post_in(&house, "ja", &format!("{page}/start"), &reason(""), "").await.body;
    assert!(refused.contains("実験「product-page」の状態は「実行中」で、「実行中」にはできません"), "{refused}");
    let winner = vec![("winner".to_owned(), "nobody".to_owned()), ("csrf".to_owned(), "unguarded".to_owned())];
    let refused = post_in(&house, "ja", &format!("{page}/stop"), &winner, "").await.body;
    assert!(refused.contains("「nobody」は「product-page」のアームではありません"), "{refused}");

    let results = store::results(&house.stores, &record, house.now, store::Detail::Whole).await.unwrap();
    let confirm = house.get(&format!("{page}/stop")).await.body;
    for arm in &results.arms {
        let row = confirm.split("<tr>").find(|r| r.contains(&format!("value=\"{}\"", arm.id))).unwrap();
        for number in [arm.p_best, arm.expected_loss] {
            assert!(row.contains(&format!("<data value=\"{number}\">")), "{number} in {row}");
        }
        assert_eq!(row.contains(" checked"), arm.id == "b");
    }
    let stop = |winner: &str| [reason("b it is"), vec![("winner".to_owned(), winner.to_owned())]].concat();
    assert_eq!(post(&house, &format!("{page}/stop"), &stop("nobody"), "").await.status, StatusCode::CONFLICT);
    assert_eq!(
        post(&house, &format!("{page}/stop"), &stop("b"), "").await.headers["location"],
        format!("{page}?done=stopped")
    );
    let stopped = house.stores.experiments.get("product-page").await.unwrap().unwrap();
    assert_eq!((stopped.status, stopped.winner.as_deref()), (bandit::Status::Stopped, Some("b")));
    let audit = house.stores.experiments.audit(Some("product-page"), None, 3).await.unwrap();
    let told: Vec<_> = audit.iter().map(|a| (&*a.who, &*a.why, &*a.action)).collect();
    assert_eq!(told, [("tester", "b it is", "stopped"), ("tester", "start", "running"), ("tester", "pause", "paused")]);
    assert!(audit.iter().all(|a| a.request == REQUEST), "{audit:?}");
    for gone in ["stop", "edit"] {
        assert_eq!(house.get(&format!("{page}/{gone}")).await.status, StatusCode::CONFLICT, "{gone}");
    }
    assert!(house.get(&format!("{page}/delete")).await.body.contains("Delete"));
    assert_eq!(
        post(&house, &format!("{page}/delete"), &reason("tidy"), "").await.headers["location"],
        "/dashboard?done=deleted"
    );
    assert_eq!(house.get(page).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_a_token_nothing_is_done() {
    let house = House::open().await;
    house.shop().await;
    for (path, pairs) in [
        ("experiments/product-page/pause", vec![]),
        ("experiments/product-page/stop", vec![("winner", "b")]),
        ("experiments/product-page/delete", vec![]),
        ("experiments/product-page/update", vec![]),
        ("experiments/product-page/edit", vec![("id", "product-page")]),
        ("new", vec![("id", "x")]),
    ] {
        for token in [None, Some("wrong")] {
            let mut pairs: Vec<(String, String)> = pairs.iter().map(|(n, t)| ((*n).into(), (*t).into())).collect();
            pairs.extend(token.map(|t| ("csrf".to_owned(), t.to_owned())));
            assert_eq!(
                post(&house, &format!("/dashboard/{path}"), &pairs, "save").await.status,
                StatusCode::FORBIDDEN,
                "{path}"
            );
        }
    }
    let record = house.stores.experiments.get("product-page").await.unwrap().unwrap();
    assert_eq!((record.status, record.revision), (bandit::Status::Running, 1));
}

/// An experiment on a catalog is made and changed by the form; what is wrong is told at its input.
#[tokio::test]
async fn a_catalog_takes_the_place_of_arms() {
    let house = House::open().await;
    let mut pairs = fields(&house.get(NEW).await.body);
    for (name, text) in [("id", "shelf"), ("reward.event", "click"), ("candidates.pool", "70")] {
        set(&mut pairs, name, text);
    }
    let body = post(&house, NEW, &pairs, "save").await.body;
    assert!(body.contains("id=\"candidates-error\"") || body.contains("id=\"candidates.catalog-error\""), "{body}");
    set(&mut pairs, "candidates.catalog", "shop");
    let mut body = post(&house, NEW, &pairs, "save").await.body;
    for place in ["arms", "candidates.pool"] {
        assert!(body.contains(&format!("id=\"{place}-error\"")), "{place}: {body}");
    }
    for wish in ["remove-arms-1", "remove-arms-0"] {
        body = post(&house, NEW, &fields(&body), wish).await.body;
    }
    pairs = fields(&body);
    for (name, text) in [("candidates.catalog", "shop"), ("candidates.pool", "30")] {
        set(&mut pairs, name, text);
    }
    pairs.push(("candidates.sticky".into(), "on".into()));
    let made = post(&house, NEW, &pairs, "save").await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.body);
    let candidates = definition(&house, "shelf").await.candidates.unwrap();
    assert_eq!((&*candidates.catalog, candidates.pool, candidates.sticky), ("shop", 30, true));
    assert_eq!((candidates.strength, candidates.similarity_weight), (20.0, 0.5));
    let edit = "/dashboard/experiments/shelf/edit";
    pairs = fields(&house.get(edit).await.body);
    pairs.retain(|(name, _)| name != "candidates.sticky");
    set(&mut pairs, "candidates.strength", "5.5");
    assert_eq!(post(&house, edit, &pairs, "save").await.status, StatusCode::SEE_OTHER);
    let changed = definition(&house, "shelf").await.candidates.unwrap();
    assert_eq!(changed, bandit::CandidateArms { strength: 5.5, sticky: false, ..candidates });
    let japanese = Request::get(edit).header("host", "x").header("accept-language", "ja");
    let japanese = house.send(japanese.body(Body::empty()).unwrap()).await.body;
    assert!(japanese.contains("カタログのアイテムをアームにする"), "{japanese}");
}

#[tokio::test]
async fn hostile_texts_stay_texts_in_the_form() {
    let house = House::open().await;
    let script = "</textarea><script>alert('1')</script>\u{202e}\"";
    let e = json!({"id": "e", "name": script, "arms": [{"id": "a", "payload": {"k": script}}, {"id": "b"}], "segment_by": [script],
        "reward": {"event": script}, "guardrails": [{"event": script, "max_rate": 0.1}]});
    manage::create(&*house.stores.experiments, e.to_string().as_bytes(), &why()).await.unwrap();
    let edit = "/dashboard/experiments/e/edit";
    let mut pairs = fields(&house.get(edit).await.body);
    set(&mut pairs, "arms[1].id", "\"><script>");
    set(&mut pairs, "rest", "<script>");
    for wish in ["save", "preview", "add-arms"] {
        let reply = post(&house, edit, &pairs, wish).await;
        assert!(!reply.body.contains("<script>") && !reply.body.contains("</textarea><"), "{wish}");
    }
    set(&mut pairs, "arms[1].id", "b");
    assert_eq!(post(&house, edit, &pairs, "save").await.status, StatusCode::SEE_OTHER);
    assert_eq!(definition(&house, "e").await, serde_json::from_value::<bandit::Experiment>(e).unwrap());
}

#[tokio::test]
async fn the_list_is_searched_filtered_and_sorted_page_by_page() {
    let house = House::open().await;
    house.shop().await;
    for n in 0..30 {
        let arms = json!([{"id": "a"}, {"id": format!("variant-{n}")}]);
        house.begin(json!({"id": format!("e{n:02}"), "name": format!("Test & {n}"), "arms": arms, "reward": {"event": "x"}})).await;
    }
    let ids = |html: &str| -> Vec<String> {
        html.split("<code class=\"id\">").skip(1).map(|r| r.split('<').next().unwrap().to_owned()).collect()
    };
    let found = async |query: &str| ids(&house.get(&format!("/dashboard?{query}")).await.body);
    assert_eq!(found("q=VARIANT-7").await, ["e07"]);
    assert_eq!(found("q=Test+%26+2").await.len(), 11);
    assert_eq!(found("q=%20product%20").await, ["product-page"]);
    assert_eq!(found("status=draft").await, [""; 0]);
    assert_eq!(found("sort=traffic").await[0], "product-page", "the only one with trials");
    let first = house.get("/dashboard?q=e&status=running&sort=traffic").await.body;
    assert!(first.contains("href=\"/dashboard?q=e&#38;status=running&#38;sort=traffic&#38;page=2\""), "filters stay");
    let second = house.get("/dashboard?q=e&status=running&sort=traffic&page=2").await.body;
    assert!(
        second.contains("href=\"/dashboard?q=e&#38;status=running&#38;sort=traffic\"")
            && !second.contains("rel=\"next\"")
    );
    let mut both = [ids(&first), ids(&second)].concat();
    both.sort();
    both.dedup();
    assert_eq!(both.len(), 31);
    let none = house.get("/dashboard?q=nowhere").await.body;
    assert!(none.contains("No experiment is like that") && none.contains("value=\"nowhere\""));
    let strange = house.get("/dashboard?q=%3Cscript%3E%00&status=odd&sort=odd&page=-3&health=odd").await;
    assert!(strange.status == StatusCode::OK && !strange.body.contains("<script>"));
    assert!(house.get("/dashboard?page=99999999999999999999").await.status == StatusCode::OK);
}

#[tokio::test]
async fn worries_are_badges_and_a_filter() {
    let house = House::open().await;
    house.shop().await;
    house.begin(json!({"id": "well", "arms": [{"id": "a"}, {"id": "b"}], "reward": {"event": "x"}})).await;
    let findings = json!({"lines": [{"check": "sample_ratio", "ok": false, "detail": "d"}], "state": null}).to_string();
    house.stores.findings.keep_findings("product-page", house.now, &findings).await.unwrap();
    let body = house.get("/dashboard?health=look").await.body;
    assert!(body.contains("product-page") && !body.contains(">well<"));
    assert!(body.contains("<strong>Look</strong> sample ratio"));
    assert!(house.get("/dashboard").await.body.contains("<strong>OK</strong>"));
}

#[tokio::test]
async fn the_list_is_a_file_of_the_same_numbers() {
    let house = House::open().await;
    let record = house.shop().await;
    let results = store::results(&house.stores, &record, house.now, store::Detail::Whole).await.unwrap();
    let reply = house.get("/dashboard?q=product&table=experiments&as=json").await;
    let rows: Value = serde_json::from_str(&reply.body).unwrap();
    let b = results.arms.iter().find(|a| a.id == "b").unwrap();
    assert_eq!((&rows[0]["leader"], rows[0]["p_best"].as_f64()), (&json!("b"), Some(b.p_best)));
    assert_eq!((&rows[0]["trials"], &rows[0]["rewards"]), (&json!(1480), &json!(163)));
    // Of every seventh trial the decision is two hours old.
    let recent = [120_u64, 1300, 60].map(|n| n.div_ceil(7)).iter().sum::<u64>();
    assert_eq!(rows[0]["trials_24_hours"], json!(recent));
    let body = house.get("/dashboard").await.body;
    assert!(body.contains(&format!("<data value=\"{recent}\">{recent}</data>")));
    assert!(body.contains(&format!("0, {}, 0, {recent}</span>", 1480 - recent)), "the last days of the line");
}

#[tokio::test]
async fn who_may_only_look_sees_no_controls_and_has_none() {
    let house = House::open().await;
    house.shop().await;
    let page = "/dashboard/experiments/product-page";
    let seen = async |method: &str, uri: &str| {
        let request = axum::http::Request::builder().method(method).uri(uri).header("x-person", "viewer");
        let form = request.header("content-type", "application/x-www-form-urlencoded");
        house.send(form.body(axum::body::Body::from("csrf=unguarded&id=product-page&winner=")).unwrap()).await
    };
    for uri in [page, "/dashboard"] {
        let body = seen("GET", uri).await.body;
        assert!(
            body.contains("product-page") && !body.contains("formaction") && !body.contains("dashboard/new"),
            "{uri}"
        );
        assert!(house.get(uri).await.body.contains("dashboard/new"), "an editor does");
    }
    for part in ["edit", "stop", "delete"] {
        assert_eq!(seen("GET", &format!("{page}/{part}")).await.status, StatusCode::FORBIDDEN, "{part}");
    }
    assert_eq!(seen("GET", NEW).await.status, StatusCode::FORBIDDEN);
    for part in ["edit", "start", "pause", "stop", "delete", "update"] {
        assert_eq!(seen("POST", &format!("{page}/{part}")).await.status, StatusCode::FORBIDDEN, "{part}");
    }
    assert_eq!(seen("POST", NEW).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_audit_log_is_a_page_for_who_may_edit() {
    let house = House::open().await;
    let page = "/dashboard/audit";
    assert!(house.get(page).await.body.contains("Nothing has been changed yet"));
    house.shop().await;
    let note = store::Note { action: "key.create", subject: "3 '<b>'", document: serde_json::Value::Null };
    let change = Change { request: "r-17".into(), ..house.change("for the shop") };
    house.stores.experiments.note(&note, &change).await.unwrap();
    let all = house.stores.experiments.audit(None, None, 10).await.unwrap();
    let reply = house.get(page).await;
    let rows: Vec<&str> = reply.body.split("<tbody>").nth(1).unwrap().split("<tr>").skip(1).collect();
    assert_eq!((reply.status, rows.len()), (StatusCode::OK, all.len()));
    assert!(rows[0].contains("key.create") && rows[0].contains("3 &#39;&#60;b&#62;&#39;"), "{}", rows[0]);
    assert!(rows[0].contains("r-17") && rows[0].contains("for the shop") && rows[0].contains("tester"), "{}", rows[0]);
    assert!(rows[2].contains("href=\"/dashboard/experiments/product-page\""), "{}", rows[2]);
    let of_one = house.get(&format!("{page}?experiment=product-page")).await.body;
    assert!(of_one.contains("started") && !of_one.contains("key.create"));
    assert!(house.get(&format!("{page}?experiment=none")).await.body.contains("No change is noted here"));
    let file = house.get(&format!("{page}?experiment=product-page&table=entries&as=json")).await.body;
    let file: Vec<serde_json::Value> = serde_json::from_str(&file).unwrap();
    let told: Vec<&str> = all.iter().filter(|e| e.experiment == "product-page").map(|e| e.action.as_str()).collect();
    assert_eq!(file.iter().map(|e| e["action"].as_str().unwrap()).collect::<Vec<_>>(), told);

    for n in 0..50 {
        house
            .stores
            .experiments
            .note(&store::Note { subject: &format!("key {n}"), ..note.clone() }, &change)
            .await
            .unwrap();
    }
    let newest = house.get(page).await.body;
    assert!(newest.contains("key 49") && newest.contains("key 0<") && !newest.contains("3 &#39;"));
    let older = newest.split("<nav class=\"pager\"").nth(1).unwrap().split("href=\"").nth(1).unwrap();
    let older = house.get(&older.split('"').next().unwrap().replace("&#38;", "&")).await.body;
    assert!(older.contains("3 &#39;") && !older.contains("key 49"));

    let look = |uri: &str| {
        let request = Request::get(uri).header("host", "shop.example:8080").header("x-person", "viewer");
        house.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(look(page).await.status, StatusCode::FORBIDDEN);
    assert_eq!(look(&format!("{page}?table=entries")).await.status, StatusCode::FORBIDDEN);
    assert!(!look("/dashboard").await.body.contains(page) && newest.contains("href=\"/dashboard/audit\""));
}

#[tokio::test]
async fn what_was_kept_of_a_version_is_what_results_say() {
    let house = House::open().await;
    let record = house.shop().await;
    let e = &record.definition;
    let list = async || house.get("/dashboard?table=experiments&as=json").await.body;
    let computed = list().await;
    let set = house.stores.posteriors.latest(&e.id).await.unwrap().unwrap();
    let evidence = house.stores.outcomes.evidence(&e.id).await.unwrap();
    let mut entry = store::VersionEntry::new(e, &set, &evidence, house.now);
    house.stores.history.keep(&e.id, std::slice::from_ref(&entry)).await.unwrap();
    assert_eq!(list().await, computed);
    // Rewards that come later, too.
    house.try_out(e, "device=other", 1, 30, 3).await;
    let results = store::results(&house.stores, &record, house.now, store::Detail::Whole).await.unwrap();
    let rows: Value = serde_json::from_str(&list().await).unwrap();
    let b = results.arms.iter().find(|a| a.id == "b").unwrap();
    assert_eq!((rows[0]["p_best"].as_f64(), &rows[0]["trials"]), (Some(b.p_best), &json!(1510)));
    // A version that nothing was kept of yet is computed.
    let mut next = house.stores.posteriors.latest(&e.id).await.unwrap().unwrap();
    next.version += 1;
    house.stores.posteriors.publish(&next).await.unwrap();
    let results = store::results(&house.stores, &record, house.now, store::Detail::Whole).await.unwrap();
    let rows: Value = serde_json::from_str(&list().await).unwrap();
    assert_eq!(rows[0]["p_best"].as_f64(), results.arms.iter().find(|a| a.id == "b").map(|a| a.p_best));
    entry.version += 1;
    entry.arms[2].p_best = 2.0;
    house.stores.history.keep(&e.id, &[entry]).await.unwrap();
    let rows: Value = serde_json::from_str(&list().await).unwrap();
    assert_eq!(rows[0]["leader"], "bold-price", "what was kept is read: {rows}");
}

#[tokio::test]
async fn a_nul_is_a_character_like_others() {
    let house = House::open().await;
    house.shop().await;
    let page = "/dashboard/experiments/product-page";
    let uris = [
        "/dashboard?q=%00&status=%00&sort=%00&page=%00&health=%00&done=%00",
        "/dashboard/new?copy=%00",
        "/dashboard/new?policy=%00",
        "/dashboard/decisions?experiment=%00",
        "/dashboard/decisions?user=%00&item=%00",
        "/dashboard/decisions?experiment=product-page&segment=%00",
        "/dashboard/decisions?arm=%00&source=%00&day=%00&from=%00&rewarded=%00&before=%00&id=%00",
        "/dashboard/decisions/%00",
        "/dashboard/experiments/%00",
        "/dashboard/catalogs/%00",
        "/dashboard/catalogs/%00/item?id=%00",
        "/dashboard/catalogs/%00/visitors?user=%00",
        "/dashboard/planner?policy=%00&arms=%00",
    ]
    .map(str::to_owned);
    let own = ["?segment=%00&version=%00&days=%00&before=%00", "/what-if?policy=%00&from=%00", "/plots/%00"];
    for uri in uris.into_iter().chain(own.map(|rest| format!("{page}{rest}"))) {
        let status = house.get(&uri).await.status;
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{uri}");
    }
    let mut pairs = fields(&house.get(NEW).await.body);
    for (name, text) in &mut pairs {
        if name != "csrf" {
            text.push('\0');
        }
    }
    let status = post(&house, NEW, &pairs, "save").await.status;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let reason = [("csrf".to_owned(), "unguarded".to_owned()), ("reason".to_owned(), "a\0b".to_owned())];
    assert_eq!(post(&house, &format!("{page}/pause"), &reason, "").await.status, StatusCode::SEE_OTHER);
    let entry = house.stores.experiments.audit(Some("product-page"), None, 1).await.unwrap().remove(0);
    assert_eq!(entry.why, "a\u{fffd}b", "as both databases keep it");
}
