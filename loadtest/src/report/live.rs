//! What is seen while a run goes on.

use crate::read::SharedLedger;
use crate::send::Stats;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// A progress bar on standard error, where that is a terminal.
pub(crate) struct Live {
    bar: ProgressBar,
    ledger: SharedLedger,
    /// The run's length, or the log's size in bytes.
    length: Length,
}

/// How far there is to go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    Time(Duration),
    Bytes(u64),
    Unknown,
}

impl Live {
    pub(crate) fn new(length: Length, quiet: bool, ledger: SharedLedger) -> Self {
        let bar = match length {
            Length::Time(time) => ProgressBar::new(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            Length::Bytes(bytes) => ProgressBar::new(bytes),
            Length::Unknown => ProgressBar::new_spinner(),
        };
        let template = match length {
            Length::Unknown => "{spinner} {elapsed_precise} {msg}",
            _ => "{elapsed_precise} {wide_bar} {percent}% {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_draw_target(if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(5) });
        Self { bar, ledger, length }
    }

    pub(crate) fn tick(&mut self, stats: &Stats, waiting: usize, now_ns: u64) {
        if self.bar.is_hidden() {
            return;
        }
        match self.length {
            Length::Time(_) => self.bar.set_position(now_ns / 1_000_000),
            Length::Bytes(_) => self.bar.set_position(self.ledger.lock().bytes),
            Length::Unknown => self.bar.tick(),
        }
        let rate = stats.points.iter().rev().nth(1).map_or(0, |point| point.answered);
        let p99 = stats.points.iter().rev().find(|point| point.max > 0).map_or(0.0, |point| point.p99 as f64 / 1e3);
        let (sent, errors) = (stats.sent, stats.errors());
        self.bar.set_message(format!("{sent} sent, {rate}/s, p99 {p99:.2} ms, {errors} errors, {waiting} open"));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
