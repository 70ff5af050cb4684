//! Decide: from memory if the key was dealt before, else a draw that is kept and logged before it is told.

use crate::app::App;
use crate::body::{json, query};
use crate::problem::{Problem, Result};
use crate::trace;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bandit::{Assignment, Context, ContextValue, Deal, DecideRequest, Decider, DecisionId, Event, Source};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use store::StoreError;
use utoipa::ToSchema;

/// Most requests of one batch.
const MAX_BATCH: usize = 100;

/// The answer to a decide request.
#[derive(Serialize, ToSchema)]
pub(crate) struct Decision {
    /// Names the assignment: send it with rewards.
    #[schema(value_type = String)]
    pub(crate) decision_id: DecisionId,
    /// The experiment.
    pub(crate) experiment: String,
    /// The arm to show.
    #[schema(value_type = String)]
    pub(crate) arm: Arc<str>,
    /// The arm's payload.
    #[schema(value_type = serde_json::Value)]
    pub(crate) payload: Box<RawValue>,
    /// Whether the arm was dealt by this request.
    first: bool,
    /// The day in the experiment's time zone.
    #[schema(value_type = String, format = Date)]
    pub(crate) day: Date,
    /// The segment of the first request.
    #[schema(value_type = String)]
    pub(crate) segment: Arc<str>,
    /// Probability of the arm when it was dealt.
    pub(crate) propensity: f64,
    /// Posterior version that dealt it.
    pub(crate) posterior_version: u64,
    /// Who chose.
    pub(crate) source: Source,
}

/// Several requests of one user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct BatchRequest {
    /// The visitor.
    user: String,
    /// Circumstances of all requests.
    #[serde(default)]
    #[schema(value_type = Object)]
    context: Context,
    /// At most 100.
    requests: Vec<BatchItem>,
}

/// One request of a batch.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct BatchItem {
    /// The experiment.
    experiment: String,
    /// The item, if any.
    item: Option<String>,
}

/// Decisions in the order of the requests.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchResponse {
    decisions: Vec<BatchResult>,
}

/// One result of a batch.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum BatchResult {
    /// It was decided.
    Decision(Decision),
    /// It could not be.
    Problem(Problem),
}

/// Decide, for back ends.
#[utoipa::path(post, path = "/v1/decide", operation_id = "decide", tag = "decide", request_body = DecideRequest, responses(
    (status = 200, body = Decision), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 404, body = Problem), (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn post(app: &App, body: &[u8]) -> Result<Response> {
    respond(&decide(app, json(body)?).await?)
}

/// Decide, for pages: no preflight. Attributes of the context come as `context.NAME=VALUE`.
#[utoipa::path(get, path = "/v1/decide", operation_id = "decide_by_get", tag = "decide",
    params(("experiment" = String, Query), ("user" = String, Query), ("item" = Option<String>, Query)),
    responses((status = 200, body = Decision), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn get(app: &App, uri: &Uri) -> Result<Response> {
    respond(&decide(app, asked(uri)?).await?)
}

/// The request that a query is.
pub(crate) fn asked(uri: &Uri) -> Result<DecideRequest> {
    let mut request = DecideRequest::default();
    let (mut experiment, mut user) = (None, None);
    for (name, value) in query(uri)? {
        match (name.as_str(), name.strip_prefix("context.")) {
            ("experiment", _) => experiment = Some(value),
            ("user", _) => user = Some(value),
            ("item", _) => request.item = Some(value),
            ("key", _) => {}
            (_, Some(attribute)) => drop(request.context.insert(attribute.to_owned(), ContextValue::Text(value))),
            _ => {
                let name = name.escape_debug().to_string();
                return Err(Problem::field(&name, "is not known: experiment, user, item or context.NAME"));
            }
        }
    }
    request.experiment = experiment.ok_or_else(|| Problem::field("experiment", "is required"))?;
    request.user = user.ok_or_else(|| Problem::field("user", "is required"))?;
    Ok(request)
}

/// Decide several experiments or items for one user.
#[utoipa::path(post, path = "/v1/decide/batch", operation_id = "decide_batch", tag = "decide", request_body = BatchRequest, responses(
    (status = 200, body = BatchResponse), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 413, body = Problem)))]
pub(crate) async fn batch(app: &App, body: &[u8]) -> Result<Response> {
    let BatchRequest { user, context, requests } = json(body)?;
    if requests.len() > MAX_BATCH {
        return Err(Problem::field("requests", format!("must be at most {MAX_BATCH}, are {}", requests.len())));
    }
    // Once for all, before a context is copied into each.
    let shared = DecideRequest { experiment: "all".into(), user, item: None, context };
    shared.check().map_err(Problem::fields)?;
    // Together, so that their writes share one synchronisation of the disk.
    let all = requests
        .into_iter()
        .map(|BatchItem { experiment, item }| decide(app, DecideRequest { experiment, item, ..shared.clone() }));
    let results = futures::future::join_all(all).await;
    let decisions = results.into_iter().map(|r| r.map_or_else(BatchResult::Problem, BatchResult::Decision)).collect();
    respond(&BatchResponse { decisions })
}

/// An answer of this moment: browsers and proxies must not keep it.
pub(crate) fn respond(answer: &impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(answer).map_err(|e| {
        tracing::error!("an answer cannot be written as JSON: {e}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written")
    })?;
    let json = HeaderValue::from_static("application/json");
    Ok(([(CONTENT_TYPE, json), (CACHE_CONTROL, HeaderValue::from_static("no-store"))], body).into_response())
}

async fn decide(app: &App, request: DecideRequest) -> Result<Decision> {
    request.check().map_err(Problem::fields)?;
    let snapshot = app.snapshot();
    let decider = match snapshot.get(&request.experiment) {
        Some(decider) => decider.clone(),
        None if snapshot.orders(&request.experiment).is_some() => {
            let catalog = snapshot.orders(&request.experiment).unwrap_or_default().escape_debug();
            let why = format!("orders lists: ask GET /v1/catalogs/{catalog}/recommendations");
            return Err(Problem::field("experiment", why));
        }
        None if snapshot.is_complete() => return Err(Problem::unknown_experiment(&request.experiment)),
        None => return Err(Problem::not_ready()),
    };
    drop(snapshot);
    tell(app, &decider, &request, Telling::Shown).await
}

/// What the asker does with a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    /// Shows it: a trial, unless the experiment waits for exposure events.
    Shown,
    /// Has it at hand: a trial once it was seen.
    Offered,
}

/// Decides a checked request.
pub(crate) async fn tell(app: &App, decider: &Decider, request: &DecideRequest, telling: Telling) -> Result<Decision> {
    let now = app.clock.now();
    if let Some(deal) = decider.settled(request, now) {
        app.metrics.decided(deal.assignment.source);
        return Ok(answer(decider, request, &deal.assignment, deal.day, false));
    }
    let (key, day) = decider.key(request, now);
    let offered = || if telling == Telling::Offered { app.offers.get(&key.id) } else { None };
    if let Some(known) = app.assignments.get(&key.id).or_else(offered) {
        app.metrics.repeats.increment(1);
        app.metrics.decided(known.source);
        return Ok(answer(decider, request, &known, day, false));
    }
    let place = app.waiting_place(&request.experiment)?;
    let began = std::time::Instant::now();
    let fresh = match app.told.get(&key.id) {
        Some(told) => decider.deal(request, now).standing((*told).clone()),
        None => decider.deal(request, now),
    };
    // The control of who is outside, or came in a pause, is kept for the day; where nothing ends with the day, keeping it
    // would exclude them for good.
    let passing = key.day.is_none() && !fresh.assignment.source.is_trial();
    // In boxes, or every repeat would carry the room that they need from layer to layer.
    let kept = if passing {
        Box::pin(look_up(app, fresh)).await?
    } else {
        Box::pin(keep(app, request, fresh, telling)).await?
    };
    let standing = Arc::new(kept.assignment);
    if standing.source != Source::Fallback {
        place.done();
    }
    if standing.source.is_trial() || (!passing && standing.source != Source::Fallback) {
        let known = if telling == Telling::Offered { &app.offers } else { &app.assignments };
        known.insert(key.id, standing.clone());
    }
    app.metrics.decided(standing.source);
    app.metrics.decide_seconds.record(began.elapsed().as_secs_f64());
    Ok(answer(decider, request, &standing, day, kept.first))
}

/// What to tell, and whether it was dealt just now.
struct Kept {
    assignment: Assignment,
    first: bool,
}

/// What the key was dealt, or else a deal that is not kept.
async fn look_up(app: &App, fresh: Deal) -> Result<Kept> {
    let found = tokio::time::timeout(app.config.store_timeout, app.stores.assignments.get(&fresh.assignment.key)).await;
    match found {
        Ok(Ok(found)) => Ok(Kept { assignment: found.unwrap_or(fresh.assignment), first: false }),
        failed => fallback(app, fresh.assignment, false, failed.ok().and_then(std::result::Result::err)),
    }
}

/// Keeps a deal unless its key has one already, and logs the one that stands; both are safe when this returns, or it is
/// marked as a fallback.
///
/// The standing one is logged whoever put it: its own request may have ended between the put and the log. The log's
/// reader knows decisions by id, so that a second record changes nothing.
async fn keep(app: &App, request: &DecideRequest, fresh: Deal, telling: Telling) -> Result<Kept> {
    let end = tokio::time::Instant::now() + app.config.store_timeout;
    let put = match tokio::time::timeout_at(end, app.stores.assignments.put_if_absent(&fresh.assignment)).await {
        Ok(Ok(put)) => put,
        // The draw is a function of key and version: replicas agree on it, and this one remembers it.
        failed => {
            let told = Arc::new(fresh.assignment.clone());
            let kept = fallback(app, fresh.assignment, true, failed.ok().and_then(std::result::Result::err))?;
            app.told.insert(told.key.id, told);
            return Ok(kept);
        }
    };
    let (durable, first) = (put.durable, put.won);
    let standing = fresh.standing(put.standing);
    let record = standing.record(request);
    let record = [if telling == Telling::Offered { Event::Offer(record) } else { Event::Decision(record) }];
    let trace = trace::parent(app);
    // Both writes are on their way before either is waited for, so that one synchronisation serves both.
    let writes = futures::future::join(durable.wait(), app.stores.events.append_traced(&record, trace.as_deref()));
    match tokio::time::timeout_at(end, writes).await {
        Ok((Ok(()), Ok(()))) => {
            if !app.told.is_empty() {
                app.told.remove(&standing.assignment.key.id);
            }
            Ok(Kept { assignment: standing.assignment, first })
        }
        // Whoever asks again is told the same: it stands, only its safety is in doubt.
        Ok((kept, logged)) => fallback(app, standing.assignment, first, kept.and(logged).err()),
        Err(_) => fallback(app, standing.assignment, first, None),
    }
}

/// An answer all the same, though a store failed or did not answer in time; but not when it asks to be left alone.
fn fallback(app: &App, assignment: Assignment, first: bool, failure: Option<StoreError>) -> Result<Kept> {
    excuse(app, failure)?;
    Ok(Kept { assignment: Assignment { source: Source::Fallback, ..assignment }, first })
}

/// Lets a failure of a store pass, unless it asks to be left alone.
pub(crate) fn excuse(app: &App, failure: Option<StoreError>) -> Result<()> {
    match failure {
        Some(StoreError::Busy) => Err(app.shed()),
        Some(e) => {
            app.complain(&e);
            Ok(())
        }
        None => Ok(()),
    }
}

fn answer(decider: &Decider, request: &DecideRequest, a: &Assignment, day: Date, first: bool) -> Decision {
    let payload = decider.payload(&a.arm).unwrap_or(RawValue::NULL).to_owned();
    Decision {
        decision_id: a.key.id,
        experiment: request.experiment.clone(),
        arm: a.arm.clone(),
        payload,
        first,
        day,
        segment: a.segment.clone(),
        propensity: a.propensity,
        posterior_version: a.posterior_version,
        source: a.source,
    }
}
