//! With which probabilities trials were dealt.

use super::Style;
use super::figure::{Figure, layout};
use crate::lang::Lang;
use bandit::evaluate::PROPENSITY_EDGES;
use plotly::Bar;
use plotly::common::Marker;
use plotly::layout::{Axis, AxisType, HoverMode};
use store::VersionEntry;

pub(super) fn figure(lang: Lang, version: Option<&VersionEntry>) -> Figure {
    let Some(entry) = version.filter(|entry| entry.propensities.iter().any(|n| *n > 0)) else {
        return Figure::empty(lang.t("No full hour of trials has been weighed yet."));
    };
    let ends = || PROPENSITY_EDGES.iter().copied().chain([1.0]);
    let starts = std::iter::once(0.0).chain(PROPENSITY_EDGES);
    let bins = starts.zip(ends()).map(|(from, to)| format!("{from}–{to}")).collect();
    let bars = Bar::new(bins, entry.propensities.clone())
        .name(lang.t("Trials"))
        .marker(Marker::new().color(Style::of(0).colour()))
        .hover_template("%{y:,}<extra>%{x}</extra>");
    let x = Axis::new().type_(AxisType::Category).show_grid(false);
    let y = Axis::new().title(lang.t("Trials"));
    let layout = layout(x, y, lang.t("Propensity of the dealt arm")).hover_mode(HoverMode::Closest);
    Figure::new([*bars], layout.show_legend(false))
}
