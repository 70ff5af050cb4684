//! The report as one page that needs nothing else.

use super::chart::{Axis, Line, bars, escape, lines};
use super::summary::{PointReport, Report, TargetReport, Times};
use std::fmt::Write;

/// Points of a line: more cannot be told apart.
const POINTS: usize = 600;
const STYLE: &str = include_str!("page.css");

/// The page; `conditions` are what was asserted, in words.
pub(crate) fn page(report: &Report, conditions: &[String]) -> String {
    let title = report.targets.first().map_or("", |target| target.target.as_str());
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Load on {0}</title><style>{STYLE}</style><main><h1>Load on {0}</h1><p>{1}<br><code>{2}</code></p>",
        escape(title),
        escape(&report.about.started_at),
        escape(&report.about.command),
    );
    if let Some(why) = &report.invalid {
        let _ = write!(out, "<p class=\"bad\"><strong>Invalid.</strong> {}</p>", escape(why));
    }
    for condition in conditions {
        let class = if condition.ends_with("NOT MET") { "bad" } else { "good" };
        let _ = write!(out, "<p class=\"{class}\">{}</p>", escape(condition));
    }
    for target in &report.targets {
        if report.targets.len() > 1 {
            let _ = write!(out, "<h2>{}</h2>", escape(&target.target));
        }
        about(target, &mut out);
    }
    let text = super::text(report);
    let _ = write!(out, "<h2>All figures</h2><pre>{}</pre></main></html>", escape(&text));
    out
}

fn about(target: &TargetReport, out: &mut String) {
    let share = target.error_share() * 100.0;
    let tiles = [
        (format!("{:.1}/s", target.rate_achieved), format!("sent, of {:.1}/s asked", target.rate_asked)),
        (format!("{} of {}", target.answered, target.asked), "answered".to_owned()),
        (format!("{:.2} ms", target.response.p50), "median response".to_owned()),
        (format!("{:.2} ms", target.response.p99), "99th percentile".to_owned()),
        (format!("{share:.3} %"), "errors".to_owned()),
    ];
    out.push_str("<div class=\"tiles\">");
    for (value, name) in tiles {
        let _ = write!(out, "<div><b>{value}</b>{name}</div>");
    }
    out.push_str("</div><h3>Response time over time</h3><p>From when each request was due; seconds of the run.</p>");
    let line =
        |name, class, times, value: fn(&PointReport) -> f64| Line { name, class, points: series(target, value, times) };
    let curves = [
        line("p50", "a", true, |p| p.p50),
        line("p90", "b", true, |p| p.p90),
        line("p99", "c", true, |p| p.p99),
        line("max", "d", true, |p| p.max),
    ];
    out.push_str(&lines("response time percentiles over time", &Axis::Linear, &Axis::Log, " ms", &curves));
    out.push_str("<h3>Rate</h3><p>Requests per second that were due, sent and answered.</p>");
    let curves = [
        line("asked", "d", false, |p| p.asked as f64),
        line("sent", "a", false, |p| p.sent as f64),
        line("answered", "b", false, |p| p.answered as f64),
    ];
    out.push_str(&lines("requests per second over time", &Axis::Linear, &Axis::Linear, "/s", &curves));
    out.push_str("<h3>Distribution</h3><p>Which share of requests stayed within which time.</p>");
    let curve = |name, class, times: &Times| Line {
        name,
        class,
        points: times.curve.iter().map(|(q, ms)| (-(1.0 - q).log10(), Some(ms.max(1e-3)))).collect(),
    };
    let curves = [
        curve("response time", "c", &target.response),
        curve("service time", "a", &target.service),
        curve("send lag", "d", &target.lag),
    ];
    let nines = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"];
    let nines = nines.iter().enumerate().map(|(i, name)| (i as f64, (*name).to_owned())).collect();
    out.push_str(&lines(
        "percentiles of response time, service time and send lag",
        &Axis::Named(nines),
        &Axis::Log,
        " ms",
        &curves,
    ));
    out.push_str("<h3>Answers</h3>");
    let status = |(status, n): (&u16, &u64)| (status.to_string(), *n, if *status < 400 { "a" } else { "c" });
    let lost = target.lost.iter().map(|(why, n)| (why.clone(), *n, "c"));
    out.push_str(&bars(&target.statuses.iter().map(status).chain(lost).collect::<Vec<_>>()));
    if !target.arms.is_empty() {
        out.push_str("<h3>Arms</h3>");
        out.push_str(&bars(&target.arms.iter().map(|(arm, n)| (arm.clone(), *n, "b")).collect::<Vec<_>>()));
    }
}

/// A value for each second; of long runs the largest of as many seconds as fall on one point. A time of zero is none.
fn series(target: &TargetReport, value: fn(&PointReport) -> f64, times: bool) -> Vec<(f64, Option<f64>)> {
    let group = target.points.len().div_ceil(POINTS).max(1);
    let groups = target.points.chunks(group).enumerate();
    let point = |(i, points): (usize, &[PointReport])| {
        let most = points.iter().map(value).fold(0.0, f64::max);
        ((i * group) as f64, Some(most).filter(|most| !times || *most > 0.0))
    };
    groups.map(point).collect()
}
