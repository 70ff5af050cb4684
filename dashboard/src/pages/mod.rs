//! The pages.

mod audit;
mod catalog;
mod catalogs;
mod decision;
mod decisions;
mod delete;
pub(crate) mod edit;
mod experiment;
mod experiments;
mod item;
pub(crate) mod pipeline;
pub(crate) mod planner;
mod sign_in;
mod stop;
mod visitor;
pub(crate) mod what_if;

pub(crate) use audit::audit;
pub(crate) use catalog::vectors::retry;
pub(crate) use catalog::{began, catalog};
pub(crate) use catalogs::catalogs;
pub(crate) use decision::{decision, find};
pub(crate) use decisions::{decisions, of_experiment};
pub(crate) use delete::delete;
pub(crate) use experiment::experiment;
pub(crate) use experiments::experiments;
pub(crate) use item::item;
pub(crate) use sign_in::{enter, sign_in, sign_out};
pub(crate) use stop::stop;
pub(crate) use visitor::{explained, visitor, wanted_items};

use crate::failure::Failure;
use askama::Template;
use axum::response::Html;

/// A page, or why there is none.
pub(crate) type Answer = Result<Html<String>, Failure>;

fn html(page: &impl Template) -> Answer {
    Ok(Html(page.render()?))
}

/// Everything that is not there.
pub(crate) async fn nowhere() -> Failure {
    Failure::page()
}
