//! What operators ask.

use crate::app::App;
use crate::auth::Access;
use crate::{measure, request};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bandit::Clock;
use jiff::{SignedDuration, Timestamp};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use store::{Keys, Scope, StoreError};
use tokio::sync::Mutex;
use tokio::time::timeout;
use utoipa::ToSchema;

/// Whether the process lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    status: &'static str,
}

/// Whether it can decide, and how its stores are.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    ready: bool,
    /// Each part: `ok`, or what is wrong.
    parts: Vec<Part>,
}

/// One part.
#[derive(Serialize, ToSchema)]
pub(crate) struct Part {
    name: &'static str,
    ok: bool,
    detail: &'static str,
}

/// The process is alive. 503 once it cannot write any more without a restart: the embedded store closes itself when a write
/// breaks off, since what follows could not be trusted. A disk that is full, or read-only, is waited for.
#[utoipa::path(get, path = "/healthz", operation_id = "alive", tag = "operations",
    responses((status = 200, body = Alive), (status = 503, body = Alive)))]
pub(crate) async fn healthz(State(app): State<Arc<App>>) -> (StatusCode, Json<Alive>) {
    match app.stores.events.check().await {
        Ok(()) | Err(StoreError::Unwritable(_)) => (StatusCode::OK, Json(Alive { status: "alive" })),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(Alive { status: "cannot write: see the log, then restart" })),
    }
}

/// It can decide. A store that went away does not take a replica out of service: all would go at once, and they decide
/// from what they know. A replica that has not read everything once, or whose log takes no more, is not ready.
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = "operations",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, Json<Ready>) {
    let said = ready(&app).await;
    (if said.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(said))
}

async fn ready(app: &App) -> Ready {
    let part = |name, ok, wrong| Part { name, ok, detail: if ok { "ok" } else { wrong } };
    let log = app.stores.events.check().await.is_ok();
    let complete = app.has_read_all();
    let catalogs = app.shelf.is_loaded();
    let wrong = if complete {
        "cannot be read, assignments fall back; see the log"
    } else {
        "posteriors were never read; see the log"
    };
    let wrong_events = if log {
        "the log is away, decisions and events wait on this disk; see the log of this process"
    } else {
        "decisions and events cannot be written; see the log of this process"
    };
    let mut parts = vec![
        part("database", app.reads_database(), "experiments or keys cannot be read, those known stay; see the log"),
        part("state", app.reads_state(), wrong),
        part("catalogs", catalogs, "are still being read; see the log if that lasts"),
        part("events", log && app.stores.events.trouble().is_none(), wrong_events),
    ];
    let draining = app.is_draining();
    if draining {
        parts.push(part("process", false, "is being stopped: ask another one"));
    }
    Ready { ready: complete && log && catalogs && !draining, parts }
}

/// Metrics in Prometheus' text form.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain",
    example = json!("# HELP croupier_shed_total Requests answered 503.\n# TYPE croupier_shed_total counter\ncroupier_shed_total 0\n"))))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    if let Ok(Some(backlog)) = app.stores.events.backlog().await {
        #[expect(clippy::cast_precision_loss, reason = "a count for people")]
        app.metrics.backlog.set(backlog as f64);
    }
    let parts: Vec<(&str, bool)> = ready(&app).await.parts.iter().map(|part| (part.name, part.ok)).collect();
    let items = app.shelf.all().values().map(|catalog| catalog.len()).sum();
    app.metrics.observe(&parts, items, app.shelf.bytes());
    rendered(&app.recorder)
}

fn rendered(recorder: &PrometheusHandle) -> impl IntoResponse + use<> {
    measure::build();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder.render())
}

/// What `/metrics` of a process without an API goes by.
struct Scraped {
    access: Access,
    keys: Arc<dyn Keys>,
    clock: Arc<dyn Clock>,
    recorder: PrometheusHandle,
    /// When keys were read last: whoever asks often does not ask the database as often.
    read: Mutex<Option<Timestamp>>,
}

/// How old what is known of keys may be there, as everywhere.
const KEYS_HOLD: SignedDuration = SignedDuration::from_millis(500);
/// How long measurements wait for them: they are wanted most while a database is away.
const KEYS_WAIT: Duration = Duration::from_secs(1);

impl Scraped {
    async fn answer(&self, headers: &HeaderMap, uri: &Uri) -> Response {
        match timeout(KEYS_WAIT, self.refresh()).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!("keys cannot be read, those known stay: {e}"),
            Err(_) => tracing::warn!("keys cannot be read in time, those known stay"),
        }
        match self.access.admit(headers, uri, Scope::Admin) {
            Ok(_) => rendered(&self.recorder).into_response(),
            Err(problem) => problem.into_response(),
        }
    }

    async fn refresh(&self) -> store::Result<()> {
        let (mut read, now) = (self.read.lock().await, self.clock.now());
        if read.is_none_or(|at| now.duration_since(at).abs() >= KEYS_HOLD) {
            *read = Some(now);
            self.access.refresh(&*self.keys, &self.clock).await?;
        }
        Ok(())
    }
}

/// `/metrics` of a process without an API, for whom `access` lets administer.
pub fn scraped(access: Access, keys: Arc<dyn Keys>, clock: Arc<dyn Clock>, recorder: PrometheusHandle) -> Router {
    let scraped = Arc::new(Scraped { access, keys, clock, recorder, read: Mutex::default() });
    let answer = move |headers: HeaderMap, uri: Uri| {
        let scraped = scraped.clone();
        async move { scraped.answer(&headers, &uri).await }
    };
    Router::new().route("/metrics", get(answer)).layer(from_fn(request::name))
}
