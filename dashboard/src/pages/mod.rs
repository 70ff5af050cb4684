//! The pages.

mod experiment;
mod experiments;
pub(crate) mod pipeline;
pub(crate) mod planner;
pub(crate) mod what_if;

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
