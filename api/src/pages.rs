//! The routes that pages call, of any origin and by the thousand. Each layer of middleware costs a request about two
//! microseconds, a tenth of what the rest of it takes, so that access, cross-origin answers, the body's bound and
//! panics are seen to here, in one function.

use crate::app::App;
use crate::body::{MAX_BODY, read};
use crate::catalogs::lists;
use crate::problem::{self, Result};
use crate::{decide, events, ofrep};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, IF_NONE_MATCH,
};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use store::Scope;

/// Decide, events and lists.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/decide", get(decide_by_get).post(decide_by_post).options(preflight))
        .route("/v1/decide/batch", post(decide_batch).options(preflight))
        .route("/v1/events", post(send_events).options(preflight))
        .route("/v1/catalogs/{catalog}/recommendations", get(recommend).options(preflight))
        .route("/v1/catalogs/{catalog}/items/{id}/related", get(related).options(preflight))
        .route("/v1/catalogs/{catalog}/search", post(search).options(preflight))
        .route("/ofrep/v1/evaluate/flags/{key}", post(evaluate_flag).options(preflight))
        .route("/ofrep/v1/evaluate/flags", post(evaluate_flags).options(preflight))
        .method_not_allowed_fallback(problem::method_not_allowed)
}

async fn decide_by_post(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(&app, request, async |_, body| decide::post(&app, &body).await).await
}

async fn decide_by_get(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(&app, request, async |uri, _| decide::get(&app, &uri).await).await
}

async fn decide_batch(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(&app, request, async |_, body| decide::batch(&app, &body).await).await
}

async fn send_events(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(&app, request, async |_, body| events::post(&app, &body).await).await
}

async fn recommend(State(app): State<Arc<App>>, Path(catalog): Path<String>, request: Request) -> Response {
    serve(&app, request, async |uri, _| lists::recommendations(&app, &catalog, &uri).await).await
}

async fn related(State(app): State<Arc<App>>, Path(place): Path<(String, String)>, request: Request) -> Response {
    serve(&app, request, async |uri, _| lists::related(&app, &place.0, &place.1, &uri)).await
}

async fn search(State(app): State<Arc<App>>, Path(catalog): Path<String>, request: Request) -> Response {
    serve(&app, request, async |_, body| lists::search(&app, &catalog, &body)).await
}

async fn evaluate_flag(State(app): State<Arc<App>>, Path(key): Path<String>, request: Request) -> Response {
    serve(&app, request, async |_, body| Ok(ofrep::one(&app, &key, &body).await)).await
}

async fn evaluate_flags(State(app): State<Arc<App>>, request: Request) -> Response {
    let seen = request.headers().get(IF_NONE_MATCH).cloned();
    serve(&app, request, async |_, body| Ok(ofrep::all(&app, seen.as_ref(), &body).await)).await
}

/// Pages of any origin may ask: their keys can do nothing else. No cookies are looked at, so that a visitor's browser
/// lends a page no rights.
const CORS: [(HeaderName, &str); 4] = [
    (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
    (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, if-none-match, x-api-key"),
    (ACCESS_CONTROL_MAX_AGE, "86400"),
];

async fn preflight() -> impl IntoResponse {
    (StatusCode::NO_CONTENT, CORS)
}

async fn serve(app: &App, request: Request, handle: impl AsyncFnOnce(Uri, Bytes) -> Result<Response>) -> Response {
    let (parts, body) = request.into_parts();
    let work = async {
        app.config.access.admit(&parts.headers, &parts.uri, Scope::Decide)?;
        let body = read(body, MAX_BODY).await?;
        handle(parts.uri, body).await
    };
    let mut response = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => result.into_response(),
        Err(panic) => problem::panicked(panic),
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("etag, retry-after"));
    response
}
