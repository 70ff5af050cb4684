//! The dashboard: what an experiment's owner looks at. A page is a struct and a template of the same name; every
//! number is one of [`store::results`], so that it equals the API's.

mod address;
mod answer;
mod app;
mod arms;
mod assets;
mod estimates;
mod export;
mod failure;
mod format;
mod frame;
mod lang;
mod moment;
mod pages;
mod person;
mod pipeline;
mod plan;
pub mod plots;
mod preferences;
mod probe;
mod said;
mod verdict;
mod work;

use app::App;
use axum::response::Redirect;
use axum::routing::{any, get};
use axum::{Router, middleware};
use bandit::Clock;
use std::sync::Arc;
use store::Stores;

/// Everything under `/dashboard`. `notice` is a line that every page shows at its top.
pub fn router(stores: Stores, clock: Arc<dyn Clock>, notice: Option<String>) -> Router {
    let app = App::new(stores, clock, notice);
    let home = || async { Redirect::permanent("/dashboard") };
    Router::new()
        .route("/dashboard", get(pages::experiments))
        .route("/dashboard/", get(home))
        .route("/dashboard/experiments", get(home))
        .route("/dashboard/experiments/{id}", get(pages::experiment))
        .route("/dashboard/experiments/{id}/plots/densities", get(plots::densities))
        .route("/dashboard/experiments/{id}/plots/allocation", get(plots::allocation))
        .route("/dashboard/experiments/{id}/what-if", get(pages::what_if::what_if))
        .route("/dashboard/experiments/{id}/plots/what-if", get(plots::forest))
        .route("/dashboard/pipeline", get(pages::pipeline::pipeline))
        .route("/dashboard/planner", get(pages::planner::planner))
        .route("/dashboard/planner/plots/regret", get(plots::regret))
        .route("/dashboard/planner/plots/decided", get(plots::decided))
        .route("/dashboard/assets/{file}", get(assets::serve))
        .route("/dashboard/{*rest}", any(pages::nowhere))
        .layer(middleware::from_fn_with_state(app.clone(), answer::finish))
        .layer(middleware::from_fn(preferences::choose))
        .layer(middleware::from_fn(person::everyone))
        .with_state(app)
}
