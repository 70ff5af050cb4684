//! The figures of a run, as they are written to JSON and read back.

use crate::check::{Differences, Findings};
use crate::read::Ledger;
use crate::send::{Point, Stats};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Points of a histogram's curve.
const CURVE: usize = 120;

/// A run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Of this format.
    pub(crate) version: u32,
    #[serde(flatten)]
    pub(crate) about: About,
    /// Why the figures say nothing about the target, if they do not.
    pub(crate) invalid: Option<String>,
    pub(crate) log: LogReport,
    /// The target, and the one it is compared with.
    pub(crate) targets: Vec<TargetReport>,
    pub(crate) findings: Findings,
    pub(crate) differences: Option<Differences>,
}

/// What was run, and how it ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) command: String,
    pub(crate) started_at: String,
    /// `whole`, `stopped` or `silent`.
    pub(crate) ended: String,
}

/// What became of the log's lines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LogReport {
    pub(crate) lines: u64,
    pub(crate) requests: u64,
    pub(crate) refused: Vec<LineReport>,
    pub(crate) noted: Vec<LineReport>,
    /// Fields that lines without a match lacked.
    pub(crate) lacking: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LineReport {
    pub(crate) count: u64,
    pub(crate) why: String,
    pub(crate) first_line: u64,
    pub(crate) sample: String,
}

/// What came of the requests to one target; times in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TargetReport {
    pub(crate) target: String,
    /// Requests that were due, sent, and answered with any status.
    pub(crate) asked: u64,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// Statuses of 400 and above, and requests without an answer.
    pub(crate) errors: u64,
    /// Rewards among the answered.
    pub(crate) events: u64,
    /// Per second without events: from when the first was due to when the last was, or was sent.
    pub(crate) rate_asked: f64,
    pub(crate) rate_achieved: f64,
    /// From the beginning to the last answer.
    pub(crate) seconds: f64,
    pub(crate) response: Times,
    pub(crate) service: Times,
    pub(crate) lag: Times,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) lost: BTreeMap<String, u64>,
    pub(crate) refused: Option<String>,
    pub(crate) arms: BTreeMap<String, u64>,
    pub(crate) points: Vec<PointReport>,
}

/// Percentiles of a time in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    /// Pairs of a share of all and the time that it stayed within.
    pub(crate) curve: Vec<(f64, f64)>,
}

/// One second; response times in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PointReport {
    pub(crate) asked: u64,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) errors: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Report {
    /// A report of a log alone.
    pub(crate) fn of_log(command: &str, log: LogReport) -> Self {
        let about = About { command: command.to_owned(), ended: "whole".to_owned(), ..About::default() };
        let (targets, findings) = (Vec::new(), Findings::default());
        Self { version: 1, about, invalid: None, log, targets, findings, differences: None }
    }
}

impl Times {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |q: f64| millis(histogram.value_at_quantile(q));
        // Even on the scale of nines: half, then halves of what is left.
        let curve = (0..CURVE).map(|i| 1.0 - 0.5_f64.powf(i as f64 / 6.0));
        let most = 1.0 - 0.5 / histogram.len().max(1) as f64;
        let curve: Vec<(f64, f64)> = curve.take_while(|q| *q < most).map(|q| (q, at(q))).collect();
        Self {
            count: histogram.len(),
            mean: histogram.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: millis(histogram.max()),
            curve,
        }
    }

    /// The time that the share `q` stayed within, from the curve for shares that are not kept apart.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        let known = [(0.5, self.p50), (0.9, self.p90), (0.95, self.p95), (0.99, self.p99), (0.999, self.p999)];
        let same = known.iter().find(|(known, _)| (known - q).abs() < 1e-9).map(|(_, time)| *time);
        same.or_else(|| self.curve.iter().find(|(share, _)| *share >= q).map(|(_, time)| *time)).unwrap_or(self.max)
    }
}

impl TargetReport {
    pub(crate) fn new(target: String, stats: &Stats) -> Self {
        let rate = |count: u64, from: Option<u64>, to: u64| {
            let ns = to.saturating_sub(from.unwrap_or(to));
            if ns == 0 { 0.0 } else { count.saturating_sub(1) as f64 * 1e9 / ns as f64 }
        };
        Self {
            target,
            asked: stats.asked,
            sent: stats.sent,
            answered: stats.answers(),
            errors: stats.errors(),
            events: stats.events,
            rate_asked: rate(stats.paced_asked, stats.first_due_ns, stats.last_due_ns),
            rate_achieved: rate(stats.paced_sent, stats.first_due_ns, stats.last_sent_ns),
            seconds: stats.end_ns as f64 / 1e9,
            response: Times::of(&stats.times.response),
            service: Times::of(&stats.times.service),
            lag: Times::of(&stats.times.lag),
            statuses: stats.statuses.clone(),
            lost: stats.lost.iter().map(|(why, n)| (why.name().to_owned(), *n)).collect(),
            refused: stats.refused.clone(),
            arms: stats.arms.clone(),
            points: stats.points.iter().map(PointReport::of).collect(),
        }
    }

    /// Errors among the requests that were waited for.
    pub(crate) fn error_share(&self) -> f64 {
        let lost: u64 = self.lost.values().sum();
        self.errors as f64 / (self.answered + lost).max(1) as f64
    }
}

impl PointReport {
    fn of(point: &Point) -> Self {
        let Point { asked, sent, answered, errors, p50, p90, p99, max } = *point;
        let [p50, p90, p99, max] = [p50, p90, p99, max].map(millis);
        Self { asked, sent, answered, errors, p50, p90, p99, max }
    }
}

impl LogReport {
    pub(crate) fn new(ledger: &Ledger) -> Self {
        let line = |(why, c): (&'static str, &crate::read::Count)| LineReport {
            count: c.count,
            why: why.to_owned(),
            first_line: c.first_line,
            sample: c.sample.clone(),
        };
        Self {
            lines: ledger.lines,
            requests: ledger.requests,
            refused: ledger.refused.iter().map(|(why, c)| line((why.explain(), c))).collect(),
            noted: ledger.noted.iter().map(|(what, c)| line((what.explain(), c))).collect(),
            lacking: ledger.lacking.iter().map(|(field, n)| ((*field).to_owned(), *n)).collect(),
        }
    }
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}
