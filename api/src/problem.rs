//! The one error type at the HTTP edge (RFC 9457). What callers read and what operators read never mix: a
//! 5xx says nothing of its cause, which is logged here, once.

use crate::{measure, request};
use axum::Json;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bandit::FieldError;
use bandit::document::Unreadable;
use serde::Serialize;
use std::any::Any;
use std::collections::BTreeMap;
use store::StoreError;
use store::manage::Refusal;
use utoipa::ToSchema;

/// An error as the caller reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `about:blank`: the status says all.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What was wrong and what to do.
    pub(crate) detail: String,
    /// Field → why, where a body was unusable.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) errors: BTreeMap<String, String>,
    /// Id of the request, as the header `X-Request-Id` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Seconds after which to try again, where that helps.
    #[serde(skip)]
    retry_after: u64,
}

pub(crate) type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            errors: BTreeMap::new(),
            request_id: None,
            retry_after: 1,
        }
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// A body or query with mistakes in named fields.
    pub(crate) fn fields(errors: impl IntoIterator<Item = FieldError>) -> Self {
        let mut map: BTreeMap<String, String> = BTreeMap::new();
        for e in errors {
            let why = map.entry(e.field).or_default();
            if !why.is_empty() {
                why.push_str("; ");
            }
            why.push_str(&e.why);
        }
        let detail = map.iter().map(|(field, why)| format!("{field}: {why}")).collect::<Vec<_>>().join("; ");
        Self { errors: map, ..Self::bad(detail) }
    }

    pub(crate) fn field(field: &str, why: impl Into<String>) -> Self {
        Self::fields([FieldError { field: field.into(), why: why.into() }])
    }

    pub(crate) fn unknown_experiment(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no experiment '{}'", id.escape_debug()))
    }

    pub(crate) fn not_ready() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "posteriors could not be read yet: try again in a second")
    }

    pub(crate) fn overloaded() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too much is waiting: try again in a second")
    }

    pub(crate) fn unwritable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "nothing can be kept now: try again later; the server's log says why",
        )
    }

    pub(crate) fn too_many(retry_after: u64) -> Self {
        let detail = format!("the key has asked too often: try again in {retry_after} s");
        Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let detail = format!("the body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; the cause is in its log")
    }
}

impl From<StoreError> for Problem {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::Conflict(why) => Self::new(StatusCode::CONFLICT, why),
            StoreError::Missing(what) => Self::new(StatusCode::NOT_FOUND, format!("{what} does not exist")),
            StoreError::Busy => Self::overloaded(),
            StoreError::Unwritable(why) => {
                tracing::error!(request_id = request::current(), "{why}");
                Self::unwritable()
            }
            other => {
                tracing::error!(request_id = request::current(), "a store failed: {other}");
                Self::internal()
            }
        }
    }
}

impl From<Unreadable> for Problem {
    fn from(e: Unreadable) -> Self {
        match e {
            Unreadable::Field(e) => Self::fields([e]),
            Unreadable::Whole(why) => Self::bad(format!("the body {why}")),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(e: Refusal) -> Self {
        match e {
            Refusal::Fields(errors) => Self::fields(errors),
            Refusal::Conflict(why) => Self::new(StatusCode::CONFLICT, why),
            Refusal::Missing(id) => Self::unknown_experiment(&id),
            Refusal::Unreadable(e) => e.into(),
            Refusal::Store(e) => e.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        self.request_id = request::current();
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        measure::problem(status.as_u16());
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, self.retry_after.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

pub(crate) async fn not_found(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {}; see /openapi.json", uri.path()))
}

pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{method} is not possible at {}; see /openapi.json", uri.path()),
    )
}

/// Turns what the framework refuses by itself (an oversized body, say) into a problem document.
pub(crate) async fn dress(response: Response) -> Response {
    let status = response.status();
    let plain = response.headers().get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"text/plain"));
    if (status.is_client_error() || status.is_server_error()) && plain {
        let detail = match status {
            StatusCode::PAYLOAD_TOO_LARGE => return Problem::too_large(crate::body::MAX_BODY).into_response(),
            other => other.canonical_reason().unwrap_or("the request cannot be taken").to_lowercase(),
        };
        return Problem::new(status, detail).into_response();
    }
    response
}

#[expect(clippy::needless_pass_by_value, reason = "the signature is the framework's")]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> axum::http::Response<Body> {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(request_id = request::current(), "a handler panicked: {}", text.unwrap_or("without words"));
    Problem::internal().into_response()
}
