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
    let line = |name, class, value: fn(&PointReport, f64) -> Option<f64>| Line {
        name,
        class,
        points: series(&target.points, target.seconds, value),
    };
    // A time of zero is none.
    let curves = [
        line("p50", "a", |p, _| Some(p.p50).filter(|ms| *ms > 0.0)),
        line("p90", "b", |p, _| Some(p.p90).filter(|ms| *ms > 0.0)),
        line("p99", "c", |p, _| Some(p.p99).filter(|ms| *ms > 0.0)),
        line("max", "d", |p, _| Some(p.max).filter(|ms| *ms > 0.0)),
    ];
    out.push_str(&lines("response time percentiles over time", &Axis::Linear, &Axis::Log, " ms", &curves));
    out.push_str("<h3>Rate</h3><p>Requests per second that were due, sent and answered.</p>");
    let curves = [
        line("asked", "d", |p, part| rate(p.asked, part)),
        line("sent", "a", |p, part| rate(p.sent, part)),
        line("answered", "b", |p, part| rate(p.answered, part)),
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

/// Of the last second of a run, shares below this are too short to say a rate.
const SHORTEST: f64 = 0.1;

/// Requests per second, of those in a part of one.
fn rate(requests: u64, part: f64) -> Option<f64> {
    (part >= SHORTEST).then(|| requests as f64 / part)
}

/// A value for each second, of which the last may be a part; of long runs the largest of as many seconds as fall on one
/// point.
fn series(
    points: &[PointReport],
    seconds: f64,
    value: fn(&PointReport, f64) -> Option<f64>,
) -> Vec<(f64, Option<f64>)> {
    let group = points.len().div_ceil(POINTS).max(1);
    let values: Vec<Option<f64>> =
        points.iter().enumerate().map(|(i, p)| value(p, (seconds - i as f64).clamp(0.0, 1.0))).collect();
    let point = |(i, of): (usize, &[Option<f64>])| ((i * group) as f64, of.iter().flatten().copied().reduce(f64::max));
    values.chunks(group).enumerate().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_second_is_no_drop_of_the_rate() {
        let of = |sent: u64| PointReport {
            asked: sent,
            sent,
            answered: 0,
            errors: 0,
            p50: 0.0,
            p90: 0.0,
            p99: 0.0,
            max: 0.0,
        };
        let rates = |sent: &[u64], seconds| {
            let points: Vec<PointReport> = sent.iter().map(|n| of(*n)).collect();
            series(&points, seconds, |p, part| rate(p.sent, part)).into_iter().map(|(_, rate)| rate).collect::<Vec<_>>()
        };
        assert_eq!(rates(&[500, 500, 125], 2.25), [Some(500.0), Some(500.0), Some(500.0)]);
        assert_eq!(rates(&[500, 10], 1.02), [Some(500.0), None]);
        assert_eq!(rates(&[100], 0.5), [Some(200.0)]);
    }
}
