//! Events in, posteriors and lists out.
//!
//! The log is consumed as it grows; posteriors are recomputed on the clock, or when asked; all else that is periodic has its
//! line in the table of `schedule.rs`.

mod consume;
mod examine;
mod expired;
mod history;
mod lease;
mod lists;
mod maps;
mod popular;
mod schedule;
mod steps;
mod trace;
mod update;
mod vectors;

pub use consume::describe as describe_metrics;
pub use lists::{Pace, make};
pub use schedule::boundary;
pub use vectors::Vectors;

use bandit::Clock;
use jiff::{SignedDuration, Timestamp};
use lease::Lease;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use store::{Result, RunKind, RunReport, Shelf, Stores, Trigger};
use tokio::sync::{Mutex, watch};

/// How often the updater looks whether an update is due or asked for.
const TICK: Duration = Duration::from_millis(100);
/// How often it consumes the log: so much later, and so many times as long as the last time worked, up to the slowest. Ids are in
/// random order, so that rows of a small transaction change a page each, on the disk that decisions wait for.
const PACE: Duration = Duration::from_millis(500);
const REST: u32 = 9;
const SLOWEST_PACE: Duration = Duration::from_secs(5);
/// How long it leaves a store alone that failed, or a lease that another holds.
const RECOVERY: Duration = Duration::from_secs(1);

/// How often the shelf is saved for other processes, if it changed.
const SAVE: Duration = Duration::from_secs(60);

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

/// What periodic work needs.
struct Work {
    stores: Stores,
    clock: Arc<dyn Clock>,
    /// The items that lists are made of.
    shelf: Arc<Shelf>,
    /// Whether it is saved here for other processes to begin with.
    saves: bool,
    pace: Pace,
    /// Events taken in since the start.
    taken_in: AtomicU64,
    told: popular::Told,
    /// What makes vectors of texts, where there are models. The lane's alone.
    vectors: Option<Mutex<Vectors>>,
}

/// Consumes the log, publishes posteriors and does all other periodic work. Of several, one works; the others stand by.
pub struct Updater {
    work: Arc<Work>,
    config: Config,
    /// What was consumed since the last run.
    since: RunReport,
    /// When the log is due to be consumed again, if it was before.
    due: Option<Instant>,
}

impl Updater {
    /// An updater of these stores, with a shelf of its own.
    #[must_use]
    pub fn new(stores: Stores, clock: Arc<dyn Clock>, config: Config) -> Self {
        Self::with(stores, clock, config, Arc::default(), Pace::default(), false)
    }

    /// One that makes lists of the items on this shelf, at this pace, and keeps the shelf's file if it `saves`: one updater
    /// at a time does.
    #[must_use]
    pub fn with(
        stores: Stores,
        clock: Arc<dyn Clock>,
        config: Config,
        shelf: Arc<Shelf>,
        pace: Pace,
        saves: bool,
    ) -> Self {
        let (taken_in, told) = (AtomicU64::new(0), popular::Told::default());
        let work = Arc::new(Work { stores, clock, shelf, saves, pace, taken_in, told, vectors: None });
        Self { work, config, since: RunReport::default(), due: None }
    }

    /// Has it make vectors of texts, too, by these models.
    #[must_use]
    pub fn with_models(mut self, models: Arc<dyn embed::Find>) -> Self {
        // Nobody else has it before it runs.
        if let Some(work) = Arc::get_mut(&mut self.work) {
            work.vectors = Some(Mutex::new(Vectors::new(work.stores.clone(), models, work.clock.clone())));
        }
        self
    }

    /// Works until `stop` becomes true, then finishes what it is at in the log; other work is cut off, and gone on with by
    /// the next updater.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut lease = Lease::new(self.work.stores.leases.clone(), self.config.name.clone());
        let (working, at_work) = watch::channel(false);
        let work = self.work.clone();
        tokio::select! {
            () = self.rounds(&mut lease, &working, &mut stop) => {}
            () = schedule::keep_lanes(&work, at_work.clone()) => {}
            () = work.keep_file(at_work) => {}
        }
        if *working.borrow()
            && let Err(e) = work.stores.runs.abandon_runs(work.clock.now()).await
        {
            tracing::warn!("runs that were cut off are not marked as such yet: {e}");
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
        if !matches!(held, Ok(true)) {
            working.send_replace(false);
        }
        if !held? {
            // What it knew of runs is of the past when its turn comes again.
            *last = None;
            return Ok(false);
        }
        lease.during(self.step(last, working)).await?;
        #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
        metrics::gauge!("croupier_updater_success_timestamp_seconds").set(self.work.clock.now().as_second() as f64);
        Ok(true)
    }

    /// Consumes what is there; runs if a run is due or asked for.
    async fn step(&mut self, last: &mut Option<Timestamp>, working: &watch::Sender<bool>) -> Result<()> {
        let runs = self.work.stores.runs.clone();
        let last = match last {
            Some(last) => last,
            None => {
                // Before any run of its own begins.
                let abandoned = runs.abandon_runs(self.work.clock.now()).await?;
                if abandoned > 0 {
                    tracing::warn!("{abandoned} runs had been cut off; what they left is caught up on");
                }
                last.insert(self.last_boundary().await?)
            }
        };
        working.send_replace(true);
        if self.due.is_none_or(|due| due <= Instant::now()) {
            let worked = self.consume().await?;
            self.due = Some(Instant::now() + (worked * REST).clamp(PACE, SLOWEST_PACE));
        }
        if let Some(run) = runs.take_requested(self.work.clock.now()).await? {
            self.run_as(run).await?;
        }
        let due = boundary(self.work.clock.now(), self.config.interval);
        // A clock that was set back is due as well.
        if due != *last {
            let started = runs.start_run(RunKind::Posteriors, None, Trigger::Schedule, self.work.clock.now());
            self.run_as(started.await?).await?;
            *last = due;
        }
        Ok(())
    }

    /// The boundary up to which updates were made; what came after it while nobody was up is made up for at once.
    async fn last_boundary(&self) -> Result<Timestamp> {
        let runs = self.work.stores.runs.latest_runs(Some(RunKind::Posteriors), None, 100).await?;
        let as_of = runs.into_iter().find_map(|r| r.report.as_of);
        Ok(as_of.map_or(Timestamp::MIN, |t| boundary(t, self.config.interval)))
    }

    /// One pass of everything, recorded as asked for by hand; what came of the posteriors.
    ///
    /// # Errors
    /// When they fail, or another updater is at work; what was done until then stands.
    pub async fn once(self) -> Result<RunReport> {
        let mut done = self.once_of(&RunKind::ALL).await?;
        Ok(done.swap_remove(0).report)
    }

    /// One pass of work of these kinds, each at most once, recorded as asked for by hand. The posteriors come first.
    ///
    /// # Errors
    /// When posteriors fail, a run cannot be written down, or another updater is at work; what was done until then stands.
    /// Another kind that fails says so in its report.
    pub async fn once_of(mut self, kinds: &[RunKind]) -> Result<Vec<Done>> {
        let mut lease = Lease::new(self.work.stores.leases.clone(), self.config.name.clone());
        lease.wait().await?;
        let done = lease.during(self.pass(kinds)).await;
        lease.release().await;
        done
    }

    async fn pass(&mut self, kinds: &[RunKind]) -> Result<Vec<Done>> {
        let runs = self.work.stores.runs.clone();
        runs.abandon_runs(self.work.clock.now()).await?;
        let mut done = Vec::new();
        for kind in RunKind::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
            if kind == RunKind::Posteriors {
                let run = runs.start_run(kind, None, Trigger::Once, self.work.clock.now()).await?;
                done.push(Done { kind, catalog: None, report: self.run_as(run).await? });
            }
            let all = self.work.run_all(kind).await?;
            done.extend(all.into_iter().map(|(catalog, report)| Done { kind, catalog, report }));
        }
        Ok(done)
    }
}

/// A run that was asked for by hand.
#[derive(Debug, Clone)]
pub struct Done {
    /// What it was of.
    pub kind: RunKind,
    /// Of which catalog, where it was of one.
    pub catalog: Option<String>,
    /// What came of it.
    pub report: RunReport,
}

impl Work {
    /// Saves the shelf for all, from time to time while this updater is the one at work. It never ends.
    async fn keep_file(&self, mut at_work: watch::Receiver<bool>) {
        if !self.saves {
            return std::future::pending().await;
        }
        loop {
            if at_work.wait_for(|at_work| *at_work).await.is_err() {
                return std::future::pending().await;
            }
            match self.shelf.catch_up(&*self.stores.catalogs, &*self.clock).await {
                Ok(()) => self.shelf.save_now(&*self.stores.catalogs).await,
                Err(e) => tracing::warn!("catalogs are not saved for a quicker start: {e}"),
            }
            tokio::time::sleep(SAVE).await;
        }
    }
}
