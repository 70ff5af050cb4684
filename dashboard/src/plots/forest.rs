//! Estimates of policies under one another, each with its interval.

use super::{Figure, layout};
use crate::app::{App, Found};
use crate::estimates::{Estimates, Kind, Row};
use crate::failure::Failure;
use crate::frame::Frame;
use crate::lang::Lang;
use crate::pages::what_if;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use bandit::evaluate::{Estimate, Estimator};
use plotly::Scatter;
use plotly::common::{DashType, ErrorData, ErrorType, Line, Marker, MarkerSymbol, Mode};
use plotly::layout::{Axis, AxisRange, HoverMode};

/// Longest name on the axis.
const LONGEST: usize = 28;

/// `GET /dashboard/experiments/{id}/plots/what-if`
pub(crate) async fn forest(
    State(app): State<App>,
    frame: Frame,
    uri: Uri,
    Found(record): Found,
) -> Result<Json<Figure>, Failure> {
    let (estimates, estimator) = what_if::for_plot(&app, &record, &uri).await?;
    Ok(Json(figure(frame.lang, &estimates, estimator)))
}

fn figure(lang: Lang, found: &Estimates, estimator: Estimator) -> Figure {
    let mut known: Vec<(String, bool, &Estimate)> = Vec::new();
    for row in &found.rows {
        if let Some((evaluation, estimate)) = what_if::estimate(row, estimator) {
            let mut label = label(lang, row);
            // Names that were cut may be alike; places on the axis go by name.
            while known.iter().any(|(other, ..)| *other == label) {
                label.push('′');
            }
            known.push((label, evaluation.trustworthy(), estimate));
        }
    }
    // Where an untrusted interval reaches does not matter: it may not squeeze the others.
    let wide: Vec<&Estimate> = known.iter().filter(|(_, trusted, _)| *trusted).map(|(_, _, e)| *e).collect();
    let low = wide.iter().map(|e| e.normal[0]).fold(found.logged, f64::min);
    let high = wide.iter().map(|e| e.normal[1]).fold(found.logged, f64::max);
    let room = 0.08 * (high - low).max(0.1 * found.logged).max(1e-6);
    let order: Vec<String> = known.iter().map(|(label, ..)| label.clone()).collect();
    let dots = |trusted: bool, name: &str, colour: &'static str, symbol: MarkerSymbol| {
        let rows: Vec<_> = known.iter().filter(|row| row.1 == trusted).collect();
        let above = rows.iter().map(|(_, _, e)| e.normal[1] - e.value).collect();
        let below = rows.iter().map(|(_, _, e)| e.value - e.normal[0]).collect();
        *Scatter::new(rows.iter().map(|r| r.2.value).collect(), rows.iter().map(|r| r.0.clone()).collect::<Vec<_>>())
            .name(name)
            .mode(Mode::Markers)
            .marker(Marker::new().color(colour).size(10).symbol(symbol))
            .error_x(
                ErrorData::new(ErrorType::Data)
                    .symmetric(false)
                    .array(above)
                    .array_minus(below)
                    .color(colour)
                    .thickness(2.0),
            )
            .hover_template("%{x:.3p}<extra>%{y}</extra>")
    };
    let reference = *Scatter::new(vec![found.logged; order.len()], order.clone())
        .name(lang.t("Realised rate of the logged policy"))
        .mode(Mode::Lines)
        .line(Line::new().color("#d55e00").dash(DashType::Dash).width(2.0))
        .hover_template("%{x:.3p}<extra>%{fullData.name}</extra>");
    let mut data = vec![reference];
    for (trusted, name, colour, symbol) in [
        (true, lang.t("Trustworthy"), "#0072b2", MarkerSymbol::Square),
        (false, lang.t("Not trustworthy"), "#8c8c8c", MarkerSymbol::CircleOpen),
    ] {
        if known.iter().any(|row| row.1 == trusted) {
            data.push(dots(trusted, name, colour, symbol));
        }
    }
    let x = Axis::new().tick_format(",.3~p").zero_line(false).range(AxisRange::new((low - room).max(0.0), high + room));
    let order: Vec<String> = order.into_iter().rev().collect();
    let y = Axis::new().category_order(plotly::layout::CategoryOrder::Array).category_array(order).fixed_range(true);
    let along = lang.t("Estimated rewards per trial, with 95% interval");
    Figure::new(data, layout(x, y, along).height(130 + 30 * known.len()).hover_mode(HoverMode::Closest))
}

/// A name on the axis. Plotly reads markup: names are text.
fn label(lang: Lang, row: &Row) -> String {
    let name = match row.kind {
        Kind::Uniform => lang.t("A/B test").to_owned(),
        Kind::Recommended => lang.t("Recommended").to_owned(),
        Kind::Own => lang.t("Own policy").to_owned(),
        Kind::Arm(_) | Kind::Typed => row.given.clone(),
    };
    let mut short: String = name.chars().take(LONGEST).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
