//! Two runs beside each other.

use super::summary::{Report, TargetReport};
use std::fmt::Write;

/// A table of both runs' figures, and their ratios.
pub(crate) fn diff(a: &Report, b: &Report) -> String {
    let mut out = String::new();
    for (name, report) in [("A", a), ("B", b)] {
        let target = report.targets.first().map_or("", |target| &target.target);
        let _ = writeln!(out, "{name}: {} → {target}, {}", report.about.command, report.about.started_at);
        if let Some(why) = &report.invalid {
            let _ = writeln!(out, "{name} IS INVALID: {why}");
        }
    }
    let (Some(a), Some(b)) = (a.targets.first(), b.targets.first()) else { return out };
    let _ = writeln!(out, "{:<16}{:>12}{:>12}{:>9}", "", "A", "B", "B/A");
    for (name, value) in FIGURES {
        let (a, b) = (value(a), value(b));
        let ratio = if a == 0.0 { "".to_owned() } else { format!("{:.3}", b / a) };
        let _ = writeln!(out, "{name:<16}{a:>12.3}{b:>12.3}{ratio:>9}");
    }
    let statuses = a.statuses.keys().chain(b.statuses.keys()).collect::<std::collections::BTreeSet<_>>();
    for status in statuses {
        let of = |target: &TargetReport| target.statuses.get(status).copied().unwrap_or_default();
        let _ = writeln!(out, "{:<16}{:>12}{:>12}", format!("status {status}"), of(a), of(b));
    }
    let arms = a.arms.keys().chain(b.arms.keys()).collect::<std::collections::BTreeSet<_>>();
    for arm in arms {
        let share = |target: &TargetReport| {
            let all: u64 = target.arms.values().sum();
            target.arms.get(arm).copied().unwrap_or_default() as f64 / all.max(1) as f64
        };
        let _ = writeln!(out, "{:<16}{:>12.4}{:>12.4}", format!("share of {arm}"), share(a), share(b));
    }
    out
}

type Value = fn(&TargetReport) -> f64;

const FIGURES: [(&str, Value); 14] = [
    ("sent", |t| t.sent as f64),
    ("rate achieved/s", |t| t.rate_achieved),
    ("errors %", |t| t.error_share() * 100.0),
    ("mean ms", |t| t.response.mean),
    ("p50 ms", |t| t.response.p50),
    ("p90 ms", |t| t.response.p90),
    ("p95 ms", |t| t.response.p95),
    ("p99 ms", |t| t.response.p99),
    ("p99.9 ms", |t| t.response.p999),
    ("max ms", |t| t.response.max),
    ("service p50 ms", |t| t.service.p50),
    ("service p99 ms", |t| t.service.p99),
    ("send lag p50 ms", |t| t.lag.p50),
    ("send lag p99 ms", |t| t.lag.p99),
];
