//! What is believed of each arm's rate.

use super::bands::largest;
use super::{Figure, Style, layout};
use crate::lang::Lang;
use bandit::{ArmResult, Experiment};
use plotly::Scatter;
use plotly::common::{Fill, Line, Mode};
use plotly::layout::{Axis, AxisRange, HoverMode};

/// Points of each curve.
const POINTS: u32 = 160;
/// Mass that a curve spans: its ends lie on the axis.
const SPAN: f64 = 0.9998;

/// Rates and their densities.
type Curve = (Vec<f64>, Vec<f64>);

/// One curve for each arm; of many arms, those that may be the best, and the control.
pub(super) fn figure(lang: Lang, e: &Experiment, all: &[ArmResult]) -> Figure {
    let control = e.arms.get(e.control()).map_or("", |a| &*a.id);
    let find = |id: &str| all.iter().find(|a| a.id == id);
    let weight = |id: &str| if id == control { 2.0 } else { find(id).map_or(-1.0, |a| a.p_best) };
    let shown: Vec<(usize, &ArmResult)> =
        largest(e, weight).into_iter().filter_map(|i| Some((i, find(&e.arms[i].id)?))).collect();
    let arms: Vec<&ArmResult> = shown.iter().map(|(_, arm)| *arm).collect();
    let curves: Vec<Curve> = arms.iter().map(|arm| curve(arm)).collect();
    let trace = |((i, arm), (xs, ys)): (&(usize, &ArmResult), &Curve)| {
        let style = Style::of(*i);
        *Scatter::new(xs.clone(), ys.clone())
            .name(&arm.id)
            .mode(Mode::Lines)
            .line(Line::new().color(style.colour()).dash(style.dash()).width(2.5))
            .fill(Fill::ToZeroY)
            .fill_color(style.tint(0x24))
            .hover_template("%{x:.3p}<extra>%{fullData.name}</extra>")
    };
    let data = shown.iter().zip(&curves).map(trace).collect::<Vec<_>>();
    let (rates, heights) = visible(&arms, &curves);
    let x = Axis::new().tick_format(",.3~p").zero_line(false).show_grid(false).range(rates);
    let y = Axis::new().title(lang.t("Density")).show_tick_labels(false).range(heights);
    Figure::new(data, layout(x, y, lang.t("Rate")).hover_mode(HoverMode::Closest))
}

/// A grid over the arm's own mass: one for all would step over the peak of an arm that is known well.
/// Midpoints, since a density may have a pole at an end.
fn curve(arm: &ArmResult) -> Curve {
    let [low, high] = arm.posterior.interval(SPAN);
    let step = (high - low) / f64::from(POINTS);
    let xs: Vec<f64> = (0..POINTS).map(|k| low + (f64::from(k) + 0.5) * step).collect();
    let ys = arm.posterior.density(&xs);
    (xs, ys)
}

/// The part shown first; a double click shows the rest. An arm that was never tried believes everything, and
/// would squeeze the others to spikes; one without rewards peaks at 0, and would press them flat.
fn visible(arms: &[&ArmResult], curves: &[Curve]) -> (AxisRange, AxisRange) {
    let tried: Vec<&Curve> = arms.iter().zip(curves).filter(|(a, _)| a.trials > 0).map(|(_, c)| c).collect();
    let wide = if tried.is_empty() { curves.iter().collect() } else { tried };
    let low = wide.iter().filter_map(|(xs, _)| xs.first()).copied().fold(1.0, f64::min);
    let high = wide.iter().filter_map(|(xs, _)| xs.last()).copied().fold(0.0, f64::max);
    let peak = |(_, ys): &&Curve| ys.iter().copied().fold(0.0, f64::max);
    let hills = || wide.iter().copied().filter(|c| c.1.first() < Some(&peak(c)) && c.1.last() < Some(&peak(c)));
    let top = hills().map(|c| peak(&c)).reduce(f64::max);
    let top = top.or_else(|| wide.iter().map(peak).reduce(f64::max)).unwrap_or(1.0);
    (AxisRange::new(low, high), AxisRange::new(0.0, 1.06 * top))
}
