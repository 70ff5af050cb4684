//! What holds for every page: nothing to complain of in the console, no barrier, no sideways scrolling.

use crate::browser::{Browser, Look, axe};
use crate::support::{Server, five_arms};
use reqwest::Method;
use serde_json::{Value, json};

/// Every page, with something on it.
const PAGES: &[&str] = &[
    "/dashboard",
    "/dashboard?q=nothing-like-it",
    "/dashboard/new",
    "/dashboard/new?copy=page",
    "/dashboard/experiments/draft",
    "/dashboard/experiments/page",
    "/dashboard/experiments/page?version=1&days=7",
    "/dashboard/experiments/page?segment=device%3Dmobile",
    "/dashboard/experiments/page/edit",
    "/dashboard/experiments/page/stop",
    "/dashboard/experiments/draft/delete",
    "/dashboard/experiments/page/what-if",
    "/dashboard/decisions",
    "/dashboard/decisions?experiment=page&arm=a",
    "/dashboard/decisions?experiment=unknown",
    "/dashboard/catalogs",
    "/dashboard/catalogs/shop",
    "/dashboard/catalogs/shop?tag=shelf&hours=168",
    "/dashboard/catalogs/shop?near=sku-1",
    "/dashboard/catalogs/shop/item?item=sku-1",
    "/dashboard/catalogs/shop/visitors",
    "/dashboard/catalogs/shop/visitors?user=u1",
    "/dashboard/catalogs/shop/visitors?user=nobody",
    "/dashboard/planner",
    "/dashboard/pipeline",
    "/dashboard/audit",
    "/dashboard/audit?experiment=unknown",
    "/dashboard/experiments/nothing",
];

fn visit(n: u32) -> Value {
    let device = if n.is_multiple_of(2) { "mobile" } else { "desktop" };
    json!({"experiment": "page", "user": format!("u{n}"), "context": {"device": device}})
}

/// A catalog of three shelves, and a visitor with views and lists.
async fn catalog(server: &Server) {
    server.expect(Method::PUT, "/v1/catalogs/shop", Some(&json!({"dimension": 4, "max_per_tag": 2})), 201).await;
    let item = |n: usize| {
        let mut vector = [0.1 + 0.01 * f64::from(u32::try_from(n * 7 % 13).unwrap()); 4];
        vector[n % 3] = 1.0;
        json!({"id": format!("sku-{n}"), "vector": vector, "tags": [format!("shelf-{}", n % 3)],
            "payload": {"name": format!("Thing {n}")}})
    };
    let items = Value::Array((0..60).map(item).collect());
    server.expect(Method::PUT, "/v1/catalogs/shop/items", Some(&items), 200).await;
    for item in ["sku-3", "sku-4"] {
        server.post("/v1/events", &json!({"type": "view", "user": "u1", "item": item})).await;
    }
    for user in ["u1", "u2"] {
        server.expect(Method::GET, &format!("/v1/catalogs/shop/recommendations?user={user}"), None, 200).await;
    }
}

/// A server with a little past.
async fn house(dir: &std::path::Path) -> (Server, String) {
    let server = Server::start(dir, &[]);
    server.expect(Method::POST, "/v1/experiments", Some(&five_arms("draft")), 201).await;
    let mut definition = five_arms("page");
    (definition["segment_by"], definition["holdout"]) = (json!(["device"]), json!(0.1));
    definition["guardrails"] = json!([{"event": "error", "max_rate": 0.05}]);
    server.run(&definition).await;
    for n in 0..60 {
        let decision = server.post("/v1/decide", &visit(n)).await;
        if n % 3 == 0 {
            let id = &decision["decision_id"];
            server.post("/v1/events", &json!({"type": "reward", "name": "buy", "decision_id": id})).await;
        }
    }
    catalog(&server).await;
    server.update("page").await;
    let first = server.post("/v1/decide", &visit(0)).await;
    (server, first["decision_id"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_have_no_errors_and_no_barriers() {
    let Some(axe) = axe() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (server, decision) = house(dir.path()).await;
    for look in [Look::DESK, Look::DESK.dark().japanese(), Look::PHONE.japanese(), Look::PHONE.dark()] {
        let Some(browser) = Browser::open(look).await else { return };
        let mut wrong = Vec::new();
        let one = format!("/dashboard/decisions/{decision}");
        for page in PAGES.iter().copied().chain([one.as_str()]) {
            browser.goto(&format!("{}{page}", server.base)).await.unwrap();
            browser.until_drawn().await;
            // The browser itself reports the answer of a page that is not there, or not understood.
            let refused = page.ends_with("/nothing") || page.ends_with("=unknown");
            let complaints =
                browser.complaints().await.into_iter().filter(|c| !(refused && c.contains("status of 40")));
            wrong.extend(complaints.map(|c| format!("{page}: console: {c}")));
            wrong.extend(browser.barriers(&axe).await.into_iter().map(|b| format!("{page}: {b}")));
            wrong.extend(browser.cut().await.into_iter().map(|c| format!("{page}: {c}")));
            wrong.extend(browser.overflowing().await.into_iter().map(|e| format!("{page}: scrolls sideways: {e}")));
        }
        assert!(wrong.is_empty(), "{look:?}:\n{}", wrong.join("\n"));
    }
}
