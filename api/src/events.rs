//! Events: one, an array, or a line each.

use crate::app::App;
use crate::body::json;
use crate::problem::{Problem, Result};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bandit::{Event, NewEvent};
use rand::TryRng;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// What became of the events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Receipt {
    /// How many are kept; they are safe.
    accepted: usize,
    /// Which are not, and why.
    rejected: Vec<Rejection>,
}

/// An event that was not taken.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Rejection {
    /// Its place among the events sent, from 0.
    index: usize,
    /// Why.
    detail: String,
}

/// Report rewards, exposures and views: one event, an array, or NDJSON.
#[utoipa::path(post, path = "/v1/events", operation_id = "send_events", tag = "events",
    request_body(content((NewEvent = "application/json"), (Vec<NewEvent> = "application/json"), (String = "text/plain"))),
    responses((status = 202, body = Receipt), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn post(app: &App, body: &[u8]) -> Result<Response> {
    let now = app.clock.now();
    let (mut events, mut rejected) = (Vec::new(), Vec::new());
    for (index, parsed) in split(body)?.into_iter().enumerate() {
        let checked = parsed.and_then(|event| {
            let unknown = event.experiment.as_ref().filter(|id| app.snapshot().get(id).is_none());
            match unknown {
                Some(id) => Err(format!("experiment: there is no experiment '{}'", id.escape_debug())),
                None => event.check(now, random_id).map_err(|e| e.to_string()),
            }
        });
        match checked {
            Ok(event) => events.push(Event::User(event)),
            Err(detail) => rejected.push(Rejection { index, detail }),
        }
    }
    app.stores.events.append(&events).await.map_err(|e| {
        app.metrics.shed.increment(1);
        if !matches!(e, store::StoreError::Busy) {
            tracing::error!("events cannot be logged: {e}");
        }
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the events were not kept: send them again in a second")
    })?;
    app.metrics.events.increment(events.len() as u64);
    app.metrics.events_rejected.increment(rejected.len() as u64);
    Ok((StatusCode::ACCEPTED, Json(Receipt { accepted: events.len(), rejected })).into_response())
}

/// Takes a body apart into events, each by itself right or wrong.
pub(crate) fn split(body: &[u8]) -> Result<Vec<std::result::Result<NewEvent, String>>> {
    let one = |text: &[u8]| json::<NewEvent>(text).map_err(|problem| problem.detail);
    let text = body.trim_ascii();
    if text.starts_with(b"[") {
        let values: Vec<&RawValue> = match serde_json::from_slice(text) {
            Ok(values) => values,
            Err(e) => return Err(Problem::bad(format!("the body is not a JSON array: {e}"))),
        };
        return Ok(values.into_iter().map(|v| one(v.get().as_bytes())).collect());
    }
    // One event may take several lines; several take one each.
    if serde_json::from_slice::<&RawValue>(text).is_ok() {
        return Ok(vec![one(text)]);
    }
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty()).collect();
    match lines[..] {
        [] => Err(Problem::bad("the body is empty: it must be an event, an array of events, or a line each")),
        [line] => json::<NewEvent>(line).map(|event| vec![Ok(event)]),
        _ => Ok(lines.into_iter().map(one).collect()),
    }
}

/// An id for an event that brought none: redelivery of it cannot be recognised, which is its sender's choice.
fn random_id() -> String {
    let mut bytes = [0u8; 16];
    // The system's generator does not fail once it has answered; were it to, ids would repeat and events be lost.
    match rand::rngs::SysRng.try_fill_bytes(&mut bytes) {
        Ok(()) => format!("{:032x}", u128::from_be_bytes(bytes)),
        Err(e) => panic!("the system's random generator failed: {e}"),
    }
}
