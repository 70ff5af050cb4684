//! How long rewards take.

use super::Style;
use super::figure::{Figure, layout};
use crate::lang::Lang;
use plotly::Scatter;
use plotly::common::{Line, Mode};
use plotly::layout::{Annotation, Axis, AxisRange, HoverMode, Shape, ShapeLayer, ShapeLine, ShapeType};
use store::Delay;

/// The share of rewards by hours after the decision; what nobody has waited for yet is shaded.
pub(super) fn figure(lang: Lang, delay: Option<&Delay>, window_hours: u32) -> Figure {
    let Some(delay) = delay else { return Figure::empty(lang.t("No reward has come yet.")) };
    let style = Style::of(0);
    let (x, y): (Vec<f64>, Vec<f64>) = delay.points.iter().map(|[hours, share]| (*hours, *share)).unzip();
    let curve = Scatter::new(x, y)
        .name(lang.t("Rewards that have come"))
        .mode(Mode::Lines)
        .line(Line::new().color(style.colour()).width(2.5))
        .hover_template("%{y:.1%}<extra>%{x:.2~f} h</extra>");
    let end = f64::from(window_hours);
    let x = Axis::new().zero_line(false).show_grid(false).range(AxisRange::new(0.0, end));
    let y = Axis::new().title(lang.t("Share of rewards")).tick_format(".0%").range(AxisRange::new(0.0, 1.02));
    let layout = layout(x, y, lang.t("Hours after the decision")).hover_mode(HoverMode::Closest).show_legend(false);
    let unknown = (delay.known_hours < end).then(|| {
        Shape::new()
            .shape_type(ShapeType::Rect)
            .x_ref("x")
            .x0(delay.known_hours)
            .x1(end)
            .y_ref("paper")
            .y0(0.0)
            .y1(1.0)
            .layer(ShapeLayer::Below)
            .fill_color("rgba(140,140,140,0.22)")
            .line(ShapeLine::new().width(0.0))
    });
    let label = unknown.is_some().then(|| {
        Annotation::new()
            .x(f64::midpoint(delay.known_hours, end))
            .y_ref("paper")
            .y(0.08)
            .show_arrow(false)
            .text(lang.t("not waited for yet"))
    });
    let layout = layout.shapes(unknown.into_iter().collect()).annotations(label.into_iter().collect());
    Figure::new([*curve], layout)
}
