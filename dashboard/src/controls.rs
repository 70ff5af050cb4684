//! What an editor does with an experiment by a button, and what is said once it is done.

use crate::app::{App, Found};
use crate::failure::Failure;
use crate::frame::Frame;
use crate::person::Posted;
use axum::extract::State;
use axum::response::Redirect;
use bandit::Status;
use serde::Deserialize;
use store::manage;

/// The reason that goes to the audit log.
#[derive(Deserialize)]
pub(crate) struct Reason {
    #[serde(default)]
    reason: String,
}

/// How to stop.
#[derive(Deserialize)]
pub(crate) struct Stop {
    /// Empty for none.
    winner: String,
    #[serde(default)]
    reason: String,
}

type Done = Result<Redirect, Failure>;

/// Back to the experiment, which says what was done.
fn back(id: &str, done: &str) -> Done {
    // Ids are letters, digits, - and _.
    Ok(Redirect::to(&format!("/dashboard/experiments/{id}?done={done}")))
}

/// `POST /dashboard/experiments/{id}/start`
pub(crate) async fn start(State(app): State<App>, Found(record): Found, Posted(person, form): Posted<Reason>) -> Done {
    let (id, change) = (&record.definition.id, person.change(&app, &form.reason));
    manage::transition(&*app.stores.experiments, id, Status::Running, None, &change).await?;
    back(id, if record.status == Status::Paused { "resumed" } else { "started" })
}

/// `POST /dashboard/experiments/{id}/pause`
pub(crate) async fn pause(State(app): State<App>, Found(record): Found, Posted(person, form): Posted<Reason>) -> Done {
    let (id, change) = (&record.definition.id, person.change(&app, &form.reason));
    manage::transition(&*app.stores.experiments, id, Status::Paused, None, &change).await?;
    back(id, "paused")
}

/// `POST /dashboard/experiments/{id}/stop`
pub(crate) async fn stop(State(app): State<App>, Found(record): Found, Posted(person, form): Posted<Stop>) -> Done {
    let (id, change) = (&record.definition.id, person.change(&app, &form.reason));
    let winner = (!form.winner.is_empty()).then_some(form.winner.as_str());
    manage::transition(&*app.stores.experiments, id, Status::Stopped, winner, &change).await?;
    back(id, "stopped")
}

/// `POST /dashboard/experiments/{id}/delete`
pub(crate) async fn delete(State(app): State<App>, Found(record): Found, Posted(person, form): Posted<Reason>) -> Done {
    let change = person.change(&app, &form.reason);
    manage::delete(&*app.stores.experiments, &record.definition.id, &change).await?;
    Ok(Redirect::to("/dashboard?done=deleted"))
}

/// `POST /dashboard/experiments/{id}/update`: asks the updater for a run.
pub(crate) async fn update(State(app): State<App>, Found(record): Found, Posted(..): Posted<Reason>) -> Done {
    app.stores.runs.request_run(app.now()).await?;
    back(&record.definition.id, "update")
}

/// What the page that somebody comes back to says.
pub(crate) fn said(frame: &Frame) -> Option<&'static str> {
    Some(match frame.parameter("done")?.as_str() {
        "created" => frame.t("Created as a draft. Everyone gets the control until you start it."),
        "changed" => frame.t("Saved. New decisions follow the new definition within a second."),
        "started" => frame.t("Started. Arms are dealt within a second."),
        "resumed" => frame.t("It goes on. Arms are dealt within a second."),
        "paused" => frame.t("Paused. New visitors get the control within a second."),
        "stopped" => frame.t("Stopped for good."),
        "deleted" => frame.t("Deleted."),
        "retried" => frame.t("They wait for their vectors again."),
        "update" => frame.t("An update was asked for. Its numbers appear here once it has ended."),
        _ => return None,
    })
}
