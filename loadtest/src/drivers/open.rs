//! The open loop: at a rate, whether answers come or not.

use super::connection::Connection;
use super::error::Error;
use super::pace::{Pacer, Schedule};
use super::report::Report;
use super::request::Request;
use super::run::{Extent, Load, Run};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Loads the target with `rate` requests per second. Latencies count from the moment each was due; one that
/// finds every connection busy waits, and the wait counts too. What is still waiting one timeout after the
/// last was due is not sent, and reported as such.
///
/// # Errors
/// When the target cannot be connected to or falls silent, or the rate is not positive.
pub async fn open<S>(load: &Load, rate: f64, extent: Extent, source: S) -> Result<Report, Error>
where
    S: Fn(u64) -> (usize, Request) + Send + Sync + 'static,
{
    if !(rate.is_finite() && rate > 0.0) {
        return Err(Error::Setting("the rate must be positive"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturating")]
    let requests = match extent {
        Extent::Duration(duration) => (duration.as_secs_f64() * rate).round() as u64,
        Extent::Requests(requests) => requests,
    };
    let (run, connections) = Run::prepare(load, source).await?;
    let schedule = Schedule { begun: Instant::now(), rate, requests };
    let permits = Arc::new(Semaphore::new(0));
    let pacer = Pacer::start(schedule, permits.clone(), connections.len())?;
    let mut workers = JoinSet::new();
    for connection in connections {
        workers.spawn(work(run.clone(), schedule, permits.clone(), connection));
    }
    let report = run.finish(workers, schedule.begun, Some(rate)).await;
    drop(pacer);
    report
}

/// Takes requests as they become due, in order: the queue is a number, so it cannot grow.
async fn work<S>(
    run: Arc<Run<S>>,
    schedule: Schedule,
    permits: Arc<Semaphore>,
    mut connection: Connection,
) -> Result<(), Error>
where
    S: Fn(u64) -> (usize, Request) + Send + Sync + 'static,
{
    let over = schedule.due(schedule.requests) + run.load.timeout;
    loop {
        let free = Instant::now();
        permits.acquire().await.map_err(|e| Error::Generator(e.to_string()))?.forget();
        let index = run.claim();
        if index >= schedule.requests {
            return Ok(());
        }
        let (now, due) = (Instant::now(), schedule.due(index));
        {
            let mut tally = run.tally();
            if now > over {
                tally.unsent += 1;
                continue;
            }
            tally.waited += u64::from(free > due);
            tally.lag.record(now.saturating_duration_since(due.max(free)));
        }
        run.send(&mut connection, index, due).await?;
    }
}
