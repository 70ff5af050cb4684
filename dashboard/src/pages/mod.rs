//! The pages.

mod experiment;
mod experiments;
mod sign_in;

pub(crate) use experiment::experiment;
pub(crate) use experiments::experiments;
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
