//! Metrics. A handle is looked up once; a request only adds to it.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use bandit::Source;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use store::Tally;

/// A counter that can be read as well.
pub(crate) struct Counted {
    counter: Counter,
    total: AtomicU64,
}

impl Counted {
    fn new(counter: Counter) -> Self {
        Self { counter, total: AtomicU64::new(0) }
    }

    pub(crate) fn increment(&self, n: u64) {
        self.counter.increment(n);
        self.total.fetch_add(n, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// What the API counts.
pub(crate) struct Metrics {
    decisions: [Counted; 5],
    pub(crate) repeats: Counted,
    pub(crate) decide_seconds: Histogram,
    pub(crate) events: Counted,
    pub(crate) events_rejected: Counted,
    pub(crate) shed: Counted,
    pub(crate) lists: Counted,
    pub(crate) lists_without_history: Counted,
    pub(crate) lists_ahead: Counted,
    pub(crate) experiments: Gauge,
    pub(crate) backlog: Gauge,
    items: Gauge,
    item_bytes: Gauge,
}

/// Tells the recorder what each metric means.
pub fn describe() {
    describe_counter!("croupier_decisions_total", "Decisions served, by source.");
    describe_counter!("croupier_decisions_repeated_total", "Decisions served from memory to a key that had one.");
    describe_histogram!(
        "croupier_decide_seconds",
        metrics::Unit::Seconds,
        "Time to a first decision, its writes included."
    );
    describe_counter!("croupier_events_total", "Events accepted.");
    describe_counter!("croupier_events_rejected_total", "Events refused, each with a reason to its sender.");
    describe_counter!("croupier_shed_total", "Requests answered 503 because too much was waiting.");
    describe_counter!("croupier_lists_total", "Lists of recommended items served.");
    describe_counter!("croupier_lists_ahead_total", "Lists made because somebody looked at something.");
    describe_counter!(
        "croupier_lists_left_out_total",
        "Views whose lists were not made, since too many waited; the next pass over all makes up for it."
    );
    describe_counter!(
        "croupier_lists_without_history_total",
        "Lists made without the visitor's history, since it could not be read in time."
    );
    describe_gauge!("croupier_experiments", "Experiments that decisions are served for.");
    describe_gauge!("croupier_log_backlog_events", "Events of the log that the updater has not consumed.");
    describe_counter!("croupier_problems_total", "Answers that were problems, by status.");
    describe_gauge!("croupier_catalog_items", "Live items of all catalogs in this replica's memory.");
    describe_gauge!(
        "croupier_catalog_bytes",
        metrics::Unit::Bytes,
        "Bytes that the items of all catalogs take in this replica's memory."
    );
    describe_gauge!(
        "croupier_part_up",
        "Whether a part is well, by part: 1, or 0 as /readyz tells it: database, state, catalogs, events."
    );
    describe_gauge!("croupier_build_info", "1, by version of this process.");
    describe_counter!("croupier_dashboard_requests_total", "Requests of the dashboard, by route and status.");
    describe_histogram!(
        "croupier_dashboard_seconds",
        metrics::Unit::Seconds,
        "Time to the answer of the dashboard, by route."
    );
}

const SOURCES: [(Source, &str); 5] = [
    (Source::Policy, "policy"),
    (Source::Holdout, "holdout"),
    (Source::NotEnrolled, "not_enrolled"),
    (Source::Paused, "paused"),
    (Source::Fallback, "fallback"),
];

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            decisions: SOURCES.map(|(_, name)| Counted::new(counter!("croupier_decisions_total", "source" => name))),
            repeats: Counted::new(counter!("croupier_decisions_repeated_total")),
            decide_seconds: histogram!("croupier_decide_seconds"),
            events: Counted::new(counter!("croupier_events_total")),
            events_rejected: Counted::new(counter!("croupier_events_rejected_total")),
            shed: Counted::new(counter!("croupier_shed_total")),
            lists: Counted::new(counter!("croupier_lists_total")),
            lists_without_history: Counted::new(counter!("croupier_lists_without_history_total")),
            lists_ahead: Counted::new(counter!("croupier_lists_ahead_total")),
            experiments: gauge!("croupier_experiments"),
            backlog: gauge!("croupier_log_backlog_events"),
            items: gauge!("croupier_catalog_items"),
            item_bytes: gauge!("croupier_catalog_bytes"),
        }
    }

    /// What is only known when somebody asks.
    pub(crate) fn observe(&self, parts: &[(&'static str, bool)], items: usize, bytes: usize) {
        for (name, ok) in parts {
            gauge!("croupier_part_up", "part" => *name).set(f64::from(u8::from(*ok)));
        }
        #[expect(clippy::cast_precision_loss, reason = "exact up to petabytes")]
        let (items, bytes) = (items as f64, bytes as f64);
        self.items.set(items);
        self.item_bytes.set(bytes);
    }

    pub(crate) fn decided(&self, source: Source) {
        if let Some(i) = SOURCES.iter().position(|(s, _)| *s == source) {
            self.decisions[i].increment(1);
        }
    }

    /// Requests since this process began.
    pub(crate) fn tally(&self) -> Tally {
        let [.., fallbacks] = &self.decisions;
        Tally {
            decides: self.decisions.iter().map(Counted::total).sum::<u64>() + self.repeats.total(),
            fallbacks: fallbacks.total(),
            events: self.events.total(),
            rejected: self.events_rejected.total(),
            refused: self.shed.total(),
        }
    }
}

/// Counts an answer that is a problem: rarely, so that its handle is looked up each time.
pub(crate) fn problem(status: u16) {
    counter!("croupier_problems_total", "status" => status.to_string()).increment(1);
}

/// Says which version this is.
pub(crate) fn build() {
    gauge!("croupier_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Counts and times a request of the dashboard by its route as it is written, of which there are few.
pub(crate) async fn page(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let begun = Instant::now();
    let response = next.run(request).await;
    let route = route.map_or_else(String::new, |route| route.as_str().to_owned());
    histogram!("croupier_dashboard_seconds", "route" => route.clone()).record(begun.elapsed());
    let status = response.status().as_u16().to_string();
    counter!("croupier_dashboard_requests_total", "route" => route, "status" => status).increment(1);
    response
}
