//! One run: an engine, and a report of what it did.

use super::Verdict;
use crate::args::SendArgs;
use crate::check::Watch;
use crate::failure::Failure;
use crate::read::SharedLedger;
use crate::report::{About, LogReport, Report, TargetReport};
use crate::send::{End, Engine, Inbox, Outbox, Settings, Target, channel};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// An engine that waits for its jobs, and the end to push them into.
pub(super) struct Prepared {
    engine: Engine<Watch>,
    inbox: Inbox,
    targets: Vec<Target>,
    max_lag: Duration,
}

/// Makes an engine; `epoch` is when its time is zero, or with its first job.
pub(super) fn prepare(
    args: &SendArgs,
    targets: Vec<Target>,
    watch: Watch,
    stop: Arc<AtomicBool>,
    epoch: Option<Instant>,
) -> Result<(Prepared, Outbox), Failure> {
    let settings = Settings {
        targets: targets.clone(),
        timeout: args.timeout,
        patience: args.patience,
        grain: args.grain.unwrap_or_default(),
        epoch,
        stop,
    };
    let engine = Engine::new(settings, watch).map_err(|error| Failure::System { what: "prepare the run", error })?;
    let (outbox, inbox) = channel(engine.waker());
    Ok((Prepared { engine, inbox, targets, max_lag: args.max_lag }, outbox))
}

impl Prepared {
    /// Sends everything, and reports.
    pub(super) fn run(self, command: &str, ledger: &SharedLedger) -> Result<Report, Failure> {
        let started_at = now();
        let (end, stats, watch) = self.engine.run(self.inbox).map_err(waiting)?;
        let targets: Vec<TargetReport> = self
            .targets
            .iter()
            .zip(&stats)
            .map(|(target, stats)| TargetReport::new(target.name.clone(), stats))
            .collect();
        let ended = match end {
            End::Whole => "whole",
            End::Stopped => "stopped",
            End::Silent => "silent",
        };
        Ok(Report {
            version: 1,
            about: About { command: command.to_owned(), started_at, ended: ended.to_owned() },
            invalid: saturated(&targets, self.max_lag),
            log: LogReport::new(&ledger.lock()),
            targets,
            findings: watch.findings,
            differences: watch.pairs.map(|pairs| pairs.differences),
        })
    }
}

/// Waits of less than a millisecond came with Linux 5.11.
fn waiting(error: std::io::Error) -> Failure {
    let what = match error.kind() {
        std::io::ErrorKind::Unsupported => "wait for answers, which needs Linux 5.11 or later",
        _ => "wait for answers",
    };
    Failure::System { what, error }
}

/// Why latencies would be the generator's own: it sent too late although a connection was free.
fn saturated(targets: &[TargetReport], most: Duration) -> Option<String> {
    let lag = targets.iter().map(|target| target.lag.p99).fold(0.0, f64::max);
    (lag > most.as_secs_f64() * 1e3).then(|| {
        format!("this machine sent late by itself, 1 % of requests by {lag:.1} ms or more: the figures are not the target's. Lower the rate, or free the machine")
    })
}

/// The one place that asks what time it is; runs measure with a steady clock.
#[expect(clippy::disallowed_methods, reason = "the edge: a report says when it was made")]
fn now() -> String {
    format!("{:.0}", jiff::Timestamp::now())
}

/// A run that fell silent ends with an error after its report.
pub(super) fn verdict(report: &Report, met: bool) -> Verdict {
    match (&report.invalid, met) {
        (Some(_), _) => Verdict::Invalid,
        (None, true) => Verdict::Good,
        (None, false) => Verdict::NotMet,
    }
}
