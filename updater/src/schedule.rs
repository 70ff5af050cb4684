//! Periodic work: one table of kinds, each aligned to the clock, so that replicas and restarts agree on what is due.
//!
//! Posteriors are run by the rounds that consume the log (`lib.rs`). Every other kind has a lane of its own: what runs long
//! in one delays neither the log nor another, since lanes are awaited beside each other and compute on other threads.

use crate::steps::Steps;
use crate::{TICK, Work, expired, lists};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use store::{Result, Run, RunKind, RunReport, RunStatus, Trigger};
use tokio::sync::watch;

/// How often it is looked whether a catalog's lists are due, which asks the store.
const LOOK: Duration = Duration::from_secs(1);
/// Runs looked at for the last that was done.
const RECENT: usize = 200;
/// Least and longest rest after a run that failed; each that fails again doubles it.
const RECOVERY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(300)];

/// Work that comes again and again.
#[derive(Debug, Clone, Copy)]
struct Periodic {
    kind: RunKind,
    /// It is due at multiples of it since 1970-01-01T00:00Z.
    interval: SignedDuration,
    /// Rest after a run, at least, and as a multiple of what the run took: so that it stays a small part of the work.
    rest: (Duration, u32),
    /// Whether a run is written down that the clock began, did not fail and found nothing special to do: not of what runs
    /// every few seconds.
    recorded: bool,
}

/// All of it but posteriors, whose interval is a setting. Vectors find their own work, lists have an interval for each
/// catalog: theirs are those of the looks at whether there is any.
const PERIODIC: [Periodic; 5] = [
    Periodic { kind: RunKind::Vectors, interval: secs(1), rest: (TICK, 0), recorded: false },
    Periodic { kind: RunKind::Lists, interval: secs(1), rest: (TICK, 0), recorded: true },
    Periodic { kind: RunKind::Popular, interval: secs(5), rest: (Duration::from_secs(5), 20), recorded: false },
    Periodic { kind: RunKind::Maps, interval: secs(3_600), rest: (Duration::from_secs(5), 20), recorded: true },
    Periodic { kind: RunKind::Expired, interval: secs(6 * 3_600), rest: (TICK, 0), recorded: true },
];

const fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// The last multiple of `interval` (counted from 1970-01-01T00:00Z) that is not after `now`.
#[must_use]
pub fn boundary(now: Timestamp, interval: SignedDuration) -> Timestamp {
    let step = interval.as_millis().max(1);
    let ms = i128::from(now.as_millisecond());
    i64::try_from(ms - ms.rem_euclid(step)).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(now)
}

/// What one run is for.
#[derive(Debug, Clone)]
pub(crate) struct Duty {
    pub(crate) kind: RunKind,
    pub(crate) catalog: Option<String>,
    pub(crate) interval: SignedDuration,
    recorded: bool,
}

/// Keeps every lane going while this updater is the one at work. It never ends; dropping it ends it anywhere, which the next
/// updater makes up for.
pub(crate) async fn keep_lanes(work: &Work, at_work: watch::Receiver<bool>) {
    let [a, b, c, d, e] = PERIODIC.map(|periodic| keep_lane(work, periodic, at_work.clone()));
    tokio::join!(a, b, c, d, e);
}

async fn keep_lane(work: &Work, periodic: Periodic, mut at_work: watch::Receiver<bool>) {
    loop {
        if at_work.wait_for(|at_work| *at_work).await.is_err() {
            // Nobody will tell any more, as at the end.
            return std::future::pending().await;
        }
        tokio::select! {
            () = lane(work, periodic) => {}
            // Another is at work now; what was known of runs is of the past when its turn comes again.
            _ = at_work.wait_for(|at_work| !*at_work) => {}
        }
    }
}

/// One run after the other, whenever one is due.
async fn lane(work: &Work, periodic: Periodic) {
    let mut done: HashMap<Option<String>, Timestamp> = HashMap::new();
    let mut failures = 0;
    loop {
        let mut rest = if periodic.kind == RunKind::Lists { LOOK } else { TICK };
        match work.run_due(periodic, &mut done, failures).await {
            Ok(None) => {}
            Ok(Some(took)) => {
                failures = 0;
                rest = rest.max(periodic.rest.0).max(took * periodic.rest.1);
            }
            Err(e) => {
                tracing::error!("{} failed, and are tried again: {e}", periodic.kind.name());
                metrics::counter!("croupier_updater_failures_total").increment(1);
                rest = RECOVERY[1].min(RECOVERY[0] * 2_u32.saturating_pow(failures));
                failures = failures.saturating_add(1);
            }
        }
        tokio::time::sleep(rest).await;
    }
}

impl Work {
    /// Runs of a kind that there are, now.
    async fn duties(&self, periodic: Periodic) -> Result<Vec<Duty>> {
        let Periodic { kind, interval, recorded, .. } = periodic;
        let duty = |catalog, interval| Duty { kind, catalog, interval, recorded };
        if kind != RunKind::Lists {
            return Ok(vec![duty(None, interval)]);
        }
        let listed = self.stores.catalogs.catalogs().await?.into_iter().filter(|c| c.definition.refresh_minutes > 0);
        Ok(listed.map(|c| duty(Some(c.id), SignedDuration::from_mins(c.definition.refresh_minutes.into()))).collect())
    }

    /// Does what is due of a kind; how long it took, if something was.
    async fn run_due(
        &self,
        periodic: Periodic,
        done: &mut HashMap<Option<String>, Timestamp>,
        failures: u32,
    ) -> std::result::Result<Option<Duration>, Box<dyn std::error::Error + Send + Sync>> {
        if self.has_nothing_of(periodic.kind) {
            return Ok(None);
        }
        let (began, mut any, mut failed) = (Instant::now(), false, None);
        for duty in self.duties(periodic).await? {
            let due = boundary(self.clock.now(), duty.interval);
            if !done.contains_key(&duty.catalog)
                && let Some(last) = self.last_of(&duty, |run| run.status == RunStatus::Done).await?
                && let Some(as_of) = last.report.as_of
            {
                done.insert(duty.catalog.clone(), as_of);
            }
            // A clock that was set back is due as well.
            if done.get(&duty.catalog) == Some(&due) {
                continue;
            }
            any = true;
            let report = self.run(&duty, Trigger::Schedule, due, failures).await?;
            match report.error {
                // One catalog's failure keeps no other waiting.
                Some(error) => failed = failed.or(Some(error)),
                None => {
                    done.insert(duty.catalog, due);
                }
            }
        }
        failed.map_or_else(|| Ok(any.then(|| began.elapsed())), |error| Err(error.into()))
    }

    /// The newest run of a duty that satisfies `is`.
    pub(crate) async fn last_of(&self, duty: &Duty, is: impl Fn(&Run) -> bool) -> Result<Option<Run>> {
        let runs = self.stores.runs.latest_runs(Some(duty.kind), None, RECENT).await?;
        Ok(runs.into_iter().find(|run| run.catalog == duty.catalog && is(run)))
    }

    /// Every run of a kind, due or not, one after the other, as asked for by hand: each with its catalog.
    pub(crate) async fn run_all(&self, kind: RunKind) -> Result<Vec<(Option<String>, RunReport)>> {
        let mut reports = Vec::new();
        for periodic in PERIODIC.into_iter().filter(|periodic| periodic.kind == kind) {
            for duty in self.duties(periodic).await? {
                let due = boundary(self.clock.now(), duty.interval);
                reports.push((duty.catalog.clone(), self.run(&duty, Trigger::Once, due, 0).await?));
            }
        }
        Ok(reports)
    }

    /// Whether a kind's run would find nothing to do, as far as can be told without asking a store.
    fn has_nothing_of(&self, kind: RunKind) -> bool {
        match kind {
            RunKind::Popular => self.nothing_viewed(),
            RunKind::Vectors => self.vectors.is_none(),
            _ => false,
        }
    }

    /// Does one run and writes down what came of it, failures included.
    ///
    /// # Errors
    /// When that cannot be written down.
    async fn run(&self, duty: &Duty, trigger: Trigger, due: Timestamp, failures: u32) -> Result<RunReport> {
        let (runs, catalog) = (&self.stores.runs, duty.catalog.as_deref());
        let start = async || runs.start_run(duty.kind, catalog, trigger, self.clock.now()).await;
        let recorded = duty.recorded || trigger != Trigger::Schedule;
        let mut number = if recorded { Some(start().await?) } else { None };
        let began = Instant::now();
        let mut report = RunReport { as_of: Some(due), retries: failures.into(), ..RunReport::default() };
        let once = trigger == Trigger::Once;
        let (mut steps, mut detail) = (Steps::default(), String::new());
        let done = match duty.kind {
            // The rounds run them.
            RunKind::Posteriors => Ok(()),
            RunKind::Vectors => {
                let made = async {
                    let Some(vectors) = &self.vectors else { return Ok(0) };
                    let mut vectors = vectors.lock().await;
                    while vectors.pass().await? {
                        if number.is_none() {
                            number = Some(start().await?);
                        }
                    }
                    Ok(vectors.take_made())
                };
                steps.time("embed", made).await.map(|made| detail = format!("{made} vectors"))
            }
            RunKind::Lists => lists::pass(self, duty, number, &mut report, once).await,
            RunKind::Popular => steps.time("popular", self.tell_popular()).await,
            RunKind::Maps => steps.time("map", self.draw_maps()).await,
            RunKind::Expired => {
                let pause = if once { Duration::ZERO } else { expired::PAUSE };
                steps.time("expire", expired::walk(&*self.stores.catalogs, self.clock.now(), pause)).await
            }
        };
        report.steps.extend(steps.told(|_| detail.clone()));
        report.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        report.error = done.err().map(|e| e.to_string());
        if number.is_none() && report.error.is_some() {
            number = Some(start().await?);
        }
        if let Some(number) = number {
            runs.finish_run(number, self.clock.now(), &report).await?;
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_begin_on_the_hour() {
        let at = |t: &str| t.parse::<Timestamp>().unwrap();
        let hour = SignedDuration::from_hours(1);
        assert_eq!(boundary(at("2026-11-21T10:59:59.999Z"), hour), at("2026-11-21T10:00:00Z"));
        assert_eq!(boundary(at("2026-11-21T10:00:00Z"), hour), at("2026-11-21T10:00:00Z"));
        assert_eq!(boundary(at("1969-12-31T23:59:00Z"), hour), at("1969-12-31T23:00:00Z"));
    }

    /// Every kind but that of the rounds is in the table, once.
    #[test]
    fn every_kind_has_its_line() {
        let mut kinds: Vec<RunKind> = PERIODIC.iter().map(|periodic| periodic.kind).collect();
        kinds.push(RunKind::Posteriors);
        kinds.sort_unstable();
        assert_eq!(kinds, RunKind::ALL);
    }
}
