//! Every call of an administrator that changes something can be read in the audit log.

use crate::page;
use crate::support::start_with;
use api::Access;
use serde_json::{Value, json};
use store::{NewKey, Scope};

#[tokio::test]
async fn each_change_names_who_and_at_which_request() {
    let api = start_with(Access::keys()).await;
    let (admin, _) = api.key(NewKey::new("ops", Scope::Admin, [0; 32])).await;
    let mut expected = Vec::new();
    for (n, (method, path, body, action, subject)) in [
        ("POST", "/v1/experiments", page().to_string(), "create", "page"),
        ("POST", "/v1/experiments/page/start?reason=Advent", String::new(), "running", "page"),
        ("PUT", "/v1/catalogs/shop", r#"{"dimension": 1}"#.into(), "catalog.put", "shop"),
        (
            "PUT",
            "/v1/catalogs/shop/items",
            r#"[{"id": "i", "vector": [1]}, {"id": "j", "vector": [1]}]"#.into(),
            "items.put",
            "shop",
        ),
        ("DELETE", "/v1/catalogs/shop/items/i", String::new(), "items.delete", "shop"),
        ("DELETE", "/v1/catalogs/shop", String::new(), "catalog.delete", "shop"),
        ("DELETE", "/v1/users/somebody", String::new(), "user.erase", ""),
        ("POST", "/v1/experiments/page/stop", String::new(), "stopped", "page"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("request-{n}");
        let headers = [("x-api-key", &*admin), ("x-request-id", &*id)];
        let answer = api.ask(method, path, &headers, &body).await;
        assert!(answer.status < 300, "{method} {path}: {}", answer.body);
        expected.push((id, action, subject));
    }
    // What reads, repeats or fails changes nothing.
    for (method, path, body) in [
        ("GET", "/v1/experiments", ""),
        ("POST", "/v1/experiments/page/start", ""),
        ("DELETE", "/v1/catalogs/none", ""),
        ("PUT", "/v1/catalogs/shop", "nonsense"),
    ] {
        api.ask(method, path, &[("x-api-key", &admin)], body).await;
    }
    let read = async |query: &str| {
        let answer = api.ask("GET", &format!("/v1/audit{query}"), &[("x-api-key", &admin)], "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    };
    let log = read("").await;
    let entries: Vec<&Value> = log["entries"].as_array().unwrap().iter().rev().collect();
    assert_eq!((entries.len(), log.get("next")), (expected.len(), None), "{log}");
    for (entry, (id, action, subject)) in entries.iter().zip(&expected) {
        assert_eq!((&entry["who"], &entry["request"], &entry["action"]), (&json!("ops"), &json!(id), &json!(action)));
        let named = if entry["experiment"] == "" { &entry["subject"] } else { &entry["experiment"] };
        assert!(named == subject || *action == "user.erase", "{entry}");
        assert_eq!(entry["at"], "2026-11-21T10:00:00Z");
    }
    assert_eq!(entries[1]["why"], "Advent");
    assert_eq!(entries[3]["document"], json!({"accepted": 2, "first": ["i", "j"]}), "a line for all of them");
    assert!(!log.to_string().contains("somebody"), "who was erased is not named: {log}");

    let of_page = read("?experiment=page").await;
    assert_eq!(of_page["entries"].as_array().unwrap().len(), 3);
    let (mut paged, mut next) = (Vec::new(), String::new());
    loop {
        let some = read(&format!("?limit=3{next}")).await;
        paged.extend(some["entries"].as_array().unwrap().iter().map(|e| e["id"].as_i64().unwrap()));
        let Some(before) = some.get("next") else { break };
        next = format!("&before={before}");
    }
    let all: Vec<i64> = entries.iter().rev().map(|e| e["id"].as_i64().unwrap()).collect();
    assert_eq!(paged, all);
    assert_eq!(api.ask("GET", "/v1/audit?limit=0", &[("x-api-key", &admin)], "").await.status, 400);
}
