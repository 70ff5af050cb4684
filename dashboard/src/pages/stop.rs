//! Before an experiment is stopped: what will happen, and what is known of the arm that would win.

use super::{Answer, html};
use crate::app::{App, Found};
use crate::arms::{apart, leader, least_lost};
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::Phrase;
use crate::person::Editor;
use crate::plots::Style;
use crate::verdict::verdict;
use askama::Template;
use axum::extract::{Query, State};
use bandit::Status;
use serde::Deserialize;
use store::{Detail, Health, results};

#[derive(Template)]
#[template(path = "stop.html")]
struct Stop {
    frame: Frame,
    id: String,
    title: String,
    control: String,
    lists: bool,
    verdict: Vec<Phrase>,
    worries: Vec<Health>,
    arms: Vec<Arm>,
    /// Whether it is known what each arm would lose if everyone got it, although segments have best arms of their own.
    apart: bool,
}

struct Arm {
    id: String,
    style: Style,
    control: bool,
    chosen: bool,
    trials: Num,
    rate: Num,
    p_best: Num,
    loss: Num,
    alone: Num,
}

/// The arm that is chosen when the page opens.
#[derive(Deserialize)]
pub(crate) struct Chosen {
    winner: Option<String>,
}

/// `GET /dashboard/experiments/{id}/stop?winner=`
pub(crate) async fn stop(
    State(app): State<App>,
    _: Editor,
    frame: Frame,
    Found(record): Found,
    Query(chosen): Query<Chosen>,
) -> Answer {
    let e = &record.definition;
    if !record.status.may_become(Status::Stopped) {
        let why = format!("experiment '{}' is {}: it cannot become {}", e.id, record.status, Status::Stopped);
        return Err(Failure::conflict(why));
    }
    let results = results(&app.stores, &record, app.now(), Detail::Whole).await?;
    let apart = apart(e, &results).filter(|all| !all.is_empty());
    let least = apart.and_then(least_lost).map(|one| one.arm.clone());
    let chosen = chosen.winner.or(least).or_else(|| leader(&results.arms).map(|(_, a)| a.id.clone()));
    let lists = e.candidates.is_some();
    let arms =
        results.arms.iter().enumerate().filter(|(i, _)| e.arms.get(*i).is_some_and(|a| a.enabled)).map(|(i, a)| Arm {
            id: a.id.clone(),
            style: Style::of(i),
            control: i == e.control(),
            chosen: chosen.as_ref() == Some(&a.id),
            trials: Num::count(a.trials),
            rate: Num::maybe_rate(a.rate),
            p_best: Num::share(a.p_best),
            loss: Num::points(a.expected_loss),
            alone: apart
                .and_then(|all| all.iter().find(|one| one.arm == a.id))
                .map_or_else(Num::none, |one| Num::points(one.loss)),
        });
    html(&Stop {
        arms: arms.collect(),
        apart: apart.is_some(),
        id: e.id.clone(),
        title: e.title().into(),
        control: e.arms.get(e.control()).map_or_else(String::new, |a| a.id.clone()),
        lists,
        verdict: verdict(frame.lang, &record, &results),
        worries: results.health.iter().filter(|h| !h.ok).cloned().collect(),
        frame,
    })
}
