//! Pages of catalogs: what they show is what the API answers and the stores hold.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod house;

use api::{Access, App, Config};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use house::{At, House, Reply, answer};
use jiff::SignedDuration;
use recommend::Projection;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use store::{CatalogMap, View};

const HOSTILE: &str = "<b>\u{202e}靴&\"'/?#%../=1+1";

/// An API and a dashboard on the same stores.
struct Shop {
    house: House,
    app: Arc<App>,
    api: Router,
}

impl Shop {
    async fn open() -> Self {
        let mut house = House::open().await;
        let config = Config {
            traced: false,
            cached_assignments: 100,
            store_timeout: Duration::from_secs(10),
            catalog_bytes: 64 << 20,
            catalogs_file: None,
            access: Access::loopback(),
            models: None,
        };
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
        let app = App::new(house.stores.clone(), Arc::new(At(house.now)), config, recorder).await.unwrap();
        house.shelf = app.shelf().clone();
        Self { api: api::router(app.clone()), app, house }
    }

    async fn call(&self, method: &str, uri: &str, body: String) -> Value {
        let request = Request::builder().method(method).uri(uri).body(Body::from(body)).unwrap();
        let reply = answer(self.api.clone(), request).await;
        assert!(reply.status.is_success(), "{uri}: {} {}", reply.status, reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }

    /// A catalog of `n` items in three clusters, each with a tag.
    async fn fill(&self, id: &str, n: usize, more: Value) {
        let mut definition = json!({"dimension": 8, "history_length": 5});
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("PUT", &format!("/v1/catalogs/{id}"), definition.to_string()).await;
        if n == 0 {
            return;
        }
        let lines: String = (0..n).map(|i| format!("{}\n", item(i))).collect();
        let receipt = self.call("PUT", &format!("/v1/catalogs/{id}/items"), lines).await;
        assert_eq!(receipt, json!({"accepted": n, "rejected": []}));
    }

    /// Views, the last one the newest.
    async fn view(&self, user: &str, items: &[&str]) {
        let at = |i: usize| self.house.now - SignedDuration::from_mins(i64::try_from(items.len() - i).unwrap());
        let views: Vec<View> = items
            .iter()
            .enumerate()
            .map(|(i, item)| View { user: user.into(), item: (*item).into(), at: at(i) })
            .collect();
        self.house.stores.views.append(&views).await.unwrap();
    }

    async fn get(&self, uri: &str) -> Reply {
        let reply = self.house.get(uri).await;
        assert_eq!(reply.status, StatusCode::OK, "{uri}: {}", reply.body);
        reply
    }

    async fn table(&self, uri: &str, table: &str) -> Vec<Value> {
        let mark = if uri.contains('?') { '&' } else { '?' };
        let csv = self.get(&format!("{uri}{mark}table={table}")).await;
        let rows: Vec<Value> =
            serde_json::from_str(&self.get(&format!("{uri}{mark}table={table}&as=json")).await.body).unwrap();
        // Payloads may hold line ends, ids here do not.
        assert!(csv.body.lines().count() > rows.len(), "{}", csv.body);
        rows
    }

    /// Draws the map as the updater does.
    async fn draw(&self, catalog: &str) -> Projection {
        let candidates = self.house.shelf.get(catalog).unwrap();
        let sample: Vec<Vec<f32>> =
            candidates.sample(1_000, self.house.now, |v| Some(v.to_vec())).into_iter().map(|s| s.place).collect();
        let projection = Projection::of(&sample).unwrap();
        let map = CatalogMap { at: self.house.now, change: 1, projection: projection.clone() };
        self.house.stores.list_hours.keep_map(catalog, Some(&map)).await.unwrap();
        projection
    }
}

fn vector(i: usize) -> Vec<f64> {
    (0..8).map(|d| if d == i % 3 { 1.0 } else { ((i * 31 + d * 17) % 23) as f64 / 80.0 }).collect()
}

fn item(i: usize) -> Value {
    json!({"id": format!("sku-{i:04}"), "vector": vector(i), "tags": [format!("shelf-{}", i % 3)],
        "payload": {"name": format!("Thing {i}")}})
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

/// Texts appear in this order.
fn assert_in_order(html: &str, texts: &[&str]) {
    let mut rest = html;
    for text in texts {
        let at = rest.find(text).unwrap_or_else(|| panic!("{text} after the others in {html}"));
        rest = &rest[at + text.len()..];
    }
}

#[tokio::test]
async fn an_empty_house_says_what_to_do_and_a_young_one_that_it_reads() {
    let house = House::open().await;
    let list = house.get("/dashboard/catalogs").await;
    assert!(list.body.contains("still being read") && list.body.contains("data-refresh-seconds=\"1\""));
    let one = house.get("/dashboard/catalogs/shop").await;
    assert_eq!(one.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(one.body.contains("still reading the catalogs"));
    let shop = Shop::open().await;
    let list = shop.get("/dashboard/catalogs").await.body;
    assert!(list.contains("curl -X PUT http://shop.example:8080/v1/catalogs/shoes") && !list.contains("being read"));
    for page in ["", "/visitors", "/item?item=x", "/plots/lists", "/plots/map"] {
        let reply = shop.house.get(&format!("/dashboard/catalogs/none{page}")).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{page}");
    }
    shop.fill("empty", 0, json!({})).await;
    let page = shop.get("/dashboard/catalogs/empty").await.body;
    for text in
        ["has no live items", "No visitor was shown a list", "not drawn yet", "/v1/catalogs/empty/recommendations"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    for (page, status) in [
        ("/dashboard/catalogs/empty/item?item=x", StatusCode::NOT_FOUND),
        ("/dashboard/catalogs/empty/plots/other", StatusCode::NOT_FOUND),
        ("/dashboard/catalogs/empty?table=other", StatusCode::NOT_FOUND),
        ("/dashboard/catalogs/empty/visitors?user=u&k=0", StatusCode::BAD_REQUEST),
        ("/dashboard/catalogs/empty/visitors?user=u&k=101", StatusCode::BAD_REQUEST),
        ("/dashboard/catalogs/empty/visitors?user=%00", StatusCode::BAD_REQUEST),
        ("/dashboard/catalogs/empty/visitors", StatusCode::OK),
        ("/dashboard/catalogs/empty/visitors?user=u", StatusCode::OK),
        ("/dashboard/catalogs/empty/plots/map?user=u", StatusCode::OK),
    ] {
        assert_eq!(shop.house.get(page).await.status, status, "{page}");
    }
    assert!(shop.get("/dashboard/catalogs/empty?near=x").await.body.contains("has no item"));
}

/// The list that the inspector shows is the API's at the same moment, and what it was made of adds up.
#[tokio::test]
async fn the_inspector_s_list_is_the_api_s() {
    let shop = Shop::open().await;
    shop.fill("shop", 90, json!({"diversity": 0.4, "max_per_tag": 2})).await;
    shop.fill("inner", 90, json!({"metric": "inner_product", "diversity": 0.0})).await;
    shop.view("u1", &["sku-0003", "elsewhere", "sku-0004", "sku-0007"]).await;
    shop.view("u2", &["sku-0009", "sku-0012", "sku-0015", "sku-0018", "sku-0021", "sku-0024", "sku-0027"]).await;
    shop.view("u3", &["elsewhere"]).await;
    shop.call(
        "PUT",
        "/v1/catalogs/shop/items",
        json!([{"id": "sku-0003", "vector": [1, 0, 0, 0, 0, 0, 0, 0],
        "expires_at": "2026-11-21T09:00:00Z"}])
        .to_string(),
    )
    .await;
    for catalog in ["shop", "inner"] {
        for (user, k) in [("u1", 10), ("u2", 10), ("u2", 1), ("u2", 40), ("u3", 10), ("new", 5)] {
            let api = format!("/v1/catalogs/{catalog}/recommendations?user={user}&k={k}");
            let told = shop.call("GET", &api, String::new()).await;
            let uri = format!("/dashboard/catalogs/{catalog}/visitors?user={user}&k={k}");
            let list = shop.table(&uri, "list").await;
            let expected = told["items"].as_array().unwrap();
            assert_eq!(list.len(), expected.len());
            for (place, (mine, theirs)) in list.iter().zip(expected).enumerate() {
                assert_eq!((&mine["id"], &mine["score"]), (&theirs["id"], &theirs["score"]), "{uri}");
                let payload: Value = serde_json::from_str(mine["payload"].as_str().unwrap()).unwrap();
                assert_eq!((&mine["place"], &payload), (&json!(place + 1), &theirs["payload"]));
            }
            let page = shop.get(&uri).await.body;
            let shown = &page[page.find("id=\"list\"").unwrap()..];
            assert_in_order(shown, &ids(expected));
            assert!(shown.contains(&api.replace('&', "&#38;")), "{shown}");
            let history = shop.table(&uri, "history").await;
            let weights: Vec<f64> = history.iter().filter_map(|row| row["weight"].as_f64()).collect();
            if told["source"] == "history" {
                assert_eq!(json!(weights.len()), told["history"], "{uri}");
                assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                let candidates = shop.table(&uri, "candidates").await;
                let mut placed: Vec<&Value> = candidates.iter().filter(|row| !row["place"].is_null()).collect();
                placed.sort_by_key(|row| row["place"].as_u64());
                let placed: Vec<&str> = placed.iter().map(|row| row["id"].as_str().unwrap()).collect();
                assert_eq!(placed, ids(expected));
                assert!(candidates.is_sorted_by_key(|row| row["rank"].as_u64()));
            } else {
                assert!(page.contains("There is none: nothing that they looked at") && weights.is_empty());
            }
        }
    }
    let standing =
        |row: &Value| (row["item"].as_str().unwrap().to_owned(), row["standing"].as_str().unwrap().to_owned());
    let history = shop.table("/dashboard/catalogs/shop/visitors?user=u1", "history").await;
    let expected = [("sku-0007", "live"), ("sku-0004", "live"), ("elsewhere", "unknown"), ("sku-0003", "ended")];
    assert_eq!(history.iter().map(standing).collect::<Vec<_>>(), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

/// What was counted of lists is what the lists were.
#[tokio::test]
async fn statistics_are_those_of_the_lists_served() {
    let shop = Shop::open().await;
    shop.fill("shop", 300, json!({})).await;
    let old = json!([{"id": "old", "vector": vector(0), "added_at": "2026-11-01T00:00:00Z"}]).to_string();
    let items: Vec<recommend::Item> = serde_json::from_str(&old).unwrap();
    shop.house.stores.catalogs.put_items("shop", &items).await.unwrap();
    shop.app.shelf().catch_up(&*shop.house.stores.catalogs, &At(shop.house.now)).await.unwrap();
    let vectors: HashMap<String, Vec<f64>> = (0..300)
        .map(|i| (format!("sku-{i:04}"), vector(i)))
        .chain([("old".to_owned(), vector(0))])
        .map(|(id, v)| {
            let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            (id, v.iter().map(|x| x / length).collect())
        })
        .collect();
    let (mut shown, mut distances, mut all, mut new) = (BTreeSet::new(), Vec::new(), 0, 0);
    for user in 0..40 {
        if user % 4 > 0 {
            let looked = [format!("sku-{:04}", user * 7), format!("sku-{:04}", user * 3 + 1)];
            shop.view(&format!("u{user}"), &[&looked[0], &looked[1]]).await;
        }
        let told = shop.call("GET", &format!("/v1/catalogs/shop/recommendations?user=u{user}"), String::new()).await;
        let list: Vec<String> = ids(told["items"].as_array().unwrap()).into_iter().map(str::to_owned).collect();
        let mut pairs = Vec::new();
        for (i, a) in list.iter().enumerate() {
            pairs.extend(
                list[i + 1..].iter().map(|b| 1.0 - vectors[a].iter().zip(&vectors[b]).map(|(x, y)| x * y).sum::<f64>()),
            );
        }
        distances.push(pairs.iter().sum::<f64>() / pairs.len() as f64);
        all += u32::try_from(list.len()).unwrap();
        new += u32::try_from(list.iter().filter(|id| *id != "old").count()).unwrap();
        shown.extend(list);
    }
    // Searches and related items are no lists for visitors.
    shop.call("GET", "/v1/catalogs/shop/items/sku-0001/related", String::new()).await;
    shop.app.flush().await.unwrap();
    let hours = shop.table("/dashboard/catalogs/shop", "hours").await;
    assert_eq!(hours.len(), 24);
    let last = &hours[23];
    assert_eq!((&last["hour"], &last["lists"]), (&json!("2026-11-21T10:00:00Z"), &json!(40)));
    assert_eq!(last["history_share"], json!(0.75));
    let distinct = last["distinct_items"].as_f64().unwrap();
    assert!((distinct - shown.len() as f64).abs() <= 0.05 * shown.len() as f64, "{distinct} of {}", shown.len());
    assert!((last["coverage"].as_f64().unwrap() - distinct / 301.0).abs() < 1e-9);
    let mean = distances.iter().sum::<f64>() / 40.0;
    assert!((last["intra_list_distance"].as_f64().unwrap() - mean).abs() < 1e-6, "{last} {mean}");
    assert!((last["fresh_share"].as_f64().unwrap() - f64::from(new) / f64::from(all)).abs() < 1e-9);
    assert_eq!((&hours[0]["lists"], &hours[0]["coverage"]), (&json!(0), &Value::Null));
    assert_eq!(shop.table("/dashboard/catalogs/shop?hours=168", "hours").await.len(), 168);
    let page = shop.get("/dashboard/catalogs/shop").await.body;
    assert!(page.contains("<data value=\"40\">40</data>") && page.contains("75.0%"), "{page}");
    // The plots show the same.
    let plot: Value = serde_json::from_str(&shop.get("/dashboard/catalogs/shop/plots/lists").await.body).unwrap();
    let last_of = |trace: usize| plot["data"][trace]["y"].as_array().unwrap().last().unwrap().as_u64();
    assert_eq!((last_of(0), last_of(1)), (Some(30), Some(10)));
    let plot: Value = serde_json::from_str(&shop.get("/dashboard/catalogs/shop/plots/distance").await.body).unwrap();
    let y = plot["data"][0]["y"].as_array().unwrap();
    assert!(y[22].is_null() && (y[23].as_f64().unwrap() - mean).abs() < 1e-5, "{y:?}");
    // And so does the list of catalogs, beside what the API says of it.
    let row = &shop.table("/dashboard/catalogs", "catalogs").await[0];
    let told = &shop.call("GET", "/v1/catalogs", String::new()).await["catalogs"][0];
    for field in ["id", "dimension", "metric", "items", "bytes"] {
        assert_eq!(row[field], told[field], "{field}");
    }
    assert_eq!((&row["lists_24_hours"], &row["coverage_24_hours"]), (&json!(40), &last["coverage"]));
    let coverage = async || -> Vec<Value> {
        let plot = shop.get("/dashboard/catalogs/shop/plots/coverage").await.body;
        serde_json::from_str::<Value>(&plot).unwrap()["data"][0]["y"].as_array().unwrap().clone()
    };
    assert!((coverage().await[23].as_f64().unwrap() - distinct / 301.0).abs() < 1e-5, "all that there is");
    let now = bandit::hour_of(shop.house.now);
    let kept = &shop.house.stores.list_hours;
    let before = store::ListHour { hour: now - 1, ..kept.list_hours(None, now..now + 1).await.unwrap().remove(0) };
    kept.keep_list_hours("another", &[before]).await.unwrap();
    let y = coverage().await;
    assert!(y[22].is_number() && y[23].is_null(), "an hour that has just begun is no fall: {y:?}");
}

#[tokio::test]
async fn items_are_found_paged_and_related_as_the_api_says() {
    let shop = Shop::open().await;
    shop.fill("shop", 100, json!({})).await;
    let (mut found, mut uri) = (Vec::new(), "/dashboard/catalogs/shop".to_owned());
    loop {
        let rows = shop.table(&uri, "items").await;
        let page = shop.get(&uri).await.body;
        assert_in_order(&page[page.find("<h2 id=\"items\"").unwrap()..], &ids(&rows));
        assert!(page.contains("<data value=\"100\">100</data> live items"));
        found.extend(ids(&rows).into_iter().map(str::to_owned));
        let Some((_, rest)) = page.split_once("rel=\"next\" href=\"") else { break };
        uri = rest.split('"').next().unwrap().replace("&#38;", "&");
    }
    assert_eq!(found, (0..100).map(|i| format!("sku-{i:04}")).collect::<Vec<_>>());
    assert_eq!(ids(&shop.table("/dashboard/catalogs/shop?q=sku-005", "items").await).len(), 10);
    assert_eq!(
        ids(&shop.table("/dashboard/catalogs/shop?tag=shelf-1&q=sku-000", "items").await),
        ["sku-0001", "sku-0004", "sku-0007"]
    );
    assert!(shop.get("/dashboard/catalogs/shop?q=nothing").await.body.contains("No live item is like that"));
    let near = shop.table("/dashboard/catalogs/shop?near=sku-0001", "items").await;
    let search = json!({"vector": vector(1), "k": 40, "exclude": ["sku-0001"]}).to_string();
    let told = shop.call("POST", "/v1/catalogs/shop/search", search).await;
    assert_eq!(ids(&near), ids(told["items"].as_array().unwrap()));
    let related = shop.table("/dashboard/catalogs/shop/item?item=sku-0001", "related").await;
    let told = shop.call("GET", "/v1/catalogs/shop/items/sku-0001/related", String::new()).await;
    assert_eq!(ids(&related), ids(told["items"].as_array().unwrap()));
    for (mine, theirs) in related.iter().zip(told["items"].as_array().unwrap()) {
        assert_eq!(mine["score"], theirs["score"]);
    }
    let page = shop.get("/dashboard/catalogs/shop/item?item=sku-0001").await.body;
    assert!(
        page.contains("Thing 1&#34;") && page.contains("shelf-1") && page.contains("2026-11-21 10:00:00"),
        "{page}"
    );
}

/// The map places what the projection places, and shows who is asked for.
#[tokio::test]
async fn the_map_is_the_projection() {
    let shop = Shop::open().await;
    shop.fill("shop", 90, json!({})).await;
    shop.view("u1", &["sku-0003", "sku-0006"]).await;
    let empty = shop.get("/dashboard/catalogs/shop/plots/map").await.body;
    assert!(empty.contains("The updater has not drawn it yet."), "{empty}");
    let plane = shop.draw("shop").await;
    let figure = async |query: &str| -> Value {
        serde_json::from_str(&shop.get(&format!("/dashboard/catalogs/shop/plots/map{query}")).await.body).unwrap()
    };
    let all = figure("").await;
    let names: Vec<&str> = all["data"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["shelf-0", "shelf-1", "shelf-2"]);
    let symbols: BTreeSet<&str> =
        all["data"].as_array().unwrap().iter().map(|t| t["marker"]["symbol"].as_str().unwrap()).collect();
    assert_eq!(symbols.len(), 3, "colour is not the only mark");
    let candidates = shop.house.shelf.get("shop").unwrap();
    let check = |trace: &Value| {
        for (i, id) in trace["text"].as_array().unwrap().iter().enumerate() {
            let at = plane.place(&candidates.vector(id.as_str().unwrap()).unwrap()).unwrap();
            let (x, y) = (trace["x"][i].as_f64().unwrap(), trace["y"][i].as_f64().unwrap());
            assert!((x - at[0]).abs() < 1e-5 && (y - at[1]).abs() < 1e-5, "{id}");
        }
        trace["text"].as_array().unwrap().len()
    };
    assert_eq!(all["data"].as_array().unwrap().iter().map(check).sum::<usize>(), 90);
    let visitor = figure("?user=u1&k=7").await;
    let trace = |name: &str| visitor["data"].as_array().unwrap().iter().find(|t| t["name"] == name).unwrap();
    assert_eq!((check(trace("Looked at")), check(trace("In the list"))), (2, 7));
    assert_eq!(trace("Their vector")["x"].as_array().unwrap().len(), 1);
    let item = figure("?item=sku-0001").await;
    assert!(
        item["data"].as_array().unwrap().iter().any(|t| t["name"] == "This item" && t["text"] == json!(["sku-0001"]))
    );
    let both = plane.explained[0] + plane.explained[1];
    for page in ["", "/visitors?user=u1", "/item?item=sku-0001"] {
        let body = shop.get(&format!("/dashboard/catalogs/shop{page}")).await.body;
        assert!(
            body.contains(&format!("<data value=\"{both}\">"))
                && body.contains("data-plot=\"/dashboard/catalogs/shop/plots/map")
        );
    }
}

/// Names may hold anything, and are shown as text; a page with its plots stays small.
#[tokio::test]
async fn hostile_names_are_text_and_pages_stay_small() {
    let shop = Shop::open().await;
    let long = |i: usize| format!("{HOSTILE}{i:03}{}", "靴".repeat(60));
    let encoded = |name: &str| -> String {
        name.bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect()
    };
    let catalog = long(0);
    assert!(catalog.len() > 200 && catalog.len() <= 256);
    let path = format!("/v1/catalogs/{}", encoded(&catalog));
    shop.call("PUT", &path, json!({"dimension": 8}).to_string()).await;
    let lines: String = (0..1_200)
        .map(|i| {
            let tags: Vec<String> = (0..8).map(|t| long(i % 7 + t)).collect();
            format!(
                "{}\n",
                json!({"id": long(i), "vector": vector(i), "tags": tags, "payload": "</script><b>".repeat(200)})
            )
        })
        .collect();
    let receipt = shop.call("PUT", &format!("{path}/items"), lines).await;
    assert_eq!(receipt["accepted"], 1_200, "{}", &receipt.to_string()[..300]);
    let (user, items) = (long(1), [long(5), long(6), long(700)]);
    shop.view(&user, &items.each_ref().map(String::as_str)).await;
    shop.call("GET", &format!("{path}/recommendations?user={}", encoded(&user)), String::new()).await;
    shop.app.flush().await.unwrap();
    shop.draw(&catalog).await;
    let base = format!("/dashboard/catalogs/{}", encoded(&catalog));
    let visitor = format!("{base}/visitors?user={}", encoded(&user));
    let one = format!("{base}/item?item={}", encoded(&long(5)));
    let plots = ["lists", "coverage", "distance", "freshness", "map"].map(|p| format!("{base}/plots/{p}"));
    for (page, plots) in [
        ("/dashboard/catalogs".to_owned(), vec![]),
        (base.clone(), plots.to_vec()),
        (format!("{base}?near={}", encoded(&long(5))), plots.to_vec()),
        (visitor, vec![format!("{base}/plots/map?user={}&k=10", encoded(&user))]),
        (one, vec![format!("{base}/plots/map?item={}", encoded(&long(5)))]),
    ] {
        let body = shop.get(&page).await.body;
        assert!(!body.contains("<b>") && !body.contains("</script><b>"), "{page}");
        assert!(body.contains("<bdi>&#60;b&#62;\u{202e}靴&#38;&#34;&#39;/?#%../=1+1000"), "{page}: {body}");
        let mut size = body.len();
        for plot in &plots {
            let figure = shop.get(plot).await.body;
            assert!(!figure.contains("<b>"), "{plot}");
            size += figure.len();
        }
        assert!(size <= 300 << 10, "{page}: {size} bytes");
        // Links lead where they say.
        for link in body.split("href=\"/dashboard/catalogs/").skip(1).take(12) {
            let link = link.split('"').next().unwrap().replace("&#38;", "&");
            shop.get(&format!("/dashboard/catalogs/{link}")).await;
        }
    }
    let csv = shop.get(&format!("{base}?table=items")).await;
    assert!(csv.headers["content-disposition"].to_str().unwrap().contains("catalog-items.csv"));
}

/// What is kept and cannot be read is told on its catalog's page.
#[tokio::test]
async fn unreadable_items_are_told() {
    let shop = Shop::open().await;
    shop.fill("plain", 3, json!({})).await;
    assert!(!shop.get("/dashboard/catalogs/plain").await.body.contains("id=\"unreadable\""));
    let candidates = shop.house.shelf.get("plain").unwrap();
    assert!(candidates.leave_out(HOSTILE, "it is <cut> off"));
    let page = shop.get("/dashboard/catalogs/plain").await.body;
    for text in ["items are kept and cannot be read", "it is &#60;cut&#62; off"] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

/// A catalog that makes vectors of texts says how far it is, and what was set aside is tried again by a button.
#[tokio::test]
async fn vectors_of_texts_are_told_and_tried_again() {
    let shop = Shop::open().await;
    shop.fill("plain", 1, json!({})).await;
    assert!(!shop.get("/dashboard/catalogs/plain").await.body.contains("id=\"vectors\""));
    let embedder = json!({"kind": "static", "model": "two"});
    let serving = json!({"embedder": {"kind": "static", "model": "one"}, "version": "static:1f", "dimension": 3});
    let definition = serde_json::from_value(json!({"dimension": 4, "embedder": embedder, "serving": serving})).unwrap();
    let (stores, now) = (&shop.house.stores, shop.house.now);
    stores.catalogs.put_catalog(&store::Catalog { id: "texts".into(), definition }).await.unwrap();
    shop.house.shelf.catch_up(&*stores.catalogs, &At(now)).await.unwrap();
    let work = &stores.vector_work;
    work.note(&[("texts".into(), vec![HOSTILE.into(), "b".into()])], 1, now).await.unwrap();
    let due = work.due("texts", now, 1).await.unwrap();
    work.fail("texts", &due, "it cannot be <read>", None, now).await.unwrap();
    work.trouble("texts", Some("there is no model 'two'")).await.unwrap();
    let page = shop.get("/dashboard/catalogs/texts").await.body;
    for text in ["static:1f", "static two", "it cannot be &#60;read&#62;", "there is no model", "Try all of them again"]
    {
        assert!(page.contains(text), "{text} in {page}");
    }
    let post = |person: &str, body: &'static str| {
        let request = Request::post("/dashboard/catalogs/texts/retry").header("host", "shop.example:8080");
        let request = request.header("content-type", "application/x-www-form-urlencoded").header("x-person", person);
        shop.house.send(request.body(Body::from(body)).unwrap())
    };
    assert_eq!(post("viewer", "csrf=unguarded").await.status, StatusCode::FORBIDDEN);
    assert_eq!(post("tester", "csrf=other").await.status, StatusCode::FORBIDDEN);
    assert_eq!(work.standing("texts", 9).await.unwrap().set_aside, 1);
    assert_eq!(post("tester", "csrf=unguarded").await.status, StatusCode::SEE_OTHER);
    assert_eq!(work.standing("texts", 9).await.unwrap().set_aside, 0);
    assert!(
        shop.get("/dashboard/catalogs/texts?done=retried").await.body.contains("They wait for their vectors again")
    );
}
