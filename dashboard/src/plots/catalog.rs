//! How the lists of a catalog were, hour by hour.

use super::figure::Brief;
use super::{Figure, Style, layout, map};
use crate::app::App;
use crate::catalogs::{self, InCatalog};
use crate::failure::Failure;
use crate::frame::Frame;
use crate::lang::Lang;
use crate::pages::began;
use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use axum::extract::rejection::PathRejection;
use bandit::hour_of;
use plotly::common::{Line, Marker, MarkerSymbol, Mode, Pattern, PatternShape};
use plotly::layout::{Axis, AxisType, BarMode, HoverMode};
use plotly::{Bar, Scatter};
use store::ListHour;

/// `GET /dashboard/catalogs/{catalog}/plots/{plot}?hours=&user=&item=`
pub(crate) async fn of_catalog(
    State(app): State<App>,
    frame: Frame,
    catalog: InCatalog,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Brief>, Failure> {
    let Path((_, plot)) = path.map_err(|_| Failure::page())?;
    let lang = frame.lang;
    if plot == "map" {
        return Ok(Json(Brief(map::figure(&app, &frame, &catalog).await?)));
    }
    let hours = catalogs::hours(&app, &catalog.id, catalogs::range(&frame)).await?;
    let live = catalog.candidates.len();
    let shown = |h: &ListHour| h.lists > 0;
    // Of the hour under way few items were shown so far: beside others it would look like a fall.
    let (under_way, alone) = (hour_of(app.now()), hours.iter().filter(|h| shown(h)).count() < 2);
    let covered = |h: &ListHour| h.coverage(live).filter(|_| shown(h) && (alone || h.hour < under_way));
    let figure = match plot.as_str() {
        "lists" => lists(lang, &hours),
        "coverage" => line(lang, &hours, lang.t("Coverage"), "%{y:.1%}", covered),
        "distance" => line(lang, &hours, lang.t("Intra-list distance"), "%{y:.3f}", ListHour::mean_distance),
        "freshness" => line(lang, &hours, lang.t("Fresh items"), "%{y:.1%}", ListHour::fresh_share),
        _ => return Err(Failure::page()),
    };
    Ok(Json(Brief(figure)))
}

fn times(hours: &[ListHour]) -> Vec<String> {
    hours.iter().map(|h| began(h.hour).strftime("%Y-%m-%d %H:%M").to_string()).collect()
}

fn lists(lang: Lang, hours: &[ListHour]) -> Figure {
    let side = |n: usize, name: &str, count: fn(&ListHour) -> u64| {
        let marker = Marker::new().color(Style::of(n).colour());
        // Colour is not the only mark.
        let marker =
            if n == 0 { marker } else { marker.pattern(Pattern::new().shape(PatternShape::RightDiagonalLine)) };
        *Bar::new(times(hours), hours.iter().map(count).collect::<Vec<u64>>())
            .name(name)
            .marker(marker)
            .hover_template("%{y}<extra>%{fullData.name}</extra>")
    };
    let sides = [
        side(0, lang.t("From history"), |h| h.from_history),
        side(1, lang.t("Popular"), |h| h.lists - h.from_history.min(h.lists)),
    ];
    let y = Axis::new().title(lang.t("Lists")).range_mode(plotly::layout::RangeMode::ToZero).fixed_range(true);
    let layout = layout(hours_along(), y, lang.t("Hour (UTC)"));
    Figure::new(sides, layout.bar_mode(BarMode::Stack).hover_mode(HoverMode::XUnified))
}

fn line(lang: Lang, hours: &[ListHour], title: &str, shown: &str, value: impl Fn(&ListHour) -> Option<f64>) -> Figure {
    let style = Style::of(0);
    // An hour without lists is a gap.
    let values: Vec<Option<f64>> = hours.iter().map(value).collect();
    let points = *Scatter::new(times(hours), values)
        .name(title)
        .mode(Mode::LinesMarkers)
        .connect_gaps(false)
        .line(Line::new().color(style.colour()).width(2.0))
        .marker(Marker::new().color(style.colour()).size(6).symbol(MarkerSymbol::Circle))
        .hover_template(format!("{shown}<extra></extra>"));
    let y = Axis::new().title(title).range_mode(plotly::layout::RangeMode::ToZero).fixed_range(true);
    let y = if shown.contains('%') && shown.ends_with("%}") { y.tick_format(".0%") } else { y };
    let layout = layout(hours_along(), y, lang.t("Hour (UTC)"));
    Figure::new([points], layout.show_legend(false).hover_mode(HoverMode::XUnified))
}

fn hours_along() -> Axis {
    Axis::new().type_(AxisType::Date).n_ticks(6).tick_angle(0.0).show_grid(false)
}
