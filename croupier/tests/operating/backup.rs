//! A backup of a server at work, restored elsewhere, is what was acknowledged before it began.

use crate::support::{Server, croupier, finish, five_arms};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

async fn decide(server: &Server, user: &str) -> Value {
    server.post("/v1/decide", &json!({"experiment": "page", "user": user, "item": "i"})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_server_knows_assignments_posteriors_experiments_and_items() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(dir.path(), &[]);
    server.run(&five_arms("page")).await;
    server.expect(Method::PUT, "/v1/catalogs/shop", Some(&json!({"dimension": 2})), 201).await;
    let items = json!([{"id": "shirt", "vector": [1, 0]}, {"id": "hat", "vector": [0, 1]}]);
    server.expect(Method::PUT, "/v1/catalogs/shop/items", Some(&items), 200).await;
    let mut dealt = Vec::new();
    for n in 0..50 {
        let decision = decide(&server, &format!("u{n}")).await;
        if n % 3 == 0 {
            let reward =
                json!({"id": format!("r{n}"), "type": "reward", "name": "buy", "decision_id": decision["decision_id"]});
            server.post("/v1/events", &reward).await;
        }
        dealt.push(decision);
    }
    server.update("page").await;
    let late = decide(&server, "late").await;
    // Others go on meanwhile.
    let (base, file) = (server.base.clone(), other.path().join("croupier.backup"));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let load = tokio::spawn(async move {
        let client = reqwest::Client::new();
        let mut n = 0;
        while !*stopped.borrow() {
            n += 1;
            let ask = json!({"experiment": "page", "user": format!("load{n}")});
            assert_eq!(client.post(format!("{base}/v1/decide")).json(&ask).send().await.unwrap().status(), 200);
        }
    });
    let address = server.base.strip_prefix("http://").unwrap().to_owned();
    let (code, out, err) = command(dir.path(), &["backup", file.to_str().unwrap(), "--listen", &address]).await;
    assert_eq!(code, 0, "{out}{err}");
    stop.send(true).unwrap();
    load.await.unwrap();
    let posteriors = server.get("/v1/experiments/page/posteriors").await;
    let definition = server.get("/v1/experiments/page").await;

    let target = other.path().join("data");
    let (code, out, err) = command(&target, &["restore", file.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{out}{err}");
    let restored = Server::start(&target, &[]);
    for before in dealt.iter().chain([&late]).enumerate() {
        let (n, before) = before;
        let user = if n == dealt.len() { "late".to_owned() } else { format!("u{n}") };
        let mut after = decide(&restored, &user).await;
        after["first"] = before["first"].clone();
        assert_eq!(after, *before);
    }
    let versions = |set: &Value| set["posteriors"].as_array().unwrap()[0].clone();
    assert_eq!(versions(&restored.get("/v1/experiments/page/posteriors").await), versions(&posteriors));
    assert_eq!(restored.get("/v1/experiments/page").await, definition);
    let found = restored.post("/v1/catalogs/shop/search", &json!({"vector": [0, 1], "k": 1})).await;
    assert_eq!(found["items"][0]["id"], "hat");
    // What was in the log only is counted too.
    restored.update("page").await;
    let results = restored.get("/v1/experiments/page/results").await;
    let sum = |field: &str| results["arms"].as_array().unwrap().iter().map(|a| a[field].as_u64().unwrap()).sum::<u64>();
    assert!(sum("trials") + sum("pending") >= 51, "{results}");
    assert_eq!(sum("rewards"), 17);

    let (code, _, err) = command(&target, &["restore", file.to_str().unwrap()]).await;
    assert!(code == 2 && err.contains("restore into an empty directory"), "{code}: {err}");
    let (code, _, err) = command(dir.path(), &["backup", file.to_str().unwrap(), "--listen", &address]).await;
    assert!(code == 2 && err.contains("is there already"), "{err}");
    // Of another server's stores.
    let (code, _, err) = command(&target, &["backup", "other", "--listen", &address]).await;
    assert!(code == 2 && err.contains("has '") && !other.path().join("other.part").exists(), "{err}");
}

#[tokio::test]
async fn a_server_at_rest_is_backed_up_and_what_is_damaged_or_cut_off_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("a.backup"));
    let (code, _, err) = command(&data, &["backup", file.to_str().unwrap()]).await;
    assert!(code == 2 && err.contains("nothing is kept there"), "{err}");
    let server = Server::start(&data, &[]);
    server.run(&five_arms("page")).await;
    let before = decide(&server, "u").await;
    server.stop();
    let (code, out, err) = command(&data, &["backup", file.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{out}{err}");
    let whole = std::fs::read(&file).unwrap();
    let target = dir.path().join("restored");
    let bad = dir.path().join("bad.backup");
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        for damaged in [&flipped[..], &whole[..at], &whole[..whole.len() - 1]] {
            std::fs::write(&bad, damaged).unwrap();
            assert!(store::read_about(&bad).is_err(), "at {at}");
        }
    }
    let (code, _, err) = command(&target, &["restore", bad.to_str().unwrap()]).await;
    assert!(code == 1 && err.contains("take another one") && !target.exists(), "{code}: {err}");
    let (code, _, err) = command(&target, &["restore", file.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{err}");
    let server = Server::start(&target, &[]);
    assert_eq!(decide(&server, "u").await["arm"], before["arm"]);
}

/// Runs a command with its stores in `data`, without holding up the load.
async fn command(data: &Path, args: &[&str]) -> (i32, String, String) {
    let data = data.display().to_string();
    let mut command = croupier(&[args, &["--data", &data]].concat());
    command.current_dir(Path::new(&data).parent().unwrap());
    tokio::task::spawn_blocking(|| finish(command)).await.unwrap()
}
