//! The form that creates an experiment and changes one.

use super::html;
use crate::address::host;
use crate::app::{App, Found};
use crate::audit::who;
use crate::failure::Failure;
use crate::form::{Difference, Form, curl, differences, pretty};
use crate::frame::Frame;
use crate::lang::Lang;
use crate::moment::Moment;
use crate::person::{Editor, Posted};
use crate::reasons::reason;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use bandit::{Experiment, FieldError, MAX_ARMS, PolicySpec, Status};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::manage::{self, Refusal};
use store::{AuditEntry, ExperimentRecord};

/// Changes that a conflict names.
const CHANGES: usize = 5;
/// Longest id.
const ID_BYTES: usize = 64;

#[derive(Template)]
#[template(path = "edit.html")]
struct Edit {
    frame: Frame,
    form: Form,
    /// The experiment that is changed; none if one is created.
    id: Option<String>,
    /// Some things cannot change any more.
    started: bool,
    json: String,
    curl: String,
    /// Whether somebody asked for a look, and nothing is wrong.
    looked: bool,
    conflict: Option<Conflict>,
}

/// Somebody was faster.
struct Conflict {
    why: String,
    changes: Vec<Made>,
    differences: Vec<Difference>,
    /// The revision that saving all the same replaces; none if it cannot be.
    revision: Option<u64>,
}

struct Made {
    who: String,
    why: String,
    at: Moment,
}

/// What a new experiment begins with: another's definition, or a plan's arms and policy.
#[derive(Deserialize)]
pub(crate) struct From {
    copy: Option<String>,
    arms: Option<usize>,
    policy: Option<String>,
}

/// A definition with the arms and the policy of a plan.
fn planned(arms: usize, policy: Option<&str>) -> Map<String, Value> {
    let others =
        (1..arms.clamp(2, MAX_ARMS)).map(|n| json!({"id": if arms > 2 { format!("arm-{n}") } else { "b".into() }}));
    let all: Vec<Value> = std::iter::once(json!({"id": "control", "control": true})).chain(others).collect();
    let mut definition = Map::new();
    definition.insert("arms".into(), all.into());
    definition.insert("sticky".into(), json!({"by": ["user", "item", "day"], "time_zone": "UTC"}));
    // A policy that is none was typed into the address: the form begins without it.
    if let Some(policy) = policy.and_then(|given| PolicySpec::named(given).ok().flatten()) {
        definition.insert("policy".into(), json!(policy));
    }
    definition
}

fn fields(definition: &Experiment) -> Map<String, Value> {
    serde_json::to_value(definition).ok().and_then(|v| v.as_object().cloned()).unwrap_or_default()
}

/// `GET /dashboard/new?copy=&arms=&policy=`
pub(crate) async fn new(
    State(app): State<App>,
    _: Editor,
    frame: Frame,
    headers: HeaderMap,
    Query(from): Query<From>,
) -> Result<Response, Failure> {
    let definition = match from.copy {
        Some(id) => {
            let record = app.stores.experiments.get(&id).await?.ok_or_else(|| Failure::experiment(&id))?;
            let mut copy = fields(&record.definition);
            copy.insert("id".into(), format!("{}-copy", &id[..id.floor_char_boundary(ID_BYTES - 5)]).into());
            copy
        }
        None => planned(from.arms.unwrap_or(2), from.policy.as_deref()),
    };
    show(frame, Form::of(definition), None, &headers, None, false)
}

/// `GET /dashboard/experiments/{id}/edit`
pub(crate) async fn edit(
    _: Editor,
    Found(record): Found,
    frame: Frame,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if record.status == Status::Stopped {
        return Err(Failure::conflict(format!(
            "experiment '{}' is stopped: it stays as it ended",
            record.definition.id
        )));
    }
    let mut form = Form::of(fields(&record.definition));
    form.set("revision", &record.revision.to_string());
    show(frame, form, Some(&record), &headers, None, false)
}

/// `POST /dashboard/new`
pub(crate) async fn create(
    State(app): State<App>,
    frame: Frame,
    headers: HeaderMap,
    Posted(person, pairs): Posted<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let mut form = Form::sent(pairs);
    let wish = form.text("do").to_owned();
    let rows = form.heed(&wish);
    let document = form.document();
    if rows {
        return show(frame, form, None, &headers, None, false);
    }
    let json = Value::Object(document).to_string();
    let outcome = if wish == "save" && form.is_well() {
        let change = person.change(&app, form.text("reason"));
        manage::create(&*app.stores.experiments, json.as_bytes(), &change).await.map(Some)
    } else {
        manage::definition(json.as_bytes()).map(|_| None)
    };
    match outcome {
        Ok(Some(record)) => return Ok(done(&record.definition.id, "created")),
        Ok(None) => form.refuse(Vec::new()),
        Err(Refusal::Fields(errors)) => form.refuse(errors),
        Err(Refusal::Conflict(why)) => form.refuse(vec![FieldError { field: "id".into(), why }]),
        Err(other) => return Err(other.into()),
    }
    show(frame, form, None, &headers, None, true)
}

/// `POST /dashboard/experiments/{id}/edit`
pub(crate) async fn replace(
    State(app): State<App>,
    Found(record): Found,
    frame: Frame,
    headers: HeaderMap,
    Posted(person, pairs): Posted<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let id = &record.definition.id;
    let mut form = Form::sent(pairs);
    let wish = form.text("do").to_owned();
    let rows = form.heed(&wish);
    let mut document = form.document();
    if rows {
        return show(frame, form, Some(&record), &headers, None, false);
    }
    let experiments = &*app.stores.experiments;
    let outcome = if matches!(wish.as_str(), "save" | "overwrite") && form.is_well() {
        let revision = form.text(if wish == "save" { "revision" } else { "theirs" });
        document.insert("revision".into(), revision.parse::<u64>().map_or(Value::Null, Value::from));
        let change = person.change(&app, form.text("reason"));
        manage::replace(experiments, id, document.clone(), &change).await.map(|_| true)
    } else {
        manage::check(experiments, id, document.clone()).await.map(|_| false)
    };
    let mut conflict = None;
    match outcome {
        Ok(true) => return Ok(done(id, "changed")),
        Ok(false) => form.refuse(Vec::new()),
        Err(Refusal::Fields(errors)) => form.refuse(errors),
        Err(Refusal::Conflict(why)) => conflict = Some(meanwhile(&app, frame.lang, id, &form, document, why).await?),
        Err(other) => return Err(other.into()),
    }
    show(frame, form, Some(&record), &headers, conflict, true)
}

/// What happened since the form was opened.
async fn meanwhile(
    app: &App,
    lang: Lang,
    id: &str,
    form: &Form,
    mut ours: Map<String, Value>,
    why: String,
) -> Result<Conflict, Failure> {
    let record = app.stores.experiments.get(id).await?.ok_or_else(|| Failure::experiment(id))?;
    let made = app.stores.experiments.audit(Some(id), None, 4 * CHANGES).await?;
    let since = record.revision.saturating_sub(form.text("revision").parse().unwrap_or(0));
    let replaced: Vec<&AuditEntry> = made
        .iter()
        .filter(|c| c.action == "replace")
        .take(CHANGES.min(usize::try_from(since).unwrap_or(CHANGES)))
        .collect();
    let shown = if replaced.is_empty() { made.iter().take(1).collect() } else { replaced };
    ours.remove("revision");
    // As both would be kept, so that 1 and 1.0 are the same.
    let ours = manage::definition(Value::Object(ours).to_string().as_bytes())?;
    Ok(Conflict {
        why: reason(lang, &why),
        changes: shown
            .into_iter()
            .map(|c| Made {
                who: who(lang, &c.who).into(),
                why: c.why.clone(),
                at: Moment::full(lang, c.at, app.now()),
            })
            .collect(),
        differences: differences(&fields(&record.definition).into(), &fields(&ours).into()),
        revision: (record.status != Status::Stopped).then_some(record.revision),
    })
}

/// The page; what was typed comes back as it was.
fn show(
    frame: Frame,
    mut form: Form,
    record: Option<&ExperimentRecord>,
    headers: &HeaderMap,
    conflict: Option<Conflict>,
    judged: bool,
) -> Result<Response, Failure> {
    let status = match (&conflict, form.is_well(), form.text("do")) {
        (Some(_), ..) => StatusCode::CONFLICT,
        (None, false, "save" | "overwrite") => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    form.speak(frame.lang);
    let looked = judged && conflict.is_none() && form.is_well();
    let id = record.map(|r| r.definition.id.clone());
    let mut document = form.draft();
    if let (Some(_), Ok(revision)) = (record, form.text("revision").parse::<u64>()) {
        document.insert("revision".into(), revision.into());
    }
    let curl = curl(&host(headers), id.as_deref(), &document, form.text("reason").trim());
    let started = record.is_some_and(|r| r.status != Status::Draft);
    let page = Edit { json: pretty(&document), curl, id, started, looked, conflict, form, frame };
    Ok((status, html(&page)?).into_response())
}

fn done(id: &str, what: &str) -> Response {
    // Ids are letters, digits, - and _.
    Redirect::to(&format!("/dashboard/experiments/{id}?done={what}")).into_response()
}
