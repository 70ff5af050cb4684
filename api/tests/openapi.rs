//! The OpenAPI document: complete, and true of real answers where it is easy to be wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::start;

#[tokio::test]
async fn every_operation_is_named_once_and_every_answer_described() {
    let api = start().await;
    let (status, document) = api.call("GET", "/openapi.json", "").await;
    assert_eq!(status, 200);
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} is used twice");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let place = if path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap())) {
                    "path"
                } else {
                    "query"
                };
                assert_eq!(parameter["in"], place, "{method} {path}: {parameter}");
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(!response["description"].as_str().unwrap().is_empty(), "{method} {path} {status}");
                let is_problem = status.as_str() >= "400" && !["/readyz", "/healthz"].contains(&path.as_str());
                assert_eq!(
                    response["content"].get("application/problem+json").is_some(),
                    is_problem,
                    "{method} {path} {status}"
                );
            }
        }
    }
    assert_eq!(ids.len(), 30);
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
            "arms_left_out",
            "candidates",
            "max_per_tag",
            "experiment",
            "posterior_version",
            "dealt_by",
            "serving",
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
