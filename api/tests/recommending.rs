//! Catalogs and lists over HTTP, on the real embedded store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use support::{Api, start};

struct Shop(Api);

impl std::ops::Deref for Shop {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.0
    }
}

/// An API with a catalog of two dimensions, "shop", with lists that take the nearest.
async fn shop() -> Shop {
    let api = start().await;
    let definition = json!({"dimension": 2, "diversity": 0, "history_length": 3});
    assert_eq!(api.call("PUT", "/v1/catalogs/shop", definition.to_string()).await.0, 201);
    Shop(api)
}

fn item(id: &str, vector: [f32; 2], more: &Value) -> Value {
    let mut item = json!({"id": id, "vector": vector});
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    item
}

impl Shop {
    async fn put(&self, items: &[Value]) -> Value {
        let lines: String = items.iter().map(|item| format!("{item}\n")).collect();
        let (status, answer) = self.call("PUT", "/v1/catalogs/shop/items", lines).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn list(&self, query: &str) -> Vec<String> {
        let (status, answer) = self.call("GET", &format!("/v1/catalogs/shop/{query}"), "").await;
        assert_eq!(status, 200, "{answer}");
        ids(&answer)
    }

    async fn view(&self, user: &str, item: &str, at: &str) {
        let event = json!({"type": "view", "user": user, "item": item, "at": at});
        assert_eq!(self.post("/v1/events", &event).await.1, json!({"accepted": 1, "rejected": []}));
    }
}

fn ids(answer: &Value) -> Vec<String> {
    answer["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect()
}

async fn filled() -> Shop {
    let api = shop().await;
    let answer = api
        .put(&[
            item("red", [1.0, 0.0], &json!({"tags": ["warm"], "payload": {"price": 1.50}})),
            item("orange", [0.9, 0.3], &json!({"tags": ["warm", "a,b"]})),
            item("green", [0.3, 0.9], &json!({"tags": ["cold"]})),
            item("blue", [0.0, 2.0], &json!({"tags": ["cold"], "expires_at": "2026-11-21T10:00:10Z"})),
        ])
        .await;
    assert_eq!(answer, json!({"accepted": 4, "rejected": []}));
    api
}

#[tokio::test]
async fn the_next_page_shows_what_fits_what_was_just_looked_at() {
    let api = filled().await;
    let (status, answer) = api.call("GET", "/v1/catalogs/shop/recommendations?user=u1", "").await;
    assert_eq!((status, &answer["source"], &answer["history"]), (200, &json!("popular"), &json!(0)));
    assert_eq!(ids(&answer).len(), 4, "everybody is shown something");
    api.view("u1", "red", "2026-11-21T09:59:58Z").await;
    let answer = api.call("GET", "/v1/catalogs/shop/recommendations?user=u1&k=2", "").await.1;
    assert_eq!(
        (ids(&answer), &answer["source"], &answer["history"]),
        (vec!["orange".into(), "green".into()], &json!("history"), &json!(1))
    );
    assert_eq!(answer["items"][0]["payload"], Value::Null);
    // What was put ten seconds ago is there, what was looked at is not, what was removed is gone.
    api.put(&[item("pink", [1.0, 0.1], &json!({"payload": {"price": 2.50}}))]).await;
    let answer = api.call("GET", "/v1/catalogs/shop/recommendations?user=u1&k=2", "").await.1;
    assert_eq!((ids(&answer)[0].as_str(), &answer["items"][0]["payload"]), ("pink", &json!({"price": 2.50})));
    assert_eq!(api.call("DELETE", "/v1/catalogs/shop/items/pink", "").await.0, 204);
    assert_eq!(api.list("recommendations?user=u1&k=2").await, ["orange", "green"]);
    // Somebody else is somebody else.
    api.view("u2", "blue", "2026-11-21T09:59:58Z").await;
    assert_eq!(api.list("recommendations?user=u2&k=1").await, ["green"]);
}

#[tokio::test]
async fn the_newest_views_count_as_many_as_the_catalog_says() {
    let api = filled().await;
    for (n, item) in ["blue", "nowhere", "red", "orange", "green", "unknown"].iter().enumerate() {
        api.view("u", item, &format!("2026-11-21T09:00:0{n}Z")).await;
    }
    let answer = api.call("GET", "/v1/catalogs/shop/recommendations?user=u", "").await.1;
    assert_eq!((&answer["history"], ids(&answer)), (&json!(3), vec![]), "all were looked at: {answer}");
}

#[tokio::test]
async fn an_ended_item_is_on_no_list_from_its_moment_on() {
    let api = filled().await;
    let everywhere = async || {
        let search = api.post("/v1/catalogs/shop/search", &json!({"vector": [0, 1]})).await.1;
        [api.list("recommendations?user=new").await, api.list("items/red/related").await, ids(&search)].concat()
    };
    api.clock.set("2026-11-21T10:00:09.999Z");
    assert_eq!(everywhere().await.iter().filter(|id| *id == "blue").count(), 3);
    api.clock.set("2026-11-21T10:00:10Z");
    assert!(!everywhere().await.contains(&"blue".to_owned()));
    // One that had ended when it came is never shown, one that is put again lives again.
    api.put(&[item("old", [0.0, 1.0], &json!({"expires_at": "2026-11-21T10:00:10Z"}))]).await;
    assert!(!everywhere().await.contains(&"old".to_owned()));
    api.put(&[item("blue", [0.0, 1.0], &json!({"expires_at": null}))]).await;
    assert!(everywhere().await.contains(&"blue".to_owned()));
}

#[tokio::test]
async fn lists_are_filtered_as_asked() {
    let api = filled().await;
    for (query, expected) in [
        ("items/red/related", "orange green blue"),
        ("items/red/related?k=1", "orange"),
        ("items/red/related?tag=cold", "green blue"),
        ("items/red/related?tag=cold&tag=warm", "orange green blue"),
        ("items/red/related?tag=a,b", "orange"),
        ("items/red/related?tag=cold,warm&exclude=orange,blue", "green"),
        ("items/red/related?exclude=orange&exclude=green", "blue"),
        ("items/red/related?tag=none", ""),
        ("recommendations?user=u&tag=warm", "orange red"),
    ] {
        assert_eq!(api.list(query).await.join(" "), expected, "{query}");
    }
    let (status, answer) =
        api.post("/v1/catalogs/shop/search", &json!({"vector": [2, 0], "k": 2, "tags": ["warm"]})).await;
    assert_eq!((status, ids(&answer)), (200, vec!["red".into(), "orange".into()]));
    assert_eq!(answer["items"][0]["score"], 1.0);
    assert!(answer.get("source").is_none());
}

#[tokio::test]
async fn each_line_is_right_or_wrong_by_itself() {
    let api = shop().await;
    let lines = [
        r#"{"id":"a","vector":[1,0]}"#,
        r#"{"id":"b","vector":[1,0,0]}"#,
        r#"{"id":"c","vector":[NaN,0]}"#,
        r#"{"id":"d","vector":[1e39,0]}"#,
        r#"{"id":"e","vector":[0,0]}"#,
        r#"{"id":"a","vector":[0,1]}"#,
        r#"{"id":"f","vector":[0,1],"colour":"red"}"#,
        r#"{"id":"","vector":[0,1]}"#,
        r#"{"id":"g"}"#,
        r#"{"id":"h","text":"a chair"}"#,
        r#"{"id":"i","vector":[0,1],"expires_at":"tomorrow"}"#,
        r#"{"vector":[0,1]}"#,
        "rubbish",
        r#"{"id":"j","vector":[0,1],"tags":[""]}"#,
        r#"{"id":"k","vector":[0,1]}"#,
    ];
    let (status, answer) = api.call("PUT", "/v1/catalogs/shop/items", lines.join("\n")).await;
    assert_eq!((status, &answer["accepted"]), (200, &json!(2)), "{answer}");
    let rejected: Vec<(u64, &str)> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["index"].as_u64().unwrap(), r["detail"].as_str().unwrap()))
        .collect();
    assert_eq!(rejected.iter().map(|r| r.0).collect::<Vec<_>>(), (1..14).collect::<Vec<_>>());
    for (index, word) in [
        (1, "vector: has 3 numbers, and the catalog's dimension is 2"),
        (2, "not JSON"),
        (3, "number out of range"),
        (4, "vector: is zero"),
        (5, "id: 'a' is at place 0 already"),
        (6, "colour"),
        (7, "id: "),
        (8, "vector: is required"),
        (9, "text: the catalog has no embedder"),
        (10, "expires_at"),
        (11, "id"),
        (12, "not JSON"),
        (13, "tags: "),
    ] {
        let detail = rejected.iter().find(|r| r.0 == index).unwrap().1;
        assert!(detail.contains(word), "{index}: {detail}");
    }
    let search = api.post("/v1/catalogs/shop/search", &json!({"vector": [1, 0]})).await.1;
    assert_eq!(ids(&search), ["a", "k"]);
}

#[tokio::test]
async fn what_cannot_be_asked_is_named() {
    let api = filled().await;
    for (path, status, field) in [
        ("/v1/catalogs/shop/recommendations", 400, "user"),
        ("/v1/catalogs/shop/recommendations?user=", 400, "user"),
        ("/v1/catalogs/shop/recommendations?user=u&k=0", 400, "k"),
        ("/v1/catalogs/shop/recommendations?user=u&k=101", 400, "k"),
        ("/v1/catalogs/shop/recommendations?user=u&k=ten", 400, "k"),
        ("/v1/catalogs/shop/recommendations?user=u&diversity=1.1", 400, "diversity"),
        ("/v1/catalogs/shop/recommendations?user=u&diversity=NaN", 400, "diversity"),
        ("/v1/catalogs/shop/recommendations?user=u&max_per_tag=0", 400, "max_per_tag"),
        ("/v1/catalogs/shop/recommendations?user=u&user=v", 400, "user"),
        ("/v1/catalogs/shop/recommendations?user=u&colour=red", 400, "colour"),
        ("/v1/catalogs/shop/items/red/related?user=u", 400, "user"),
        ("/v1/catalogs/shop/items/none/related", 404, ""),
        ("/v1/catalogs/none/items/red/related", 404, ""),
        ("/v1/catalogs/none/recommendations?user=u", 404, ""),
        ("/v1/catalogs/none", 404, ""),
        ("/v1/catalogs/shop/items/none", 404, ""),
    ] {
        let (got, answer) = api.call("GET", path, "").await;
        assert_eq!(got, status, "{path}: {answer}");
        assert!(field.is_empty() || answer["errors"].get(field).is_some(), "{path}: {answer}");
    }
    for (body, field) in [
        (json!({}), "vector"),
        (json!({"vector": [1]}), "vector"),
        (json!({"vector": [0, 0]}), "vector"),
        (json!({"text": "chair"}), "text"),
        (json!({"vector": [1, 0], "text": "chair"}), "text"),
        (json!({"vector": [1, 0], "k": 1000}), "k"),
        (json!({"vector": [1, 0], "n": 1}), "n"),
    ] {
        let (status, answer) = api.post("/v1/catalogs/shop/search", &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["errors"].get(field).is_some(), "{body}: {answer}");
    }
    for (body, field) in [
        (json!({}), "dimension"),
        (json!({"dimension": 0}), "dimension"),
        (json!({"dimension": 4097}), "dimension"),
        (json!({"dimension": 2, "metric": "manhattan"}), "metric"),
        (json!({"dimension": 2, "history_length": 0}), "history_length"),
        (json!({"dimension": 2, "diversity": -1}), "diversity"),
        (json!({"dimension": 2, "colour": 1}), "colour"),
    ] {
        let (status, answer) = api.call("PUT", "/v1/catalogs/new", body.to_string()).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["errors"].get(field).is_some(), "{body}: {answer}");
    }
    assert_eq!(api.call("DELETE", "/v1/catalogs/shop/items/none", "").await.0, 404);
    assert_eq!(api.call("DELETE", "/v1/catalogs/none", "").await.0, 404);
    assert_eq!(api.call("PUT", "/v1/catalogs/none/items", "{}").await.0, 404);
}

#[tokio::test]
async fn catalogs_are_made_listed_changed_and_removed() {
    let api = filled().await;
    let (status, all) = api.call("GET", "/v1/catalogs", "").await;
    assert_eq!((status, all["catalogs"].as_array().unwrap().len()), (200, 1));
    let shop = &all["catalogs"][0];
    assert_eq!((&shop["id"], &shop["items"], &shop["metric"]), (&json!("shop"), &json!(4), &json!("cosine")));
    // A space cannot change under its vectors; how lists are made can.
    let (status, answer) = api.call("PUT", "/v1/catalogs/shop", json!({"dimension": 3}).to_string()).await;
    assert_eq!(status, 409, "{answer}");
    let changed = json!({"dimension": 2, "diversity": 0, "history_length": 1});
    assert_eq!(api.call("PUT", "/v1/catalogs/shop", changed.to_string()).await.0, 200);
    assert_eq!(api.list("items/red/related").await, ["orange", "green", "blue"]);
    let (status, item) = api.call("GET", "/v1/catalogs/shop/items/blue", "").await;
    assert_eq!((status, &item["vector"], &item["tags"]), (200, &json!([0.0, 2.0]), &json!(["cold"])));
    assert_eq!(api.call("DELETE", "/v1/catalogs/shop", "").await.0, 204);
    assert_eq!(api.call("GET", "/v1/catalogs/shop", "").await.0, 404);
    // One of the same name begins empty, in another space.
    assert_eq!(api.call("PUT", "/v1/catalogs/shop", json!({"dimension": 3}).to_string()).await.0, 201);
    assert_eq!(api.list("recommendations?user=u").await, [""; 0]);
}

#[tokio::test]
async fn what_does_not_fit_into_memory_is_refused_whole() {
    let api = shop().await;
    let payload = "x".repeat(60_000);
    let items: Vec<Value> = (0..500).map(|n| item(&n.to_string(), [1.0, 0.0], &json!({"payload": payload}))).collect();
    let body = json!(items).to_string();
    assert_eq!(api.call("PUT", "/v1/catalogs/shop/items", body.clone()).await.0, 200);
    assert_eq!(api.call("PUT", "/v1/catalogs/shop/items", body.replace("\"id\":\"", "\"id\":\"n")).await.0, 200);
    let (status, answer) = api.call("PUT", "/v1/catalogs/shop/items", body.replace("\"id\":\"", "\"id\":\"m")).await;
    assert_eq!(status, 507, "{answer}");
    assert_eq!(api.call("GET", "/v1/catalogs/shop", "").await.1["items"], 1_000);
    let (status, _) = api.call("PUT", "/v1/catalogs/shop/items", "x".repeat((32 << 20) + 1)).await;
    assert_eq!(status, 413);
}

/// Lists for visitors are counted, written down again when the database is back, and never twice.
#[tokio::test]
async fn lists_are_counted_by_hour() {
    let api = filled().await;
    let kept = async || api.stores.list_hours.list_hours(Some("shop"), i64::MIN / 2..i64::MAX / 2).await.unwrap();
    api.view("u1", "red", "2026-11-21T09:59:58Z").await;
    for user in ["u1", "u1", "new"] {
        api.list(&format!("recommendations?user={user}&k=3")).await;
    }
    // These are not for visitors.
    api.list("items/red/related").await;
    assert_eq!(kept().await, []);
    api.app.flush().await.unwrap();
    api.app.flush().await.unwrap();
    let hours = kept().await;
    assert_eq!((hours.len(), hours[0].lists, hours[0].from_history, hours[0].items), (1, 3, 2, 9));
    assert_eq!((hours[0].measured, hours[0].dated, hours[0].fresh), (3, 9, 9));
    assert!((hours[0].shown.estimate() - 3.0).abs() < 0.1, "{}", hours[0].shown.estimate());
    // Putting an item again does not make it new.
    api.clock.set("2026-11-22T10:00:00Z");
    api.put(&[item("red", [1.0, 0.0], &json!({}))]).await;
    api.list("recommendations?user=new&k=3").await;
    api.app.flush().await.unwrap();
    let hours = kept().await;
    assert_eq!((hours.len(), hours[1].lists, hours[1].dated, hours[1].fresh), (2, 1, 3, 0));
    assert_eq!(hours[1].mean_age_hours(), Some(24.0));
}

/// A catalog "big" of which lists are made ahead: more items than a list's pool has.
async fn big() -> Shop {
    let api = Shop(start().await);
    let definition = json!({"dimension": 8, "refresh_minutes": 30});
    assert_eq!(api.call("PUT", "/v1/catalogs/big", definition.to_string()).await.0, 201);
    let items: Vec<Value> = (0..300).map(of_big).collect();
    assert_eq!(api.call("PUT", "/v1/catalogs/big/items", json!(items).to_string()).await.0, 200);
    api
}

fn of_big(n: usize) -> Value {
    // In all directions: of those on a circle most would be near-duplicates of others.
    let vector: Vec<f64> = (0..8).map(|i| ((n * 31 + i * 17 + n * n * (i + 1)) as f64).sin()).collect();
    json!({"id": format!("i{n}"), "vector": vector})
}

impl Shop {
    /// A list, and where it is from.
    async fn big(&self, query: &str) -> (Vec<String>, String) {
        let (status, answer) = self.call("GET", &format!("/v1/catalogs/big/recommendations?{query}"), "").await;
        assert_eq!(status, 200, "{answer}");
        (ids(&answer), answer["source"].as_str().unwrap().to_owned())
    }

    /// The list that is made now: nobody has tags.
    async fn computed(&self, query: &str) -> Vec<String> {
        let (ids, source) = self.big(&format!("{query}&max_per_tag=1000")).await;
        assert_eq!(source, "history");
        ids
    }

    async fn until_precomputed(&self, query: &str) -> Vec<String> {
        let found = async {
            loop {
                let (ids, source) = self.big(query).await;
                if source == "precomputed" {
                    return ids;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), found).await.unwrap()
    }

    /// One pass over all visitors.
    async fn pass(&self) {
        let config =
            updater::Config { interval: jiff::SignedDuration::from_hours(1), retention_days: 0, name: "u".into() };
        let updater = updater::Updater::new(self.stores.clone(), self.clock.clone(), config);
        let done = updater.once_of(&[store::RunKind::Lists]).await.unwrap();
        assert!(done.iter().all(|done| done.report.error.is_none()), "{done:?}");
    }
}

/// From a view on no list is told that does not know it; soon the list is made ahead again. How soon is printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_has_its_list_made_ahead() {
    let api = big().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let making = tokio::spawn(api.app.clone().keep_lists(stopped));
    let mut took = Vec::new();
    for n in 0..200 {
        let viewed = format!("i{}", n * 3 % 300);
        api.view("u", &viewed, &format!("2026-11-21T09:{:02}:{:02}Z", n / 60, n % 60)).await;
        let acknowledged = std::time::Instant::now();
        let (next, _) = api.big("user=u&k=30").await;
        assert!(!next.contains(&viewed) && next == api.computed("user=u&k=30").await);
        let ahead = api.until_precomputed("user=u").await;
        took.push(acknowledged.elapsed());
        assert_eq!(ahead, api.computed("user=u").await);
    }
    took.sort_unstable();
    println!("from a view's 202 to its list: p50 {:?}, p99 {:?}, longest {:?}", took[100], took[197], took[199]);
    stop.send(true).unwrap();
    making.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_made_ahead_is_told_while_it_is_what_would_be_made() {
    let api = big().await;
    for (user, item) in [("u", "i1"), ("v", "i2")] {
        api.view(user, item, "2026-11-21T09:00:00Z").await;
    }
    let source = async |query: &str| api.big(query).await.1;
    // Nobody makes lists after views here: they are computed, until a pass over all visitors comes.
    assert_eq!(source("user=u").await, "history");
    api.pass().await;
    for user in ["u", "v"] {
        let (ids, source) = api.big(&format!("user={user}")).await;
        assert_eq!((ids, source.as_str()), (api.computed(&format!("user={user}")).await, "precomputed"));
    }
    for other in ["k=31", "diversity=0.9", "max_per_tag=1", "tag=a", "exclude=a"] {
        assert_ne!(source(&format!("user=u&{other}")).await, "precomputed", "{other}");
    }
    assert_eq!(source("user=new").await, "popular");
    // A view makes it another; of one who did not look at anything it stays.
    api.view("u", "i7", "2026-11-21T09:00:01Z").await;
    assert_eq!((source("user=u").await, source("user=v").await), ("history".into(), "precomputed".into()));
    api.pass().await;
    // What is taken away is left out of it.
    let first = api.big("user=u").await.0[0].clone();
    assert_eq!(api.call("DELETE", &format!("/v1/catalogs/big/items/{first}"), "").await.0, 204);
    let (left, from) = api.big("user=u").await;
    assert!(from == "precomputed" && left.len() == 10 && !left.contains(&first), "{from} {left:?} {first}");
    // What is put where it could be on the list is there at once, though the list was made before.
    let mut near = of_big(1);
    near["id"] = json!("near");
    near["vector"][0] = json!(near["vector"][0].as_f64().unwrap() + 0.4);
    assert_eq!(api.call("PUT", "/v1/catalogs/big/items", json!([near]).to_string()).await.0, 200);
    let (now, from) = api.big("user=u&k=30").await;
    assert!(from == "history" && now.contains(&"near".to_owned()), "{now:?}");
    api.pass().await;
    assert_eq!(api.until_precomputed("user=u&k=30").await, now);
    // Another replica, which starts now, knows that too.
    let beside = Shop(support::beside(&api).await);
    assert_eq!(beside.big("user=u&k=30").await, (now, "precomputed".into()));
    // An old one is made again, and one of another definition.
    api.clock.set("2026-11-21T10:59:59Z");
    assert_eq!(source("user=u").await, "precomputed");
    api.clock.set("2026-11-21T11:00:00Z");
    assert_eq!(source("user=u").await, "history");
    api.pass().await;
    assert_eq!(source("user=u").await, "precomputed");
    let definition = json!({"dimension": 8, "refresh_minutes": 30, "history_length": 1});
    assert_eq!(api.call("PUT", "/v1/catalogs/big", definition.to_string()).await.0, 200);
    assert_eq!(source("user=u").await, "history");
    api.pass().await;
    assert_eq!(source("user=u").await, "precomputed");
    let definition = json!({"dimension": 8, "refresh_minutes": 0, "history_length": 1});
    assert_eq!(api.call("PUT", "/v1/catalogs/big", definition.to_string()).await.0, 200);
    api.pass().await;
    assert_eq!(source("user=u").await, "history", "none are made ahead any more");
}
