//! The audit log: what was changed, by whom, and at whose request.

use crate::app::App;
use crate::auth::Caller;
use crate::body::params;
use crate::problem::{Problem, Result};
use crate::request;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use store::{AuditEntry, Change, Note};
use utoipa::{IntoParams, ToSchema};

/// Entries of one page.
const PAGE: usize = 100;

/// Some entries, the newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditLog)]
pub(crate) struct Entries {
    entries: Vec<AuditEntry>,
    /// Give it as `before` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct Which {
    /// Of this experiment only.
    experiment: Option<String>,
    /// The last number of the page before.
    before: Option<i64>,
    /// At most 500.
    limit: Option<usize>,
}

/// Every change, the newest first: of experiments, and of keys, people, catalogs, items and users' data.
#[utoipa::path(get, path = "/v1/audit", operation_id = "read_audit", tag = "operations", params(Which),
    responses((status = 200, body = Entries), (status = 400, body = Problem)))]
pub(crate) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<Entries>> {
    let Which { experiment, before, limit } = params(&uri)?;
    let limit = limit.unwrap_or(PAGE);
    if !(1..=500).contains(&limit) {
        return Err(Problem::field("limit", "must be 1 to 500"));
    }
    let mut entries = app.stores.experiments.audit(experiment.as_deref(), before, limit + 1).await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = if more { entries.last().map(|e| e.id) } else { None };
    Ok(Json(Entries { entries, next }))
}

/// Who asks for a change, when and why.
pub(crate) fn change(app: &App, caller: &Caller, why: String) -> Change {
    let request = request::current().unwrap_or_default();
    Change { who: caller.0.to_string(), why, at: app.clock.now(), request }
}

/// Puts a change that was made into the log. If that fails the request does: whoever sends it again makes the same change,
/// and has it noted.
pub(crate) async fn note(app: &App, caller: &Caller, action: &str, subject: &str, document: Value) -> Result<()> {
    let note = Note { action, subject, document };
    Ok(app.stores.experiments.note(&note, &change(app, caller, String::new())).await?)
}
