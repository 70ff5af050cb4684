//! Experiments: create, read, change, start, pause, stop, delete.

use crate::app::App;
use crate::audit;
use crate::auth::Caller;
use crate::body::{json, params};
use crate::problem::{Problem, Result};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use bandit::{Experiment, Status};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::{Change, ExperimentRecord, manage};
use utoipa::{IntoParams, ToSchema};

/// Experiments of one page of the list.
const PAGE: usize = 100;

/// Some experiments.
#[derive(Serialize, ToSchema)]
pub(crate) struct Listing {
    experiments: Vec<ExperimentRecord>,
    /// Give it as `after` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Where to read on.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct ListParams {
    /// The last id of the page before.
    after: Option<String>,
    /// At most 500.
    limit: Option<usize>,
}

/// Why a change is made, for the audit log.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct Why {
    /// The reason.
    reason: Option<String>,
}

/// How to stop.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct Stop {
    /// The arm that everyone gets from now on; without one, the control.
    winner: Option<String>,
}

fn change(app: &App, caller: Caller, uri: &Uri) -> Result<Change> {
    let why: Why = params(uri)?;
    Ok(audit::change(app, &caller, why.reason.unwrap_or_default()))
}

async fn existing(app: &App, id: &str) -> Result<ExperimentRecord> {
    app.stores.experiments.get(id).await?.ok_or_else(|| Problem::unknown_experiment(id))
}

/// Experiments in order of id.
#[utoipa::path(get, path = "/v1/experiments", operation_id = "list_experiments", tag = "experiments", params(ListParams),
    responses((status = 200, body = Listing), (status = 400, body = Problem)))]
pub(crate) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<Listing>> {
    let params: ListParams = params(&uri)?;
    let limit = params.limit.unwrap_or(PAGE);
    if !(1..=500).contains(&limit) {
        return Err(Problem::field("limit", "must be 1 to 500"));
    }
    let mut experiments = app.stores.experiments.list(params.after.as_deref(), limit + 1).await?;
    let more = experiments.len() > limit;
    experiments.truncate(limit);
    let next = if more { experiments.last().map(|e| e.definition.id.clone()) } else { None };
    Ok(Json(Listing { experiments, next }))
}

/// Create a draft.
#[utoipa::path(post, path = "/v1/experiments", operation_id = "create_experiment", tag = "experiments", params(Why), request_body = Experiment, responses(
    (status = 201, body = ExperimentRecord), (status = 400, body = Problem), (status = 409, body = Problem),
    (status = 413, body = Problem)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    body: Bytes,
) -> Result<impl IntoResponse> {
    let record = manage::create(&*app.stores.experiments, &body, &change(&app, caller, &uri)?).await?;
    app.take_in_change().await;
    Ok((StatusCode::CREATED, [(LOCATION, format!("/v1/experiments/{}", record.definition.id))], Json(record)))
}

/// One experiment.
#[utoipa::path(get, path = "/v1/experiments/{id}", operation_id = "get_experiment", tag = "experiments", params(("id" = String, Path)),
    responses((status = 200, body = ExperimentRecord), (status = 404, body = Problem)))]
pub(crate) async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<ExperimentRecord>> {
    existing(&app, &id).await.map(Json)
}

/// Change the definition. With `revision`, only if nobody changed it since.
#[utoipa::path(put, path = "/v1/experiments/{id}", operation_id = "put_experiment", tag = "experiments", params(("id" = String, Path), Why),
    request_body = Experiment, responses((status = 200, body = ExperimentRecord), (status = 400, body = Problem),
    (status = 404, body = Problem), (status = 409, body = Problem), (status = 413, body = Problem)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Result<Json<ExperimentRecord>> {
    let document = json(&body)?;
    let record = manage::replace(&*app.stores.experiments, &id, document, &change(&app, caller, &uri)?).await?;
    app.take_in_change().await;
    Ok(Json(record))
}

/// Remove an experiment that is not running.
#[utoipa::path(delete, path = "/v1/experiments/{id}", operation_id = "delete_experiment", tag = "experiments", params(("id" = String, Path), Why),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<StatusCode> {
    manage::delete(&*app.stores.experiments, &id, &change(&app, caller, &uri)?).await?;
    app.take_in_change().await;
    Ok(StatusCode::NO_CONTENT)
}

/// Start a draft, or go on after a pause.
#[utoipa::path(post, path = "/v1/experiments/{id}/start", operation_id = "start_experiment", tag = "experiments", params(("id" = String, Path), Why),
    responses((status = 200, body = ExperimentRecord), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<ExperimentRecord>> {
    transition(&app, &id, Status::Running, None, &change(&app, caller, &uri)?).await
}

/// Deal the control to everyone new, for now.
#[utoipa::path(post, path = "/v1/experiments/{id}/pause", operation_id = "pause_experiment", tag = "experiments", params(("id" = String, Path), Why),
    responses((status = 200, body = ExperimentRecord), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn pause(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<ExperimentRecord>> {
    transition(&app, &id, Status::Paused, None, &change(&app, caller, &uri)?).await
}

/// End it for good, with a winner for everyone or without.
#[utoipa::path(post, path = "/v1/experiments/{id}/stop", operation_id = "stop_experiment", tag = "experiments", params(("id" = String, Path), Why),
    request_body = Option<Stop>, responses((status = 200, body = ExperimentRecord), (status = 400, body = Problem),
    (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn stop(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
    body: Bytes,
) -> Result<Json<ExperimentRecord>> {
    let Stop { winner } = if body.trim_ascii().is_empty() { Stop::default() } else { json(&body)? };
    transition(&app, &id, Status::Stopped, winner.as_deref(), &change(&app, caller, &uri)?).await
}

async fn transition(
    app: &App,
    id: &str,
    to: Status,
    winner: Option<&str>,
    change: &Change,
) -> Result<Json<ExperimentRecord>> {
    let record = manage::transition(&*app.stores.experiments, id, to, winner, change).await?;
    app.take_in_change().await;
    Ok(Json(record))
}
