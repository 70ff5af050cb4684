//! What was learnt: results, posteriors, and an update on demand.

use crate::app::App;
use crate::audit::note;
use crate::auth::Caller;
use crate::body::params;
use crate::problem::{Problem, Result};
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::{Extension, Json};
use bandit::PosteriorSet;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use store::{Results, Run, RunStatus};
use utoipa::{IntoParams, ToSchema};

/// Posterior sets of one answer.
const PAGE: usize = 50;
/// How long an update may take before the caller is told to look again.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether the update has ended.
const POLL: Duration = Duration::from_millis(25);

/// Some posterior sets.
#[derive(Serialize, ToSchema)]
pub(crate) struct Posteriors {
    posteriors: Vec<PosteriorSet>,
    /// Give it as `since` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// Where to read on.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Since {
    /// Versions after this one; 0 for all.
    since: Option<u64>,
}

async fn known(app: &App, id: &str) -> Result<store::ExperimentRecord> {
    app.stores.experiments.get(id).await?.ok_or_else(|| Problem::unknown_experiment(id))
}

/// The arms beside each other, as of now.
#[utoipa::path(get, path = "/v1/experiments/{id}/results", operation_id = "get_results", tag = "results", params(("id" = String, Path)),
    responses((status = 200, body = Results), (status = 404, body = Problem)))]
pub(crate) async fn results(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Results>> {
    let record = known(&app, &id).await?;
    Ok(Json(store::results(&app.stores, &record, app.clock.now(), store::Detail::Segments).await?))
}

/// Published posterior sets, oldest first.
#[utoipa::path(get, path = "/v1/experiments/{id}/posteriors", operation_id = "get_posteriors", tag = "results", params(("id" = String, Path), Since),
    responses((status = 200, body = Posteriors), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn posteriors(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Posteriors>> {
    let Since { since } = params(&uri)?;
    known(&app, &id).await?;
    let mut posteriors = app.stores.posteriors.since(&id, since.unwrap_or(0), PAGE + 1).await?;
    let more = posteriors.len() > PAGE;
    posteriors.truncate(PAGE);
    let next = if more { posteriors.last().map(|s| s.version) } else { None };
    Ok(Json(Posteriors { posteriors, next }))
}

/// Recompute posteriors now. 200 with the run once it has ended, 202 while it has not.
#[utoipa::path(post, path = "/v1/experiments/{id}/update", operation_id = "update_posteriors", tag = "results", params(("id" = String, Path)),
    responses((status = 200, body = Run), (status = 202, body = Run), (status = 404, body = Problem)))]
pub(crate) async fn update(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Run>)> {
    known(&app, &id).await?;
    let run = app.stores.runs.request_run(app.clock.now()).await?;
    note(&app, &caller, "run.request", &run.to_string(), serde_json::json!({"experiment": id})).await?;
    let find = || async {
        app.stores
            .runs
            .run(run)
            .await?
            .ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the run is gone"))
    };
    let began = std::time::Instant::now();
    loop {
        let run = find().await?;
        if matches!(run.status, RunStatus::Done | RunStatus::Failed) {
            app.take_in_change().await;
            return Ok((StatusCode::OK, Json(run)));
        }
        if began.elapsed() > PATIENCE {
            return Ok((StatusCode::ACCEPTED, Json(run)));
        }
        tokio::time::sleep(POLL).await;
    }
}
