//! The routes that pages call, of any origin and by the thousand. Each layer of middleware costs a request about two
//! microseconds, a tenth of what the rest of it takes, so that access, cross-origin answers, the body's bound and
//! panics are seen to here, in one function.

use crate::app::App;
use crate::body::{MAX_BODY, read};
use crate::catalogs::lists;
use crate::cors::{self, preflight};
use crate::problem::{self, Result};
use crate::{decide, events, ofrep, request};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::header::IF_NONE_MATCH;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
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
        .route("/v1/catalogs/{catalog}/recommendations", dressed(get(recommend).options(preflight)))
        .route("/v1/catalogs/{catalog}/items/{id}/related", dressed(get(related).options(preflight)))
        .route("/v1/catalogs/{catalog}/search", dressed(post(search).options(preflight)))
        .route("/ofrep/v1/evaluate/flags/{key}", dressed(post(evaluate_flag).options(preflight)))
        .route("/ofrep/v1/evaluate/flags", post(evaluate_flags).options(preflight))
        .method_not_allowed_fallback(no_method)
}

/// Refuses a path that is not UTF-8 as other routes do.
fn dressed(route: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    route.layer(map_response(problem::dress))
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
    serve(&app, request, async |uri, _| lists::related(&app, &place.0, &place.1, &uri).await).await
}

async fn search(State(app): State<Arc<App>>, Path(catalog): Path<String>, request: Request) -> Response {
    serve(&app, request, async |_, body| lists::search(&app, &catalog, &body).await).await
}

async fn evaluate_flag(State(app): State<Arc<App>>, Path(key): Path<String>, request: Request) -> Response {
    serve(&app, request, async |_, body| Ok(ofrep::one(&app, &key, &body).await)).await
}

async fn evaluate_flags(State(app): State<Arc<App>>, request: Request) -> Response {
    let seen = request.headers().get(IF_NONE_MATCH).cloned();
    serve(&app, request, async |_, body| Ok(ofrep::all(&app, seen.as_ref(), &body).await)).await
}

/// Answers a request of whoever may decide, with a name, and so that the page that asked can read it.
pub(crate) async fn serve(
    app: &App,
    request: Request,
    handle: impl AsyncFnOnce(Uri, Bytes) -> Result<Response>,
) -> Response {
    let (Parts { headers, uri, .. }, body) = request.into_parts();
    let work = async {
        request::set_key(app.config.access.admit(&headers, &uri, Scope::Decide)?);
        // Who is slow to send takes nobody's place.
        let body = read(body, MAX_BODY).await?;
        let _place = app.work_place(body.len())?;
        handle(uri, body).await
    };
    let answer = async {
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(result) => result.into_response(),
            Err(panic) => problem::panicked(panic),
        }
    };
    cors::answer(app, &headers, answer).await
}

async fn no_method(State(app): State<Arc<App>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let refused = async { problem::method_not_allowed(method, uri).await.into_response() };
    cors::answer(&app, &headers, refused).await
}
