//! What a request is called, in its answer, in problems, in the audit log and in the log of failures: one name to search
//! for. A task-local value rather than a span, which would cost each decision a microsecond.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use rand::TryRng;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

/// Names a request, both ways.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken from a caller, in bytes.
const LONGEST: usize = 128;

/// The request that is being answered.
struct Current {
    id: HeaderValue,
    /// The name of its key, once that is known, if it has one.
    key: OnceLock<Arc<str>>,
}

tokio::task_local! {
    static CURRENT: Current;
}

/// Of this process: ids of two replicas, or of two starts, differ.
static PROCESS: LazyLock<u64> = LazyLock::new(|| {
    let mut bytes = [0; 8];
    // Without randomness ids may repeat, and still are better than none.
    let _ = rand::rngs::SysRng.try_fill_bytes(&mut bytes);
    u64::from_le_bytes(bytes)
});
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Runs `work` under the request's id, and puts it on the answer.
pub(crate) async fn named(headers: &HeaderMap, work: impl Future<Output = Response>) -> Response {
    under(id(headers), work).await
}

async fn under(id: HeaderValue, work: impl Future<Output = Response>) -> Response {
    let current = Current { id: id.clone(), key: OnceLock::new() };
    let mut response = CURRENT.scope(current, work).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The same for routes that [`named`] is not called for. The request says its name too: pages of the dashboard know
/// nothing else of this module.
pub(crate) async fn name(mut request: Request, next: Next) -> Response {
    let id = id(request.headers());
    request.headers_mut().insert(REQUEST_ID, id.clone());
    under(id, next.run(request)).await
}

/// Id of the request that is being answered; none outside of one.
pub(crate) fn current() -> Option<String> {
    CURRENT.try_with(|current| current.id.to_str().map(str::to_owned).ok()).ok().flatten()
}

/// Remembers the name of the key that the request came with.
pub(crate) fn set_key(name: Option<Arc<str>>) {
    // It is set once; outside of a request there is nobody who would ask.
    let _ = CURRENT.try_with(|current| name.map(|name| current.key.set(name)));
}

/// The name of that key; none where none is needed.
pub(crate) fn key() -> Option<Arc<str>> {
    CURRENT.try_with(|current| current.key.get().cloned()).ok().flatten()
}

/// The caller's, if it can stand in a log as it is; else a new one.
fn id(headers: &HeaderMap) -> HeaderValue {
    let sane = |id: &&HeaderValue| (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    headers.get(REQUEST_ID).filter(sane).cloned().unwrap_or_else(|| {
        let id = format!("{:016x}-{:x}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed));
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("unnamed"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn;
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_request_says_its_name_to_whoever_answers_it() {
        let said = async |headers: HeaderMap| headers[REQUEST_ID].to_str().unwrap_or_default().to_owned();
        let router = Router::new().fallback(said).layer(from_fn(name));
        for (given, kept) in [(None, false), (Some("mine"), true), (Some("two words"), false)] {
            let request = given.into_iter().fold(axum::http::Request::get("/"), |r, id| r.header(REQUEST_ID, id));
            let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let id = answer.headers()[REQUEST_ID].to_str().unwrap().to_owned();
            let body = to_bytes(answer.into_body(), 1_000).await.unwrap();
            assert_eq!((body, Some(&*id) == given), (id.clone().into(), kept), "{given:?}");
            assert!(!id.is_empty());
        }
    }
}
