//! What can go wrong with a page: what its reader learns, and what only the operator does.

use crate::app::Frame;
use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use store::StoreError;

/// Why there is no page.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// There is no such thing; says which.
    Missing(String),
    /// Something of ours failed; it is logged.
    Internal,
}

impl Failure {
    pub(crate) fn page() -> Self {
        Self::Missing("There is no such page.".into())
    }

    pub(crate) fn experiment(id: &str) -> Self {
        Self::Missing(format!("There is no experiment “{id}”. It may have been deleted."))
    }

    /// Logs a cause that its reader must not see.
    pub(crate) fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = %cause, "a dashboard page failed");
        Self::Internal
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The page that tells its reader.
    pub(crate) fn explain(self, frame: Frame) -> FailurePage {
        match self {
            Self::Missing(what) => FailurePage { frame, title: "Not found", what },
            Self::Internal => FailurePage {
                frame,
                title: "This page failed",
                what: "The server could not read its data. The cause is in its log; try again in a moment.".into(),
            },
        }
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        Self::internal(&e)
    }
}

impl From<askama::Error> for Failure {
    fn from(e: askama::Error) -> Self {
        Self::internal(&e)
    }
}

impl IntoResponse for Failure {
    /// Without a body: [`crate::answer::finish`] knows the frame.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The page of a failure.
#[derive(Template)]
#[template(path = "failure_page.html")]
pub(crate) struct FailurePage {
    frame: Frame,
    title: &'static str,
    what: String,
}
