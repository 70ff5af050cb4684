//! The client for pages, which is compiled in: as a module, its types, and as a plain script.

use axum::Router;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// One file, and the tag of what is in it.
struct File {
    text: &'static str,
    kind: &'static str,
    tag: String,
}

static MODULE: LazyLock<File> = LazyLock::new(|| File::of(include_str!("../client/client.js"), "text/javascript"));
static TYPES: LazyLock<File> = LazyLock::new(|| File::of(include_str!("../client/client.d.ts"), "text/plain"));
static SCRIPT: LazyLock<File> =
    LazyLock::new(|| File::of(include_str!("../client/client.script.js"), "text/javascript"));

impl File {
    fn of(text: &'static str, kind: &'static str) -> Self {
        let hash = Sha256::digest(text);
        let tag = hash.iter().take(8).fold(String::from("\""), |s, b| s + &format!("{b:02x}")) + "\"";
        Self { text, kind, tag }
    }

    /// Pages of any origin may load it, with no key: it is the same for all. A browser asks again after five minutes, and
    /// goes on with what it has while the server is away.
    fn respond(&self, headers: &HeaderMap) -> Response {
        let about = [
            (ETAG, self.tag.as_str()),
            (CACHE_CONTROL, "public, max-age=300, stale-while-revalidate=86400, stale-if-error=604800"),
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let known = headers.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
        if known.split(',').any(|known| known.trim().trim_start_matches("W/") == self.tag) {
            return (StatusCode::NOT_MODIFIED, about).into_response();
        }
        let kind = format!("{}; charset=utf-8", self.kind);
        (about, [(CONTENT_TYPE, kind)], self.text).into_response()
    }
}

/// The client's files.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/client.js", get(module))
        .route("/client.d.ts", get(types))
        .route("/client.script.js", get(script))
}

/// The client for pages, an ES module.
#[utoipa::path(get, path = "/client.js", operation_id = "client_module", tag = "client",
    responses((status = 200, body = String, content_type = "text/javascript", example = "export const createClient = (options) => …"), (status = 304)))]
pub(crate) async fn module(headers: HeaderMap) -> Response {
    MODULE.respond(&headers)
}

/// The types of the client.
#[utoipa::path(get, path = "/client.d.ts", operation_id = "client_types", tag = "client",
    responses((status = 200, body = String, content_type = "text/plain", example = "export function createClient(options: Options): Client;"), (status = 304)))]
pub(crate) async fn types(headers: HeaderMap) -> Response {
    TYPES.respond(&headers)
}

/// The client for pages without modules: it makes the global `croupier`.
#[utoipa::path(get, path = "/client.script.js", operation_id = "client_script", tag = "client",
    responses((status = 200, body = String, content_type = "text/javascript", example = "const croupier = …"), (status = 304)))]
pub(crate) async fn script(headers: HeaderMap) -> Response {
    SCRIPT.respond(&headers)
}
