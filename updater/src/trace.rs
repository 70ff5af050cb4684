//! Spans of what the log's records were part of, where somebody collects them.

use opentelemetry::global::{self, BoxedSpan};
use opentelemetry::trace::{SpanKind, Tracer};
use std::collections::HashMap;

/// Most spans of one batch: records with a trace are a sample.
const MOST: usize = 1_000;

/// Begins the consumption of records in the traces that they came with; it ends when the spans are dropped.
pub(crate) fn consume(traces: Vec<String>) -> Vec<BoxedSpan> {
    let tracer = global::tracer("croupier");
    let begin = |trace: String| {
        let carrier = HashMap::from([("traceparent".to_owned(), trace)]);
        let parent = global::get_text_map_propagator(|format| format.extract(&carrier));
        tracer.span_builder("consume").with_kind(SpanKind::Consumer).start_with_context(&tracer, &parent)
    };
    traces.into_iter().take(MOST).map(begin).collect()
}
