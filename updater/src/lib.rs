//! Events in, posteriors out.
//!
//! The log is consumed as it grows; posteriors are recomputed on the clock, or when asked.

mod consume;
mod examine;
mod expired;
mod history;
mod lease;
mod maps;
mod popular;
mod schedule;
mod steps;
mod trace;
mod update;

pub use consume::describe as describe_metrics;
pub use schedule::boundary;

use bandit::Clock;
use jiff::{SignedDuration, Timestamp};
use lease::Lease;
use popular::LastTold;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Result, RunReport, Stores, Trigger};
use tokio::sync::watch;

/// How often the updater looks whether an update is due or asked for.
const TICK: Duration = Duration::from_millis(100);
/// How often it consumes the log. More often would make many small transactions, on the disk that decisions wait for.
const PACE: Duration = Duration::from_millis(500);
/// How long it leaves a store alone that failed, or a lease that another holds.
const RECOVERY: Duration = Duration::from_secs(1);

/// Settings of the updater.
#[derive(Debug, Clone)]
pub struct Config {
    /// Runs are at multiples of it since 1970-01-01T00:00Z.
    pub interval: SignedDuration,
    /// Days after which decisions and events are let go of; 0 keeps them.
    pub retention_days: u32,
    /// What this process is called among updaters: no two are called the same.
    pub name: String,
}

/// Consumes the log and publishes posteriors. Of several, one works; the others stand by.
pub struct Updater {
    stores: Stores,
    clock: Arc<dyn Clock>,
    config: Config,
    /// What was consumed since the last run.
    since: RunReport,
    /// When the log was last consumed.
    consumed: Option<Instant>,
    /// Events taken in since the start.
    taken_in: u64,
    told: LastTold,
}

impl Updater {
    /// An updater of these stores.
    #[must_use]
    pub fn new(stores: Stores, clock: Arc<dyn Clock>, config: Config) -> Self {
        Self {
            stores,
            clock,
            config,
            since: RunReport::default(),
            consumed: None,
            taken_in: 0,
            told: LastTold::default(),
        }
    }

    /// Works until `stop` becomes true, then finishes what it is at.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut lease = Lease::new(self.stores.leases.clone(), self.config.name.clone());
        let (working, at_work) = watch::channel(false);
        let (catalogs, clock) = (self.stores.catalogs.clone(), self.clock.clone());
        tokio::select! {
            () = self.rounds(&mut lease, &working, &mut stop) => {}
            () = expired::keep_walking(&*catalogs, &*clock, at_work) => {}
        }
        lease.release().await;
    }

    /// One round after the other, until `stop` becomes true; `working` is told whether this is the updater that works.
    async fn rounds(&mut self, lease: &mut Lease, working: &watch::Sender<bool>, stop: &mut watch::Receiver<bool>) {
        let mut last = None;
        while !*stop.borrow() {
            let pause = match self.turn(lease, &mut last, working).await {
                Ok(true) => TICK,
                Ok(false) => RECOVERY,
                Err(e) => {
                    tracing::error!("the updater failed and goes on in a second: {e}");
                    metrics::counter!("croupier_updater_failures_total").increment(1);
                    self.since.retries += 1;
                    RECOVERY
                }
            };
            tokio::select! { () = tokio::time::sleep(pause) => {}, _ = stop.changed() => {} }
        }
    }

    /// One round if this is the updater that works; false if another is. `last` is the boundary of the last run, once it
    /// is known.
    async fn turn(
        &mut self,
        lease: &mut Lease,
        last: &mut Option<Timestamp>,
        working: &watch::Sender<bool>,
    ) -> Result<bool> {
        let held = lease.hold().await;
        working.send_replace(matches!(held, Ok(true)));
        if !held? {
            // What it knew of runs is of the past when its turn comes again.
            *last = None;
            return Ok(false);
        }
        lease.during(self.step(last)).await?;
        #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
        metrics::gauge!("croupier_updater_success_timestamp_seconds").set(self.clock.now().as_second() as f64);
        Ok(true)
    }

    /// Consumes what is there; runs if a run is due or asked for.
    async fn step(&mut self, last: &mut Option<Timestamp>) -> Result<()> {
        let last = match last {
            Some(last) => last,
            None => {
                let abandoned = self.stores.runs.abandon_runs(self.clock.now()).await?;
                if abandoned > 0 {
                    tracing::warn!("{abandoned} update runs had been cut off; this one catches up");
                }
                last.insert(self.last_boundary().await?)
            }
        };
        if self.consumed.is_none_or(|t| t.elapsed() >= PACE) {
            self.consume().await?;
            self.consumed = Some(Instant::now());
            self.tell_popular_if_due().await;
        }
        if let Some(run) = self.stores.runs.take_requested(self.clock.now()).await? {
            self.run_as(run).await?;
        }
        let due = boundary(self.clock.now(), self.config.interval);
        // A clock that was set back is due as well.
        if due != *last {
            let run = self.stores.runs.start_run(Trigger::Schedule, self.clock.now()).await?;
            self.run_as(run).await?;
            *last = due;
        }
        Ok(())
    }

    /// The boundary up to which updates were made; what came after it while nobody was up is made up for at once.
    async fn last_boundary(&self) -> Result<Timestamp> {
        let runs = self.stores.runs.latest_runs(None, 100).await?;
        let as_of = runs.into_iter().find_map(|r| r.report.as_of);
        Ok(as_of.map_or(Timestamp::MIN, |t| boundary(t, self.config.interval)))
    }

    /// One pass of what is due, recorded as asked for by hand.
    ///
    /// # Errors
    /// When a store fails, or another updater is at work; what was done until then stands.
    pub async fn once(mut self) -> Result<RunReport> {
        let mut lease = Lease::new(self.stores.leases.clone(), self.config.name.clone());
        lease.wait().await?;
        let report = lease.during(self.pass()).await;
        lease.release().await;
        report
    }

    async fn pass(&mut self) -> Result<RunReport> {
        self.stores.runs.abandon_runs(self.clock.now()).await?;
        let run = self.stores.runs.start_run(Trigger::Once, self.clock.now()).await?;
        let report = self.run_as(run).await;
        // At once, since nothing else waits.
        expired::walk(&*self.stores.catalogs, self.clock.now(), Duration::ZERO).await;
        report
    }
}
