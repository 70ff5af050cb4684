//! Rewards, and what the policy has gained.

use super::past::Past;
use super::{Figure, Style};
use plotly::Scatter;
use plotly::common::{Fill, HoverInfo, Line, LineShape, Mode};
use plotly::layout::{Axis, RangeMode};
use store::VersionEntry;

/// Cumulative rewards, as they came and as an even split would have had them.
pub(super) fn rewards(past: &Past<'_>) -> Figure {
    if !past.entries.iter().any(|entry| entry.gain.is_some()) {
        return Figure::empty(past.lang.t("No full hour of trials has been weighed yet."));
    }
    let came = past.line(Style::of(0), past.lang.t("As dealt"), |entry| entry.gain.map(|g| real(g.rewards)));
    let even = past.line(Style::of(1), past.lang.t("Even split, estimated"), |entry| {
        entry.gain.map(|g| real(g.rewards) - g.total)
    });
    let template = "%{y:,.0f}<extra>%{fullData.name}</extra>";
    let y = Axis::new().title(past.lang.t("Rewards")).range_mode(RangeMode::ToZero);
    Figure::new([*came.hover_template(template), *even.hover_template(template)], past.layout(y))
}

/// Rewards beyond an even split, with the interval.
pub(super) fn gained(past: &Past<'_>) -> Figure {
    if !past.entries.iter().any(|entry| entry.gain.is_some()) {
        return Figure::empty(past.lang.t("No full hour of trials has been weighed yet."));
    }
    let y = Axis::new().title(past.lang.t("Rewards gained")).zero_line(true);
    let value = |entry: &VersionEntry| entry.gain.map(|g| (g.interval[0], g.total, g.interval[1]));
    Figure::new(banded(past, past.lang.t("Off-policy estimate"), "%{y:,.1f}", value), past.layout(y))
}

/// The policy's rate less the holdout's, with the interval.
pub(super) fn holdout(past: &Past<'_>) -> Figure {
    if !past.entries.iter().any(|entry| entry.holdout.is_some()) {
        return Figure::empty(past.lang.t("No trial of the holdout has been counted yet."));
    }
    // Not `p`: of a tick at zero that is a rounding error it would show each digit.
    let y = Axis::new().title(past.lang.t("Difference of rates")).tick_format(".3~%").zero_line(true);
    let value = |entry: &VersionEntry| entry.holdout.map(|d| (d.interval[0], d.difference, d.interval[1]));
    Figure::new(banded(past, past.lang.t("Policy less holdout"), "%{y:.3p}", value), past.layout(y))
}

fn banded(
    past: &Past<'_>,
    name: &str,
    format: &str,
    value: impl Fn(&VersionEntry) -> Option<(f64, f64, f64)>,
) -> Vec<Scatter<String, f64>> {
    let style = Style::of(2);
    let edge = |end: fn((f64, f64, f64)) -> f64| {
        let line = Line::new().color(style.colour()).width(0.0).shape(LineShape::Hv);
        let edge = past.line(style, name, |entry| value(entry).map(end)).mode(Mode::Lines).line(line);
        edge.show_legend(false).hover_info(HoverInfo::Skip)
    };
    let middle = past.line(style, name, |entry| value(entry).map(|(_, middle, _)| middle));
    vec![
        *edge(|(low, _, _)| low),
        *edge(|(_, _, high)| high).fill(Fill::ToNextY).fill_color(style.tint(0x30)),
        *middle.hover_template(format!("{format}<extra>%{{fullData.name}}</extra>")),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn real(n: u64) -> f64 {
    n as f64
}
