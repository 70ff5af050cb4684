//! What the policy deals, from one published version to the next.

use super::{Figure, Style, layout};
use crate::app::{App, Found};
use crate::failure::Failure;
use axum::Json;
use axum::extract::State;
use bandit::{Experiment, HourOutcome, PosteriorSet, segment_weights, trials_by_segment};
use jiff::{SignedDuration, Timestamp};
use plotly::Scatter;
use plotly::common::{Line, LineShape, Marker, Mode};
use plotly::layout::{Annotation, Axis, AxisRange, AxisType, HoverMode};
use std::collections::BTreeMap;

/// Newest versions shown.
const VERSIONS: u64 = 200;

/// `GET /dashboard/experiments/{id}/plots/allocation`
pub(crate) async fn allocation(State(app): State<App>, Found(record): Found) -> Result<Json<Figure>, Failure> {
    let (e, stores) = (&record.definition, &app.stores);
    let latest = stores.posteriors.latest_version(&e.id).await?;
    let sets = stores.posteriors.since(&e.id, latest.saturating_sub(VERSIONS), VERSIONS as usize).await?;
    let outcomes = stores.outcomes.evidence(&e.id).await?.outcomes;
    Ok(Json(figure(e, &sets, &outcomes)))
}

fn figure(e: &Experiment, sets: &[PosteriorSet], outcomes: &[HourOutcome]) -> Figure {
    let trials = trials_by_segment(outcomes);
    let times: Vec<String> = sets.iter().map(|s| s.as_of.to_string()).collect();
    let versions: Vec<String> = sets.iter().map(|s| s.version.to_string()).collect();
    // A single point has no area.
    let mode = if sets.len() == 1 { Mode::LinesMarkers } else { Mode::Lines };
    let band = |(i, arm): (usize, &bandit::Arm)| {
        let style = Style::of(i);
        let shares = sets.iter().map(|s| share(s, &arm.id, &trials)).collect();
        *Scatter::new(times.clone(), shares)
            .name(&arm.id)
            .mode(mode.clone())
            .stack_group("arms")
            // A version deals until the next is published.
            .line(Line::new().color(style.colour()).dash(style.dash()).width(1.5).shape(LineShape::Hv))
            .marker(Marker::new().color(style.colour()).size(9))
            .clip_on_axis(sets.len() != 1)
            .fill_color(style.tint(0x8c))
            .text_array(versions.clone())
            .hover_template("%{y:.1%}<extra>%{fullData.name}, version %{text}</extra>")
    };
    let data: Vec<_> = e.arms.iter().enumerate().map(band).collect();
    let x =
        Axis::new().type_(AxisType::Date).show_grid(false).n_ticks(6).tick_angle(0.0).hover_format("%Y-%m-%d %H:%M");
    let y = Axis::new().title("Share").tick_format(".0%").range(AxisRange::new(0.0, 1.0)).fixed_range(true);
    let layout = match sets {
        [] => layout(x.visible(false), y.visible(false), "").annotations(vec![nothing()]),
        [only] => layout(x.range(around(only.as_of)), y, "Published at (UTC): one version so far"),
        _ => layout(x, y, "Published at (UTC)"),
    };
    Figure::new(data, layout.hover_mode(HoverMode::XUnified))
}

/// What stands in place of the axes.
fn nothing() -> Annotation {
    let middle = Annotation::new().x_ref("paper").x(0.5).y_ref("paper").y(0.5);
    middle.text("Nothing has been published yet.").show_arrow(false)
}

/// Half an hour on both sides: left to itself, the axis of one point counts microseconds.
fn around(at: Timestamp) -> AxisRange {
    let half = SignedDuration::from_mins(30);
    let end = |t: Timestamp| t.to_string();
    AxisRange::new(end(at.saturating_sub(half).unwrap_or(at)), end(at.saturating_add(half).unwrap_or(at)))
}

/// An arm's share over all segments.
fn share(set: &PosteriorSet, arm: &str, trials: &BTreeMap<&str, u64>) -> f64 {
    // The set may be older than the arm.
    let Some(column) = set.arms.iter().position(|id| id == arm) else { return 0.0 };
    set.segments.values().zip(segment_weights(set, trials)).map(|(list, weight)| weight * list[column].propensity).sum()
}
