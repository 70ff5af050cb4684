//! Requests as the drivers send them.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Uri};

/// A request with its whole body; the `host` header is added when it is sent.
pub type Request = hyper::Request<Full<Bytes>>;

/// `GET path`.
#[must_use]
pub fn get(path: &PathAndQuery) -> Request {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = Uri::from(path.clone());
    request
}

/// `POST path` with a JSON body.
#[must_use]
pub fn post(path: &PathAndQuery, json: impl Into<Bytes>) -> Request {
    let mut request = Request::new(Full::new(json.into()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from(path.clone());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}
