//! What holds for every page: nothing to complain of in the console, no barrier, no sideways scrolling.

use crate::browser::{Browser, Look, axe};
use crate::support::{Server, five_arms};
use serde_json::json;

/// Every page, with something on it.
const PAGES: &[&str] = &["/dashboard", "/dashboard/experiments/page", "/dashboard/experiments/nothing"];

/// A server with a little past.
async fn house(dir: &std::path::Path) -> Server {
    let server = Server::start(dir, &[]);
    server.run(&five_arms("page")).await;
    for n in 0..60 {
        let decision = server.post("/v1/decide", &json!({"experiment": "page", "user": format!("u{n}")})).await;
        if n % 3 == 0 {
            let id = &decision["decision_id"];
            server.post("/v1/events", &json!({"type": "reward", "name": "buy", "decision_id": id})).await;
        }
    }
    server.update("page").await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_have_no_errors_and_no_barriers() {
    let Some(axe) = axe() else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = house(dir.path()).await;
    for look in [Look::DESK, Look::DESK.dark().japanese(), Look::PHONE.japanese(), Look::PHONE.dark()] {
        let Some(browser) = Browser::open(look).await else { return };
        let mut wrong = Vec::new();
        for page in PAGES {
            browser.goto(&format!("{}{page}", server.base)).await.unwrap();
            browser.until_drawn().await;
            let missing = page.ends_with("/nothing");
            // The browser itself reports the answer 404 of a page that is not there.
            let complaints = browser.complaints().await.into_iter().filter(|c| !(missing && c.contains("404")));
            wrong.extend(complaints.map(|c| format!("{page}: console: {c}")));
            wrong.extend(browser.barriers(&axe).await.into_iter().map(|b| format!("{page}: {b}")));
            if browser.overflows().await {
                wrong.push(format!("{page}: scrolls sideways"));
            }
        }
        assert!(wrong.is_empty(), "{look:?}:\n{}", wrong.join("\n"));
    }
}
