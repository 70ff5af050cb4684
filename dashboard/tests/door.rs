//! The door: who is let in, how, and for how long.
#![allow(clippy::unwrap_used)]

#[path = "door/browser.rs"]
mod browser;
mod house;

use axum::http::{StatusCode, header};
use bandit::Clock;
use browser::{Browser, Hands, PASSWORD, door};
use dashboard::Identity;
use house::House;
use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex};
use store::{PersonChange, Role};

const SIGN_IN: &str = "/dashboard/sign-in";
const PAGE: &str = "/dashboard/experiments/product-page";

/// A house where Ann (editor) and Vi (viewer) may sign in, and a browser before its door.
async fn house() -> (House, Arc<Hands>, Browser) {
    let house = House::open().await;
    let hash = dashboard::hash_password(PASSWORD.into()).await.unwrap();
    for (name, role) in [("Ann", Role::Editor), ("Vi", Role::Viewer)] {
        house.stores.people.add_person(name, role, &hash, house.now).await.unwrap();
    }
    let hands = Hands::at(house.now);
    let browser = Browser::before(house.router_by(door(&hands, false)));
    (house, hands, browser)
}

#[tokio::test]
async fn a_page_is_shown_after_the_sign_in() {
    let (house, _, mut browser) = house().await;
    house.shop().await;
    let wanted = format!("{PAGE}?q=a%20b");
    let sent = browser.get(&wanted).await;
    let to = "/dashboard/sign-in?next=%2Fdashboard%2Fexperiments%2Fproduct-page%3Fq%3Da%2520b";
    assert_eq!((sent.status, &sent.headers[header::LOCATION]), (StatusCode::SEE_OTHER, &to.parse().unwrap()));
    let form = browser.get(to).await;
    assert_eq!((form.status, &form.headers[header::CACHE_CONTROL]), (StatusCode::OK, &"no-store".parse().unwrap()));
    assert!(!form.body.contains("Sign out") && !form.body.contains("people add"));
    let reply = browser.sign_in_with(&form, "Ann", PASSWORD).await;
    assert_eq!((reply.status, &reply.headers[header::LOCATION]), (StatusCode::SEE_OTHER, &wanted.parse().unwrap()));
    let page = browser.get(&wanted).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("<bdi>Ann</bdi>") && page.body.contains("Sign out"));
    assert_eq!(browser.get(SIGN_IN).await.headers[header::LOCATION], "/dashboard", "already in");
}

#[tokio::test]
async fn nobody_is_told_which_part_was_wrong() {
    let (house, _, mut browser) = house().await;
    house.stores.people.change_person("Vi", &PersonChange::Disable(house.now)).await.unwrap();
    let mut told = Vec::new();
    for (name, password) in [("Ann", "wrong password"), ("ann", PASSWORD), ("Nobody", PASSWORD), ("Vi", PASSWORD)] {
        let reply = browser.sign_in(name, password).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{name}");
        assert!(!browser.cookies.contains_key("croupier_session"), "{name}");
        assert!(reply.body.contains("role=\"alert\"") && !reply.body.contains(password));
        told.push(reply.body.replace(&format!("value=\"{name}\""), "value=\"NAME\""));
    }
    assert!(told.iter().all(|body| *body == told[0]), "the same, whatever was wrong");
    let hostile = browser.sign_in("<b>\"x", "wrong password").await;
    assert!(hostile.body.contains("value=\"&#60;b&#62;&#34;x\""));
}

#[tokio::test]
async fn what_is_not_a_page_is_refused_and_assets_are_open() {
    let (_house, _, mut browser) = house().await;
    let plot = browser.get(&format!("{PAGE}/plots/densities")).await;
    assert_eq!((plot.status, plot.headers.get(header::LOCATION)), (StatusCode::UNAUTHORIZED, None));
    assert_eq!(plot.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    browser.headers = vec![("accept", "application/json")];
    assert_eq!(browser.get("/dashboard").await.status, StatusCode::UNAUTHORIZED);
    browser.headers.clear();
    assert_eq!(browser.post("/dashboard", &[("csrf", "x")]).await.status, StatusCode::UNAUTHORIZED);
    let asset = browser.get("/dashboard/assets/dashboard.css").await;
    assert_eq!((asset.status, asset.headers.get(header::SET_COOKIE)), (StatusCode::OK, None), "for everyone to keep");
    for page in ["/dashboard", PAGE, "/dashboard/elsewhere/deep", "/dashboard/", "/dashboard?table=experiments&as=csv"]
    {
        assert_eq!(browser.get(page).await.status, StatusCode::SEE_OTHER, "{page}");
    }
}

#[tokio::test]
async fn the_sign_in_is_guarded_against_forgery() {
    let (_house, _, mut browser) = house().await;
    let form = browser.get(SIGN_IN).await;
    let csrf = browser::field(&form.body, "csrf");
    let fields = |csrf| [("csrf", csrf), ("name", "Ann"), ("password", PASSWORD)];
    let zeros = "0".repeat(64);
    for wrong in ["", "x", &zeros] {
        assert_eq!(browser.post(SIGN_IN, &fields(wrong)).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(browser.post(SIGN_IN, &fields(&csrf)[1..]).await.status, StatusCode::FORBIDDEN);
    for site in ["cross-site", "same-site"] {
        browser.headers = vec![("sec-fetch-site", site)];
        assert_eq!(browser.post(SIGN_IN, &fields(&csrf)).await.status, StatusCode::FORBIDDEN, "{site}");
    }
    browser.headers = vec![("origin", "http://evil.example")];
    assert_eq!(browser.post(SIGN_IN, &fields(&csrf)).await.status, StatusCode::FORBIDDEN);
    browser.headers.clear();
    let cookie = browser.cookies.remove("croupier_form").unwrap();
    assert_eq!(browser.post(SIGN_IN, &fields(&csrf)).await.status, StatusCode::FORBIDDEN, "without its cookie");
    assert_eq!(browser.post(SIGN_IN, &fields("")).await.status, StatusCode::FORBIDDEN);
    browser.cookies.insert("croupier_form".into(), cookie);
    browser.headers = vec![("sec-fetch-site", "same-origin")];
    assert_eq!(browser.post(SIGN_IN, &fields(&csrf)).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn sessions_end_unused_and_in_the_end() {
    let (house, hands, mut browser) = house().await;
    assert_eq!(browser.sign_in("Ann", PASSWORD).await.status, StatusCode::SEE_OTHER);
    let token = browser.cookies["croupier_session"].clone();
    let mut seen = async |hours: i64, script: bool| {
        hands.turn_to(house.now + SignedDuration::from_hours(hours) - SignedDuration::from_mins(2));
        browser.headers = if script { vec![("sec-fetch-dest", "empty")] } else { vec![("sec-fetch-dest", "document")] };
        browser.get("/dashboard").await.status == StatusCode::OK
    };
    assert!(seen(12, true).await, "a page may stay current for long");
    assert!(seen(12, false).await);
    // That it was used is written down beside the answer.
    used(&house, &token, hands.now()).await;
    assert!(seen(23, true).await);
    assert!(!seen(25, true).await, "but that is no use");
    for n in 1..14 {
        assert!(seen(12 + 11 * n, false).await, "{n}");
        used(&house, &token, hands.now()).await;
    }
    assert!(seen(160, false).await);
    used(&house, &token, hands.now()).await;
    assert!(seen(168, false).await);
    assert!(!seen(169, false).await, "seven days");
}

#[tokio::test]
async fn uses_of_many_sessions_at_once_are_all_known() {
    let (house, hands, any) = house().await;
    let mut browsers: Vec<Browser> = (0..8).map(|_| any.like()).collect();
    for browser in &mut browsers {
        assert_eq!(browser.sign_in("Ann", PASSWORD).await.status, StatusCode::SEE_OTHER);
    }
    hands.turn_to(house.now + SignedDuration::from_hours(2));
    let answers = futures::future::join_all(browsers.iter_mut().map(|browser| browser.get("/dashboard"))).await;
    assert!(answers.iter().all(|reply| reply.status == StatusCode::OK));
    for browser in &browsers {
        used(&house, &browser.cookies["croupier_session"], hands.now()).await;
    }
}

#[tokio::test]
async fn too_many_attempts_have_to_wait() {
    let (_house, hands, mut browser) = house().await;
    for _ in 0..10 {
        assert_eq!(browser.sign_in("Ann", "wrong password").await.status, StatusCode::UNAUTHORIZED);
    }
    let reply = browser.sign_in("Ann", PASSWORD).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS, "the right one too: it would tell");
    let wait: i64 = reply.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait) && reply.body.contains(&format!("{wait}</data> seconds")), "{wait}");
    let mut elsewhere = browser.like();
    elsewhere.peer = [192, 0, 2, 7];
    assert_eq!(elsewhere.sign_in("Ann", PASSWORD).await.status, StatusCode::SEE_OTHER, "strangers do not lock her out");
    assert_eq!(browser.sign_in("Vi", PASSWORD).await.status, StatusCode::SEE_OTHER, "others are not held up");
    hands.turn_to(hands.now() + SignedDuration::from_secs(wait));
    assert_eq!(browser.sign_in("Ann", PASSWORD).await.status, StatusCode::SEE_OTHER);
    for _ in 0..10 {
        assert_eq!(browser.sign_in("Ann", "wrong password").await.status, StatusCode::UNAUTHORIZED, "counted anew");
    }
    let mut other = browser.like();
    other.peer = [192, 0, 2, 8];
    for n in 0..30 {
        assert_eq!(other.sign_in(&format!("guess {n}"), "x").await.status, StatusCode::UNAUTHORIZED);
    }
    let reply = other.sign_in("Vi", PASSWORD).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS, "an address that tries many names");
    assert!(reply.headers.contains_key(header::RETRY_AFTER));
    other.headers = vec![("x-forwarded-for", "192.0.2.9")];
    assert_eq!(
        other.sign_in("Vi", PASSWORD).await.status,
        StatusCode::TOO_MANY_REQUESTS,
        "it cannot say it is another"
    );
}

#[tokio::test]
async fn a_name_that_many_addresses_guess_at_is_open_where_its_owner_was() {
    let (_house, hands, mut browser) = house().await;
    assert_eq!(browser.sign_in("Ann", PASSWORD).await.status, StatusCode::SEE_OTHER);
    let mut guesser = browser.like();
    for attempt in 0..99 {
        guesser.peer = [192, 0, 2, attempt / 10];
        assert_eq!(guesser.sign_in("Ann", "wrong password").await.status, StatusCode::UNAUTHORIZED, "{attempt}");
    }
    guesser.peer = [192, 0, 2, 200];
    let reply = guesser.sign_in("Ann", "wrong password").await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS, "from anywhere new");
    assert_eq!(reply.headers[header::RETRY_AFTER], "10");
    assert_eq!(browser.sign_in("Ann", PASSWORD).await.status, StatusCode::SEE_OTHER, "but not where she was");
    hands.turn_to(hands.now() + SignedDuration::from_secs(10));
    assert_eq!(guesser.sign_in("Ann", "wrong password").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn nobody_is_led_elsewhere() {
    let (_house, _, mut browser) = house().await;
    for next in ["//evil", "/\\evil", "https:", "https://evil/dashboard", "/dashboard/../v1", "/dashboard/sign-out"] {
        let encoded = browser::encoded(&[("next", next)]);
        let form = browser.get(&format!("{SIGN_IN}?{encoded}")).await;
        assert_eq!(browser::field(&form.body, "next"), "/dashboard", "{next}");
        let csrf = browser::field(&form.body, "csrf");
        let fields = [("csrf", &*csrf), ("name", "Vi"), ("password", PASSWORD), ("next", next)];
        let reply = browser.post(SIGN_IN, &fields).await;
        assert_eq!(
            (reply.status, &reply.headers[header::LOCATION]),
            (StatusCode::SEE_OTHER, &"/dashboard".parse().unwrap())
        );
        assert_eq!(
            browser.get(&format!("{SIGN_IN}?{encoded}")).await.headers[header::LOCATION],
            "/dashboard",
            "{next}"
        );
        browser.cookies.clear();
    }
}

#[tokio::test]
async fn a_sign_in_makes_a_new_session_and_ends_the_old() {
    let (_house, _, mut browser) = house().await;
    browser.cookies.insert("croupier_session".into(), "planted".into());
    browser.sign_in("Vi", PASSWORD).await;
    let planted = browser.cookies["croupier_session"].clone();
    assert!(planted.len() == 64 && planted != "planted");
    let form = browser.get("/dashboard").await;
    assert!(form.body.contains("<bdi>Vi</bdi>"));
    // Ann signs in where Vi's cookie is still.
    let mut victim = browser.like();
    let form = victim.get(SIGN_IN).await;
    victim.cookies.insert("croupier_session".into(), planted.clone());
    victim.sign_in_with(&form, "Ann", PASSWORD).await;
    assert_ne!(victim.cookies["croupier_session"], planted);
    assert!(victim.get("/dashboard").await.body.contains("<bdi>Ann</bdi>"));
    assert_eq!(browser.get("/dashboard").await.status, StatusCode::SEE_OTHER, "the old one is nobody's");
}

#[tokio::test]
async fn signing_out_ends_the_session_on_the_server() {
    let (_house, _, mut ann) = house().await;
    let mut vi = ann.like();
    ann.sign_in("Ann", PASSWORD).await;
    vi.sign_in("Vi", PASSWORD).await;
    let csrf = browser::field(&ann.get("/dashboard").await.body, "csrf");
    let others = browser::field(&vi.get("/dashboard").await.body, "csrf");
    assert_ne!(csrf, others);
    for wrong in ["", &others] {
        assert_eq!(ann.post("/dashboard/sign-out", &[("csrf", wrong)]).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(ann.get("/dashboard/sign-out").await.status, StatusCode::METHOD_NOT_ALLOWED, "no link signs out");
    assert_eq!(ann.get("/dashboard").await.status, StatusCode::OK);
    let token = ann.cookies["croupier_session"].clone();
    let reply = ann.post("/dashboard/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!((reply.status, &reply.headers[header::LOCATION]), (StatusCode::SEE_OTHER, &SIGN_IN.parse().unwrap()));
    assert!(!ann.cookies.contains_key("croupier_session"), "the browser forgets it");
    ann.cookies.insert("croupier_session".into(), token);
    assert_eq!(ann.get("/dashboard").await.status, StatusCode::SEE_OTHER, "and so did the server");
    let again = ann.post("/dashboard/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!(again.headers[header::LOCATION], SIGN_IN);
    assert_eq!(vi.get("/dashboard").await.status, StatusCode::OK, "nobody else's");
}

#[tokio::test]
async fn cookies_are_kept_from_scripts_and_from_other_sites() {
    let (house, hands, mut browser) = house().await;
    let of = |reply: &house::Reply| reply.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    browser.headers = vec![("x-forwarded-proto", "https")];
    let form = browser.get(SIGN_IN).await;
    assert!(
        of(&form).starts_with("croupier_form=") && of(&form).ends_with("; Path=/dashboard; HttpOnly; SameSite=Lax")
    );
    let plain = of(&browser.sign_in_with(&form, "Vi", PASSWORD).await);
    let (pair, rest) = plain.split_once("; ").unwrap();
    assert_eq!(
        rest, "Max-Age=604800; Path=/dashboard; HttpOnly; SameSite=Lax",
        "a stranger's word on https is nothing"
    );
    assert_eq!(pair.strip_prefix("croupier_session=").unwrap().len(), 64);

    let mut door = door(&hands, false);
    door.proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let mut browser = Browser::before(house.router_by(door));
    browser.headers = vec![("x-forwarded-proto", "https"), ("x-forwarded-for", "198.51.100.1")];
    let form = browser.get(SIGN_IN).await;
    assert!(of(&form).starts_with("__Host-croupier_form="));
    let secure = of(&browser.sign_in_with(&form, "Vi", PASSWORD).await);
    assert!(secure.starts_with("__Host-croupier_session="), "{secure}");
    assert!(secure.ends_with("; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Lax"), "{secure}");
    assert_eq!(browser.get("/dashboard").await.status, StatusCode::OK);
    for n in 0..29 {
        browser.sign_in(&format!("guess {n}"), "x").await;
    }
    assert_eq!(browser.sign_in("Vi", PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    browser.headers = vec![("x-forwarded-proto", "https"), ("x-forwarded-for", "198.51.100.1, 198.51.100.2:5678")];
    browser.cookies.clear();
    assert_eq!(browser.sign_in("Vi", PASSWORD).await.status, StatusCode::SEE_OTHER, "counted for whom the proxy names");
    browser.headers = vec![("x-forwarded-proto", "https"), ("x-forwarded-for", "198.51.100.3, 198.51.100.1:99")];
    browser.cookies.clear();
    assert_eq!(
        browser.sign_in("Vi", PASSWORD).await.status,
        StatusCode::TOO_MANY_REQUESTS,
        "not for whom the client does"
    );
}

#[tokio::test]
async fn a_proxy_names_people_and_nobody_else_does() {
    let (house, hands, _) = house().await;
    let mut door = door(&hands, true);
    door.proxies = vec!["10.1.0.0/16".parse().unwrap()];
    let (header, editors) = ("x-forwarded-email".parse().unwrap(), ["ed@example.org".to_owned()].into());
    door.identity = Some(Identity { header, editors, others: Role::Viewer });
    let mut browser = Browser::before(house.router_by(door));
    browser.headers = vec![("x-forwarded-email", "ed@example.org")];
    for (peer, let_in) in [([127, 0, 0, 1], false), ([10, 2, 0, 1], false), ([10, 1, 2, 3], true)] {
        browser.peer = peer;
        let reply = browser.get("/dashboard").await;
        assert_eq!(reply.status == StatusCode::OK, let_in, "{peer:?}");
        assert_eq!(reply.body.contains("<bdi>ed@example.org</bdi>"), let_in, "{peer:?}");
        assert!(!reply.body.contains("Sign out"), "that is the proxy's affair");
    }
    browser.headers = vec![("x-forwarded-email", "ed@example.org"), ("x-forwarded-email", "eve@example.org")];
    assert_eq!(browser.get("/dashboard").await.status, StatusCode::SEE_OTHER, "two names are none");
    for nobody in ["", "\t"] {
        browser.headers = vec![("x-forwarded-email", nobody)];
        assert_eq!(browser.get("/dashboard").await.status, StatusCode::SEE_OTHER);
    }
    browser.headers.clear();
    assert_eq!(browser.get("/dashboard").await.status, StatusCode::SEE_OTHER, "the proxy's own machine is nobody");
    assert_eq!(browser.sign_in("Ann", PASSWORD).await.status, StatusCode::SEE_OTHER, "a password works beside it");
    assert!(browser.get("/dashboard").await.body.contains("<bdi>Ann</bdi>"));
}

#[tokio::test]
async fn this_machine_is_let_in_until_somebody_is_added() {
    let house = House::open().await;
    let hands = Hands::at(house.now);
    let mut browser = Browser::before(house.router_by(door(&hands, true)));
    let page = browser.get("/dashboard").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("<bdi>this machine</bdi>") && !page.body.contains("Sign out"));
    assert_eq!(browser.get(SIGN_IN).await.headers[header::LOCATION], "/dashboard");
    for host in ["evil.example:8080", "192.0.2.1"] {
        browser.host = host;
        let reply = browser.get("/dashboard").await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "a name made to resolve to this machine: {host}");
        assert!(reply.body.contains("localhost"));
        assert_eq!(browser.get(SIGN_IN).await.status, StatusCode::FORBIDDEN);
    }
    browser.host = "localhost:8080";
    browser.headers = vec![("x-forwarded-for", "192.0.2.1")];
    assert_eq!(browser.get("/dashboard").await.status, StatusCode::FORBIDDEN, "a proxy here has asked for somebody");
    browser.headers.clear();
    let mut stranger = Browser::before(house.router_by(door(&hands, false)));
    assert_eq!(stranger.get("/dashboard").await.status, StatusCode::SEE_OTHER, "others reach this address");
    let form = stranger.get(SIGN_IN).await;
    assert!(form.body.contains("croupier people add --name NAME --role editor"));
    house.stores.people.add_person("Ann", Role::Viewer, "hash", house.now).await.unwrap();
    assert_eq!(browser.get("/dashboard").await.status, StatusCode::SEE_OTHER, "from now on");
    house.stores.people.change_person("Ann", &PersonChange::Disable(house.now)).await.unwrap();
    assert_eq!(browser.get("/dashboard").await.status, StatusCode::SEE_OTHER, "also when nobody is left");
}

#[tokio::test]
async fn the_sign_in_speaks_japanese() {
    let (_house, _, mut browser) = house().await;
    browser.headers = vec![("accept-language", "ja")];
    let reply = browser.sign_in("Ann", "wrong password").await;
    assert!(reply.body.contains("サインイン</h1>") && reply.body.contains("名前とパスワードの組み合わせ"));
    for word in [">Sign in<", ">Name<", ">Password<", "Check both", "forgotten"] {
        assert!(!reply.body.contains(word), "{word}");
    }
}

/// Who changes things without a name, and what stands above every page; the audit log and its file keep what was written.
#[tokio::test]
async fn this_machine_and_the_notice_speak_japanese() {
    let house = House::open().await;
    let hands = Hands::at(house.now);
    house.shop().await;
    let mut browser = Browser::before(house.router_by(door(&hands, true)));
    browser.headers = vec![("accept-language", "ja")];
    let csrf = browser::field(&browser.get(PAGE).await.body, "csrf");
    let paused = browser.post(&format!("{PAGE}/pause"), &[("csrf", &csrf), ("why", "")]).await;
    assert_eq!(paused.status, StatusCode::SEE_OTHER);
    assert_eq!(house.stores.experiments.audit(None, None, 1).await.unwrap()[0].who, "this machine");
    for page in [PAGE, "/dashboard/audit"] {
        let body = browser.get(page).await.body;
        assert!(body.contains("<p class=\"notice\">架空の&#60;訪問者&#62;</p>"), "{page}");
        assert_eq!(body.matches("<bdi>このマシン</bdi>").count(), 2, "above the page, and in its table: {page}");
        assert!(!body.contains("this machine") && body.contains("<bdi>tester</bdi>"), "{page}");
    }
    let body = browser.get(PAGE).await.body;
    let health = body.split("<ul class=\"health\">").nth(1).unwrap().split("</ul>").next().unwrap();
    for check in health.split("<li").skip(1) {
        let found = check.split("</span>").nth(1).unwrap().split("<bdi").next().unwrap();
        assert!(found.trim().ends_with('。'), "what a check found, ahead of its English details: {check}");
    }
    let file = browser.get("/dashboard/audit?table=entries&as=csv").await.body;
    assert!(file.contains("this machine") && !file.contains("このマシン"), "{file}");
}

#[tokio::test]
async fn the_log_knows_who_and_never_a_password() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = browser::Log(lines.clone());
    let subscriber = tracing_subscriber::fmt().with_writer(move || log.clone()).with_ansi(false).finish();
    // Of every test here: this one's people have names of their own.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (house, _, mut browser) = house().await;
    let hash = dashboard::hash_password(PASSWORD.into()).await.unwrap();
    house.stores.people.add_person("Kim", Role::Viewer, &hash, house.now).await.unwrap();
    browser.sign_in("Kim", "mistyped password").await;
    browser.sign_in("a password typed as name", "x").await;
    browser.sign_in("Kim", PASSWORD).await;
    let csrf = browser::field(&browser.get("/dashboard").await.body, "csrf");
    let token = browser.cookies["croupier_session"].clone();
    browser.post("/dashboard/sign-out", &[("csrf", &csrf)]).await;
    let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    for line in ["refused to sign in name=\"Kim\"", "signed in name=\"Kim\"", "signed out name=\"Kim\"", "127.0.0.1"] {
        assert!(text.contains(line), "{line} in {text}");
    }
    for secret in ["mistyped", "typed as name", PASSWORD, &token, &csrf] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

/// Waits until a session is known to have been used at a moment.
async fn used(house: &House, token: &str, at: jiff::Timestamp) {
    let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    let seen =
        async || house.stores.people.session(&hash, at, jiff::Timestamp::UNIX_EPOCH).await.unwrap().unwrap().used_at;
    let soon = async {
        while seen().await != at {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), soon).await.unwrap();
}
