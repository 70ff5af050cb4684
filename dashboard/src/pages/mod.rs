//! The pages.

mod decision;
mod decisions;
mod delete;
pub(crate) mod edit;
mod experiment;
mod experiments;
pub(crate) mod pipeline;
pub(crate) mod planner;
mod sign_in;
mod stop;
pub(crate) mod what_if;

pub(crate) use decision::{decision, find};
pub(crate) use decisions::{decisions, of_experiment};
pub(crate) use delete::delete;
pub(crate) use experiment::experiment;
pub(crate) use experiments::experiments;
pub(crate) use sign_in::{enter, sign_in, sign_out};
pub(crate) use stop::stop;

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
