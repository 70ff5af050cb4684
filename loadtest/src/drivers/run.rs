//! What both drivers share: the settings, the source of requests and the tally.

use super::connection::Connection;
use super::error::Error;
use super::report::{ClassReport, Latencies, Report};
use super::request::Request;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Pause before a broken connection is opened again, so that a target that refuses is not hammered.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Whom to load, and how patiently.
#[derive(Debug, Clone)]
pub struct Load {
    /// The target.
    pub target: SocketAddr,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// After which a request is given up.
    pub timeout: Duration,
    /// Without any answer for so long while requests fail, the run ends with [`Error::Silent`].
    pub patience: Duration,
    /// What the report calls the classes; the source says of each request which it is of.
    pub classes: Vec<&'static str>,
}

impl Load {
    /// Load on `target` over so many connections, with ten seconds of patience.
    #[must_use]
    pub fn new(target: SocketAddr, connections: usize, classes: &[&'static str]) -> Self {
        let ten = Duration::from_secs(10);
        Self { target, connections, timeout: ten, patience: ten, classes: classes.to_vec() }
    }
}

/// How long a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// For a time.
    Duration(Duration),
    /// For a number of requests.
    Requests(u64),
}

/// A run under way. The source is called with 0, 1, 2 … once each, at the moment of sending.
pub(crate) struct Run<S> {
    pub(crate) load: Load,
    source: S,
    next: AtomicU64,
    tally: Mutex<Tally>,
}

pub(crate) struct Tally {
    classes: Vec<ClassReport>,
    first_failure: Option<String>,
    last_answer: Instant,
    pub(crate) lag: Latencies,
    pub(crate) waited: u64,
    pub(crate) unsent: u64,
}

impl<S: Fn(u64) -> (usize, Request) + Send + Sync + 'static> Run<S> {
    /// A run and its open connections.
    pub(crate) async fn prepare(load: &Load, source: S) -> Result<(Arc<Self>, Vec<Connection>), Error> {
        if load.connections == 0 || load.classes.is_empty() {
            return Err(Error::Setting("a run needs a connection and a class"));
        }
        let mut connections = Vec::with_capacity(load.connections);
        for _ in 0..load.connections {
            let opening = tokio::time::timeout(load.timeout, Connection::open(load.target)).await;
            let slow = |_| Error::Connect { target: load.target, why: format!("no answer in {:?}", load.timeout) };
            connections.push(opening.map_err(slow)??);
        }
        let classes = load.classes.iter().map(|name| {
            let (latency, accepted) = (Latencies::new()?, Latencies::new()?);
            Ok(ClassReport { name, latency, accepted, statuses: BTreeMap::new(), failures: 0 })
        });
        let tally = Mutex::new(Tally {
            classes: classes.collect::<Result<_, Error>>()?,
            first_failure: None,
            last_answer: Instant::now(),
            lag: Latencies::new()?,
            waited: 0,
            unsent: 0,
        });
        Ok((Arc::new(Self { load: load.clone(), source, next: AtomicU64::new(0), tally }), connections))
    }

    /// The number of the next request.
    pub(crate) fn claim(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends request `index` and records what came of it; time counts from `since`.
    pub(crate) async fn send(&self, connection: &mut Connection, index: u64, since: Instant) -> Result<(), Error> {
        let (class, request) = (self.source)(index);
        let answer = tokio::time::timeout(self.load.timeout, connection.exchange(request)).await;
        let now = Instant::now();
        let failure = {
            let mut tally = self.tally();
            let Some(report) = tally.classes.get_mut(class) else {
                return Err(Error::Setting("the source names a class that the run does not have"));
            };
            match answer {
                Ok(Ok(status)) => {
                    report.latency.record(now - since);
                    if status.is_success() {
                        report.accepted.record(now - since);
                    }
                    *report.statuses.entry(status.as_u16()).or_default() += 1;
                    tally.last_answer = now;
                    return Ok(());
                }
                Ok(Err(why)) => {
                    report.failures += 1;
                    why
                }
                Err(_) => {
                    // It took at least so long: leaving it out would flatter the target.
                    report.latency.record(now - since);
                    report.failures += 1;
                    format!("no answer in {:?}", self.load.timeout)
                }
            }
        };
        self.judge(failure, now)?;
        tokio::time::sleep(BACK_OFF).await;
        Ok(())
    }

    /// Keeps the first failure; gives the target up when it has been silent for too long.
    fn judge(&self, failure: String, now: Instant) -> Result<(), Error> {
        let mut tally = self.tally();
        let silence = now.saturating_duration_since(tally.last_answer);
        if silence > self.load.patience {
            return Err(Error::Silent { target: self.load.target, silence, last: failure });
        }
        tally.first_failure.get_or_insert(failure);
        Ok(())
    }

    /// Waits for the workers and reports.
    pub(crate) async fn finish(
        &self,
        mut workers: JoinSet<Result<(), Error>>,
        begun: Instant,
        wanted_rate: Option<f64>,
    ) -> Result<Report, Error> {
        // The first error ends the run: dropping the set ends the other workers.
        while let Some(ended) = workers.join_next().await {
            ended.map_err(|e| Error::Generator(e.to_string()))??;
        }
        let tally = self.tally();
        Ok(Report {
            elapsed: begun.elapsed(),
            wanted_rate,
            classes: tally.classes.clone(),
            first_failure: tally.first_failure.clone(),
            lag: tally.lag.clone(),
            waited: tally.waited,
            unsent: tally.unsent,
        })
    }
}
