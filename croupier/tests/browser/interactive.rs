//! `/docs`: the document to read, and requests sent from it.

use crate::browser::{Browser, Look, axe};
use crate::support::{Server, five_arms};
use serde_json::{Value, json};

/// Opens an operation's panel by its entry in the contents.
async fn open(browser: &Browser, operation: &str) {
    browser.click(&format!("#contents a[href='#{operation}']")).await;
    browser.find(&format!("#{operation} form button")).await;
}

/// Sends what an operation's form says; the heading of what came, and the body.
async fn sent(browser: &Browser, operation: &str) -> (String, Value) {
    browser.click(&format!("#{operation} form button")).await;
    let heading = browser.find(&format!("#{operation} .answer h3")).await.text().await.unwrap();
    let body = browser.find(&format!("#{operation} .answer pre")).await.text().await.unwrap();
    (heading, serde_json::from_str(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_sent_from_the_document() {
    let Some(axe) = axe() else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    server.run(&five_arms("page")).await;
    let Some(browser) = Browser::open(Look::DESK).await else { return };
    browser.goto(&format!("{}/docs", server.base)).await.unwrap();
    browser.find("#decide").await;
    let operations = "return [...document.querySelectorAll('#operations > details')].map(d => d.id)";
    let operations: Vec<String> =
        serde_json::from_value(browser.execute(operations, Vec::new()).await.unwrap()).unwrap();
    let document = server.get("/openapi.json").await;
    let documented = document["paths"].as_object().unwrap().values().flat_map(|p| p.as_object().unwrap().values());
    let mut documented: Vec<&str> = documented.map(|o| o["operationId"].as_str().unwrap()).collect();
    let mut shown: Vec<&str> = operations.iter().map(String::as_str).collect();
    documented.sort_unstable();
    shown.sort_unstable();
    assert_eq!(shown, documented);

    open(&browser, "decide").await;
    let body = json!({"experiment": "page", "user": "u1"}).to_string();
    browser.fill("#decide textarea", &body).await;
    let (heading, decision) = sent(&browser, "decide").await;
    assert!(heading.starts_with("200 OK") && decision["experiment"] == "page", "{heading} {decision}");
    assert_eq!(browser.barriers(&axe).await, [""; 0]);
    browser.fill("#decide textarea", "{\"user\": 1}").await;
    browser.click("#decide form button").await;
    browser.until_text("#decide .answer h3", "400").await;

    open(&browser, "get_experiment").await;
    browser.fill("#get_experiment input[name=id]", "page").await;
    let (heading, record) = sent(&browser, "get_experiment").await;
    assert!(heading.starts_with("200 OK") && record["status"] == "running", "{heading} {record}");

    browser.fill("#find", "catalogs").await;
    let left = "return [...document.querySelectorAll('#operations > details')].filter(d => d.checkVisibility()).length";
    let left = browser.execute(left, Vec::new()).await.unwrap().as_u64().unwrap();
    assert!(left > 5 && left < operations.len() as u64, "{left}");
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|c| c.contains("status of 400")), "{complaints:?}");
    assert_eq!(browser.overflowing().await, [""; 0]);
}
