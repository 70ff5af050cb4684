//! Events: one, an array, or a line each.

use crate::app::App;
use crate::body::split;
use crate::problem::{Problem, Result};
use crate::trace;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bandit::{Event, NewEvent, UserEvent, UserEventKind};
use rand::TryRng;
use serde::Serialize;
use store::View;
use utoipa::ToSchema;

/// Most events of a body: each that is refused is told.
const MAX_EVENTS: usize = 50_000;

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
    for (index, parsed) in split::<NewEvent>(body, "an event", MAX_EVENTS)?.into_iter().enumerate() {
        let checked = parsed.and_then(|event| {
            let unknown = event.experiment.as_ref().filter(|id| !app.snapshot().knows(id));
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
    let views: Vec<View> = events.iter().filter_map(view).collect();
    // Views go to the visitor's history as well, which the next list is made from: there first, where the same view again
    // is the same. Events without an id of their own would be others when they are sent again.
    let seen = async { if views.is_empty() { Ok(()) } else { app.stores.views.append(&views).await } };
    let place = app.waiting_place("")?;
    let kept = async {
        seen.await?;
        app.stores.events.append_traced(&events, trace::parent(app).as_deref()).await
    };
    kept.await.map_err(|e| {
        app.metrics.shed.increment(1);
        // Of a full disk the store has told already; a line for each request would fill it more.
        if !matches!(e, store::StoreError::Busy | store::StoreError::Unwritable(_)) {
            tracing::error!(request_id = crate::request::current(), "events cannot be kept: {e}");
        }
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the events were not kept: send them again in a second")
    })?;
    place.done();
    app.speed.note(&views);
    app.metrics.events.increment(events.len() as u64);
    app.metrics.events_rejected.increment(rejected.len() as u64);
    Ok((StatusCode::ACCEPTED, Json(Receipt { accepted: events.len(), rejected })).into_response())
}

fn view(event: &Event) -> Option<View> {
    match event {
        Event::User(UserEvent { kind: UserEventKind::View, user: Some(user), item: Some(item), at, .. }) => {
            Some(View { user: user.clone(), item: item.clone(), at: *at })
        }
        _ => None,
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
