//! Spans of requests, where somebody collects them. The layer is there only then: each costs a request two microseconds.

use crate::app::App;
use axum::extract::{MatchedPath, Request};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{FutureExt, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};

/// What a caller says of the trace that its request is part of: `traceparent`, W3C Trace Context.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

/// Answers a request within a span of its own.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let parent = global::get_text_map_propagator(|format| format.extract(&Headers(request.headers())));
    let path = request.extensions().get::<MatchedPath>().map_or("/", MatchedPath::as_str);
    let tracer = global::tracer("croupier");
    let builder = tracer.span_builder(format!("{} {path}", request.method())).with_kind(SpanKind::Server);
    let context = parent.with_span(builder.start_with_context(&tracer, &parent));
    let response = next.run(request).with_context(context.clone()).await;
    let span = context.span();
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(response.status().as_u16())));
    span.end();
    response
}

/// The span of the request that is being answered, as a `traceparent`, if it is one of those that are collected.
pub(crate) fn parent(app: &App) -> Option<String> {
    if !app.config.traced {
        return None;
    }
    let context = Context::current();
    let span = context.span();
    let named = span.span_context();
    named.is_sampled().then(|| format!("00-{}-{}-01", named.trace_id(), named.span_id()))
}
