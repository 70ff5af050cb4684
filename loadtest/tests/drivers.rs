//! The drivers against targets that behave, freeze, refuse and die.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on")]

use axum::Router;
use axum::http::StatusCode;
use loadtest::{Error, Extent, Load, Request, closed, get, open};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A target on one thread of its own, so that a handler that blocks freezes all of it.
fn target(handler: impl Fn(u64) -> StatusCode + Clone + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let count = Arc::new(AtomicU64::new(0));
        let answer = move || {
            let status = handler(count.fetch_add(1, Ordering::Relaxed));
            async move { (status, "an answer") }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
        });
    });
    address
}

fn root() -> Request {
    get(&"/".parse().unwrap())
}

fn load(target: SocketAddr) -> Load {
    Load { patience: Duration::from_millis(300), ..Load::new(target, 4, &["even", "odd"]) }
}

fn by_parity(index: u64) -> (usize, Request) {
    (usize::from(index % 2 == 1), root())
}

#[tokio::test]
async fn a_closed_loop_sends_what_it_was_asked_to() {
    let seen = Arc::new(AtomicU64::new(0));
    let theirs = seen.clone();
    let address = target(move |i| {
        theirs.fetch_add(1, Ordering::Relaxed);
        if i % 10 == 0 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    });
    let report = closed(&load(address), Extent::Requests(1_001), by_parity).await.unwrap();
    assert_eq!((report.answered(), seen.load(Ordering::Relaxed)), (1_001, 1_001));
    assert_eq!((report.succeeded(), report.failures()), (900, 0));
    assert_eq!(report.class("even").unwrap().latency.count(), 501);
    assert_eq!(report.class("odd").unwrap().answered(), 500);
    assert!(report.rate() > 0.0 && report.class("odd").unwrap().latency.max() >= report.classes[1].latency.p50());
}

#[tokio::test]
async fn a_closed_loop_ends_in_time() {
    let address = target(|_| StatusCode::OK);
    let begun = Instant::now();
    let report = closed(&load(address), Extent::Duration(Duration::from_millis(300)), by_parity).await.unwrap();
    assert!(report.answered() > 0 && report.elapsed >= Duration::from_millis(300));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn an_open_loop_sends_at_its_rate() {
    let address = target(|_| StatusCode::NO_CONTENT);
    let report = open(&load(address), 500.0, Extent::Duration(Duration::from_secs(1)), by_parity).await.unwrap();
    assert_eq!((report.succeeded(), report.unsent, report.lag.count()), (500, 0, 500));
    // The last is due at 998 ms, so nobody can be faster.
    assert!(report.elapsed >= Duration::from_millis(998) && report.rate() <= 502.0);
}

/// A target that stands still for 600 ms of 2 s is slow for every request that was due meanwhile, not only for
/// the few that were under way: a closed loop of four connections would see four.
#[tokio::test]
async fn a_freeze_is_seen_by_all_that_were_due() {
    let address = target(|i| {
        if i == 100 {
            std::thread::sleep(Duration::from_millis(600));
        }
        StatusCode::OK
    });
    let report = open(&load(address), 200.0, Extent::Requests(400), by_parity).await.unwrap();
    assert_eq!((report.succeeded(), report.unsent), (400, 0));
    let slow: u64 = report.classes.iter().map(|c| c.latency.at_least(Duration::from_millis(200))).sum();
    // 400 ms of arrivals wait 200 ms or longer: 80. A slower machine only makes it more.
    assert!(slow >= 70, "{slow} slow answers: {report}");
    assert!(report.waited >= 70, "{report}");
    assert!(report.classes.iter().any(|c| c.latency.max() >= Duration::from_millis(550)), "{report}");
}

#[tokio::test]
async fn what_a_target_cannot_do_in_time_is_not_sent() {
    let address = target(|_| {
        std::thread::sleep(Duration::from_millis(20));
        StatusCode::OK
    });
    let load = Load { timeout: Duration::from_millis(400), ..load(address) };
    let report = open(&load, 1_000.0, Extent::Requests(200), by_parity).await.unwrap();
    assert!(report.unsent > 0, "{report}");
    assert_eq!(report.answered() + report.failures() + report.unsent, 200);
    assert!(report.elapsed < Duration::from_secs(20));
}

#[tokio::test]
async fn a_dead_target_is_an_error() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = closed(&load(address), Extent::Requests(10), by_parity).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("cannot connect to {address}: ")), "{error}");
}

#[tokio::test]
async fn a_target_that_falls_silent_ends_the_run() {
    // Connections are taken by the system's queue and never answered.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let load = Load { timeout: Duration::from_millis(200), ..load(listener.local_addr().unwrap()) };
    let begun = Instant::now();
    for error in [
        closed(&load, Extent::Duration(Duration::from_secs(60)), by_parity).await.unwrap_err(),
        open(&load, 100.0, Extent::Duration(Duration::from_secs(60)), by_parity).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Silent { .. }), "{error}");
        assert!(error.to_string().contains("no answer in 200ms"), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let address = target(|_| StatusCode::OK);
    let none = Load { connections: 0, ..load(address) };
    assert!(matches!(closed(&none, Extent::Requests(1), by_parity).await, Err(Error::Setting(_))));
    assert!(matches!(open(&load(address), 0.0, Extent::Requests(1), by_parity).await, Err(Error::Setting(_))));
    let stranger = closed(&load(address), Extent::Requests(1), |_| (7, root())).await;
    assert!(matches!(stranger, Err(Error::Setting(_))));
}
