//! The dashboard: what an experiment's owner looks at. A page is a struct and a template of the same name; every
//! number is one of [`store::results`], so that it equals the API's.

mod address;
mod answer;
mod app;
mod arms;
mod assets;
mod audit;
mod catalogs;
mod controls;
mod door;
mod drawing;
mod estimates;
mod explanation;
mod export;
mod failure;
mod filter_field;
mod form;
mod format;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod lang;
mod moment;
mod pages;
mod past;
mod person;
mod pipeline;
mod plan;
pub mod plots;
mod preferences;
mod probe;
mod reasons;
mod said;
mod sought;
mod spark;
mod summary;
mod verdict;
mod view;
mod wording;
mod work;

pub use door::{Door, Identity, PasswordError, hash_password};
pub use lang::Notice;

use app::App;
use axum::extract::DefaultBodyLimit;
use axum::response::Redirect;
use axum::routing::{any, get, post};
use axum::{Router, middleware};
use bandit::Clock;
use std::sync::Arc;
use store::{Shelf, Stores};

/// Longest form that somebody sends who is not signed in.
const MAX_CLAIM: usize = 1 << 14;

/// Everything under `/dashboard`, for those who come in by `door`. Catalogs are shown as `shelf` knows them, which somebody
/// keeps current. Every page shows `notice` at its top.
pub fn router(stores: Stores, shelf: Arc<Shelf>, clock: Arc<dyn Clock>, notice: Option<Notice>, door: Door) -> Router {
    let app = App::new(stores, shelf, clock, notice, door);
    let home = || async { Redirect::permanent("/dashboard") };
    Router::new()
        .route("/dashboard", get(pages::experiments))
        .route("/dashboard/", get(home))
        .route("/dashboard/experiments", get(home))
        .route("/dashboard/new", get(pages::edit::new).post(pages::edit::create))
        .route("/dashboard/experiments/{id}", get(pages::experiment))
        .route("/dashboard/experiments/{id}/edit", get(pages::edit::edit).post(pages::edit::replace))
        .route("/dashboard/experiments/{id}/start", post(controls::start))
        .route("/dashboard/experiments/{id}/pause", post(controls::pause))
        .route("/dashboard/experiments/{id}/update", post(controls::update))
        .route("/dashboard/experiments/{id}/stop", get(pages::stop).post(controls::stop))
        .route("/dashboard/experiments/{id}/delete", get(pages::delete).post(controls::delete))
        .route("/dashboard/experiments/{id}/plots/{plot}", get(plots::plot))
        .route("/dashboard/experiments/{id}/decisions", get(pages::of_experiment))
        .route("/dashboard/decisions", get(pages::decisions))
        .route("/dashboard/decisions/{decision}", get(pages::decision))
        .route("/dashboard/decisions/{decision}/plots/draw", get(plots::draw))
        .route("/dashboard/experiments/{id}/what-if", get(pages::what_if::what_if))
        .route("/dashboard/experiments/{id}/plots/what-if", get(plots::forest))
        .route("/dashboard/catalogs", get(pages::catalogs))
        .route("/dashboard/catalogs/{catalog}", get(pages::catalog))
        .route("/dashboard/catalogs/{catalog}/retry", post(pages::retry))
        .route("/dashboard/catalogs/{catalog}/item", get(pages::item))
        .route("/dashboard/catalogs/{catalog}/visitors", get(pages::visitor))
        .route("/dashboard/catalogs/{catalog}/plots/{plot}", get(plots::of_catalog))
        .route("/dashboard/audit", get(pages::audit))
        .route("/dashboard/pipeline", get(pages::pipeline::pipeline))
        .route("/dashboard/planner", get(pages::planner::planner))
        .route("/dashboard/planner/plots/regret", get(plots::regret))
        .route("/dashboard/planner/plots/decided", get(plots::decided))
        .route("/dashboard/{*rest}", any(pages::nowhere))
        .layer(middleware::from_fn(door::guard))
        .route("/dashboard/assets/{file}", get(assets::serve))
        .route("/dashboard/sign-in", get(pages::sign_in).post(pages::enter).layer(DefaultBodyLimit::max(MAX_CLAIM)))
        .route("/dashboard/sign-out", post(pages::sign_out))
        .layer(middleware::from_fn(door::only_ours))
        .layer(middleware::from_fn_with_state(app.clone(), answer::finish))
        .layer(middleware::from_fn(preferences::choose))
        .layer(middleware::from_fn_with_state(app.clone(), door::recognise))
        .with_state(app)
}
