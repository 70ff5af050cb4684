//! What can go wrong with a page: what its reader learns, and what only the operator does.

use crate::frame::Frame;
use crate::lang::{Lang, Phrase};
use crate::reasons::reason;
use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bandit::FieldError;
use store::StoreError;
use store::manage::Refusal;

/// Why there is no page.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// There is no such page.
    NoPage,
    /// There is no such experiment.
    NoExperiment(String),
    /// There is no such decision.
    NoDecision(String),
    /// There is no such catalog.
    NoCatalog(String),
    /// A catalog has no such item.
    NoItem(String),
    /// Catalogs are still being read.
    Reading,
    /// The reader may not do this.
    Forbidden,
    /// The session ended, or never began.
    SignedOut,
    /// Asked for by a name that is not this machine's, while everyone on it is let in.
    Elsewhere,
    /// A form that no page of ours sent, or that outlived its session.
    Stale,
    /// A form that cannot be read.
    Form,
    /// It cannot be done as things stand: why.
    Conflict(String),
    /// Fields of what was sent are wrong.
    Fields(Vec<FieldError>),
    /// Too much is being computed.
    Busy,
    /// Something of ours failed; it is logged.
    Internal,
}

impl Failure {
    pub(crate) fn page() -> Self {
        Self::NoPage
    }

    pub(crate) fn experiment(id: &str) -> Self {
        Self::NoExperiment(id.into())
    }

    pub(crate) fn decision(id: &str) -> Self {
        Self::NoDecision(id.into())
    }

    pub(crate) fn forbidden() -> Self {
        Self::Forbidden
    }

    pub(crate) fn signed_out() -> Self {
        Self::SignedOut
    }

    pub(crate) fn elsewhere() -> Self {
        Self::Elsewhere
    }

    pub(crate) fn stale() -> Self {
        Self::Stale
    }

    pub(crate) fn form() -> Self {
        Self::Form
    }

    pub(crate) fn conflict(why: impl Into<String>) -> Self {
        Self::Conflict(why.into())
    }

    pub(crate) fn busy() -> Self {
        Self::Busy
    }

    /// Logs a cause that its reader must not see.
    pub(crate) fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = %cause, "a dashboard page failed");
        Self::Internal
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoPage | Self::NoExperiment(_) | Self::NoDecision(_) | Self::NoCatalog(_) | Self::NoItem(_) => {
                StatusCode::NOT_FOUND
            }
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::Stale | Self::Elsewhere => StatusCode::FORBIDDEN,
            Self::Form => StatusCode::BAD_REQUEST,
            Self::Conflict(_) | Self::Fields(_) => StatusCode::CONFLICT,
            Self::Busy | Self::Reading => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The page that tells its reader.
    pub(crate) fn explain(self, frame: Frame) -> FailurePage {
        let lang = frame.lang;
        let (title, what) = match self {
            Self::NoPage => (lang.t("Not found"), lang.say("There is no such page.", &[])),
            Self::NoExperiment(id) => (
                lang.t("Not found"),
                lang.say("There is no experiment {id}. It may have been deleted.", &[("id", id.as_str().into())]),
            ),
            Self::NoDecision(id) => (
                lang.t("Not found"),
                lang.say("There is no decision {id}. It may not have been read yet, or it is so old that it was let go of.", &[("id", id.as_str().into())]),
            ),
            Self::NoCatalog(id) => (
                lang.t("Not found"),
                lang.say("There is no catalog {id}. It may have been removed.", &[("id", id.as_str().into())]),
            ),
            Self::NoItem(id) => (
                lang.t("Not found"),
                lang.say("The catalog has no item {id}. It may have been removed, or have expired long ago.", &[("id", id.as_str().into())]),
            ),
            Self::Reading => (
                lang.t("Still reading"),
                lang.say("This server has just started and is still reading the catalogs. Reload this page in a moment.", &[]),
            ),
            Self::Forbidden => (
                lang.t("Not allowed"),
                lang.say("You may look at this, not change it. Ask somebody who may edit for the role.", &[]),
            ),
            Self::SignedOut => (
                lang.t("Signed out"),
                lang.say("You are no longer signed in. Nothing was changed: sign in, and do it again.", &[]),
            ),
            Self::Elsewhere => (
                lang.t("Wrong address"),
                lang.say("Until somebody can sign in, this dashboard answers only to localhost. Open it as localhost or 127.0.0.1, or add a person with croupier people add.", &[]),
            ),
            Self::Stale => (
                lang.t("Not sent"),
                lang.say("This form is too old, or came from somewhere else. Nothing was changed: go back, reload the page and send it again.", &[]),
            ),
            Self::Form => (
                lang.t("Not understood"),
                lang.say("The form was not sent whole. Nothing was changed: go back and send it again.", &[]),
            ),
            Self::Conflict(why) => refused(lang, &reason(lang, &why)),
            Self::Fields(errors) => {
                let told = errors.iter().map(|e| format!("{}: {}", e.field, reason(lang, &e.why)));
                refused(lang, &told.collect::<Vec<_>>().join("; "))
            }
            Self::Busy => (
                lang.t("Still computing"),
                lang.say("The server has more to compute than it does at once. Reload this page in a moment.", &[]),
            ),
            Self::Internal => (
                lang.t("This page failed"),
                lang.say("The server could not read its data. The cause is in its log; try again in a moment.", &[]),
            ),
        };
        FailurePage { frame, title, what }
    }
}

fn refused(lang: Lang, why: &str) -> (&'static str, Phrase) {
    let said = lang.say("It cannot be done as things stand: {why}. Nothing was changed.", &[("why", why.into())]);
    (lang.t("Not done"), said)
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        Self::internal(&e)
    }
}

impl From<Refusal> for Failure {
    fn from(e: Refusal) -> Self {
        match e {
            Refusal::Missing(id) => Self::NoExperiment(id),
            Refusal::Conflict(why) => Self::Conflict(why),
            Refusal::Fields(errors) => Self::Fields(errors),
            Refusal::Unreadable(_) => Self::Form,
            Refusal::Store(e) => e.into(),
        }
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
    what: Phrase,
}
