//! Beyond its capacity a server refuses some at once and answers all others, and nobody is hurt by who floods or is slow.
//!
//! Counts and order, no times: how long answers take under load is measured by `cargo bench -p croupier --bench growth --
//! overload`.

use crate::support::{Server, five_arms, setting};
use loadtest::{Extent, Load, PathAndQuery, Report, closed, post};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Connections of the flood, each with a batch of new decisions on its way: some thousands in all.
const FLOODERS: usize = 400;
const ITEMS: u64 = 20;
/// What the server may take more while it is flooded: mostly assignments that it remembers.
const MEMORY_KIB: u64 = 300 << 10;

fn address(server: &Server) -> SocketAddr {
    server.base.strip_prefix("http://").unwrap().parse().unwrap()
}

/// A batch of decisions that nobody has asked for.
fn newcomer(index: u64) -> (usize, loadtest::Request) {
    let mut body = format!(r#"{{"user":"flood-{index}","requests":["#);
    for item in 0..ITEMS {
        let comma = if item == 0 { "" } else { "," };
        write!(body, r#"{comma}{{"experiment":"hot","item":"sku-{item}"}}"#).unwrap();
    }
    (0, post(&PathAndQuery::from_static("/v1/decide/batch"), body + "]}"))
}

/// One decision of a new user: what was dealt, or none if it was refused, as it must be.
async fn decide(server: &Server, experiment: &str, user: &str) -> Option<Value> {
    let body = json!({"experiment": experiment, "user": user});
    let answer = server.send(Method::POST, "/v1/decide", Some(&body)).await.unwrap();
    if answer.status() == StatusCode::OK {
        return Some(answer.json().await.unwrap());
    }
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    None
}

/// Asks for one new user after the other until `over`: what each was dealt, and how many were refused.
async fn newcomers(server: &Server, experiment: &str, over: &AtomicBool) -> (BTreeMap<String, Value>, u64) {
    let (mut dealt, mut refused) = (BTreeMap::new(), 0);
    for n in 0.. {
        let user = format!("one-{n}");
        match decide(server, experiment, &user).await {
            Some(decision) => drop(dealt.insert(user, decision)),
            None => refused += 1,
        }
        if over.load(Relaxed) {
            break;
        }
    }
    (dealt, refused)
}

async fn metric(server: &Server, line: &str) -> u64 {
    let text = server.client.get(format!("{}/metrics", server.base)).send().await.unwrap().text().await.unwrap();
    let value = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' ')?.parse::<f64>().ok());
    value.unwrap_or(0.0) as u64
}

/// What an experiment counts after an update.
async fn trials(server: &Server, experiment: &str) -> u64 {
    server.update(experiment).await;
    let results = server.get(&format!("/v1/experiments/{experiment}/results")).await;
    results["arms"].as_array().unwrap().iter().map(|a| a["trials"].as_u64().unwrap()).sum()
}

fn resident_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_new_users_hurts_no_other_experiment_and_what_was_accepted_stands() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing is to fall back because the machine of the test is slow.
    let server = Arc::new(Server::start(dir.path(), &["--decide-timeout-ms", "500"]));
    server.run(&five_arms("hot")).await;
    server.run(&five_arms("calm")).await;
    let known = decide(&server, "hot", "known").await.unwrap();
    let before = resident_kib(&server);

    let over = AtomicBool::new(false);
    let repeats = async {
        let mut count = 0;
        while !over.load(Relaxed) {
            assert_eq!(decide(&server, "hot", "known").await.expect("memory is not shed")["arm"], known["arm"]);
            count += 1;
        }
        count
    };
    let (report, (hot, hot_refused), (calm, calm_refused), repeats) = tokio::join!(
        flood(&server, setting("FLOOD", 2_000), newcomer, &over),
        newcomers(&server, "hot", &over),
        newcomers(&server, "calm", &over),
        repeats
    );
    println!("{report}\nhot: {} dealt, {hot_refused} refused; calm: {}; repeats: {repeats}", hot.len(), calm.len());
    assert_eq!(report.succeeded(), report.answered(), "a batch is answered, with refusals in it: {report}");
    assert_eq!(report.failures(), 0, "{report}");
    let shed = metric(&server, "croupier_shed_total").await;
    assert!(shed > hot_refused, "the flood was no flood: {shed} refused");
    assert_eq!(calm_refused, 0, "who asks little is refused for those who ask much");
    assert!(resident_kib(&server) < before + MEMORY_KIB, "memory grew");

    // Afterwards it is as before: everybody is answered, those who were accepted the same.
    for n in 0..50 {
        let user = format!("later-{n}");
        while decide(&server, "hot", &user).await.is_none() {
            assert!(n < 25, "it still refuses, with nothing to do");
        }
    }
    for (experiment, dealt) in [("hot", &hot), ("calm", &calm)] {
        for (user, decision) in dealt.iter().filter(|(_, d)| d["source"] == "policy") {
            let again = decide(&server, experiment, user).await.unwrap();
            assert_eq!((&again["arm"], &again["first"]), (&decision["arm"], &json!(false)), "{user}");
        }
    }
    // And each that was told as kept is in the log.
    let told = metric(&server, r#"croupier_decisions_total{source="policy"}"#).await;
    let repeated = metric(&server, "croupier_decisions_repeated_total").await;
    let fallbacks = metric(&server, r#"croupier_decisions_total{source="fallback"}"#).await;
    let firsts = told - repeated;
    let trials = trials(&server, "hot").await + trials(&server, "calm").await;
    assert!((firsts..=firsts + fallbacks).contains(&trials), "{trials} of {firsts} decisions are in the log");
}

/// Requests for one key at a time, each of many visitors who all came to it at once.
const TOGETHER: u64 = 100;

/// A batch that asks for one decision over and over; every so many batches it is another that nobody has asked for.
fn hot_key(index: u64) -> (usize, loadtest::Request) {
    let one = [r#"{"experiment":"hot"}"#; 100].join(",");
    let body = format!(r#"{{"user":"star-{}","requests":[{one}]}}"#, index / TOGETHER);
    (0, post(&PathAndQuery::from_static("/v1/decide/batch"), body))
}

/// Sends so many batches over many connections, and says so at the end.
async fn flood(
    server: &Server,
    batches: u64,
    batch: fn(u64) -> (usize, loadtest::Request),
    over: &AtomicBool,
) -> Report {
    let minute = Duration::from_secs(60);
    let load = Load { timeout: minute, patience: minute, ..Load::new(address(server), FLOODERS, &["batch"]) };
    let report = closed(&load, Extent::Requests(batches), batch).await.unwrap();
    over.store(true, Relaxed);
    report
}

/// Asks for one address after the other until `over`: how often.
async fn reader(server: &Server, addresses: &[&str], over: &AtomicBool) -> u64 {
    let mut count = 0;
    while !over.load(Relaxed) {
        for address in addresses {
            let answer = server.send(Method::GET, address, None).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{address}: {}", answer.text().await.unwrap());
            count += 1;
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_hot_key_is_dealt_once_and_hurts_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--decide-timeout-ms", "5000"]);
    server.run(&five_arms("hot")).await;
    server.run(&five_arms("calm")).await;
    let batches = setting("FLOOD", 2_000);
    let over = AtomicBool::new(false);
    let (report, (calm, refused)) =
        tokio::join!(flood(&server, batches, hot_key, &over), newcomers(&server, "calm", &over));
    println!("{report}\ncalm: {} dealt", calm.len());
    assert_eq!((report.succeeded(), report.failures()), (batches, 0), "{report}");
    assert_eq!(refused, 0, "who asks little is refused for those who ask much");
    // A key whose every request was refused was dealt nothing; each other is one decision, and stands.
    let (hot, mut known) = (trials(&server, "hot").await, 0);
    for n in 0..batches.div_ceil(TOGETHER) {
        let again = decide(&server, "hot", &format!("star-{n}")).await.unwrap();
        known += u64::from(again["first"] == false);
    }
    assert!(hot > 0 && hot == known, "{hot} decisions of {known} keys");
    assert_eq!(trials(&server, "calm").await, calm.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_pages_are_answered_beside_a_flood_of_new_users() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--decide-timeout-ms", "500"]);
    server.run(&five_arms("hot")).await;
    server.expect(Method::PUT, "/v1/catalogs/shop", Some(&json!({"dimension": 2})), 201).await;
    let items: Vec<Value> = (0..500).map(|n| json!({"id": format!("i{n}"), "vector": [n, 500 - n]})).collect();
    server.expect(Method::PUT, "/v1/catalogs/shop/items", Some(&json!(items)), 200).await;
    let view = json!({"type": "view", "user": "u", "item": "i7"});
    server.post("/v1/events", &view).await;
    let over = AtomicBool::new(false);
    let lists = ["/v1/catalogs/shop/recommendations?user=u", "/v1/catalogs/shop/items/i3/related"];
    let pages = ["/dashboard", "/dashboard/experiments/hot", "/dashboard/pipeline"];
    let (report, lists, pages) = tokio::join!(
        flood(&server, setting("FLOOD", 2_000), newcomer, &over),
        reader(&server, &lists, &over),
        reader(&server, &pages, &over)
    );
    println!("{report}\nlists: {lists}; pages: {pages}");
    let shed = metric(&server, "croupier_shed_total").await;
    assert!(shed > 0 && lists > 1 && pages > 2, "the flood was no flood: {shed} refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_or_finish_holds_no_connection_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--connections", "6", "--idle-seconds", "1"]);
    let address = address(&server);
    let connect = move || {
        let tcp = TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        tcp
    };
    // More answers than the system keeps for who does not read them.
    let asks = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(500);
    let deaf: Vec<TcpStream> = (0..4).map(|_| connect()).collect();
    for mut tcp in &deaf {
        tcp.set_nonblocking(true).unwrap();
        // What the server does not take now it will not take later.
        assert!(tcp.write(asks.as_bytes()).is_ok_and(|n| n > 1_000));
    }
    let mut half = connect();
    half.write_all(b"POST /v1/decide HTTP/1.1\r\nhost: lo").unwrap();
    let _silent = connect();
    // All places are taken; this one waits until they are not.
    let answered = tokio::task::spawn_blocking(move || {
        let mut tcp = connect();
        tcp.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        tcp.read_to_string(&mut text).map(|_| text)
    });
    assert!(answered.await.unwrap().unwrap().starts_with("HTTP/1.1 200"));
    // Each of the deaf was let go, if it only listens to the end of what came.
    let ended = tokio::task::spawn_blocking(move || {
        for mut tcp in deaf {
            tcp.set_nonblocking(false).unwrap();
            let (mut all, mut some) = (0, [0; 1 << 16]);
            loop {
                match tcp.read(&mut some) {
                    Ok(0) => break,
                    Ok(n) => all += n,
                    Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
                    Err(e) => panic!("{e}"),
                }
            }
            println!("{all} bytes of what was asked for were sent");
        }
    });
    ended.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_come_byte_by_byte_take_nobodys_place() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    server.run(&five_arms("page")).await;
    let slow: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut tcp = TcpStream::connect(address(&server)).unwrap();
            let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n[";
            tcp.write_all(head.as_bytes()).unwrap();
            tcp
        })
        .collect();
    for n in 0..100 {
        for mut tcp in &slow {
            tcp.write_all(b" ").unwrap();
        }
        assert!(decide(&server, "page", &format!("u{n}")).await.is_some());
    }
    assert_eq!(metric(&server, "croupier_shed_total").await, 0);
}
