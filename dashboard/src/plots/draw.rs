//! One draw: what each arm's value was drawn from, and the value.

use super::{Figure, Style, layout};
use crate::app::App;
use crate::failure::Failure;
use crate::frame::Frame;
use crate::lang::Lang;
use crate::pages::find;
use crate::past::Past;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use bandit::{ArmReplay, Belief, Experiment, Normal, PolicyKind, Replay};
use plotly::Scatter;
use plotly::common::{Fill, Line, Marker, MarkerSymbol, Mode};
use plotly::layout::{Axis, AxisRange, HoverMode};

/// Points of each curve.
const POINTS: u32 = 120;
/// Arms shown: those with the highest values.
const ARMS: usize = 12;
/// Mass that the curve of a rate spans, and deviations that one of a predictor does.
const SPAN: f64 = 0.9998;
const DEVIATIONS: f64 = 4.0;

/// `GET /dashboard/decisions/{decision}/plots/draw`
pub(crate) async fn draw(
    State(app): State<App>,
    frame: Frame,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Figure>, Failure> {
    let Path(id) = id.map_err(|_| Failure::page())?;
    let story = find(&app, &id).await?;
    let past = Past::of(&app, &story).await?;
    let (Some(e), Ok(replay)) = (&past.definition, &past.replay) else { return Err(Failure::page()) };
    Ok(Json(figure(frame.lang, e, replay)))
}

struct Curve<'a> {
    arm: usize,
    name: &'a str,
    xs: Vec<f64>,
    ys: Vec<f64>,
    /// The value drawn, and the height there.
    drawn: Option<(f64, f64)>,
}

fn figure(lang: Lang, e: &Experiment, replay: &Replay) -> Figure {
    let enabled = e.arms.iter().zip(&replay.arms).enumerate().filter(|(_, (arm, _))| arm.enabled);
    let mut curves: Vec<Curve<'_>> = enabled.map(|(i, (arm, part))| curve(i, &arm.id, part)).collect();
    // The winner is among them: stable, and the highest value first; without values by the belief's upper end.
    let height = |c: &Curve<'_>| c.drawn.map_or_else(|| c.xs.last().copied().unwrap_or(0.0), |(x, _)| x);
    curves.sort_by(|a, b| (b.arm == replay.arm).cmp(&(a.arm == replay.arm)).then(height(b).total_cmp(&height(a))));
    curves.truncate(ARMS);
    curves.sort_by_key(|c| c.arm);
    let mut data = Vec::new();
    for c in &curves {
        let style = Style::of(c.arm);
        let line = Scatter::new(c.xs.clone(), c.ys.clone())
            .name(c.name)
            .legend_group(c.name)
            .mode(Mode::Lines)
            .line(Line::new().color(style.colour()).dash(style.dash()).width(2.0))
            .fill(Fill::ToZeroY)
            .fill_color(style.tint(0x1c))
            .hover_template("%{x:.4g}<extra>%{fullData.name}</extra>");
        data.push(*line);
        if let Some((x, y)) = c.drawn {
            let wins = c.arm == replay.arm;
            // A stem up to the curve, so that the value can be read off where curves are flat.
            let symbol = if wins { MarkerSymbol::Star } else { MarkerSymbol::Circle };
            let point = Scatter::new(vec![x, x], vec![0.0, y])
                .name(c.name)
                .legend_group(c.name)
                .show_legend(false)
                .mode(Mode::LinesMarkers)
                .line(Line::new().color(style.colour()).width(1.5))
                .marker(
                    Marker::new().color(style.colour()).symbol(symbol).size_array(vec![0, if wins { 14 } else { 8 }]),
                )
                .hover_template("%{x:.4g}<extra>%{fullData.name}</extra>");
            data.push(*point);
        }
    }
    let contextual = replay.arms.iter().any(|a| matches!(a.drawn_from, Some(Belief::Predictor(_))));
    let x = Axis::new().zero_line(false).show_grid(false);
    let (x, along) = match (contextual, e.policy.kind) {
        (true, PolicyKind::LogisticThompson) => (x, lang.t("Log-odds in this context")),
        (true, _) => (x, lang.t("Rate in this context")),
        (false, _) => (x.tick_format(",.3~p"), lang.t("Rate")),
    };
    let top = curves.iter().flat_map(|c| c.ys.iter().copied().skip(1)).fold(0.0, f64::max);
    let y = Axis::new().title(lang.t("Density")).show_tick_labels(false).range(AxisRange::new(0.0, 1.06 * top));
    Figure::new(data, layout(x, y, along).hover_mode(HoverMode::Closest))
}

fn curve<'a>(arm: usize, name: &'a str, part: &ArmReplay) -> Curve<'a> {
    let belief = part.drawn_from.unwrap_or(Belief::Rate(part.posterior));
    let [low, high] = match &belief {
        Belief::Rate(beta) => beta.interval(SPAN),
        Belief::Predictor(p) => [p.mean() - DEVIATIONS * p.sd(), p.mean() + DEVIATIONS * p.sd()],
    };
    let step = (high - low) / f64::from(POINTS);
    let xs: Vec<f64> = (0..POINTS).map(|k| low + (f64::from(k) + 0.5) * step).collect();
    let ys = densities(&belief, &xs);
    let drawn = part.value.map(|x| (x, densities(&belief, &[x])[0]));
    Curve { arm, name, xs, ys, drawn }
}

fn densities(belief: &Belief, xs: &[f64]) -> Vec<f64> {
    let normal = |p: &Normal| xs.iter().map(|&x| p.density(x)).collect();
    match belief {
        Belief::Rate(beta) => beta.density(xs),
        Belief::Predictor(p) => normal(p),
    }
}
