//! Arms by segment.

use super::bands::largest;
use super::figure::{Figure, layout};
use crate::lang::Lang;
use bandit::Experiment;
use plotly::HeatMap;
use plotly::common::{ColorScale, ColorScalePalette};
use plotly::layout::{Axis, AxisType, HoverMode};
use store::Segments;

/// Segments shown: the largest.
pub(crate) const SEGMENTS: usize = 20;
/// Characters of a name beside the rows.
const LONGEST: usize = 28;

/// Rates as counted, the largest segment on top.
pub(super) fn figure(lang: Lang, e: &Experiment, segments: &Segments) -> Figure {
    if segments.largest.iter().all(|s| s.trials() == 0) {
        return Figure::empty(lang.t("No trial has been counted yet."));
    }
    let trials = |id: &str| {
        let arm = e.arms.iter().position(|a| a.id == id).unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
        segments.largest.iter().map(|s| s.arms[arm].0 as f64).sum()
    };
    let arms = largest(e, trials);
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    let rate = |(trials, rewards): (u64, u64)| (trials > 0).then(|| rewards as f64 / trials as f64);
    let rows = || segments.largest.iter().rev();
    let rates: Vec<Vec<Option<f64>>> = rows().map(|s| arms.iter().map(|&i| rate(s.arms[i])).collect()).collect();
    let texts: Vec<Vec<String>> =
        rows().map(|s| arms.iter().map(|&i| format!("{} / {}", s.arms[i].1, s.arms[i].0)).collect()).collect();
    let names: Vec<String> = rows().enumerate().map(|(i, s)| short(segments.largest.len() - i, &s.segment)).collect();
    let ids: Vec<String> = arms.iter().map(|&i| e.arms[i].id.clone()).collect();
    let map = HeatMap::new(ids, names, rates)
        .text_matrix(texts)
        .color_scale(ColorScale::Palette(ColorScalePalette::Viridis))
        .hover_on_gaps(false)
        .hover_template("%{z:.3p} (%{text})<extra>%{y} · %{x}</extra>");
    let axis = || Axis::new().type_(AxisType::Category).show_grid(false);
    let layout = layout(axis(), axis(), lang.t("Arm")).hover_mode(HoverMode::Closest).show_legend(false);
    Figure::new([*map], layout)
}

/// A name that leaves room for the plot; its rank keeps two long ones apart.
fn short(rank: usize, name: &str) -> String {
    if name.chars().count() <= LONGEST {
        return name.into();
    }
    format!("{}… ({rank})", name.chars().take(LONGEST).collect::<String>())
}
