//! Which pages may read answers (<https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! Small code of ours where tower-http has a layer: origins come with keys and go with them while the server runs, and each
//! layer costs a decision two microseconds. No answer allows `*`, and none of an administrator's routes allows anything. No
//! cookies are looked at, so that a visitor's browser lends a page no rights.

use crate::app::App;
use crate::auth::{Access, is_local};
use crate::request;
use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// What a browser hears before it sends JSON, a key or a condition. Two hours is as long as any believes it.
const PREFLIGHT: [(HeaderName, HeaderValue); 3] = [
    (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST")),
    (
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type, if-none-match, x-api-key, x-request-id"),
    ),
    (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200")),
];

/// What pages read beside the body.
const EXPOSED: HeaderValue = HeaderValue::from_static("etag, retry-after, x-request-id");

/// Answers a preflight. It carries no key, so that origins of all valid keys count.
pub(crate) async fn preflight(State(app): State<Arc<App>>, asked: HeaderMap) -> Response {
    answer(&app, &asked, async { (StatusCode::NO_CONTENT, PREFLIGHT).into_response() }).await
}

/// Answers a page: under the request's name, and so that the page can read it.
pub(crate) async fn answer(app: &App, asked: &HeaderMap, work: impl Future<Output = Response>) -> Response {
    let mut response = request::named(asked, work).await;
    open(&app.config.access, asked.get(ORIGIN), response.headers_mut());
    response
}

/// Lets the page that asked read an answer, a refusal too, if any valid key is for its origin.
fn open(access: &Access, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
    answer.append(VARY, HeaderValue::from_static("origin"));
    let Some(origin) = origin else { return };
    let allowed = match access {
        Access::Loopback(_) => origin.to_str().is_ok_and(|text| host_of(text).is_some_and(is_local)),
        Access::Keys(ring) => origin.to_str().is_ok_and(|text| ring.is_for(text)),
    };
    if allowed {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// `host:port` of an origin.
pub(crate) fn host_of(origin: &str) -> Option<&str> {
    origin.split_once("://").map(|(_, host)| host)
}
