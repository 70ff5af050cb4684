//! What a thief can do with the key that every visitor can read in a page.

use crate::support::{Api, start_with};
use crate::{ASK, page};
use api::Access;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::{NewKey, Scope};

/// All that a decide key opens. Whoever adds a route for pages adds it here.
const OF_PAGES: [(&str, &str); 9] = [
    ("get", "/v1/decide"),
    ("post", "/v1/decide"),
    ("post", "/v1/decide/batch"),
    ("post", "/v1/events"),
    ("get", "/v1/catalogs/{catalog}/recommendations"),
    ("get", "/v1/catalogs/{catalog}/items/{id}/related"),
    ("post", "/v1/catalogs/{catalog}/search"),
    ("post", "/ofrep/v1/evaluate/flags/{key}"),
    ("post", "/ofrep/v1/evaluate/flags"),
];

/// All that nobody needs a key for.
const OF_EVERYBODY: [(&str, &str); 7] = [
    ("get", "/docs"),
    ("get", "/openapi.json"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/client.js"),
    ("get", "/client.d.ts"),
    ("get", "/client.script.js"),
];

const ORIGIN: &str = "https://shop.example";

/// An API with an experiment and a catalog, and the keys of an administrator and of a page.
async fn house() -> (Api, String, String) {
    let api = start_with(Access::keys()).await;
    let (admin, _) = api.key(NewKey::new("ops", Scope::Admin, [0; 32])).await;
    let origins = [ORIGIN.to_owned()];
    let (decide, _) = api.key(NewKey { origins: &origins, ..NewKey::new("shop", Scope::Decide, [0; 32]) }).await;
    let bearer = format!("Bearer {admin}");
    let by_admin = [("authorization", &*bearer)];
    for (method, path, body) in [
        ("POST", "/v1/experiments", page().to_string()),
        ("POST", "/v1/experiments/page/start", String::new()),
        ("PUT", "/v1/catalogs/shop", r#"{"dimension": 1}"#.into()),
        ("PUT", "/v1/catalogs/shop/items", r#"{"id": "i", "vector": [1]}"#.into()),
    ] {
        let answer = api.ask(method, path, &by_admin, &body).await;
        assert!(answer.status < 300, "{method} {path}: {}", answer.body);
    }
    (api, admin, decide)
}

/// Each route of the document by each method, with the key in each place that takes one: refused, unless it is a page's.
#[tokio::test]
async fn a_page_key_opens_no_route_of_administrators() {
    let (api, admin, decide) = house().await;
    let document = api.ask("GET", "/openapi.json", &[], "").await.body;
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            documented.insert((method.clone(), path.clone()));
        }
    }
    let bearer = format!("Bearer {decide}");
    let places = [
        ("", vec![("authorization", &*bearer), ("origin", ORIGIN)]),
        ("", vec![("x-api-key", &*decide), ("origin", ORIGIN)]),
        (&*format!("?key={decide}"), vec![("origin", ORIGIN)]),
    ];
    let mut refused = 0;
    for (_, path) in &documented {
        for method in ["get", "post", "put", "delete", "patch"] {
            let known = documented.contains(&(method.to_owned(), path.clone()));
            let page = OF_PAGES.contains(&(method, path));
            if OF_EVERYBODY.contains(&(method, path)) {
                continue;
            }
            let at = path
                .replace("{catalog}", "shop")
                .replace("{user}", "u")
                .replace("/items/{id}", "/items/i")
                .replace("{id}", "page")
                .replace("{key}", "page");
            let verb = method.to_uppercase();
            for (n, (query, headers)) in places.iter().enumerate() {
                let status = api.ask(&verb, &format!("{at}{query}"), headers, "{}").await.status;
                match (known, page, n) {
                    (true, true, _) => assert!(![401, 403, 404, 405].contains(&status), "{verb} {at}: {status}"),
                    // A key in the URL is none where an administrator's is needed.
                    (true, false, 2) => assert_eq!(status, 401, "{verb} {at}"),
                    (true, false, _) => {
                        assert_eq!(status, 403, "{verb} {at}");
                        refused += 1;
                    }
                    (false, ..) => assert!([401, 403, 404, 405].contains(&status), "{verb} {at}: {status}"),
                }
            }
            if known {
                assert_eq!(api.ask(&verb, &at, &[], "{}").await.status, 401, "{verb} {at} without a key");
            }
        }
    }
    assert!(refused >= 2 * 20, "{refused}");
    for (method, path) in OF_PAGES {
        assert!(documented.contains(&(method.to_owned(), path.to_owned())), "{method} {path}");
    }
    // All of it is still there: nothing that was refused was done.
    let bearer = format!("Bearer {admin}");
    let record = api.ask("GET", "/v1/experiments/page", &[("authorization", &bearer)], "").await;
    assert_eq!((record.status, &record.body["status"]), (200, &json!("running")));
    assert_eq!(api.ask("GET", "/v1/catalogs/shop/items/i", &[("authorization", &bearer)], "").await.status, 200);
}

/// Of its own pages it does what it is for; of others, and of no page at all, nothing.
#[tokio::test]
async fn a_page_key_is_for_its_pages() {
    let (api, _, decide) = house().await;
    let bearer = format!("Bearer {decide}");
    let key = ("authorization", &*bearer);
    for (headers, status) in [
        (vec![key, ("origin", ORIGIN)], 200),
        (vec![key, ("origin", "https://evil.example")], 403),
        (vec![key, ("origin", "https://shop.example.evil.example")], 403),
        (vec![key, ("origin", "http://shop.example")], 403),
        (vec![key, ("origin", "null")], 403),
        (vec![key], 403),
        // A page's own server: browsers leave the origin away, and say so.
        (vec![key, ("host", "shop.example"), ("sec-fetch-site", "same-origin")], 200),
        (vec![key, ("host", "Shop.Example"), ("sec-fetch-site", "same-origin")], 200),
        (vec![key, ("host", "evil.example"), ("sec-fetch-site", "same-origin")], 403),
        (vec![key, ("host", "shop.example"), ("sec-fetch-site", "cross-site")], 403),
        (vec![key, ("host", "shop.example")], 403),
        (
            vec![key, ("origin", "https://evil.example"), ("host", "shop.example"), ("sec-fetch-site", "same-origin")],
            403,
        ),
    ] {
        let answer = api.ask("POST", "/v1/decide", &headers, ASK).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.body);
    }
    let beacon = json!({"type": "reward", "name": "buy", "user": "u"}).to_string();
    for (origin, status) in [(ORIGIN, 202), ("https://evil.example", 403)] {
        let sent = api.ask("POST", &format!("/v1/events?key={decide}"), &[("origin", origin)], &beacon).await;
        assert_eq!(sent.status, status);
    }
    let accepted: Value = api.stores.events.backlog().await.unwrap().into();
    assert_eq!(accepted, 2, "one decision and one reward");
}
