//! What every answer of the dashboard has in common.

use crate::app::App;
use crate::failure::Failure;
use crate::frame::Frame;
use askama::Template;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};

/// Scripts and styles come from files of ours alone. What is let in by its hash is Plotly's: nothing at all, which it sets to
/// clear a style, and the one attribute by which cells of a heatmap keep their edges.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-hashes' \
    'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-AR/cKIZjWPcPmBUPDA6oti9XBiTbJvz0Cro2J1VzzS8='; \
    img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Without a referrer, browsers would keep even our own forms' origin to themselves.
const HEADERS: [(HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
];

/// Pages that name users: nobody keeps a copy.
const PERSONAL: [&str; 2] = ["/dashboard/decisions", "/dashboard/pipeline"];

/// Gives a failure its page and every answer its headers.
pub(crate) async fn finish(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let kept = if PERSONAL.iter().any(|personal| parts.uri.path().starts_with(personal)) {
        "no-store"
    } else {
        "private, no-cache"
    };
    let Ok(frame) = Frame::from_request_parts(&mut parts, &app).await;
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        let status = response.status();
        response = match failure.explain(frame).render() {
            Ok(page) => (status, Html(page)).into_response(),
            Err(_) => status.into_response(),
        };
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(kept));
    response
}
