//! Experiments as flags of the OpenFeature Remote Evaluation Protocol 0.3.0.
//!
//! A flag is an experiment, its variant the arm, its value the arm's payload. To evaluate one is to decide it. To evaluate all
//! is to offer them: a provider asks for everything on the chance that a page may need it, so that what was offered counts as
//! a trial once an exposure event says that it was seen, or its decision was asked for by itself.

mod wire;

pub(crate) use wire::{BulkEvaluation, EvaluationFailure};

use crate::app::App;
use crate::decide::{Decision, Telling, tell};
use crate::problem::Problem;
use axum::Json;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bandit::{Context, ContextValue, DecideRequest, Decider, Source, Status, check_id};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use wire::{BulkFlag, BulkMetadata, ErrorCode, Evaluation, EvaluationRequest, Metadata, Reason};

/// Most flags of one answer.
const MOST: usize = 100;

type Result<T> = std::result::Result<T, EvaluationFailure>;

/// Evaluate one flag: decide one experiment.
#[utoipa::path(post, path = "/ofrep/v1/evaluate/flags/{key}", operation_id = "evaluate_flag", tag = "openfeature",
    params(("key" = String, Path)), request_body = EvaluationRequest, responses(
    (status = 200, body = Evaluation), (status = 400, body = EvaluationFailure), (status = 404, body = EvaluationFailure),
    (status = 413, body = Problem), (status = 500, body = EvaluationFailure),
    (status = 503, body = EvaluationFailure)))]
pub(crate) async fn one(app: &App, key: &str, body: &[u8]) -> Response {
    let evaluated = async {
        let context = Asked::read(body)?;
        let decider = app.snapshot().get(key).cloned().ok_or_else(|| unknown(app, key))?;
        evaluate(app, &decider, &context, Telling::Shown).await
    };
    match evaluated.await {
        Ok(evaluation) => ([(CACHE_CONTROL, "no-store")], Json(evaluation)).into_response(),
        Err(failure) => failure.of(key).into_response(),
    }
}

/// Evaluate all flags: offer a decision of each experiment that runs, is paused, or has a winner; the first 100 by id.
///
/// What was offered is a trial once an `exposure` event with its `decision_id` arrives.
#[utoipa::path(post, path = "/ofrep/v1/evaluate/flags", operation_id = "evaluate_flags", tag = "openfeature",
    request_body = EvaluationRequest, responses(
    (status = 200, body = BulkEvaluation), (status = 304), (status = 400, body = EvaluationFailure),
    (status = 413, body = Problem), (status = 500, body = EvaluationFailure),
    (status = 503, body = EvaluationFailure)))]
pub(crate) async fn all(app: &App, seen: Option<&HeaderValue>, body: &[u8]) -> Response {
    match offer(app, body).await {
        Err(failure) => failure.into_response(),
        Ok((tag, flags)) => {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.extend(HeaderValue::from_str(&tag).ok().map(|tag| (ETAG, tag)));
            let known = seen.and_then(|seen| seen.to_str().ok()).unwrap_or_default().split(',');
            // Compared weakly, as RFC 9110 has it here: a proxy may have taken the mark away.
            if known.map(str::trim).any(|known| opaque(known) == opaque(&tag) || known == "*") {
                return (StatusCode::NOT_MODIFIED, headers).into_response();
            }
            (headers, Json(flags)).into_response()
        }
    }
}

/// A tag without the mark of a weak one.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

async fn offer(app: &App, body: &[u8]) -> Result<(String, BulkEvaluation)> {
    let asked = Asked::read(body)?;
    let mut deciders = app.snapshot().deciders();
    deciders.retain(|d| match d.status() {
        Status::Running | Status::Paused => true,
        Status::Stopped => d.has_winner(),
        Status::Draft => false,
    });
    if deciders.is_empty() && !app.has_read_all() {
        return Err(Problem::not_ready().into());
    }
    let left_out = deciders.len().saturating_sub(MOST);
    deciders.truncate(MOST);
    // Together, so that their writes share one synchronisation of the disk.
    let all = deciders.iter().map(|decider| evaluate(app, decider, &asked, Telling::Offered));
    let evaluated = futures::future::join_all(all).await;
    let mut tag = Sha256::new().chain_update(Value::from(asked.context).to_string());
    let mut flags = Vec::with_capacity(deciders.len());
    for (decider, evaluated) in deciders.iter().zip(evaluated) {
        let key = &decider.experiment().id;
        flags.push(match evaluated {
            Ok(flag) => {
                // What a page can see, and whose it is. Versions move without that.
                let value = flag.value.as_ref().map_or("", |value| value.get());
                let id = flag.metadata.decision_id.to_string();
                for part in [&flag.key, value, &format!("{:?}", flag.reason), &flag.variant, &id] {
                    tag.update(part.len().to_le_bytes());
                    tag.update(part);
                }
                BulkFlag::Evaluation(flag)
            }
            Err(failure) if failure.status.is_server_error() => return Err(failure),
            Err(failure) => {
                tag.update(key);
                tag.update(&failure.error_details);
                BulkFlag::Failure(failure.of(key))
            }
        });
    }
    let tag = tag.finalize().iter().take(16).fold(String::from("W/\""), |s, b| s + &format!("{b:02x}")) + "\"";
    Ok((tag, BulkEvaluation { flags, metadata: BulkMetadata { left_out } }))
}

/// A context that can be evaluated.
pub(crate) struct Asked {
    user: String,
    item: Option<String>,
    context: Map<String, Value>,
}

impl Asked {
    pub(crate) fn read(body: &[u8]) -> Result<Self> {
        let fail = |code, why: &str| EvaluationFailure::new(code, why);
        let body: Value = serde_json::from_slice(body)
            .map_err(|e| fail(ErrorCode::ParseError, &format!("the body is not JSON: {e}")))?;
        let Value::Object(mut body) = body else {
            return Err(fail(ErrorCode::ParseError, "the body must be an object"));
        };
        let Some(Value::Object(context)) = body.remove("context") else {
            return Err(fail(ErrorCode::InvalidContext, "context: must be an object"));
        };
        let user = match context.get("targetingKey") {
            None | Some(Value::Null) => Err((ErrorCode::TargetingKeyMissing, "is required: it names the visitor")),
            Some(Value::String(user)) if user.is_empty() => Err((ErrorCode::TargetingKeyMissing, "is empty")),
            Some(Value::String(user)) => Ok(user.clone()),
            Some(_) => Err((ErrorCode::InvalidContext, "must be text")),
        };
        let user = user.map_err(|(code, why)| fail(code, &format!("context.targetingKey: {why}")))?;
        // Of no flag in particular: all would fail of it.
        let usable = |field: &str, id: &str| {
            check_id(id).map_err(|why| fail(ErrorCode::InvalidContext, &format!("context.{field}: {why}")))
        };
        usable("targetingKey", &user)?;
        let item = match context.get("item") {
            None | Some(Value::Null) => None,
            Some(Value::String(item)) => {
                usable("item", item)?;
                Some(item.clone())
            }
            Some(_) => return Err(fail(ErrorCode::InvalidContext, "context.item: must be text")),
        };
        Ok(Self { user, item, context })
    }

    /// What an experiment asks of the context. All else is passed over: providers add what they like.
    pub(crate) fn request(&self, decider: &Decider) -> Result<DecideRequest> {
        let e = decider.experiment();
        let mut context = Context::new();
        for name in e.segment_by.iter().chain(e.features.iter().map(|f| &f.name)) {
            let value = match self.context.get(name) {
                None | Some(Value::Null) => continue,
                Some(Value::Bool(yes)) => ContextValue::Bool(*yes),
                Some(Value::Number(number)) => ContextValue::Number(number.clone()),
                Some(Value::String(text)) => ContextValue::Text(text.clone()),
                Some(Value::Array(_) | Value::Object(_)) => {
                    let why = format!("context.{name}: must be text, a number, true or false");
                    return Err(EvaluationFailure::new(ErrorCode::InvalidContext, why));
                }
            };
            context.insert(name.clone(), value);
        }
        Ok(DecideRequest { experiment: e.id.clone(), user: self.user.clone(), item: self.item.clone(), context })
    }
}

fn unknown(app: &App, key: &str) -> EvaluationFailure {
    let (shown, snapshot) = (key.escape_debug(), app.snapshot());
    let why = match snapshot.orders(key) {
        Some(catalog) => format!("'{shown}' orders the lists of catalog '{}' and is no flag", catalog.escape_debug()),
        None if snapshot.is_complete() => format!("there is no experiment '{shown}'"),
        None => return Problem::not_ready().into(),
    };
    EvaluationFailure::new(ErrorCode::FlagNotFound, why)
}

async fn evaluate(app: &App, decider: &Decider, asked: &Asked, telling: Telling) -> Result<Evaluation> {
    let request = asked.request(decider)?;
    request.check().map_err(Problem::fields)?;
    let decision = tell(app, decider, &request, telling).await?;
    let reason = reason(decider, decision.source);
    let value = value(decider, &decision);
    let Decision { decision_id, experiment, arm, day, segment, propensity, posterior_version, source, .. } = decision;
    let metadata = Metadata { decision_id, day, segment, propensity, posterior_version, source };
    Ok(Evaluation { key: experiment, value, reason, variant: arm, metadata })
}

/// The protocol has no word for who is outside an experiment's traffic; that is by chance as well.
fn reason(decider: &Decider, source: Source) -> Reason {
    match source {
        Source::Paused if decider.status() == Status::Stopped && decider.has_winner() => Reason::Static,
        Source::Paused => Reason::Disabled,
        Source::Policy | Source::Holdout | Source::NotEnrolled | Source::Fallback => Reason::Split,
    }
}

/// A flag has one type in the caller's code: text where arms are told apart by their ids alone, else that of the payloads.
fn value(decider: &Decider, decision: &Decision) -> Option<Box<RawValue>> {
    if decision.payload.get() != "null" {
        return Some(decision.payload.clone());
    }
    let bare = decider.experiment().arms.iter().all(|arm| arm.payload.is_null());
    if bare { to_raw_value(&*decision.arm).ok() } else { None }
}
