//! The pages.

mod decision;
mod decisions;
mod experiment;
mod experiments;

pub(crate) use decision::{decision, find};
pub(crate) use decisions::{decisions, of_experiment};
pub(crate) use experiment::experiment;
pub(crate) use experiments::experiments;

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
