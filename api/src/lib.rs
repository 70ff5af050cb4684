//! HTTP in, decision out.

mod app;
mod auth;
mod body;
mod catalogs;
mod client;
mod decide;
mod events;
mod experiments;
mod measure;
mod ofrep;
mod openapi;
mod operations;
mod pages;
mod problem;
mod reports;
mod snapshot;

pub use app::{App, Config};
pub use auth::{Access, hash_secret, new_secret};
pub use measure::describe as describe_metrics;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post, put};
use catalogs::{definitions, items};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// Every route of the API.
pub fn router(app: Arc<App>) -> Router {
    let admin = Router::new()
        .route("/v1/experiments", get(experiments::list).post(experiments::create))
        .route("/v1/experiments/{id}", get(experiments::get).put(experiments::put).delete(experiments::delete))
        .route("/v1/experiments/{id}/start", post(experiments::start))
        .route("/v1/experiments/{id}/pause", post(experiments::pause))
        .route("/v1/experiments/{id}/stop", post(experiments::stop))
        .route("/v1/experiments/{id}/update", post(reports::update))
        .route("/v1/experiments/{id}/results", get(reports::results))
        .route("/v1/experiments/{id}/posteriors", get(reports::posteriors))
        .route("/v1/catalogs", get(definitions::list))
        .route("/v1/catalogs/{catalog}", get(definitions::get).put(definitions::put).delete(definitions::delete))
        .route("/v1/catalogs/{catalog}/items", put(items::put))
        .route("/v1/catalogs/{catalog}/items/{id}", get(items::get).delete(items::delete))
        .route("/metrics", get(operations::metrics))
        .layer(from_fn_with_state(app.clone(), auth::admin));
    admin
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/openapi.json", get(openapi::get))
        .merge(client::router())
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(body::MAX_BODY))
        .layer(map_response(problem::dress))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .merge(pages::router())
        .with_state(app)
}
