//! The pages.

mod delete;
pub(crate) mod edit;
mod decision;
mod decisions;
mod experiment;
mod experiments;
mod stop;
mod sign_in;
pub(crate) mod planner;
pub(crate) mod what_if;

pub(crate) use delete::delete;
pub(crate) use decision::{decision, find};
pub(crate) use decisions::{decisions, of_experiment};
pub(crate) use experiment::experiment;
pub(crate) use experiments::experiments;
pub(crate) use stop::stop;
pub(crate) use sign_in::{enter, sign_in, sign_out};

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
