//! HTTP in, decision out.

mod app;
mod auth;
mod body;
mod decide;
mod events;
mod experiments;
mod measure;
mod openapi;
mod operations;
mod problem;
mod reports;
mod snapshot;

pub use app::{App, Config};
pub use auth::{Access, hash_secret, new_secret, people};
pub use measure::describe as describe_metrics;

use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Router, middleware};
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{Any, CorsLayer};

/// How long a browser may remember that it may ask.
const PREFLIGHT: Duration = Duration::from_secs(24 * 3600);
/// Longest body.
const MAX_BODY: usize = 1 << 20;

/// Every route of the API.
pub fn router(app: Arc<App>) -> Router {
    // Pages of any origin may ask for decisions and report events: their keys can do nothing else.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .max_age(PREFLIGHT);
    let pages = Router::new()
        .route("/v1/decide", get(decide::get).post(decide::post))
        .route("/v1/decide/batch", post(decide::batch))
        .route("/v1/events", post(events::post))
        // Before the layers, so that a preflight is answered by the one for cross-origin requests.
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(from_fn_with_state(app.clone(), auth::pages))
        .layer(cors);
    let admin = Router::new()
        .route("/v1/experiments", get(experiments::list).post(experiments::create))
        .route("/v1/experiments/{id}", get(experiments::get).put(experiments::put).delete(experiments::delete))
        .route("/v1/experiments/{id}/start", post(experiments::start))
        .route("/v1/experiments/{id}/pause", post(experiments::pause))
        .route("/v1/experiments/{id}/stop", post(experiments::stop))
        .route("/v1/experiments/{id}/update", post(reports::update))
        .route("/v1/experiments/{id}/results", get(reports::results))
        .route("/v1/experiments/{id}/posteriors", get(reports::posteriors))
        .route("/metrics", get(operations::metrics))
        .layer(from_fn_with_state(app.clone(), auth::admin));
    Router::new()
        .merge(pages)
        .merge(admin)
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/openapi.json", get(openapi::get))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::map_response(problem::dress))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .with_state(app)
}
