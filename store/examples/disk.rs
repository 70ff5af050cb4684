//! How much disk a data directory takes, and how fast it is written and read: `disk [DECISIONS] [ROUNDS]
//! [BATCH]`.
//!
//! Each round deals its share of the decisions from 512 tasks at once (assignment and log record, synchronised to
//! the disk), then does what the updater does (pull, ingest, acknowledge) until the log is empty.

use bandit::{Assignment, AssignmentKey, DecisionRecord, Event, Experiment, Source, Sticky};
use jiff::{Timestamp, civil::date};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::{Change, Ingest, Locations, Stores};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const TASKS: u64 = 512;
const DEFINITION: &str = r#"{"id":"product-page","arms":[{"id":"control"},{"id":"b"}],"segment_by":["device"],
    "reward":{"event":"purchase"}}"#;

/// Decision number `n` of user, item and day.
fn decision(n: u64, at: Timestamp) -> (Assignment, Event) {
    let (user, item, day) = (format!("u{n:06}"), format!("sku-{}", n % 5_000), date(2026, 11, 21));
    let key = AssignmentKey::new("product-page", &Sticky::default(), &user, Some(&item), day);
    // Random enough for a disk: 53 bits of the key's hash.
    let random = u64::from_be_bytes([0, 0, 0, 1, 2, 3, 4, 5].map(|i: usize| key.id.0[i]));
    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    let propensity = 0.01 + 0.98 * (random % (1 << 40)) as f64 / (1_u64 << 40) as f64;
    let arm = if random.is_multiple_of(3) { "b" } else { "control" };
    let at = at + Duration::from_millis(n * 40);
    let assignment = Assignment {
        key,
        arm: arm.into(),
        segment: "device=mobile".into(),
        propensity,
        posterior_version: 1 + n / 50_000,
        revision: 2,
        source: Source::Policy,
        at,
    };
    let record = DecisionRecord {
        decision_id: key.id,
        experiment: "product-page".into(),
        user,
        item: Some(item),
        day,
        segment: "device=mobile".into(),
        features: None,
        arm: arm.into(),
        position: None,
        list: None,
        propensity,
        posterior_version: assignment.posterior_version,
        revision: 2,
        source: Source::Policy,
        at,
    };
    (assignment, Event::Decision(record))
}

/// Deals decisions `from..to`, each as the API does: the arm is told once both writes are safe.
async fn deal(stores: &Stores, from: u64, to: u64, at: Timestamp) -> Outcome<()> {
    let next = Arc::new(AtomicU64::new(from));
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let (stores, next) = (stores.clone(), next.clone());
        tasks.push(tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= to {
                    return Ok::<_, store::StoreError>(());
                }
                let (assignment, event) = decision(n, at);
                let put = stores.assignments.put_if_absent(&assignment).await?;
                stores.events.append(&[event]).await?;
                put.durable.wait().await?;
            }
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// Pulls, ingests and acknowledges until nothing is left; returns how many decisions that were, and the time that
/// ingesting alone took.
async fn catch_up(stores: &Stores, batch: usize, at: Timestamp) -> Outcome<(u64, Duration)> {
    let (mut total, mut ingesting) = (0, Duration::ZERO);
    loop {
        let delivery = stores.events.pull(batch).await?;
        let Some(receipt) = delivery.receipt else { return Ok((total, ingesting)) };
        let mut batch = Ingest { at, ..Default::default() };
        for event in delivery.events {
            match event {
                Ok(Event::Decision(record)) => batch.decisions.push(record),
                other => return Err(format!("not a decision: {other:?}").into()),
            }
        }
        let began = Instant::now();
        total += stores.outcomes.ingest(&batch).await?.decisions;
        ingesting += began.elapsed();
        stores.events.acknowledge(receipt).await?;
    }
}

/// Bytes of the files below `dir`, in MB.
fn megabytes(dir: &Path) -> std::io::Result<f64> {
    let mut bytes = 0.0;
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            // A file may go while it is looked at.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                dirs.push(entry.path());
            } else {
                #[expect(clippy::cast_precision_loss, reason = "for people")]
                let size = meta.len() as f64;
                bytes += size / 1e6;
            }
        }
    }
    Ok(bytes)
}

/// Prints one line of the table: total, then the journal, the tables and the database.
fn row(dir: &Path, when: &str, rate: &str) -> std::io::Result<f64> {
    let (all, state) = (megabytes(dir)?, megabytes(&dir.join("state"))?);
    let tables = megabytes(&dir.join("state/keyspaces"))?;
    println!("{when:<28} {all:>8.1} {:>9.1} {tables:>8.1} {:>8.1}   {rate}", state - tables, all - state);
    Ok(all)
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let decisions: u64 = args.next().map_or(Ok(1_000_000), |a| a.parse())?;
    let rounds: u64 = args.next().map_or(Ok(1), |a| a.parse())?;
    let batch: usize = args.next().map_or(Ok(5_000), |a| a.parse())?;
    let scratch = tempfile::tempdir()?;
    let dir = scratch.path();
    let locations = Locations::in_dir(dir);
    let at: Timestamp = "2026-11-21T00:00:00Z".parse()?;
    let stores = store::open(&locations).await?;
    let definition: Experiment = serde_json::from_str(DEFINITION)?;
    stores
        .experiments
        .create(&definition, &Change { who: "disk".into(), why: String::new(), at, request: String::new() })
        .await?;

    println!("{:<28} {:>8} {:>9} {:>8} {:>8}", "MB", "total", "journals", "tables", "database");
    let mut most: f64 = 0.0;
    for round in 0..rounds {
        let (from, to) = (decisions * round / rounds, decisions * (round + 1) / rounds);
        let began = Instant::now();
        deal(&stores, from, to, at).await?;
        let rate = per_second(to - from, began.elapsed());
        row(dir, &format!("round {}: dealt", round + 1), &format!("{rate:.0} decisions/s dealt"))?;
        let began = Instant::now();
        let (read, ingesting) = catch_up(&stores, batch, at).await?;
        let (all, sql) = (per_second(read, began.elapsed()), per_second(read, ingesting));
        let rate = format!("{all:.0} decisions/s caught up, {sql:.0}/s ingested");
        most = most.max(row(dir, &format!("round {}: caught up", round + 1), &rate)?);
    }
    for seconds in [1, 10] {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        most = most.max(row(dir, &format!("{seconds} s later"), "")?);
    }
    drop(stores);
    row(dir, "closed", "")?;
    let stores = store::open(&locations).await?;
    most = most.max(row(dir, "opened again", "")?);
    println!("most after catching up: {most:.1} MB; backlog {}", stores.events.backlog().await?.unwrap_or_default());
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn per_second(n: u64, time: Duration) -> f64 {
    n as f64 / time.as_secs_f64()
}
