//! HTTP in, decision out.

mod app;
mod audit;
mod auth;
mod backup;
mod body;
mod catalogs;
mod client;
mod cors;
mod decide;
mod docs;
mod events;
mod experiments;
#[doc(hidden)]
pub mod fuzzing;
mod keyring;
mod limits;
mod measure;
mod ofrep;
mod openapi;
mod operations;
mod pages;
mod problem;
mod reports;
mod request;
mod room;
mod snapshot;
mod trace;
mod turns;
mod users;

pub use app::{App, CatalogsFile, Config};
pub use auth::{Access, hash_secret, new_secret};
pub use keyring::Keyring;
pub use measure::describe as describe_metrics;
pub use operations::scraped;
pub use turns::in_turn;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::{delete, get, post, put};
use catalogs::{definitions, items, texts};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// Routes by who they are for, to listen on two addresses.
pub struct Routes {
    /// Decide, events and lists.
    pub public: Router,
    /// Experiments, catalogs, users, the audit log and metrics.
    pub admin: Router,
}

/// Every route of the API.
pub fn router(app: Arc<App>) -> Router {
    traced(&app, shell(admin(&app)).merge(pages::router())).with_state(app)
}

/// The same on two addresses; what is asked of both, as whether it is ready, is on both.
pub fn routes(app: Arc<App>) -> Routes {
    let admin = traced(&app, shell(admin(&app))).with_state(app.clone());
    let public = traced(&app, shell(Router::new()).merge(pages::router()));
    Routes { public: public.with_state(app), admin }
}

/// Has requests traced, if anybody wants to know.
fn traced(app: &App, router: Router<Arc<App>>) -> Router<Arc<App>> {
    if app.config.traced { router.layer(from_fn(trace::layer)) } else { router }
}

/// Names each request to `router` that no route of the API has named.
pub fn named(router: Router) -> Router {
    router.layer(from_fn(request::name))
}

/// Measures each request to the dashboard's `router`.
pub fn measured(router: Router) -> Router {
    router.layer(from_fn(measure::page))
}

fn admin(app: &Arc<App>) -> Router<Arc<App>> {
    in_turn(reads()).route("/metrics", get(operations::metrics)).layer(from_fn_with_state(app.clone(), auth::admin))
}

/// What administrators read and change; not what has to be answered whatever else is asked.
fn reads() -> Router<Arc<App>> {
    Router::new()
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
        .route("/v1/catalogs/{catalog}/vectors", get(texts::standing))
        .route("/v1/catalogs/{catalog}/items/{id}", get(items::get).delete(items::delete).post(texts::retry))
        .route("/v1/audit", get(audit::list))
        .route("/v1/users/{user}", delete(users::delete))
        .route("/v1/users/{user}/data", get(users::get))
        .route("/v1/backup", post(backup::post))
}

/// Adds what every address answers.
fn shell(routes: Router<Arc<App>>) -> Router<Arc<App>> {
    routes
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/openapi.json", get(openapi::get))
        .route("/docs", get(docs::page))
        .route("/docs/docs.js", get(docs::script))
        .route("/docs/docs.css", get(docs::style))
        .merge(client::router())
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(body::MAX_BODY))
        .layer(map_response(problem::dress))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn(request::name))
}
