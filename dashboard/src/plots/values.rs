//! One value for each published version, beside its limit.

use super::past::{Past, time};
use super::{Figure, Style};
use crate::format::Num;
use bandit::SAMPLE_RATIO_ALARM;
use plotly::Scatter;
use plotly::common::{DashType, Line, Mode};
use plotly::layout::{Axis, AxisType, RangeMode};
use store::VersionEntry;

/// Evidence beyond which a plot says no more, in nats: 10^20.
const MOST: f64 = 46.0;

/// The value remaining, with the share that the stopping rule tolerates.
pub(super) fn remaining(past: &Past<'_>) -> Figure {
    let (e, lang) = (past.definition, past.lang);
    if past.entries.is_empty() {
        return past.nothing();
    }
    if !past.entries.iter().any(|entry| entry.value_remaining.is_some()) {
        return Figure::empty(lang.t("Arms are dealt by segment or features: none is the best for all."));
    }
    let tolerated = e.stopping.clone().unwrap_or_default().value_remaining;
    // A line for each level that the rule had: by another one the same posteriors leave more or less.
    let known = |entry: &VersionEntry| entry.value_remaining.map(|v| (v.confidence(e), v.remaining));
    let mut levels: Vec<f64> = past.entries.iter().filter_map(known).map(|(level, _)| level).collect();
    levels.sort_unstable_by(f64::total_cmp);
    levels.dedup();
    let limit = limit(past, lang.t("Worth stopping below"), tolerated);
    let y = Axis::new().title(lang.t("Share of the leader’s rate")).tick_format(".1~%").range_mode(RangeMode::ToZero);
    let template = "%{y:.2%}<extra>%{fullData.name}</extra>";
    let line = |(i, level): (usize, f64)| {
        let name = format!("{} ({})", lang.t("Value remaining, at most"), Num::level(level).text);
        let line = past.line(Style::of(i), &name, |v| known(v).filter(|v| v.0 == level).map(|v| v.1));
        *line.hover_template(template)
    };
    let lines: Vec<_> = levels.into_iter().enumerate().map(line).chain([*limit.hover_template(template)]).collect();
    Figure::new(lines, past.layout(y))
}

/// Evidence against the log, with the alarm.
pub(super) fn sample_ratio(past: &Past<'_>) -> Figure {
    let lang = past.lang;
    if !past.entries.iter().any(|entry| entry.sample_ratio.is_some()) {
        return Figure::empty(lang.t("The check has not run in this range yet."));
    }
    let line = past.line(Style::of(0), lang.t("Evidence that the log is wrong"), |entry| {
        entry.sample_ratio.map(|nats| nats.min(MOST).exp())
    });
    let limit = limit(past, lang.t("Alarm"), SAMPLE_RATIO_ALARM.exp());
    let template = "%{y:.3~g}<extra>%{fullData.name}</extra>";
    let y = Axis::new()
        .title(lang.t("Times as likely as under a sound log"))
        .type_(AxisType::Log)
        .dtick(1.0)
        .tick_format("~g");
    Figure::new([*line.hover_template(template), *limit.hover_template(template)], past.layout(y))
}

fn limit(past: &Past<'_>, name: &str, value: f64) -> Box<Scatter<String, f64>> {
    let ends = [past.entries.first(), past.entries.last()].into_iter().flatten();
    Scatter::new(ends.map(|entry| time(entry.as_of)).collect(), vec![value; 2])
        .name(name)
        .mode(Mode::Lines)
        .line(Line::new().color("#d55e00").dash(DashType::Dash).width(2.0))
}
