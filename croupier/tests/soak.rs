//! Minutes of mixed load: every answer is good, memory and handles stay flat, and nothing is left in a queue.
//!
//! Short by default; `make soak` sets `SOAK_SECONDS=600`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with the bench, which uses more of it")]
#[path = "../benches/bench/server.rs"]
mod server;

use loadtest::{Extent, Load, PathAndQuery, Request, closed, open, post};
use serde_json::json;
use server::Server;
use std::fmt::Write;
use std::ops::Range;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Requests per second: a third of what an unoptimised server does on one core.
const RATE: f64 = 300.0;
/// Users who have a decision before memory is looked at.
const KNOWN: u64 = 3_000;
/// Items of a batch.
const ITEMS: u64 = 10;
/// So small that it is full before memory is looked at: from then on it only replaces.
const CACHED_ASSIGNMENTS: &str = "2000";
/// What memory may grow after the first third. The load reaches two of the store's tables in memory, the day's
/// assignments and the log, which hold up to 8 MiB each, twice while one is written out; which of these are full
/// is chance. Over ten minutes it is 280 bytes for each request of the later two thirds.
const GROWTH_KIB: u64 = 32 << 10;
/// What the number of open files may grow: the store's tables of a few levels, and the database's connections.
const MORE_HANDLES: usize = 64;
/// Records that may wait in the log: some seconds of this load. The updater reads as it grows.
const MOST_WAITING: f64 = 10_000.0;

const CLASSES: [&str; 4] = ["first", "repeat", "batch", "events"];

/// Of twenty requests: four first decisions, eleven repeats, one batch, four posts of two events.
fn traffic(index: u64) -> (usize, Request) {
    let known = index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let known = known % KNOWN;
    let decide = PathAndQuery::from_static("/v1/decide");
    match index % 20 {
        0..4 => (0, post(&decide, format!(r#"{{"experiment":"soak","user":"new-{index}"}}"#))),
        4 => {
            let mut body = format!(r#"{{"user":"known-{known}","requests":["#);
            for item in 0..ITEMS {
                let comma = if item == 0 { "" } else { "," };
                let _ = write!(body, r#"{comma}{{"experiment":"soak","item":"sku-{item}"}}"#);
            }
            (2, post(&PathAndQuery::from_static("/v1/decide/batch"), body + "]}"))
        }
        5..9 => {
            let reward = |n: u64, user: u64| {
                format!(r#"{{"id":"{index}-{n}","type":"reward","name":"purchase","user":"known-{user}"}}"#)
            };
            let body = format!("[{},{}]", reward(0, known), reward(1, (known + 1) % KNOWN));
            (3, post(&PathAndQuery::from_static("/v1/events"), body))
        }
        _ => (1, introduction(known)),
    }
}

fn introduction(user: u64) -> Request {
    let body = format!(r#"{{"experiment":"soak","user":"known-{user}"}}"#);
    post(&PathAndQuery::from_static("/v1/decide"), body)
}

/// One look at the server.
#[derive(Debug)]
struct Sample {
    at: Duration,
    resident_kib: u64,
    handles: usize,
    backlog: f64,
}

/// Looks every second or so, and asks for an update now and then, until `end`.
async fn watch(server: &Server, length: Duration) -> Outcome<Vec<Sample>> {
    let begun = Instant::now();
    let every = (length / 60).clamp(Duration::from_millis(250), Duration::from_secs(1));
    let between_updates = length / 8;
    let mut next_update = between_updates;
    let mut samples = Vec::new();
    while begun.elapsed() < length {
        tokio::time::sleep(every).await;
        let backlog = server.metric("croupier_log_backlog_events", "").await?;
        let (resident_kib, handles) = (server.resident_kib()?, server.handles()?);
        samples.push(Sample { at: begun.elapsed(), resident_kib, handles, backlog });
        if begun.elapsed() > next_update {
            server.update("soak").await?;
            next_update = begun.elapsed() + between_updates;
        }
    }
    Ok(samples)
}

/// The middle of what was seen between two moments: a moment's peak is no growth.
fn typical<T: Ord + Copy>(samples: &[Sample], between: Range<Duration>, of: impl Fn(&Sample) -> T) -> Outcome<T> {
    let mut seen: Vec<T> = samples.iter().filter(|s| between.contains(&s.at)).map(of).collect();
    seen.sort();
    seen.get(seen.len() / 2).copied().ok_or_else(|| "nobody looked at the server in this part of the run".into())
}

#[tokio::test]
async fn load_leaves_memory_flat_and_queues_empty() -> Outcome<()> {
    let seconds = std::env::var("SOAK_SECONDS").map_or(Ok(20), |s| s.parse())?;
    let length = Duration::from_secs(seconds);
    let server = Server::start(&["--cached-assignments", CACHED_ASSIGNMENTS]).await?;
    let arms = ["a", "b", "c", "d", "e"].map(|id| json!({"id": id}));
    server.begin(&json!({"id": "soak", "arms": arms, "reward": {"event": "purchase"}})).await?;
    // A slow machine is no failure: only what is never answered is.
    let minute = Duration::from_secs(60);
    let load = Load { timeout: minute, patience: minute, ..Load::new(server.address, 32, &CLASSES) };
    let known = closed(&load, Extent::Requests(KNOWN), |i| (0, introduction(i))).await?;
    assert_eq!(known.succeeded(), KNOWN, "{known}");

    let (report, samples) = tokio::join!(open(&load, RATE, Extent::Duration(length), traffic), watch(&server, length));
    let (report, samples) = (report?, samples?);
    println!("{report}");
    assert_eq!(report.succeeded(), report.answered(), "an answer was not 2xx: {report}");
    assert_eq!((report.failures(), report.unsent), (0, 0), "requests had no answer: {report}");

    // Longer than `length` if the machine was slow; the parts are of what was watched.
    let end = samples.last().ok_or("nobody looked at the server")?.at + Duration::from_nanos(1);
    let (early, late) = (end / 3..end / 2, end * 5 / 6..end);
    let memory = |part: &Range<Duration>| typical(&samples, part.clone(), |s| s.resident_kib);
    let handles = |part: &Range<Duration>| typical(&samples, part.clone(), |s| s.handles);
    let (memory, handles) = ([memory(&early)?, memory(&late)?], [handles(&early)?, handles(&late)?]);
    println!("resident KiB early and late: {memory:?}; handles: {handles:?}");
    assert!(memory[1] <= memory[0] + GROWTH_KIB, "memory grows: {samples:#?}");
    assert!(handles[1] <= handles[0] + MORE_HANDLES, "handles are not closed: {samples:#?}");
    assert!(samples.iter().all(|s| s.backlog <= MOST_WAITING), "the log is not read as it grows: {samples:#?}");

    server.update("soak").await?;
    assert_eq!(server.metric("croupier_log_backlog_events", "").await?, 0.0);
    server.stop().await
}
