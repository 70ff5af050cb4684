//! An experiment's life as its owner leads it: made in the form, started, watched, stepped through, stopped.

use crate::browser::{Browser, Look};
use crate::support::Server;
use serde_json::{Value, json};

/// Deals to visitors, of whom those that are dealt `bold` mostly buy.
async fn traffic(server: &Server, users: std::ops::Range<u32>) {
    for n in users {
        let decision = server.post("/v1/decide", &json!({"experiment": "banner", "user": format!("u{n}")})).await;
        if decision["arm"] == "bold" && n % 3 > 0 || n % 20 == 0 {
            let id = &decision["decision_id"];
            server.post("/v1/events", &json!({"type": "reward", "name": "purchase", "decision_id": id})).await;
        }
    }
}

/// The value that the leaderboard shows of an arm in a column, counted from the first number.
async fn shown(browser: &Browser, arm: &str, column: usize) -> Option<f64> {
    let script = "const row = [...document.querySelectorAll('table.arms tbody tr')]
            .find(r => r.querySelector('th').textContent.includes(arguments[0]));
        const data = row && row.cells[arguments[1] + 1].querySelector('data');
        return data ? data.value : null;";
    let value = browser.execute(script, vec![json!(arm), json!(column)]).await.unwrap();
    value.as_str().map(|v| v.parse().unwrap())
}

/// Asserts that the leaderboard's numbers are the API's.
async fn assert_equals_results(browser: &Browser, server: &Server) {
    let results = server.get("/v1/experiments/banner/results").await;
    for arm in results["arms"].as_array().unwrap() {
        let id = arm["id"].as_str().unwrap();
        for (column, field) in
            [(0, "trials"), (2, "rewards"), (3, "rate"), (5, "p_best"), (6, "expected_loss"), (7, "allocation")]
        {
            assert_eq!(shown(browser, id, column).await, arm[field].as_f64(), "{field} of {id} in {results}");
        }
    }
}

async fn version(server: &Server) -> u64 {
    server.get("/v1/experiments/banner/results").await["posterior_version"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_form_to_the_winner() {
    let Some(browser) = Browser::open(Look::DESK).await else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);

    // Created in the form, whose first try is refused where it is wrong.
    browser.goto(&format!("{}/dashboard/new", server.base)).await.unwrap();
    browser.fill("[name='id']", "Banner!").await;
    browser.fill("[name='name']", "Banner on the front page").await;
    browser.fill("[name='arms[0].id']", "plain").await;
    browser.fill("[name='arms[1].id']", "bold").await;
    browser.fill("[name='reward.event']", "purchase").await;
    browser.click("button[value='save']").await;
    browser.find("[name='id'][aria-invalid='true']").await;
    browser.fill("[name='id']", "banner").await;
    browser.click("button[value='save']").await;
    browser.until_text("h1", "Banner on the front page").await;
    assert!(browser.address().await.contains("/dashboard/experiments/banner"), "{}", browser.address().await);
    assert_eq!(server.get("/v1/experiments/banner").await["status"], "draft");

    // Started, with a reason.
    browser.fill("#reason", "the new season").await;
    browser.click("button[formaction$='/start']").await;
    browser.until_text(".status", "running").await;

    // Traffic comes, and the page follows by itself.
    browser.until("window.croupierMark = 'not reloaded'; return true", Vec::new()).await;
    traffic(&server, 0..200).await;
    server.update("banner").await;
    let first = version(&server).await;
    let trials = "const d = document.querySelector('table.arms tbody td data'); return !!d && Number(d.value) > 0";
    browser.until(trials, Vec::new()).await;
    traffic(&server, 200..400).await;
    server.update("banner").await;
    let second = version(&server).await;
    assert!(second > first);
    let follows = "const v = document.querySelector('input[name=version]');
        return !!v && v.max === String(arguments[0]) && window.croupierMark === 'not reloaded'";
    browser.until(follows, vec![json!(second)]).await;
    browser.until_drawn().await;
    assert_equals_results(&browser, &server).await;
    let now = shown(&browser, "bold", 0).await.unwrap();

    // Stepped back to the version before, and forth.
    browser.click("a[rel='prev']").await;
    browser.find(&format!("input[name='version'][value='{first}']")).await;
    browser.until_drawn().await;
    let then = shown(&browser, "bold", 0).await.unwrap();
    assert!(0.0 < then && then < now, "{then} of {now} trials had been then");
    browser.click("a[rel='next']").await;
    browser.find(&format!("input[name='version'][value='{second}']")).await;

    // Stopped with the winner that everyone gets from now on.
    browser.goto(&format!("{}/dashboard/experiments/banner/stop", server.base)).await.unwrap();
    browser.click("input[name='winner'][value='bold']").await;
    browser.fill("#reason", "bold sells").await;
    browser.click("button.main").await;
    browser.until_text(".status", "stopped").await;
    let decisions = futures::future::join_all((1_000..1_020).map(|n| {
        let body = json!({"experiment": "banner", "user": format!("u{n}")});
        let server = &server;
        async move { server.post("/v1/decide", &body).await }
    }));
    assert!(decisions.await.iter().all(|d| d["arm"] == "bold"));
    let text = browser.text().await;
    assert!(text.contains("the new season") && text.contains("bold sells"), "the audit log says why: {text}");
    let record: Value = server.get("/v1/experiments/banner").await;
    assert_eq!((&record["status"], &record["winner"]), (&json!("stopped"), &json!("bold")));
    // The form that was refused is what the browser itself reports.
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|c| c.contains("/new - ") && c.contains("status of 400")), "{complaints:?}");
}
