//! From the log into the database: joined, counted, then acknowledged.

use crate::{Updater, trace};
use bandit::{AssignmentKey, Event, Experiment, Status, UserEvent, UserEventKind, candidate_decisions, seen_decisions};
use jiff::Timestamp;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use store::{Delivery, Ingest, Poison, Receipt, Result, Stores};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Events of one transaction: ids are in random order, so that larger batches share more pages of the database.
/// As many are read ahead meanwhile: some 100 MB together.
const BATCH: usize = 100_000;
/// Longest that a log is consumed that cannot count what is in it and never comes to an end: runs are due as well.
const LONGEST: Duration = Duration::from_secs(10);
/// Experiments read at a time.
const PAGE: usize = 500;

/// Tells the recorder what each metric means.
pub fn describe() {
    describe_counter!("croupier_updater_events_total", "Events consumed from the log.");
    describe_counter!("croupier_updater_set_aside_total", "Records set aside because they cannot be taken.");
    describe_counter!("croupier_updater_published_total", "Posterior sets published.");
    describe_counter!("croupier_updater_items_removed_total", "Items removed some time after their end.");
    describe_counter!("croupier_updater_texts_embedded_total", "Vectors made of texts.");
    describe_counter!("croupier_updater_texts_set_aside_total", "Items set aside without a vector of their text.");
    describe_counter!("croupier_updater_lists_total", "Lists made ahead.");
    describe_counter!("croupier_updater_failures_total", "Rounds and runs of the updater that failed.");
    describe_gauge!(
        "croupier_updater_lag_seconds",
        metrics::Unit::Seconds,
        "Age of the oldest event of the batch consumed last; 0 once all that was there is consumed."
    );
    describe_gauge!(
        "croupier_updater_success_timestamp_seconds",
        metrics::Unit::Seconds,
        "When this updater last ended a round without a failure, in seconds since 1970; 0 before, and while another works."
    );
    describe_histogram!("croupier_updater_run_seconds", metrics::Unit::Seconds, "Time of an update run.");
}

/// The experiments that a reward without `decision_id` may concern, by the name of the reward; and all by id.
#[derive(Default)]
struct Directory {
    all: Vec<Experiment>,
    by_reward: HashMap<String, Vec<usize>>,
    by_id: HashMap<String, usize>,
    changes: u64,
}

impl Directory {
    async fn load(stores: &Stores) -> Result<Self> {
        let mut directory = Self { changes: stores.experiments.changes().await?, ..Self::default() };
        let mut after: Option<String> = None;
        loop {
            let page = stores.experiments.list(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(directory) };
            after = Some(last.definition.id.clone());
            for record in page.into_iter().filter(|r| r.status != Status::Draft) {
                let e = record.definition;
                let place = directory.all.len();
                directory.by_reward.entry(e.reward.event.clone()).or_default().push(place);
                for guardrail in e.guardrails.iter().filter(|g| g.event != e.reward.event) {
                    directory.by_reward.entry(guardrail.event.clone()).or_default().push(place);
                }
                directory.by_id.insert(e.id.clone(), place);
                directory.all.push(e);
            }
        }
    }

    /// The decisions that an event may belong to.
    fn claims(&self, event: &UserEvent) -> Vec<bandit::DecisionId> {
        if let Some(id) = event.decision_id {
            return vec![id];
        }
        let Some(user) = event.user.as_deref() else { return Vec::new() };
        let places: &[usize] = match (&event.experiment, event.kind) {
            (_, UserEventKind::View) => &[],
            (Some(id), UserEventKind::Exposure) => self.by_id.get(id).map_or(&[], std::slice::from_ref),
            (None, UserEventKind::Exposure) => &[],
            (_, UserEventKind::Reward) => self.by_reward.get(&event.name).map_or(&[], Vec::as_slice),
        };
        places
            .iter()
            .map(|&place| &self.all[place])
            .filter(|e| event.experiment.as_ref().is_none_or(|id| *id == e.id))
            .flat_map(|e| match event.kind {
                UserEventKind::Exposure => seen_decisions(e, user, event.item.as_deref(), event.at),
                _ => candidate_decisions(e, user, event.item.as_deref(), event.at),
            })
            .collect()
    }
}

/// Reads the next batch while one is worked on: on a thread of its own, which stands behind requests as this one does.
fn read_behind(stores: &Stores, receipt: Receipt) -> oneshot::Receiver<Result<Delivery>> {
    let (events, runtime) = (stores.events.clone(), Handle::current());
    let (told, reading) = oneshot::channel();
    let read = move || told.send(runtime.block_on(events.pull_behind(receipt, BATCH)));
    if let Err(e) = std::thread::Builder::new().name("log-reader".into()).spawn(read) {
        tracing::warn!("the log is not read ahead: a thread cannot start: {e}");
    }
    reading
}

/// When an event happened.
fn at(event: &Event) -> Timestamp {
    match event {
        Event::Decision(record) | Event::Offer(record) => record.at,
        Event::User(event) => event.at,
    }
}

impl Updater {
    /// Consumes what is in the log now. What is appended meanwhile waits for the next time: under load there is always more.
    /// Returns how long it worked, without its waits for a log that had nothing.
    pub(crate) async fn consume(&mut self) -> Result<Duration> {
        let mut directory: Option<Directory> = None;
        let mut left = self.work.stores.events.backlog().await?;
        let begun = Instant::now();
        let (mut ahead, mut worked) = (Delivery::default(), Duration::ZERO);
        while left.map_or_else(|| begun.elapsed() < LONGEST, |left| left > 0) {
            let delivery = match ahead.receipt {
                Some(_) => std::mem::take(&mut ahead),
                None => self.work.stores.events.pull(BATCH).await?,
            };
            let Some(receipt) = delivery.receipt else { break };
            let pulled = Instant::now();
            left = left.map(|left| left.saturating_sub(delivery.events.len() as u64));
            let reading = left.is_some_and(|left| left > 0).then(|| read_behind(&self.work.stores, receipt));
            // An experiment is in the database before its first decision is in the log: read after pulling, the
            // directory has every experiment that the batch may speak of.
            let changes = self.work.stores.experiments.changes().await?;
            let directory = match &mut directory {
                Some(d) if d.changes == changes => d,
                stale => stale.insert(Directory::load(&self.work.stores).await?),
            };
            let read = delivery.events.len() as u64;
            let spans = trace::consume(delivery.traces);
            let oldest = delivery.events.iter().flatten().map(at).min();
            let mut batch = Ingest { at: self.work.clock.now(), ..Ingest::default() };
            for event in delivery.events {
                match event {
                    Ok(Event::Decision(record)) => batch.decisions.push(record),
                    Ok(Event::Offer(record)) => batch.offers.push(record),
                    Ok(Event::User(event)) => {
                        let claims = directory.claims(&event);
                        batch.events.push((event, claims));
                    }
                    Err(Poison { reason, body }) => batch.set_aside.push((reason, body)),
                }
            }
            let taken = self.work.stores.outcomes.ingest(&batch).await?;
            self.unassign_erased(&batch).await?;
            // Only now that the effects are durable; a crash before this line delivers the batch again, which
            // changes nothing.
            self.work.stores.events.acknowledge(receipt).await?;
            drop(spans);
            let lag = oldest.map_or(0.0, |at| self.work.clock.now().duration_since(at).as_secs_f64().max(0.0));
            gauge!("croupier_updater_lag_seconds").set(lag);
            counter!("croupier_updater_events_total").increment(read);
            counter!("croupier_updater_set_aside_total").increment(taken.set_aside);
            if taken.set_aside > 0 {
                tracing::warn!(
                    "{} records were set aside; their reasons are in the table dead_letters",
                    taken.set_aside
                );
            }
            self.since.events_read += read;
            self.since.decisions += taken.decisions;
            self.since.events += taken.events;
            self.work.taken_in.fetch_add(taken.events, Ordering::Relaxed);
            self.since.set_aside += taken.set_aside;
            // After all that is told of this batch: the next may fail to be read.
            if let Some(reading) = reading {
                // Whoever reads answers, or has broken off.
                ahead = reading.await.unwrap_or_else(|_| Ok(Delivery::default()))?;
            }
            worked += pulled.elapsed();
        }
        if left == Some(0) || begun.elapsed() < LONGEST {
            gauge!("croupier_updater_lag_seconds").set(0.0);
        }
        Ok(worked)
    }

    /// Removes the assignments of decisions that were left out, since their users are erased: whoever erased them did not
    /// see these. Looked up after the batch, so that every erasure is known that it obeyed.
    async fn unassign_erased(&self, batch: &Ingest) -> Result<()> {
        let erasures = self.work.stores.users.erasures().await?;
        let erased = batch.decisions.iter().chain(&batch.offers).filter(|decision| erasures.cover(decision));
        let keys: Vec<AssignmentKey> = erased.flat_map(AssignmentKey::of_record).collect();
        self.work.stores.assignments.remove(&keys).await
    }
}
