//! The demo shows decisions, updates and the dashboard move within half a minute.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::croupier;

#[tokio::test]
async fn a_newcomer_sees_it_move() {
    let mut child = croupier(&["demo", "--listen", "127.0.0.1:0", "--log", "warn", "--seconds", "60"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut text = Vec::new();
    for line in lines {
        let last = line.contains("Ctrl-C");
        text.push(line);
        if last {
            break;
        }
    }
    let base = text
        .iter()
        .find_map(|l| l.trim().strip_prefix("dashboard").map(|u| u.trim().trim_end_matches("/dashboard").to_owned()))
        .unwrap();
    assert!(text.iter().any(|l| l.contains("curl ") && l.contains("/v1/decide")), "{text:?}");
    store::choose_cryptography();
    let client = reqwest::Client::new();
    let began = Instant::now();
    loop {
        let results: serde_json::Value = client
            .get(format!("{base}/v1/experiments/product-page/results"))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let rewarded = results["arms"].as_array().unwrap().iter().any(|a| a["rewards"].as_u64() > Some(0));
        if results["posterior_version"].as_u64() >= Some(2) && rewarded {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "nothing moved: {results}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Lists of who is new follow the shoppers; somebody's own follow them, at once.
    let list = async |user: &str| -> serde_json::Value {
        let url = format!("{base}/v1/catalogs/shop/recommendations?user={user}");
        client.get(url).send().await.unwrap().json().await.unwrap()
    };
    let popular = loop {
        let popular = list("newcomer").await;
        if popular["items"][0]["score"].as_f64() > Some(0.0) {
            break popular;
        }
        assert!(began.elapsed() < Duration::from_secs(45), "nothing is popular: {popular}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(popular["source"], "popular");
    let view = serde_json::json!({"type": "view", "user": "newcomer", "item": "lamps-590"});
    client.post(format!("{base}/v1/events")).json(&view).send().await.unwrap();
    let mine = list("newcomer").await;
    // Made for this request, or just before it by the speed layer: the same list.
    assert!(["history", "precomputed"].contains(&mine["source"].as_str().unwrap()), "{mine}");
    assert_eq!(mine["history"], 1);
    let lamps = mine["items"].as_array().unwrap().iter().filter(|i| i["id"].as_str().unwrap().starts_with("lamps"));
    assert!(lamps.count() >= 3, "{mine}");

    let page = client.get(format!("{base}/dashboard")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Product page layout") && page.contains("simulated"), "{page}");
    child.kill().unwrap();
    child.wait().unwrap();
}
