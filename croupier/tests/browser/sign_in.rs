//! Who may look and who may change, as a person meets it.

use crate::browser::{Browser, Look, axe};
use crate::support::{Server, croupier, finish, five_arms};
use reqwest::Method;
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

const PASSWORD: &str = "correct horse battery";

fn add(data: &Path, name: &str, role: &str) {
    let data = data.display().to_string();
    let mut command = croupier(&["people", "add", "--name", name, "--role", role, "--data", &data]);
    let (file, mut typed) = std::io::pipe().unwrap();
    writeln!(typed, "{PASSWORD}").unwrap();
    drop(typed);
    command.stdin(Stdio::from(file));
    let (code, out, err) = finish(command);
    assert_eq!(code, 0, "{out}{err}");
}

async fn sign_in(browser: &Browser, name: &str, password: &str) {
    browser.fill("#name", name).await;
    browser.fill("#password", password).await;
    browser.click("main form button").await;
}

/// Sends the page's form of controls to `start`, with another token if one is given; the status of the answer.
async fn start(browser: &Browser, base: &str, csrf: Option<&str>) -> u64 {
    let script = "const done = arguments[arguments.length - 1];
        const token = arguments[1] ?? document.querySelector('input[name=csrf]')?.value ?? '';
        fetch(arguments[0], {method: 'POST', body: new URLSearchParams({csrf: token, reason: 'mine'})})
            .then(r => done(r.status)).catch(e => done(String(e)));";
    let url = format!("{base}/dashboard/experiments/page/start");
    let status = browser.execute_async(script, vec![json!(url), json!(csrf)]).await.unwrap();
    status.as_u64().unwrap_or_else(|| panic!("{status}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_sign_in_and_do_what_they_may() {
    let Some(axe) = axe() else { return };
    let Some(browser) = Browser::open(Look::DESK).await else { return };
    let dir = tempfile::tempdir().unwrap();
    add(dir.path(), "Aiko", "editor");
    add(dir.path(), "Vera", "viewer");
    let server = Server::start(dir.path(), &[]);
    server.expect(Method::POST, "/v1/experiments", Some(&five_arms("page")), 201).await;
    let status = async || server.get("/v1/experiments/page").await["status"].clone();
    let page = format!("{}/dashboard/experiments/page", server.base);

    // Nobody looks without signing in, and a wrong password says only that something was wrong.
    browser.goto(&page).await.unwrap();
    browser.find("#password").await;
    assert_eq!(browser.barriers(&axe).await, [""; 0]);
    for (name, password) in [("Vera", "wrong password"), ("nobody", PASSWORD)] {
        sign_in(&browser, name, password).await;
        browser.until_text("#problem", "name").await;
        assert!(browser.find("#problem").await.text().await.unwrap().contains("password"));
    }
    assert_eq!(browser.barriers(&axe).await, [""; 0]);
    // Answers that refuse are what the browser itself reports.
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|c| c.contains("status of 401") || c.contains("status of 403")), "{complaints:?}");

    // A viewer comes where they wanted to go, sees no controls, and gets nowhere without them.
    sign_in(&browser, "Vera", PASSWORD).await;
    browser.until_text("h1", "page").await;
    browser.until_text(".who", "Vera").await;
    assert!(browser.find_all(fantoccini::Locator::Css(".controls")).await.unwrap().is_empty());
    assert_eq!((start(&browser, &server.base, None).await, status().await), (403, json!("draft")));
    let session = browser.get_named_cookie("croupier_session").await.unwrap();
    assert!(session.http_only().unwrap() && session.same_site().is_some(), "{session:?}");
    browser.click(".who button").await;
    browser.find("#password").await;

    // What ended has ended on the server too.
    let cookie = format!("croupier_session={}", session.value());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = client.get(&page).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(answer.status(), 303, "the session is over");

    // An editor's forms come from pages of ours, with their own token.
    browser.goto(&page).await.unwrap();
    sign_in(&browser, "Aiko", PASSWORD).await;
    browser.find(".controls").await;
    assert_eq!((start(&browser, &server.base, Some("forged")).await, status().await), (403, json!("draft")));
    browser.fill("#reason", "it is time").await;
    browser.click("button[formaction$='/start']").await;
    browser.until_text(".status", "running").await;
    assert_eq!(status().await, "running");
    let text = browser.text().await;
    assert!(text.contains("Aiko") && text.contains("it is time"), "audited with who and why: {text}");
}
