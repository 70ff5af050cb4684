//! A plan by day: what is lost, and whether it is decided.

use super::{Figure, Style, layout};
use crate::app::App;
use crate::failure::Failure;
use crate::frame::Frame;
use crate::lang::Lang;
use crate::pages::planner;
use crate::plan::Plan;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use bandit::simulate::Outlook;
use plotly::Scatter;
use plotly::common::{Line, LineShape, Mode};
use plotly::layout::{Axis, AxisRange, HoverMode};

/// `GET /dashboard/planner/plots/regret`
pub(crate) async fn regret(State(app): State<App>, frame: Frame, uri: Uri) -> Result<Json<Figure>, Failure> {
    let plan = planner::for_plot(&app, &uri).await?;
    let lang = frame.lang;
    let y = Axis::new().title(lang.t("Rewards lost")).range_mode(plotly::layout::RangeMode::ToZero);
    Ok(Json(figure(
        lang,
        &plan,
        y,
        "%{y:,.1f}",
        |outlook, day| {
            if day == 0 { 0.0 } else { outlook.regret_by(day).mean }
        },
    )))
}

/// `GET /dashboard/planner/plots/decided`
pub(crate) async fn decided(State(app): State<App>, frame: Frame, uri: Uri) -> Result<Json<Figure>, Failure> {
    let plan = planner::for_plot(&app, &uri).await?;
    let lang = frame.lang;
    let y = Axis::new()
        .title(lang.t("Share decided"))
        .tick_format(".0%")
        .range(AxisRange::new(0.0, 1.02))
        .fixed_range(true);
    Ok(Json(figure(lang, &plan, y, "%{y:.0%}", Outlook::decided_by)))
}

fn figure(lang: Lang, plan: &Plan, y: Axis, shown: &str, value: impl Fn(&Outlook, u32) -> f64) -> Figure {
    let days: Vec<u32> = (0..=plan.asked.days).collect();
    let sides = [(lang.t("Fixed A/B test"), &plan.test), (lang.t("Your policy"), &plan.chosen)];
    let line = |(i, (name, outlook)): (usize, (&str, &Outlook))| {
        let style = Style::of(i);
        *Scatter::new(days.clone(), days.iter().map(|day| value(outlook, *day)).collect::<Vec<f64>>())
            .name(name)
            .mode(Mode::Lines)
            .line(Line::new().color(style.colour()).dash(style.dash()).width(2.5).shape(LineShape::Linear))
            .hover_template(format!("{shown}<extra>%{{fullData.name}}</extra>"))
    };
    let data: Vec<_> = sides.into_iter().enumerate().map(line).collect();
    let x = Axis::new().range(AxisRange::new(0, plan.asked.days)).show_grid(false);
    Figure::new(data, layout(x, y, lang.t("Days since the start")).hover_mode(HoverMode::XUnified))
}
