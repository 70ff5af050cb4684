//! What plots over time have in common.

use super::Style;
use super::figure::{Figure, layout};
use crate::lang::Lang;
use bandit::Experiment;
use jiff::{SignedDuration, Timestamp};
use plotly::common::{DashType, Line, LineShape, Mode};
use plotly::layout::{Annotation, Axis, AxisRange, AxisType, HoverMode, Shape, ShapeLayer, ShapeLine, ShapeType};
use plotly::{Layout, Scatter};
use store::{AuditEntry, VersionEntry};

/// Published versions in a range of time.
pub(super) struct Past<'a> {
    pub(super) lang: Lang,
    pub(super) definition: &'a Experiment,
    pub(super) entries: Vec<VersionEntry>,
    /// How many cannot be read.
    pub(super) unreadable: usize,
    pub(super) changes: Vec<AuditEntry>,
    /// The version that the page shows, if it is not the newest.
    pub(super) chosen: Option<u64>,
}

/// To the minute: seconds would be a third of what is sent.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

impl Past<'_> {
    pub(super) fn nothing(&self) -> Figure {
        Figure::empty(self.lang.t("Nothing has been published in this range yet."))
    }

    pub(super) fn times(&self) -> Vec<String> {
        self.entries.iter().map(|entry| time(entry.as_of)).collect()
    }

    /// A line of one value for each version that has one; a version stands until the next.
    pub(super) fn line(
        &self,
        style: Style,
        name: &str,
        value: impl Fn(&VersionEntry) -> Option<f64>,
    ) -> Box<Scatter<String, f64>> {
        let points: Vec<(String, f64)> =
            self.entries.iter().filter_map(|entry| Some((time(entry.as_of), value(entry)?))).collect();
        // A single point has no line.
        let mode = if points.len() == 1 { Mode::LinesMarkers } else { Mode::Lines };
        let (x, y) = points.into_iter().unzip();
        let line = Line::new().color(style.colour()).dash(style.dash()).width(2.0).shape(LineShape::Hv);
        Scatter::new(x, y).name(name).mode(mode).line(line)
    }

    /// Time along, with a thin line where somebody changed something, and one at the version shown.
    pub(super) fn layout(&self, y: Axis) -> Layout {
        let x = Axis::new()
            .type_(AxisType::Date)
            .show_grid(false)
            .n_ticks(6)
            .tick_angle(0.0)
            .hover_format("%Y-%m-%d %H:%M");
        let x = match &self.entries[..] {
            [only] => x.range(around(only.as_of)),
            _ => x,
        };
        let along = if self.unreadable > 0 {
            self.lang.t("As of (UTC), without versions that cannot be read")
        } else {
            self.lang.t("As of (UTC)")
        };
        let within = |at: Timestamp| {
            self.entries.first().is_some_and(|first| first.as_of <= at)
                && self.entries.last().is_some_and(|last| at <= last.as_of)
        };
        let mut shapes = Vec::new();
        let mut annotations = Vec::new();
        for change in self.changes.iter().filter(|change| within(change.at)) {
            shapes.push(upright(change.at, 1.0, DashType::Dot));
            let label = Annotation::new().x(time(change.at)).y_ref("paper").y(1.0).show_arrow(false);
            annotations.push(label.text(crate::audit::action(self.lang, &change.action)).text_angle(-90.0));
        }
        let chosen = self.entries.iter().find(|entry| self.chosen.is_some_and(|version| entry.version >= version));
        shapes.extend(chosen.map(|entry| upright(entry.as_of, 2.5, DashType::Solid)));
        layout(x, y, along).hover_mode(HoverMode::XUnified).shapes(shapes).annotations(annotations)
    }
}

pub(super) fn upright(at: Timestamp, width: f64, dash: DashType) -> Shape {
    let line = ShapeLine::new().color("#8c8c8c").width(width).dash(dash);
    let at = time(at);
    Shape::new()
        .shape_type(ShapeType::Line)
        .x_ref("x")
        .x0(at.clone())
        .x1(at)
        .y_ref("paper")
        .y0(0.0)
        .y1(1.0)
        .layer(ShapeLayer::Above)
        .line(line)
}

/// Half an hour on both sides: left to itself, the axis of one point counts microseconds.
fn around(at: Timestamp) -> AxisRange {
    let half = SignedDuration::from_mins(30);
    AxisRange::new(time(at.saturating_sub(half).unwrap_or(at)), time(at.saturating_add(half).unwrap_or(at)))
}
