//! The data of one user: to be told, and to be erased.

use crate::app::App;
use crate::audit::note;
use crate::auth::Caller;
use crate::body::params;
use crate::problem::{Problem, Result};
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};
use bandit::{AssignmentKey, DecisionId, DecisionRecord, check_id};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use store::{Cursor, DecisionFilter, FoundDecisions, KeptEvent, LoggedDecision, VIEWS_KEPT};
use utoipa::{IntoParams, ToSchema};

/// Decisions and events of one page, together.
const PAGE: usize = 1_000;

/// Some of what is known of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserData {
    /// The user.
    user: String,
    /// What they were dealt, the newest first; with it their assignments, which say the same.
    decisions: Vec<UserDecision>,
    /// What pages reported, in no order of time.
    events: Vec<KeptEvent>,
    /// What they looked at last, on the first page.
    views: Vec<UserView>,
    /// Give it as `after` to read on, whatever is on this page; the last has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A decision, and what it counts for by now.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserDecision {
    /// As it was logged.
    record: DecisionRecord,
    /// Whether it counts as a trial.
    trial: bool,
    /// Whether it counts as rewarded.
    rewarded: bool,
    /// Milliseconds to the first reward.
    delay_ms: Option<i64>,
}

/// A view of the user's history.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserView {
    /// The item.
    item: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// Where to read on.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct After {
    /// `next` of the page before.
    after: Option<String>,
}

/// How much was erased.
#[derive(Serialize, ToSchema)]
pub(crate) struct Erasure {
    /// Decisions that name nobody now. What they count for stays.
    decisions: u64,
    /// Events that name nobody now.
    events: u64,
    /// Records that had been set aside, and are gone.
    set_aside: u64,
    /// Views of the user's history that are gone, of the newest.
    views: usize,
}

/// A place in what is told: decisions come first.
enum Place {
    Decisions(Cursor),
    Events(Option<[u8; 16]>),
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let id = |hex: &str| hex.parse::<DecisionId>().ok();
        match text.split_once('-') {
            None => (text == "events").then_some(Self::Events(None)),
            Some(("events", key)) => Some(Self::Events(Some(id(key)?.0))),
            Some((at, key)) => Some(Self::Decisions(Cursor { at: at.parse().ok()?, id: id(key)? })),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Decisions(Cursor { at, id }) => format!("{at}-{id}"),
            Self::Events(None) => "events".into(),
            Self::Events(Some(key)) => format!("events-{}", DecisionId(*key)),
        }
    }
}

/// What is known of a user, page by page. What waits in the event log comes later: ask again in a minute.
#[utoipa::path(get, path = "/v1/users/{user}/data", operation_id = "get_user_data", tag = "users", params(("user" = String, Path), After),
    responses((status = 200, body = UserData), (status = 400, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(user): Path<String>,
    uri: Uri,
) -> Result<Json<UserData>> {
    check(&user)?;
    let After { after } = params(&uri)?;
    let place = match &after {
        None => Place::Decisions(newest(&app)),
        Some(text) => Place::parse(text).ok_or_else(|| Problem::field("after", "must be 'next' of the page before"))?,
    };
    let mut data = UserData { user, decisions: Vec::new(), events: Vec::new(), views: Vec::new(), next: None };
    if after.is_none() {
        note(&app, &caller, "user.export", &hash(&data.user), serde_json::Value::Null).await?;
        let views = app.stores.views.recent(&data.user, VIEWS_KEPT).await?;
        data.views = views.into_iter().map(|seen| UserView { item: seen.item, at: seen.at }).collect();
    }
    let next = match place {
        Place::Decisions(before) => {
            let FoundDecisions { decisions, next, .. } = decisions(&app, &data.user, before).await?;
            let told = |LoggedDecision { record, trial, rewarded, delay_ms, .. }| UserDecision {
                record,
                trial,
                rewarded,
                delay_ms,
            };
            data.decisions = decisions.into_iter().map(told).collect();
            next.map_or(Place::Events(None), Place::Decisions)
        }
        events => events,
    };
    // Once no more decisions come, as many events as the page has room for.
    let room = PAGE.saturating_sub(data.decisions.len());
    let next = match next {
        Place::Events(after) if room > 0 => {
            data.events = app.stores.users.user_events(&data.user, after, room).await?;
            let last = data.events.last().filter(|_| data.events.len() == room);
            last.map(|event| Place::Events(Some(event.key)))
        }
        more => Some(more),
    };
    data.next = next.map(|place| place.text());
    Ok(Json(data))
}

/// Erase a user: views and assignments go, decisions and events name nobody any more and are sums in the posteriors.
/// What is still in the event log is left out when it is read. What they do from now on is theirs again. Repeat it if it
/// fails: it goes on where it was.
#[utoipa::path(delete, path = "/v1/users/{user}", operation_id = "erase_user", tag = "users", params(("user" = String, Path)),
    responses((status = 200, body = Erasure), (status = 400, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(user): Path<String>,
) -> Result<Json<Erasure>> {
    check(&user)?;
    let at = app.clock.now();
    // First, so that nothing comes out of the log behind our back.
    app.stores.users.begin_erasure(&user, at).await?;
    let views = app.stores.views.recent(&user, VIEWS_KEPT).await?.len();
    app.stores.views.forget_views(&user).await?;
    let mut before = Some(newest(&app));
    while let Some(from) = before {
        let found = decisions(&app, &user, from).await?;
        let keys: Vec<AssignmentKey> =
            found.decisions.iter().flat_map(|d| AssignmentKey::of_record(&d.record)).collect();
        app.stores.assignments.remove(&keys).await?;
        for key in keys {
            app.assignments.remove(&key.id);
            app.offers.remove(&key.id);
            app.told.remove(&key.id);
        }
        before = found.next;
    }
    // Last, since by these rows the assignments are found.
    let erased = app.stores.users.erase_user(&user, at).await?;
    let erasure = Erasure { decisions: erased.decisions, events: erased.events, set_aside: erased.set_aside, views };
    note(&app, &caller, "user.erase", &hash(&user), serde_json::json!(&erasure)).await?;
    Ok(Json(erasure))
}

async fn decisions(app: &App, user: &str, before: Cursor) -> Result<FoundDecisions> {
    let wanted = DecisionFilter { user: Some(user.into()), ..DecisionFilter::default() };
    Ok(app.stores.decisions.search(&wanted, before, PAGE).await?)
}

/// After everything: clocks of replicas may differ.
fn newest(app: &App) -> Cursor {
    let now = app.clock.now();
    Cursor::at(now.saturating_add(SignedDuration::from_hours(24)).unwrap_or(now))
}

fn check(user: &str) -> Result<()> {
    check_id(user).map_err(|e| Problem::field("user", e.to_string()))
}

/// How the audit log calls a user, whom it must not name.
fn hash(user: &str) -> String {
    Sha256::digest(user.as_bytes()).iter().take(8).fold("sha256:".to_owned(), |s, b| s + &format!("{b:02x}"))
}
