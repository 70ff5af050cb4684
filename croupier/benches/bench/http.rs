//! Deciding over HTTP, beside the bare handler and the bare disk.

use crate::Outcome;
use crate::bare::Bare;
use crate::fsync;
use crate::server::{Server, cpu};
use crate::table::{Against, Goal, Line, median};
use crate::traffic::{CLASSES, EXPERIMENT, FIRST, KNOWN_USERS, REPEAT, experiment, introductions, mixed};
use loadtest::{Extent, Latencies, Load, Report, closed, open};
use std::net::SocketAddr;
use std::time::Duration;

const CONNECTIONS: usize = 256;
/// Alternations of real and bare server in the closed loop, and how long each is loaded.
const ROUNDS: usize = 5;
const WINDOW: Duration = Duration::from_secs(4);
/// The same in the open loop.
const OPEN_ROUNDS: usize = 6;
const OPEN_WINDOW: Duration = Duration::from_secs(4);
/// How often the bare disk is asked beside: seldom, so that it takes little of the disk.
const DISK_PACE: Duration = Duration::from_millis(5);
/// Between windows, so that none pays for what the one before left.
const REST: Duration = Duration::from_millis(300);

pub(crate) async fn measure() -> Outcome<Vec<Line>> {
    let (real, bare) = (Server::start(&[]).await?, Bare::start()?);
    real.begin(&experiment()).await?;
    check(&real).await?;
    let load = |target| Load::new(target, CONNECTIONS, &CLASSES);
    let known = closed(&load(real.address), Extent::Requests(KNOWN_USERS), introductions).await?;
    sound(&known)?;
    closed(&load(bare.address), Extent::Requests(KNOWN_USERS), introductions).await?;
    // A repeat is of a second ago or longer.
    tokio::time::sleep(Duration::from_secs(1)).await;

    let (rates, mut lines) = throughput(&real, &bare).await?;
    lines.extend(latency(&real, &bare, rates / 2.0).await?);
    let fallbacks = real.metric("croupier_decisions_total", "fallback").await?;
    if fallbacks > 0.0 {
        return Err(format!("{fallbacks} decisions fell back: what was measured is not deciding").into());
    }
    Ok(lines)
}

/// That first decisions are first and repeats are not: else the figures mean nothing.
async fn check(real: &Server) -> Outcome<()> {
    let body = serde_json::from_str(&crate::traffic::decide("known-0"))?;
    for first in [true, false] {
        let decision = real.post("/v1/decide", &body).await?;
        if decision["first"] != first || decision["source"] != "policy" {
            return Err(format!("expected a decision of '{EXPERIMENT}' with first = {first}: {decision}").into());
        }
    }
    Ok(())
}

/// Every request must have been answered well and sent in time.
fn sound(report: &Report) -> Outcome<()> {
    if report.succeeded() == 0 || report.succeeded() != report.answered() || report.failures() + report.unsent > 0 {
        return Err(format!("not every request succeeded: {report}").into());
    }
    if report.generator_late() {
        eprintln!("note: the load generator was late, its latencies are partly its own:\n{report}");
    }
    Ok(())
}

/// The real server's median rate, and the line.
async fn throughput(real: &Server, bare: &Bare) -> Outcome<(f64, Vec<Line>)> {
    let (mut real_rates, mut bare_rates) = (Vec::new(), Vec::new());
    let (mut real_costs, mut bare_costs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (rate, cost) = window(real.address, &format!("closed-{round}"), || real.cpu()).await?;
        real_rates.push(rate);
        real_costs.push(cost);
        let (rate, cost) = window(bare.address, &format!("closed-{round}"), || bare.cpu()).await?;
        bare_rates.push(rate);
        bare_costs.push(cost);
    }
    let (rate, peer) = (median(real_rates), median(bare_rates));
    let rates = Line {
        key: "decide_rate",
        what: format!("decide, {CONNECTIONS} connections, 1 first : 4 repeats"),
        measured: rate,
        unit: "/s",
        against: Against::Peer("bare axum", peer),
        goal: Goal::AtLeast(0.85),
    };
    let costs = Line {
        key: "decide_cpu",
        what: "server CPU of a decide in that mix".into(),
        measured: median(real_costs),
        unit: "µs",
        against: Against::Peer("bare axum", median(bare_costs)),
        goal: Goal::None,
    };
    Ok((rate, vec![rates, costs]))
}

/// Answers per second in one window, and the server's CPU time in microseconds for each.
async fn window(target: SocketAddr, tag: &str, used: impl Fn() -> Outcome<Duration>) -> Outcome<(f64, f64)> {
    tokio::time::sleep(REST).await;
    let (before, own) = (used()?, cpu(std::process::id())?);
    let report = closed(&Load::new(target, CONNECTIONS, &CLASSES), Extent::Duration(WINDOW), mixed(tag)).await?;
    sound(&report)?;
    let share = |d: Duration| d.as_secs_f64() / report.elapsed.as_secs_f64() * 100.0;
    let (server, own) = (used()? - before, cpu(std::process::id())? - own);
    println!("{:.0}/s, cores used: server {:.0} %, generator {:.0} %", report.rate(), share(server), share(own));
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    let cost = server.as_secs_f64() * 1e6 / report.answered() as f64;
    Ok((report.rate(), cost))
}

/// At a rate that the real server can hold: what visitors wait.
async fn latency(real: &Server, bare: &Bare, rate: f64) -> Outcome<Vec<Line>> {
    let (mut repeats, mut firsts, mut peers, mut disk) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut usual, mut usual_peers) = (Vec::new(), Vec::new());
    let of = |report: &Report, class: &str, quantile: fn(&Latencies) -> Duration| {
        report.class(class).map_or(f64::NAN, |c| quantile(&c.latency).as_secs_f64() * 1e3)
    };
    for round in 0..OPEN_ROUNDS {
        let tag = format!("open-{round}");
        // Beside the load, at the same moments: a shared disk has stalls of its own, which one of two windows would have.
        let file = real.data().join("fdatasync");
        let bare_disk =
            std::thread::spawn(move || fsync::appends(&file, OPEN_WINDOW, DISK_PACE).map_err(|e| e.to_string()));
        let report = at_rate(real.address, rate, &tag).await?;
        println!("real: {report}");
        repeats.push(of(&report, REPEAT, Latencies::p99));
        usual.push(of(&report, REPEAT, Latencies::p50));
        firsts.push(of(&report, FIRST, Latencies::p99));
        disk.push(fsync::p99(bare_disk.join().map_err(|_| "the bare disk's thread panicked")??));
        let report = at_rate(bare.address, rate, &tag).await?;
        println!("bare: {report}");
        peers.push(of(&report, REPEAT, Latencies::p99));
        usual_peers.push(of(&report, REPEAT, Latencies::p50));
    }
    let line = |key, what, measured, against, goal| Line {
        key,
        what: format!("{what} at {rate:.0}/s, open loop"),
        measured,
        unit: "ms",
        against,
        goal: Goal::AtMost(goal),
    };
    let bare = |values| Against::Peer("bare axum", median(values));
    let disk = Against::Peer("fdatasync p99", median(disk));
    Ok(vec![
        line("repeat_p50", "repeat p50", median(usual), bare(usual_peers), 1.3),
        line("repeat_p99", "repeat p99", median(repeats), bare(peers), 2.0),
        line("first_p99", "first decision p99", median(firsts), disk, 1.5),
    ])
}

async fn at_rate(target: SocketAddr, rate: f64, tag: &str) -> Outcome<Report> {
    tokio::time::sleep(REST).await;
    let load = Load::new(target, CONNECTIONS, &CLASSES);
    let report = open(&load, rate, Extent::Duration(OPEN_WINDOW), mixed(tag)).await?;
    sound(&report)?;
    Ok(report)
}
