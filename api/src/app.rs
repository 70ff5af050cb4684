//! What all handlers share.

use crate::auth::Access;
use crate::catalogs::{Served, Speed};
use crate::measure::Metrics;
use crate::problem::Problem;
use crate::request;
use crate::room::{Place, Room};
use crate::snapshot::Snapshot;
use crate::turns::{Turns, cores};
use arc_swap::ArcSwap;
use bandit::{Assignment, Clock, DecisionId};
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;
use quick_cache::sync::Cache;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use store::{ReplicaReport, Result, Shelf, StoreError, Stores};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

/// How often replicas look for changes of experiments, posteriors and keys.
const REFRESH: Duration = Duration::from_millis(500);

/// For how long nothing more is said of decisions that fall back.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a start waits for the first look; then the server is there, says that it is not ready, and looks on.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Bulk requests read at a time: each may hold a few times its 32 MiB.
const BULK: usize = 4;

/// A request waits for its turn, while load is at the limit, for one of so many parts of the time that it waits for stores
/// that do not answer. How late the processor comes is looked at as often in that.
const PARTS: u32 = 10;
const LEAST_WAIT: Duration = Duration::from_millis(50);

/// Decisions and posts of events that may wait for the stores in any case, and eighths of all that may be of one asker.
const WAITING: (usize, usize) = (2_048, 6);

/// What bodies that are worked on may weigh, each in whole [`WEIGHT`] bytes, and eighths of it of one key: a bound of 128 MiB
/// on what things are made of at the same time. Short ones weigh nothing.
const WORKING: (usize, usize) = (8_192, 4);
const WEIGHT: usize = 16 << 10;

/// Lists that wait until others are made.
const LISTS_WAITING: usize = 1_000;

/// Experiments whose versions are told.
const MOST_VERSIONS: usize = 200;

/// Settings of the API.
#[derive(Debug, Clone)]
pub struct Config {
    /// Assignments kept in memory, about 250 bytes each; a tenth as many that could not be kept in the store.
    pub cached_assignments: usize,
    /// How long a decision waits for its stores before it falls back to its draw.
    pub store_timeout: Duration,
    /// What catalogs are read from for a quicker start, if anything.
    pub catalogs_file: Option<CatalogsFile>,
    /// Bytes that the items of all catalogs may take in memory.
    pub catalog_bytes: usize,
    /// Whether spans of requests are collected.
    pub traced: bool,
    /// Who may do what.
    pub access: Access,
    /// Where models are found that make vectors of texts; none: catalogs can name none.
    pub models: Option<Arc<dyn embed::Find>>,
}

/// A file of catalogs as they were.
#[derive(Debug, Clone)]
pub enum CatalogsFile {
    /// This process's own, which saves it.
    Own(PathBuf),
    /// One for many processes, which the updater at work saves.
    Shared(PathBuf),
}

/// The API's state.
pub struct App {
    pub(crate) stores: Stores,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) recorder: PrometheusHandle,
    pub(crate) assignments: Cache<DecisionId, Arc<Assignment>>,
    /// Assignments that were told ahead of being shown, and are no trials for that.
    pub(crate) offers: Cache<DecisionId, Arc<Assignment>>,
    /// Draws that were told while they could not be kept: whoever asks again is dealt the same, though the posteriors
    /// have moved.
    pub(crate) told: Cache<DecisionId, Arc<Assignment>>,
    /// The catalogs that it serves.
    pub(crate) shelf: Arc<Shelf>,
    /// What lists were like.
    pub(crate) served: Served,
    /// Whose lists are to be made anew.
    pub(crate) speed: Speed,
    pub(crate) bulk: Semaphore,
    /// Places of what waits for stores, by experiment and key.
    waiting: Room,
    /// Places of long bodies that are worked on, by key.
    working: Room,
    /// Turns of lists that are computed.
    lists: Turns,
    snapshot: ArcSwap<Snapshot>,
    refreshing: Mutex<()>,
    /// Whether the last look at experiments and keys, and at posteriors and assignments, succeeded.
    database: AtomicBool,
    state: AtomicBool,
    /// Whether everything was read once.
    complete: AtomicBool,
    /// Whether it is being stopped.
    draining: AtomicBool,
    /// When everything was last read with success.
    fresh: std::sync::Mutex<Option<Timestamp>>,
    /// When it was last said that decisions fall back.
    complained: std::sync::Mutex<Option<Instant>>,
}

impl App {
    /// Loads the first snapshot.
    ///
    /// # Errors
    /// When experiments cannot be read. Posteriors may come later: until then it is not ready.
    pub async fn new(
        stores: Stores,
        clock: Arc<dyn Clock>,
        config: Config,
        recorder: PrometheusHandle,
    ) -> Result<Arc<Self>> {
        let wait = (config.store_timeout / PARTS).max(LEAST_WAIT);
        let app = Self {
            assignments: Cache::new(config.cached_assignments),
            offers: Cache::new(config.cached_assignments / 10),
            told: Cache::new(config.cached_assignments / 10),
            metrics: Metrics::new(),
            served: Served::new(),
            speed: Speed::default(),
            shelf: Arc::new(match &config.catalogs_file {
                None => Shelf::default(),
                Some(CatalogsFile::Own(file)) => Shelf::saved_in(file.clone()),
                Some(CatalogsFile::Shared(file)) => Shelf::read_from(file.clone()),
            }),
            bulk: Semaphore::new(BULK),
            waiting: Room::new(WAITING.0, WAITING.1, wait),
            working: Room::new(WORKING.0, WORKING.1, wait),
            // Half of the cores are for what is quick.
            lists: Turns::new((cores() / 2).max(1), LISTS_WAITING, config.store_timeout),
            snapshot: ArcSwap::default(),
            refreshing: Mutex::new(()),
            database: AtomicBool::new(true),
            state: AtomicBool::new(true),
            complete: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            fresh: std::sync::Mutex::new(None),
            complained: std::sync::Mutex::new(None),
            stores,
            clock,
            config,
            recorder,
        };
        let (shelf, catalogs, clock) = (app.shelf.clone(), app.stores.catalogs.clone(), app.clock.clone());
        // A large catalog is read on, whether or not the start waits for it.
        let reading = tokio::spawn(async move { shelf.catch_up(&*catalogs, &*clock).await });
        let (looked, read) =
            tokio::join!(tokio::time::timeout(FIRST_LOOK, app.refresh()), tokio::time::timeout(FIRST_LOOK, reading));
        if let Ok(Ok(Err(e))) = read {
            tracing::error!("catalogs cannot be read yet: {e}");
        }
        match looked {
            Ok(Err(e)) if !app.database.load(Ordering::Relaxed) => return Err(e),
            Ok(Err(e)) => tracing::error!("not ready to decide yet: {e}"),
            Err(_) => {
                app.state.store(false, Ordering::Relaxed);
                tracing::error!("not ready to decide yet: the state does not answer");
            }
            Ok(Ok(())) => {}
        }
        Ok(Arc::new(app))
    }

    /// The catalogs that it serves.
    #[must_use]
    pub fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    pub(crate) fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Whether experiments and keys could be read when they were last looked at.
    pub(crate) fn reads_database(&self) -> bool {
        self.database.load(Ordering::Relaxed)
    }

    /// Whether posteriors and assignments could be.
    pub(crate) fn reads_state(&self) -> bool {
        self.state.load(Ordering::Relaxed)
    }

    /// Says that decisions fall back, and why, once in a while: an outage meets thousands in a second.
    pub(crate) fn complain(&self, why: &StoreError) {
        let mut last = self.complained.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.is_none_or(|t| t.elapsed() > SILENCE) {
            *last = Some(Instant::now());
            tracing::error!("decisions cannot be kept, falling back to their draws: {why}");
        }
    }

    /// A place for the body of this request, until it is answered; a short one needs none.
    pub(crate) fn work_place(&self, body: usize) -> std::result::Result<Option<Place<'_>>, Problem> {
        if body < WEIGHT {
            return Ok(None);
        }
        self.working.enter(request::key(), body / WEIGHT).map(Some).ok_or_else(|| self.shed())
    }

    /// A place for what has to wait for stores: a decision of an experiment, or events, which are of none.
    pub(crate) fn waiting_place(&self, experiment: &str) -> std::result::Result<Place<'_>, Problem> {
        self.waiting.enter((experiment, request::key()), 1).ok_or_else(|| self.shed())
    }

    /// A turn to compute a list.
    pub(crate) async fn list_turn(&self) -> std::result::Result<SemaphorePermit<'_>, Problem> {
        self.lists.take().await.ok_or_else(|| self.shed())
    }

    /// Refuses a request since too much is waiting.
    pub(crate) fn shed(&self) -> Problem {
        self.metrics.shed.increment(1);
        Problem::overloaded()
    }

    /// Whether everything could be read once: from then on it can decide.
    pub(crate) fn has_read_all(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    /// Says from now on that it is not ready, so that load balancers turn away; it goes on answering.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Takes in changes of experiments, posteriors and keys.
    ///
    /// # Errors
    /// When a store cannot be read; what was known before stays.
    pub async fn refresh(&self) -> Result<()> {
        let _alone = self.refreshing.lock().await;
        let look = self.snapshot.load_full().next(&self.stores).await;
        let keys = self.config.access.refresh(&*self.stores.keys, &self.clock).await;
        self.database.store(look.is_ok() && keys.is_ok(), Ordering::Relaxed);
        let look = look?;
        if let Some(next) = look.next {
            #[expect(clippy::cast_precision_loss, reason = "a count for people")]
            self.metrics.experiments.set(next.len() as f64);
            self.complete.fetch_or(next.is_complete(), Ordering::Relaxed);
            self.snapshot.store(Arc::new(next));
        }
        let state = match look.trouble {
            Some(trouble) => Err(trouble),
            None => self.stores.assignments.check().await,
        };
        self.state.store(state.is_ok(), Ordering::Relaxed);
        let read = keys.and(state);
        if read.is_ok() {
            *self.fresh.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(self.clock.now());
        }
        read
    }

    /// What this process says of itself; its roles and its log are for others to add.
    #[must_use]
    pub fn report(&self) -> ReplicaReport {
        ReplicaReport {
            fresh_at: *self.fresh.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
            versions: self.snapshot.load().versions(MOST_VERSIONS),
            total: self.metrics.tally(),
            ..ReplicaReport::default()
        }
    }

    /// Takes in a change that this process made, so that whoever made it sees it at once. It is made whether or not this
    /// succeeds, which is tried again in a moment.
    pub(crate) async fn take_in_change(&self) {
        if let Err(e) = self.refresh().await {
            tracing::warn!("a change is made, and not seen here yet: {e}");
        }
    }

    /// Follows changes until the future is dropped.
    pub async fn keep_fresh(self: Arc<Self>) {
        let shelf = self.shelf.follow(&*self.stores.catalogs, &*self.clock);
        let served = self.served.keep(&*self.stores.list_hours);
        // Apart, since it must be late for nothing but load. It ends with this.
        let mut apart = JoinSet::new();
        apart.spawn(self.clone().keep_time());
        futures::future::join3(self.keep_snapshot(), shelf, served).await;
    }

    /// Writes down what was counted since the last time.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn flush(&self) -> Result<()> {
        self.served.flush(&*self.stores.list_hours).await
    }

    /// Looks how late the processor comes, and lets as many wait as end in time.
    async fn keep_time(self: Arc<Self>) {
        let (mut ticked, step) = (Instant::now(), self.waiting.wait / PARTS);
        loop {
            tokio::time::sleep(step).await;
            let (begun, runtime) = (Instant::now(), Handle::current());
            // A task from outside of the runtime queues behind all that the workers have no room for: what wakes on a worker
            // overtakes that, and would see no load.
            let sent = tokio::task::spawn_blocking(move || runtime.spawn(std::future::ready(())));
            let mut done = pin!(async {
                if let Ok(task) = sent.await {
                    drop(task.await);
                }
            });
            loop {
                let came = tokio::time::timeout(step, &mut done).await.is_ok();
                self.waiting.look(begun.elapsed());
                if ticked.elapsed() >= self.waiting.wait {
                    self.waiting.tick(ticked.elapsed());
                    ticked = Instant::now();
                }
                if came {
                    break;
                }
            }
        }
    }

    async fn keep_snapshot(&self) {
        let mut ticks = tokio::time::interval(REFRESH);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut well = true;
        loop {
            ticks.tick().await;
            let result = self.refresh().await;
            match &result {
                Err(e) if well => tracing::error!("cannot look for changes, deciding from what is known: {e}"),
                Ok(()) if !well => tracing::info!("changes can be looked for again"),
                _ => {}
            }
            well = result.is_ok();
        }
    }
}
