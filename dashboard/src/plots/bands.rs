//! Shares of the arms, stacked, from one published version to the next.

use super::past::{Past, time};
use super::{Figure, Style};
use bandit::Experiment;
use plotly::Scatter;
use plotly::common::{Line, LineShape, Marker, MarkerSymbol, Mode};
use plotly::layout::{Axis, AxisRange};
use store::{VersionArm, VersionEntry};

/// Arms with a band of their own: of more, nobody tells the bands apart.
const BANDS: usize = 10;

pub(super) fn best(past: &Past<'_>) -> Figure {
    let lang = past.lang;
    stacked(past, lang.t("P(best)"), |arm| arm.p_best)
}

pub(super) fn allocation(past: &Past<'_>) -> Figure {
    let lang = past.lang;
    stacked(past, lang.t("Share"), |arm| arm.allocation)
}

fn stacked(past: &Past<'_>, title: &str, value: fn(&VersionArm) -> f64) -> Figure {
    if past.entries.is_empty() {
        return past.nothing();
    }
    let e = past.definition;
    let of = |entry: &VersionEntry, arm: &str| entry.arms.iter().find(|a| a.id == arm).map_or(0.0, value);
    let shown = largest(e, |arm| past.entries.iter().map(|entry| of(entry, arm)).sum());
    let mut bands: Vec<(String, Style, Vec<f64>)> = shown
        .iter()
        .map(|&i| {
            let id = &e.arms[i].id;
            (id.clone(), Style::of(i), past.entries.iter().map(|entry| of(entry, id)).collect())
        })
        .collect();
    if shown.len() < e.arms.len() {
        let rest = |entry: &VersionEntry| {
            let others = entry.arms.iter().filter(|arm| !shown.iter().any(|&i| e.arms[i].id == arm.id));
            others.map(value).sum::<f64>()
        };
        let style = Style::of(6);
        bands.push((past.lang.t("all other arms").into(), style, past.entries.iter().map(rest).collect()));
    }
    let times = past.times();
    let single = times.len() == 1;
    let mode = if single { Mode::LinesMarkers } else { Mode::Lines };
    let band = |(name, style, shares): (String, Style, Vec<f64>)| {
        *Scatter::new(times.clone(), shares)
            .name(name)
            .mode(mode.clone())
            .stack_group("arms")
            // A version stands until the next is published.
            .line(Line::new().color(style.colour()).dash(style.dash()).width(1.5).shape(LineShape::Hv))
            .marker(Marker::new().color(style.colour()).size(9))
            .clip_on_axis(!single)
            .fill_color(style.tint(0x8c))
            .hover_template("%{y:.1%}<extra>%{fullData.name}</extra>")
    };
    let mut data: Vec<Scatter<String, f64>> = bands.into_iter().map(band).collect();
    data.push(updates(past));
    let y = Axis::new().title(title).tick_format(".0%").range(AxisRange::new(0.0, 1.0)).fixed_range(true);
    Figure::new(data, past.layout(y))
}

/// A tick for each update, all along the foot.
fn updates(past: &Past<'_>) -> Scatter<String, f64> {
    let at = past.entries.iter().map(|entry| time(entry.as_of)).collect();
    let versions = past.entries.iter().map(|entry| entry.version.to_string()).collect();
    *Scatter::new(at, vec![0.0; past.entries.len()])
        .name(past.lang.t("Update"))
        .mode(Mode::Markers)
        .marker(Marker::new().symbol(MarkerSymbol::LineNSOpen).color("#8c8c8c").size(14))
        .text_array(versions)
        .hover_template("%{text}<extra>%{fullData.name}</extra>")
}

/// Indices of the arms that have most, in the definition's order.
pub(super) fn largest(e: &Experiment, size: impl Fn(&str) -> f64) -> Vec<usize> {
    let most = if e.arms.len() <= BANDS + 1 { e.arms.len() } else { BANDS };
    let sizes: Vec<f64> = e.arms.iter().map(|arm| size(&arm.id)).collect();
    let mut order: Vec<usize> = (0..e.arms.len()).collect();
    order.sort_by(|&a, &b| sizes[b].total_cmp(&sizes[a]));
    order.truncate(most);
    order.sort_unstable();
    order
}
