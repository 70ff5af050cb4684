//! The OpenAPI document: complete, and true of real answers where it is easy to be wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod examples;
mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::start;

/// What the server takes whatever the key, and answers by itself.
const OPEN: [&str; 7] =
    ["/readyz", "/healthz", "/openapi.json", "/docs", "/client.js", "/client.d.ts", "/client.script.js"];

#[tokio::test]
async fn every_operation_is_described_with_its_errors_and_an_example_of_everything() {
    let api = start().await;
    let (status, document) = api.call("GET", "/openapi.json", "").await;
    assert_eq!(status, 200);
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{id} is used twice");
        let words = ["summary", "description"].map(|name| operation[name].as_str().unwrap_or_default());
        assert!(words.iter().any(|w| w.len() > 5), "{place} has no description");
        assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{place} has no tag");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.clone() {
            let name = parameter["name"].as_str().unwrap();
            let within = if path.contains(&format!("{{{name}}}")) { "path" } else { "query" };
            assert!([within, "header"].contains(&parameter["in"].as_str().unwrap()), "{place}: {parameter}");
            let optional = parameter["required"] != json!(true);
            assert!(optional || !parameter["example"].is_null(), "{place}: no example of {name}");
        }
        let mut needed = BTreeSet::new();
        if !OPEN.contains(&path) {
            needed.extend(["401", "403", "429", "500", "503"]);
        }
        let body = operation.get("requestBody");
        if body.is_some() {
            needed.extend(["400", "413"]);
        }
        for parameter in parameters {
            needed.extend((parameter["in"] != "header").then_some("400"));
        }
        for (kind, media) in body.and_then(|b| b["content"].as_object()).into_iter().flatten() {
            assert!(!media["example"].is_null(), "{place}: no example of a request as {kind}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            needed.remove(status.as_str());
            assert!(!response["description"].as_str().unwrap().is_empty(), "{place} {status}");
            for (kind, media) in response["content"].as_object().into_iter().flatten() {
                assert!(!media["example"].is_null(), "{place}: no example of {status} as {kind}");
            }
            let own_form = OPEN.contains(&path) || path.starts_with("/ofrep/");
            let is_problem = response["content"].get("application/problem+json").is_some();
            assert!(own_form || is_problem == (status.as_str() >= "400"), "{place} {status}");
            let waits = ["429", "503"].contains(&status.as_str());
            assert!(own_form || !waits || response["headers"]["Retry-After"].is_object(), "{place} {status}");
        }
        assert!(needed.is_empty(), "{place} may answer {needed:?} too");
    }
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, o)| (path.as_str(), method.as_str(), o))
    })
}

/// Each path that the code routes is in the document, and each operation of the document is routed.
#[tokio::test]
async fn the_document_and_the_router_know_the_same_routes() {
    let api = start().await;
    let document = api.call("GET", "/openapi.json", "").await.1;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut routed) = (vec![folder], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|e| e == "rs") {
                let code = std::fs::read_to_string(entry).unwrap();
                let paths = code.split(".route(").skip(1).filter_map(|rest| rest.split('"').nth(1));
                routed.extend(paths.map(ToOwned::to_owned));
            }
        }
    }
    assert!(routed.len() > 20, "{routed:?}");
    for path in &routed {
        // What the page is made of is no one's to call.
        assert!(document["paths"].get(path).is_some() || path.starts_with("/docs/"), "{path} is not in the document");
    }
    for (path, method, operation) in operations(&document) {
        let mut uri = path.to_owned();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            uri = uri.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), "none");
        }
        let request = axum::http::Request::builder().method(method.to_uppercase().as_str()).uri(uri);
        let (status, _, body) = api.send(request.body(axum::body::Body::empty()).unwrap()).await;
        let text = String::from_utf8_lossy(&body);
        assert!(status != 405 && !text.contains("there is nothing at"), "{method} {path}: {text}");
    }
}

/// Names that an object schema knows, following references.
fn known(document: &Value, schema: &str) -> BTreeSet<String> {
    document["components"]["schemas"][schema]["properties"].as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn answers_have_the_fields_of_their_schemas() {
    let api = start().await;
    api.run(&json!({"id": "page", "arms": [{"id": "a"}, {"id": "b"}], "reward": {"event": "buy"}, "holdout": 0.1}))
        .await;
    let document = api.call("GET", "/openapi.json", "").await.1;
    let decision = api.post("/v1/decide", &json!({"experiment": "page", "user": "u"})).await.1;
    let record = api.call("GET", "/v1/experiments/page", "").await.1;
    let results = api.call("GET", "/v1/experiments/page/results", "").await.1;
    let problem = api.call("GET", "/v1/experiments/none", "").await.1;
    api.call("PUT", "/v1/catalogs/shop", r#"{"dimension": 1}"#).await;
    api.call("PUT", "/v1/catalogs/shop/items", r#"{"id": "i", "vector": [1]}"#).await;
    let catalog = api.call("GET", "/v1/catalogs/shop", "").await.1;
    let list = api.call("GET", "/v1/catalogs/shop/recommendations?user=u", "").await.1;
    for (answer, schema) in [
        (&catalog, "CatalogRecord"),
        (&list, "Recommendations"),
        (&decision, "Decision"),
        (&record, "ExperimentRecord"),
        (&results, "Results"),
        (&results["arms"][0], "ArmResult"),
        (&problem, "Problem"),
    ] {
        let sent: BTreeSet<String> = answer.as_object().unwrap().keys().cloned().collect();
        let optional: BTreeSet<String> = [
            "errors",
            "request_id",
            "arms_left_out",
            "one_for_all",
            "candidates",
            "max_per_tag",
            "experiment",
            "posterior_version",
            "dealt_by",
            "serving",
            "unreadable",
        ]
        .map(String::from)
        .into();
        for field in document["components"]["schemas"][schema]["required"].as_array().unwrap() {
            assert!(sent.contains(field.as_str().unwrap()), "{schema} requires {field}: {answer}");
        }
        assert_eq!(&sent | &optional, &known(&document, schema) | &optional, "{schema}");
    }
    assert_eq!(
        document["components"]["schemas"]["Decision"]["properties"]["payload"].get("type"),
        None,
        "any JSON, null too"
    );
}
