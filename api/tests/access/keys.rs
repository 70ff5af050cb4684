//! Keys: where they are looked for, how they are refused, how often they may ask, how soon they end.

use crate::support::{beside_with, start, start_with};
use crate::{ASK, page};
use api::Access;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::time::Duration;
use store::{NewKey, Scope};

#[tokio::test]
async fn keys_are_taken_from_where_clients_put_them() {
    let api = start_with(Access::keys()).await;
    let (admin, _) = api.key(NewKey::new("ops", Scope::Admin, [0; 32])).await;
    let (decide, _) = api.key(NewKey::new("server", Scope::Decide, [0; 32])).await;
    let bearer = |key: &str| format!("Bearer {key}");
    let (by_admin, by_decide) = (bearer(&admin), format!("bearer  {decide}"));
    assert_eq!(api.ask("POST", "/v1/experiments", &[("x-api-key", &admin)], &page().to_string()).await.status, 201);
    assert_eq!(api.ask("POST", "/v1/experiments/page/start", &[("authorization", &by_admin)], "").await.status, 200);
    for (path, headers, status) in [
        ("", vec![("authorization", &*by_decide)], 200),
        ("", vec![("x-api-key", &*decide)], 200),
        ("", vec![("x-api-key", &*admin)], 200),
        ("", vec![], 401),
        ("", vec![("x-api-key", "ck_wrong")], 401),
        ("", vec![("authorization", &*decide)], 401),
        // What says who asks is believed as it stands: no second look for another key.
        ("", vec![("authorization", "Bearer ck_wrong"), ("x-api-key", &*decide)], 401),
        (&*format!("?key={decide}"), vec![], 200),
        (&*format!("?key={admin}"), vec![], 403),
        ("?key=", vec![], 401),
    ] {
        let at =
            if path.is_empty() { "/v1/decide".to_owned() } else { format!("/v1/decide{path}&experiment=page&user=u") };
        let method = if path.is_empty() { "POST" } else { "GET" };
        let answer = api.ask(method, &at, &headers, ASK).await;
        assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.body);
        if status != 200 {
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(
                (&answer.body["status"], answer.body["type"].as_str().unwrap()),
                (&json!(status), "about:blank")
            );
            assert_eq!(answer.body["request_id"], answer.header("x-request-id"), "to ask for by name");
            assert!(!answer.body.to_string().contains("ck_"), "no secret in an answer: {}", answer.body);
        }
        assert_eq!(answer.header("www-authenticate"), if status == 401 { "Bearer" } else { "" });
    }
    assert!(!format!("{:?}", Access::keys()).contains('['), "no hash in what is logged");
}

/// Nobody needs a key on a loopback address. One that is sent is no decoration: whoever mistyped it learns it there.
#[tokio::test]
async fn where_no_key_is_needed_one_that_is_sent_must_be_valid() {
    let api = start().await;
    let (admin, id) = api.key(NewKey::new("ops", Scope::Admin, [0; 32])).await;
    let (decide, _) = api.key(NewKey::new("server", Scope::Decide, [0; 32])).await;
    api.run(&page()).await;
    let bearer = |key: &str| format!("Bearer {key}");
    let (by_admin, by_decide, wrong) = (bearer(&admin), bearer(&decide), bearer("ck_wrong"));
    let status = async |method: &str, at: &str, headers: &[(&str, &str)]| {
        let answer = api.ask(method, at, headers, if method == "POST" { ASK } else { "" }).await;
        if answer.status == 401 {
            assert!(answer.body["detail"].as_str().unwrap().contains("or none"), "what to do: {}", answer.body);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        answer.status
    };
    for (headers, deciding, administering) in [
        (vec![], 200, 200),
        (vec![("authorization", &*wrong)], 401, 401),
        (vec![("x-api-key", "ck_wrong")], 401, 401),
        (vec![("authorization", &*by_decide)], 200, 403),
        (vec![("authorization", &*by_admin)], 200, 200),
        // Empty, as a variable that is not set.
        (vec![("authorization", "Bearer ")], 200, 200),
    ] {
        assert_eq!(status("POST", "/v1/decide", &headers).await, deciding, "{headers:?}");
        assert_eq!(status("GET", "/v1/experiments", &headers).await, administering, "{headers:?}");
    }
    let by_get = async |key: &str| status("GET", &format!("/v1/decide?experiment=page&user=u&key={key}"), &[]).await;
    assert_eq!((by_get("ck_wrong").await, by_get(&decide).await, by_get("").await), (401, 200, 200));
    // With a key, too, other sites are refused where none is needed.
    let rebound = [("authorization", &*by_admin), ("host", "evil.example")];
    assert_eq!(status("GET", "/v1/experiments", &rebound).await, 403);
    let exported = [("authorization", &*by_admin)];
    assert_eq!(status("GET", "/v1/users/u/data", &exported).await, 200);
    let entry = &api.call("GET", "/v1/audit", "").await.1["entries"][0];
    assert_eq!((&entry["action"], &entry["who"]), (&json!("user.export"), &json!("ops")), "by the key's name");
    api.stores.keys.revoke_key(id, api.clock_now()).await.unwrap();
    api.app.refresh().await.unwrap();
    assert_eq!(status("GET", "/v1/experiments", &exported).await, 401, "revoked");
}

/// Two replicas on one database that look for changes by themselves, as they do when they serve.
#[tokio::test]
async fn a_revoked_key_ends_on_every_replica() {
    let api = start_with(Access::keys()).await;
    let (secret, id) = api.key(NewKey::new("server", Scope::Decide, [0; 32])).await;
    let other = beside_with(&api, Access::keys()).await;
    let key = [("x-api-key", &*secret)];
    // It is let in, and then there is no such experiment.
    let status = async |api: &crate::support::Api| api.ask("POST", "/v1/decide", &key, ASK).await.status;
    assert_eq!((status(&api).await, status(&other).await), (404, 404));
    let following = [tokio::spawn(api.app.clone().keep_fresh()), tokio::spawn(other.app.clone().keep_fresh())];
    api.stores.keys.revoke_key(id, api.clock_now()).await.unwrap();
    // Five seconds is what is promised; they look twice a second.
    let ended = tokio::time::timeout(Duration::from_secs(5), async {
        while (status(&api).await, status(&other).await) != (401, 401) {
            tokio::task::yield_now().await;
        }
    });
    ended.await.unwrap();
    following.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_key_asks_as_often_as_it_may() {
    let api = start_with(Access::keys()).await;
    let origins = ["https://shop.example".to_owned()];
    let limited = NewKey { per_minute: Some(3), origins: &origins, ..NewKey::new("shop", Scope::Decide, [0; 32]) };
    let (secret, _) = api.key(limited).await;
    let (free, _) = api.key(NewKey::new("server", Scope::Decide, [0; 32])).await;
    let headers = [("x-api-key", &*secret), ("origin", "https://shop.example")];
    let ask = async || api.ask("POST", "/v1/decide", &headers, ASK).await;
    for n in 0..3 {
        assert_eq!(ask().await.status, 404, "{n}");
    }
    let refused = ask().await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "20"));
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.header("access-control-allow-origin"), "https://shop.example", "a page reads how long to wait");
    assert!(refused.header("access-control-expose-headers").contains("retry-after"));
    for _ in 0..10 {
        assert_eq!(
            api.ask("POST", "/v1/decide", &[("x-api-key", &*free)], ASK).await.status,
            404,
            "others are not held up"
        );
    }
    // Being refused costs nothing, and what is known of a key outlives a look at the keys.
    api.key(NewKey::new("another", Scope::Decide, [0; 32])).await;
    assert_eq!(ask().await.status, 429);
    api.clock.set("2026-11-21T10:00:20Z");
    assert_eq!((ask().await.status, ask().await.status), (404, 429), "who waits that long is let in, once");
}

#[tokio::test]
async fn when_a_key_was_used_is_known_to_the_hour() {
    let api = start_with(Access::keys()).await;
    let (secret, id) = api.key(NewKey::new("server", Scope::Decide, [0; 32])).await;
    let used = async || {
        api.app.refresh().await.unwrap();
        api.stores.keys.list_keys().await.unwrap().into_iter().find(|k| k.id == id).unwrap().used_at
    };
    let ask = async || api.ask("POST", "/v1/decide", &[("x-api-key", &*secret)], ASK).await.status;
    assert_eq!(used().await, None);
    let hour: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    for (at, expected) in [("10:59:59", hour), ("10:00:01", hour), ("11:30:00", hour + SignedDuration::from_hours(1))] {
        api.clock.set(&format!("2026-11-21T{at}Z"));
        ask().await;
        assert_eq!(used().await, Some(expected), "{at}");
    }
    assert_eq!(api.ask("POST", "/v1/decide", &[("x-api-key", "ck_wrong")], ASK).await.status, 401);
    api.clock.set("2026-11-21T12:00:00Z");
    assert_eq!(used().await, Some(hour + SignedDuration::from_hours(1)), "nobody used it");
}

#[tokio::test]
async fn each_answer_has_a_name() {
    let api = start().await;
    let mut seen = std::collections::BTreeSet::new();
    for (method, path) in [
        ("POST", "/v1/decide"),
        ("GET", "/v1/decide"),
        ("PUT", "/v1/decide"),
        ("OPTIONS", "/v1/decide"),
        ("GET", "/v1/experiments"),
        ("GET", "/v1/experiments/none"),
        ("GET", "/healthz"),
        ("GET", "/nowhere"),
    ] {
        let own = api.ask(method, path, &[], "").await;
        assert!(seen.insert(own.header("x-request-id").to_owned()), "{method} {path}: {:?}", own.headers);
        assert!(own.header("x-request-id").len() > 16, "{method} {path}");
        if own.status >= 400 {
            assert_eq!(own.body["request_id"], own.header("x-request-id"), "{method} {path}");
        }
        let given = api.ask(method, path, &[("x-request-id", "trace-1/a")], "").await;
        assert_eq!(given.header("x-request-id"), "trace-1/a", "{method} {path}");
        for odd in ["", "a b", "a\tb", &"x".repeat(129)] {
            let made = api.ask(method, path, &[("x-request-id", odd)], "").await;
            assert!(made.header("x-request-id").len() > 16 && made.header("x-request-id") != odd, "{odd}");
        }
    }
}
