//! How fast batches go into the databases: `ingest [EVENTS] [BATCH] [DAYS]`.
//!
//! Batches come from memory: three decisions to one reward, which claims a decision of its own or an earlier batch. Into
//! SQLite always, into PostgreSQL when it is installed; both run on this machine, with the source. Processor time is of
//! this process, and with PostgreSQL of its server's too. With `WAIT` in the environment PostgreSQL stays until a line is
//! read, for a look at its plans.

use bandit::{AssignmentKey, DecisionId, DecisionRecord, Experiment, Source, Sticky, UserEvent, UserEventKind};
use jiff::{Timestamp, civil::date};
use std::time::{Duration, Instant};
use store::conformance::services::{Kind, Service};
use store::{Change, Ingest, Locations};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const DEFINITION: &str = r#"{"id":"product-page","arms":[{"id":"control"},{"id":"b"}],"segment_by":["device"],
    "reward":{"event":"purchase"}}"#;

/// Decision number `n` of `all`, which are spread over `days`.
fn decision(n: u64, all: u64, days: u64) -> DecisionRecord {
    let (user, item, day) = (format!("u{n:07}"), format!("sku-{}", n % 5_000), date(2026, 11, 21));
    let key = AssignmentKey::new("product-page", &Sticky::default(), &user, Some(&item), day);
    let begin = Timestamp::from_second(1_795_219_200).unwrap_or_default();
    DecisionRecord {
        decision_id: key.id,
        experiment: "product-page".into(),
        user,
        item: Some(item),
        day,
        segment: ["device=mobile", "device=desktop", "device=tablet"][usize::try_from(n % 3).unwrap_or(0)].into(),
        features: None,
        arm: if key.id.0[0].is_multiple_of(3) { "b" } else { "control" }.into(),
        position: None,
        list: None,
        propensity: 0.5,
        posterior_version: 1 + n / 50_000,
        revision: 2,
        source: Source::Policy,
        at: begin + Duration::from_millis(n * days * 86_400_000 / all),
    }
}

/// A reward for a decision.
fn reward(n: u64, of: &DecisionRecord) -> (UserEvent, Vec<DecisionId>) {
    let event = UserEvent {
        id: format!("5f2c1e0a-0000-4000-8000-{n:012}"),
        kind: UserEventKind::Reward,
        name: "purchase".into(),
        user: Some(of.user.clone()),
        item: of.item.clone(),
        decision_id: None,
        experiment: None,
        value: 1.0,
        at: of.at + Duration::from_secs(60),
    };
    // Without 'decision_id' a reward claims today's assignment and yesterday's, which there may not be.
    let mut yesterday = of.decision_id;
    yesterday.0[15] ^= 1;
    (event, vec![of.decision_id, yesterday])
}

fn batches(events: u64, batch: u64, days: u64) -> Vec<Ingest> {
    let all = events * 3 / 4;
    let decisions = batch * 3 / 4;
    let batches = (0..events / batch).map(|b| {
        let numbers = b * decisions..(b + 1) * decisions;
        let own: Vec<DecisionRecord> = numbers.clone().map(|n| decision(n, all, days)).collect();
        // Half of them a batch late.
        let rewarded = numbers.step_by(3).map(|n| if n % 2 == 0 { n } else { n.saturating_sub(decisions) });
        let events = rewarded.map(|n| reward(b * batch + n, &decision(n, all, days))).collect();
        let at = own.last().map_or_else(Timestamp::default, |d| d.at);
        Ingest { at, decisions: own, events, ..Ingest::default() }
    });
    batches.collect()
}

/// Seconds that processes took of processors: this one and all below `parent`.
fn cpu_seconds(parent: Option<u32>) -> f64 {
    let ticks = |stat: &str, from: usize| -> f64 {
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields.get(from..from + 2).map_or(0.0, |times| times.iter().filter_map(|t| t.parse::<f64>().ok()).sum())
    };
    let mut sum = std::fs::read_to_string("/proc/self/stat").map_or(0.0, |stat| ticks(&stat, 11));
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let of = stat.rsplit(')').next().and_then(|s| s.split_whitespace().nth(1)?.parse::<u32>().ok());
        let own = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if parent.is_some() && (of == parent || own == parent) {
            sum += ticks(&stat, 11);
        }
    }
    sum / 100.0
}

/// The process of PostgreSQL, which is a child of ours.
fn server() -> Option<u32> {
    let children = std::fs::read_dir("/proc/self/task").ok()?.flatten();
    let lists = children.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).next()
}

async fn run(name: &str, locations: &Locations, batches: &[Ingest], server: Option<u32>) -> Outcome<()> {
    let stores = store::open_database(locations).await?;
    let definition: Experiment = serde_json::from_str(DEFINITION)?;
    let change = Change { who: "ingest".into(), why: String::new(), at: Timestamp::UNIX_EPOCH, request: String::new() };
    stores.experiments.create(&definition, &change).await?;
    let events = |batch: &Ingest| batch.decisions.len() + batch.events.len();
    let (began, cpu) = (Instant::now(), cpu_seconds(server));
    let mut times = Vec::new();
    for batch in batches {
        let began = Instant::now();
        let new = stores.outcomes.ingest(batch).await?;
        if new.decisions != batch.decisions.len() as u64 {
            return Err(format!("{name}: {new:?} of {} decisions", batch.decisions.len()).into());
        }
        times.push(per_second(events(batch), began.elapsed()));
    }
    let all: usize = batches.iter().map(events).sum();
    let rate = per_second(all, began.elapsed());
    let cpu = (cpu_seconds(server) - cpu) * 1e6 / per_second(all, Duration::from_secs(1));
    let slowest = times.iter().copied().fold(f64::INFINITY, f64::min);
    let (first, last) = (times.first().copied().unwrap_or(0.0), times.last().copied().unwrap_or(0.0));
    println!("{name:<12} {rate:>9.0} {first:>9.0} {last:>9.0} {slowest:>9.0} {cpu:>9.1}");
    let counted = stores.outcomes.evidence("product-page").await?;
    let rewards: u64 = counted.outcomes.iter().map(|o| o.rewards).sum();
    let began = Instant::now();
    if counted != stores.outcomes.recount("product-page").await? {
        return Err(format!("{name}: counts and recount differ").into());
    }
    println!("{:<12} {rewards} rewarded; recounted in {:.1} s", "", began.elapsed().as_secs_f64());
    let again = batches.last().ok_or("no batch")?;
    let began = Instant::now();
    stores.outcomes.ingest(again).await?;
    println!("{:<12} the last batch again: {:.0} events/s", "", per_second(events(again), began.elapsed()));
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let events: u64 = args.next().map_or(Ok(1_000_000), |a| a.parse())?;
    let batch: u64 = args.next().map_or(Ok(20_000), |a| a.parse())?;
    let days: u64 = args.next().map_or(Ok(1), |a| a.parse())?;
    let batches = batches(events, batch, days);
    println!("{events} events in batches of {batch} over {days} days");
    println!("{:<12} {:>9} {:>9} {:>9} {:>9} {:>9}", "events/s", "mean", "first", "last", "slowest", "CPU µs");
    let dir = tempfile::tempdir()?;
    if let Some(service) = Service::start(Kind::Postgres) {
        let locations = Locations { database: service.postgres_url("postgres"), ..Locations::in_dir(dir.path()) };
        run("PostgreSQL", &locations, &batches, server()).await?;
        if std::env::var_os("WAIT").is_some() {
            println!("{} is there until a line is read", service.postgres_url("postgres"));
            std::io::stdin().read_line(&mut String::new())?;
        }
    }
    run("SQLite", &Locations::in_dir(dir.path()), &batches, None).await
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn per_second(n: usize, time: Duration) -> f64 {
    n as f64 / time.as_secs_f64()
}
