//! The list of decisions, and one decision explained: what they show is what was logged, and what was dealt.
#![allow(clippy::unwrap_used)]

mod house;

use axum::http::{StatusCode, header};
use bandit::{
    Context, ContextValue, DecideRequest, Decider, DecisionRecord, Experiment, Source, Status, UserEvent, UserEventKind,
};
use house::{House, Reply};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::{Change, ExperimentRecord, Ingest};

const LIST: &str = "/dashboard/decisions";

fn change(at: Timestamp) -> Change {
    Change { who: "tester".into(), why: String::new(), at, request: String::new() }
}

fn definition(policy: &str, more: Value) -> Value {
    let mut e = json!({
        "id": "shop", "arms": [{"id": "control", "control": true}, {"id": "b"}, {"id": "off", "enabled": false}, {"id": "c"}],
        "policy": {"kind": policy, "floor": 0.05}, "segment_by": ["device"], "holdout": 0.3, "traffic": 0.8,
        "sticky": {"by": ["user", "item", "day"], "time_zone": "Asia/Tokyo"},
        "reward": {"event": "purchase", "window_hours": 24},
    });
    e.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    e
}

/// Decisions of users 0 to n, as the API deals them, in the database.
async fn deal(house: &House, record: &ExperimentRecord, users: u32, hours_ago: i64) -> Vec<DecisionRecord> {
    let set = house.stores.posteriors.latest(&record.definition.id).await.unwrap();
    let decider = Decider::new(record.definition.clone(), record.status, None, record.revision, set.as_ref()).unwrap();
    let at = house.now - SignedDuration::from_hours(hours_ago);
    let dealt = |n: u32| {
        let context: Context = [
            ("device".into(), ContextValue::Text("mobile".into())),
            ("x".into(), ContextValue::Number((n % 3).into())),
        ]
        .into();
        let (experiment, user) = (record.definition.id.clone(), format!("u{hours_ago}-{n}"));
        let request = DecideRequest { experiment, user, item: Some(format!("i{}", n % 2)), context };
        decider.deal(&request, at - SignedDuration::from_secs(n.into())).record(&request)
    };
    let decisions: Vec<DecisionRecord> = (0..users).map(dealt).collect();
    let batch = Ingest { at: house.now, decisions: decisions.clone(), ..Ingest::default() };
    house.stores.outcomes.ingest(&batch).await.unwrap();
    decisions
}

fn page_of(d: &DecisionRecord) -> String {
    format!("{LIST}/{}", d.decision_id)
}

fn assert_private(reply: &Reply) {
    assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store");
}

fn ids(html: &str) -> Vec<&str> {
    html.split("href=\"/dashboard/decisions/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

async fn json_of(house: &House, uri: &str) -> Value {
    let reply = house.get(uri).await;
    assert_eq!(reply.status, StatusCode::OK, "{uri}: {}", reply.body);
    serde_json::from_str(&reply.body).unwrap()
}

#[tokio::test]
async fn every_explained_decision_is_what_was_dealt() {
    for policy in
        ["thompson", "top_two_thompson", "epsilon_greedy", "bayes_ucb", "fixed", "logistic_thompson", "linear_thompson"]
    {
        let features = if policy.ends_with("c_thompson") || policy == "linear_thompson" {
            json!({"features": [{"name": "x", "kind": "numeric"}]})
        } else {
            json!({})
        };
        let house = House::open().await;
        let record = house.begin(definition(policy, features)).await;
        deal(&house, &record, 40, 30).await;
        house.publish(&record, 20).await;
        let mut all = deal(&house, &record, 40, 10).await;
        // The definition changes, and then it pauses: older decisions are explained by what was.
        let mut e = record.definition.clone();
        (e.policy.floor, e.traffic) = (0.2, 1.0);
        let (experiments, at) = (&house.stores.experiments, house.now - SignedDuration::from_hours(5));
        let record = experiments.replace(&e, 1, Status::Running, &change(at)).await.unwrap();
        all.extend(deal(&house, &record, 20, 4).await);
        let at = house.now - SignedDuration::from_hours(3);
        let record = experiments.set_status("shop", Status::Running, Status::Paused, None, &change(at)).await.unwrap();
        all.extend(deal(&house, &record, 3, 2).await);
        let told = DecisionRecord { source: Source::Fallback, ..deal_one(&house, &record.definition, 2).await };
        all.push(told);
        for d in &all {
            let reply = house.get(&page_of(d)).await;
            assert_eq!(reply.status, StatusCode::OK);
            assert_private(&reply);
            assert!(reply.body.contains("<strong>Agrees</strong>"), "{policy} {d:?}\n{}", reply.body);
            let says = match d.source {
                Source::Policy => "The experiment’s policy chose.",
                Source::Holdout => "The holdout is dealt every enabled arm alike",
                Source::NotEnrolled => "is not below the traffic of",
                Source::Paused => "The experiment was paused: <strong><bdi>tester</bdi>",
                Source::Fallback => "A fallback is told when",
            };
            assert!(reply.body.contains(says), "{policy} {d:?}");
            let drawn = matches!(d.source, Source::Policy | Source::Holdout | Source::Fallback);
            let arms = json_of(&house, &format!("{}?table=arms&as=json", page_of(d))).await;
            assert_eq!(arms.as_array().unwrap().is_empty(), !drawn);
            for arm in arms.as_array().unwrap() {
                let logged = arm["arm"] == d.arm.as_str();
                assert_eq!((&arm["logged"], &arm["replayed"]), (&json!(logged), &json!(logged)), "{policy} {d:?}");
                if logged {
                    assert!((arm["propensity"].as_f64().unwrap() - d.propensity).abs() < 1e-12);
                }
            }
        }
        for source in [Source::Policy, Source::Holdout, Source::NotEnrolled, Source::Paused, Source::Fallback] {
            assert!(all.iter().any(|d| d.source == source), "{policy}: none by {source:?}");
        }
    }
}

/// A decision of the running experiment that was told as a fallback, in the database.
async fn deal_one(house: &House, e: &Experiment, revision: u64) -> DecisionRecord {
    let set = house.stores.posteriors.latest(&e.id).await.unwrap();
    let decider = Decider::new(e.clone(), Status::Running, None, revision, set.as_ref()).unwrap();
    let context = [("device".into(), ContextValue::Text("mobile".into()))].into();
    let request = DecideRequest { experiment: e.id.clone(), user: "told".into(), item: None, context };
    let record = decider.deal(&request, house.now - SignedDuration::from_hours(4)).record(&request);
    let record = DecisionRecord { source: Source::Fallback, ..record };
    let batch = Ingest { at: house.now, decisions: vec![record.clone()], ..Ingest::default() };
    house.stores.outcomes.ingest(&batch).await.unwrap();
    record
}

#[tokio::test]
async fn what_was_tampered_with_does_not_agree() {
    let house = House::open().await;
    let record = house.begin(definition("thompson", json!({}))).await;
    house.publish(&record, 20).await;
    let all = deal(&house, &record, 40, 10).await;
    let d = all.iter().find(|d| d.source == Source::Policy).unwrap();
    let other = if d.arm == "b" { "c" } else { "b" };
    let tampered = |n: u8, change: &dyn Fn(&mut DecisionRecord)| {
        let mut t = d.clone();
        // Under a key of its own: that it is another is said too.
        t.decision_id.0[15] ^= n;
        change(&mut t);
        t
    };
    let cases = [
        (tampered(1, &|t| t.propensity += 0.01), "The probability would be"),
        (tampered(2, &|t| t.source = Source::NotEnrolled), "Another source would have chosen"),
        (tampered(3, &|t| t.user = "somebody".into()), "have another key"),
        (tampered(4, &|t| t.posterior_version = 9), "posterior version <data value=\"9\">9</data> has been removed"),
        (tampered(5, &|t| t.revision = 7), "does not have revision"),
    ];
    let decisions = cases.iter().map(|(t, _)| t.clone()).collect();
    house.stores.outcomes.ingest(&Ingest { at: house.now, decisions, ..Ingest::default() }).await.unwrap();
    for (t, says) in &cases {
        let reply = house.get(&page_of(t)).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert!(reply.body.contains(says) && !reply.body.contains("<strong>Agrees</strong>"), "{says}");
    }
    // The very key, logged with another arm.
    let mut fresh = House::open().await;
    fresh.now = house.now;
    let again = fresh.begin(definition("thompson", json!({}))).await;
    fresh.publish(&again, 20).await;
    let wrong = DecisionRecord { arm: other.into(), ..d.clone() };
    let batch = Ingest { at: fresh.now, decisions: vec![wrong], ..Ingest::default() };
    fresh.stores.outcomes.ingest(&batch).await.unwrap();
    let reply = fresh.get(&page_of(d)).await;
    assert!(reply.body.contains(&format!("The arm would be <strong><bdi>{}</bdi>", d.arm)), "{}", reply.body);
}

#[tokio::test]
async fn the_list_shows_what_is_sought_and_its_files_say_the_same() {
    let house = House::open().await;
    let record = house.begin(definition("thompson", json!({}))).await;
    let mut all = deal(&house, &record, 70, 1).await;
    all.sort_by_key(|d| std::cmp::Reverse((d.at, d.decision_id)));
    let first = house.get(LIST).await;
    assert_private(&first);
    assert!(first.body.contains("data-refresh-seconds") && first.body.contains("live=off"));
    let shown = ids(&first.body);
    let expected: Vec<String> = all.iter().map(|d| d.decision_id.to_string()).collect();
    assert_eq!(shown, expected[..50]);
    let older = first.body.rsplit("href=\"").next().unwrap();
    assert!(!older.is_empty());
    let older = first.body.split("class=\"pager\"").nth(1).unwrap().split("href=\"").nth(1).unwrap();
    let older = older.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let second = house.get(&older).await;
    assert_eq!(ids(&second.body), expected[50..]);
    assert!(!second.body.contains("data-refresh-seconds"), "only the newest are followed");
    assert!(!house.get(&format!("{LIST}?live=off")).await.body.contains("data-refresh-seconds"));

    let d = &all[7];
    for (query, matches) in [
        ("experiment=shop", all.iter().collect::<Vec<_>>()),
        (&format!("user={}", d.user), vec![d]),
        ("item=i1", all.iter().filter(|d| d.item.as_deref() == Some("i1")).collect()),
        ("experiment=shop&arm=b", all.iter().filter(|d| d.arm == "b").collect()),
        (
            "experiment=shop&segment=device%3Dmobile&source=holdout",
            all.iter().filter(|d| d.source == Source::Holdout).collect(),
        ),
        ("day=2026-11-21&experiment=shop", all.iter().collect()),
        ("day=2026-11-20&experiment=shop", vec![]),
        (
            "from=2026-11-21T08:59:30&to=2026-11-21T08:59:50",
            all.iter()
                .filter(|d| {
                    (11..=30).contains(&(house.now - SignedDuration::from_hours(1)).duration_since(d.at).as_secs())
                })
                .collect(),
        ),
        ("rewarded=yes", vec![]),
    ] {
        let matches: Vec<String> = matches.iter().map(|d| d.decision_id.to_string()).take(50).collect();
        let page = house.get(&format!("{LIST}?{query}")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(ids(&page.body), matches, "{query}");
        let file = json_of(&house, &format!("{LIST}?{query}&table=decisions&as=json")).await;
        let file: Vec<&str> = file.as_array().unwrap().iter().map(|row| row["decision_id"].as_str().unwrap()).collect();
        assert_eq!(file, matches, "{query}");
        let csv = house.get(&format!("{LIST}?{query}&table=decisions&as=csv")).await;
        assert_private(&csv);
        let lines: Vec<&str> = csv.body.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(lines, matches, "{query}");
    }
    let to = house.get("/dashboard/experiments/shop/decisions?arm=b").await;
    assert_eq!(to.headers[header::LOCATION], "/dashboard/decisions?arm=b&experiment=shop");
    let to = house.get(&format!("{LIST}?id={}", d.decision_id)).await;
    assert_eq!(to.headers[header::LOCATION], page_of(d).as_str());
}

#[tokio::test]
async fn a_page_that_follows_shows_what_comes() {
    let house = House::open().await;
    let empty = house.get(LIST).await;
    assert!(empty.body.contains("curl -X POST http://shop.example:8080/v1/decide"));
    let record = house.begin(definition("thompson", json!({}))).await;
    let one = deal(&house, &record, 1, 1).await;
    assert_eq!(ids(&house.get(LIST).await.body), [one[0].decision_id.to_string()]);
    let two = deal(&house, &record, 1, 0).await;
    let body = house.get(LIST).await.body;
    assert_eq!(ids(&body), [&two[0], &one[0]].map(|d| d.decision_id.to_string()));
    assert!(body.contains("The newest decision that has been read was made") && body.contains("just now"));
    assert!(body.contains("Records that wait to be read: <data value=\"0\">0</data>"));
}

#[tokio::test]
async fn wrong_fields_say_what_they_may_be() {
    let house = House::open().await;
    house.begin(definition("thompson", json!({}))).await;
    for (query, field, says) in [
        ("experiment=nothing&day=yesterday", "day", "Must be a day"),
        ("day=yesterday", "day", "Must be a day"),
        ("from=noon", "from", "Must be a moment"),
        ("from=2026-11-21T10:00&to=2026-11-21T10:00", "to", "Must be after the beginning"),
        ("arm=b", "arm", "An arm belongs to an experiment"),
        ("experiment=shop&arm=z", "arm", "The experiment has no arm"),
        ("segment=x", "segment", "A segment belongs to an experiment"),
        ("source=chance", "source", "Is none of what it may be"),
        ("rewarded=maybe", "rewarded", "Is none of what it may be"),
        ("id=42", "id", "Must be 32 hexadecimal digits"),
    ] {
        let reply = house.get(&format!("{LIST}?{query}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
        assert_private(&reply);
        let error = reply.body.split(&format!("id=\"e-{field}\">")).nth(1).unwrap_or_else(|| panic!("{query}"));
        assert!(error.starts_with(says), "{query}: {}", &error[..80]);
        assert!(reply.body.contains(&format!("aria-describedby=\"e-{field}\"")), "{query}");
    }
    let none = house.get(&format!("{LIST}?user=nobody&experiment=shop")).await;
    assert!(none.body.contains("No decision matches"));
    assert!(none.body.contains("href=\"/dashboard/decisions?experiment=shop\">Without"), "{}", none.body);
    for id in ["0123456789abcdef0123456789abcdef", "nothing", "%3Cb%3E", "%ff"] {
        for under in ["", "/plots/draw"] {
            let reply = house.get(&format!("{LIST}/{id}{under}")).await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{id}");
            assert_private(&reply);
            assert!(!reply.body.contains("<b>"));
        }
    }
}

/// A name that was mistyped, or whose experiment is gone: a search that finds nothing, as others are.
#[tokio::test]
async fn an_experiment_that_is_not_there_has_no_decisions() {
    let house = House::open().await;
    let record = house.begin(definition("thompson", json!({}))).await;
    deal(&house, &record, 1, 1).await;
    for more in ["", "&user=u&arm=b&segment=x"] {
        let reply = house.get(&format!("{LIST}?experiment=%3Ci%3Eshup{more}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{more}");
        assert_private(&reply);
        let none = reply.body.split("<section class=\"card empty\"").nth(1).unwrap();
        assert!(none.contains("There is no experiment <strong><bdi>&#60;i&#62;shup</bdi></strong>"), "{none}");
        let without = format!("href=\"{LIST}{}\">Without", more.replacen('&', "?", 1).replace('&', "&#38;"));
        assert!(none.contains(&without), "{without}: {none}");
        assert!(none.contains(&format!("href=\"{LIST}\">All decisions")), "{none}");
        assert!(none.contains("href=\"/dashboard\">All experiments"), "{none}");
        assert!(ids(&reply.body).is_empty() && reply.body.contains("<option>shop</option>"), "what there is");
    }
    let file = house.get(&format!("{LIST}?experiment=shup&table=decisions&as=csv")).await;
    assert_eq!((file.status, file.body.lines().count()), (StatusCode::OK, 1), "its head alone");
}

#[tokio::test]
async fn hostile_users_and_items_are_text() {
    let house = House::open().await;
    let record = house.begin(definition("thompson", json!({}))).await;
    let hostile = format!("<script>alert('1')</script>\u{202e}&\"/?#%{}", "W".repeat(200));
    let mut d = deal(&house, &record, 1, 30).await.remove(0);
    d.decision_id.0[0] ^= 1;
    (d.user, d.item) = (hostile.clone(), Some(hostile.clone()));
    let batch = Ingest { at: house.now, decisions: vec![d.clone()], ..Ingest::default() };
    house.stores.outcomes.ingest(&batch).await.unwrap();
    let mut query = form_urlencoded::Serializer::new(String::new());
    let query = query.append_pair("user", &hostile).finish();
    for uri in [LIST.to_owned(), format!("{LIST}?{query}"), page_of(&d)] {
        let reply = house.get(&uri).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert!(!reply.body.contains("<script>"), "{uri}");
        assert!(reply.body.contains("<bdi>&#60;script&#62;alert(&#39;1&#39;)"), "{uri}");
        // Its own link finds it.
        let link =
            reply.body.split("href=\"").map(|l| l.split('"').next().unwrap()).find(|l| l.contains("user=%3Cscript"));
        let link = link.unwrap_or_else(|| panic!("{uri}")).replace("&#38;", "&").replace("&amp;", "&");
        assert_eq!(ids(&house.get(&link).await.body), [d.decision_id.to_string()], "{link}");
    }
    // One that shows nothing is told by its code points.
    d.decision_id.0[0] ^= 2;
    (d.user, d.item) = (" \u{200b}".into(), Some("\u{3000}".into()));
    let batch = Ingest { at: house.now, decisions: vec![d.clone()], ..Ingest::default() };
    house.stores.outcomes.ingest(&batch).await.unwrap();
    for uri in [LIST.to_owned(), page_of(&d)] {
        let body = house.get(&uri).await.body;
        assert!(body.contains("<bdi>U+0020 U+200B</bdi>") && body.contains("<bdi>U+3000</bdi>"), "{uri}");
    }
}

#[tokio::test]
async fn events_say_what_they_are_for_it() {
    let house = House::open().await;
    let record = house.begin(definition("fixed", json!({"exposure": "event", "holdout": 0.0, "traffic": 1.0}))).await;
    let all = deal(&house, &record, 3, 10).await;
    let event = |d: &DecisionRecord, kind, name: &str, minutes: i64| {
        let event = UserEvent {
            id: format!("{}-{name}-{minutes}", d.user),
            kind,
            name: name.into(),
            user: None,
            item: None,
            decision_id: Some(d.decision_id),
            experiment: None,
            value: 1.0,
            at: d.at + SignedDuration::from_mins(minutes),
        };
        (event, vec![d.decision_id])
    };
    let events = vec![
        event(&all[0], UserEventKind::Exposure, "", 1),
        event(&all[0], UserEventKind::Reward, "purchase", 90),
        event(&all[0], UserEventKind::Reward, "click", 2),
        event(&all[0], UserEventKind::Reward, "purchase", 60 * 25),
        event(&all[1], UserEventKind::Exposure, "", 1),
    ];
    house.stores.outcomes.ingest(&Ingest { at: house.now, events, ..Ingest::default() }).await.unwrap();
    let page = house.get(&page_of(&all[0])).await.body;
    for says in [
        "It is a trial, since an exposure event says",
        "It was rewarded: the first <strong><bdi>purchase</bdi></strong> came after <data value=\"1\">1</data> h",
        ">shows that the arm was seen<",
        ">a reward inside the window<",
        ">not the experiment’s reward<",
        ">after the window closed<",
    ] {
        assert!(page.contains(says), "{says} {page}");
    }
    assert!(!page.contains("data-refresh-seconds"), "nothing can change any more");
    let waiting = house.get(&page_of(&all[1])).await.body;
    assert!(waiting.contains("It is waiting: a <strong><bdi>purchase") && waiting.contains("data-refresh-seconds"));
    let unseen = house.get(&page_of(&all[2])).await.body;
    assert!(unseen.contains("It is no trial yet") && unseen.contains("No event names it"));
}

#[tokio::test]
async fn the_plot_marks_the_values_that_the_table_has() {
    let house = House::open().await;
    let record = house.begin(definition("thompson", json!({"policy": {"kind": "thompson"}}))).await;
    house.publish(&record, 20).await;
    let all = deal(&house, &record, 20, 10).await;
    let d = all.iter().find(|d| d.source == Source::Policy).unwrap();
    let arms = json_of(&house, &format!("{}?table=arms&as=json", page_of(d))).await;
    let figure = json_of(&house, &format!("{}/plots/draw", page_of(d))).await;
    let stems: Vec<(&str, f64)> = figure["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|t| t["showlegend"] == false)
        .map(|t| (t["name"].as_str().unwrap(), t["x"][1].as_f64().unwrap()))
        .collect();
    let drawn: Vec<(&str, f64)> = arms
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|a| Some((a["arm"].as_str().unwrap(), a["drawn"].as_f64()?)))
        .collect();
    assert_eq!((stems.len(), &stems), (3, &drawn));
    let highest = drawn.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert_eq!(highest.0, d.arm);
}
