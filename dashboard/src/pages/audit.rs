//! Everything that was changed, here or through the API: by whom, why, and at which request.

use super::html;
use crate::app::App;
use crate::audit::{action, who};
use crate::export::{Sheet, Wanted};
use crate::failure::Failure;
use crate::frame::Frame;
use crate::moment::Moment;
use crate::person::Editor;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use store::AuditEntry;

/// Entries of one page.
const ENTRIES: usize = 50;
/// Entries of a file.
const ROWS: usize = 10_000;

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    frame: Frame,
    /// The experiment that is asked for; empty for all, and what is about none.
    experiment: String,
    entries: Vec<Entry>,
    /// Whether these are not the newest.
    later: bool,
    /// Address of the page with those before.
    older: Option<String>,
}

struct Entry {
    at: Moment,
    who: String,
    action: String,
    experiment: String,
    subject: String,
    why: String,
    request: String,
}

/// `GET /dashboard/audit?experiment=&before=`: for editors, as the API's is for admin keys.
pub(crate) async fn audit(
    State(app): State<App>,
    _: Editor,
    frame: Frame,
    wanted: Wanted,
) -> Result<Response, Failure> {
    let experiment = frame.parameter("experiment").map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
    let before = frame.parameter("before").and_then(|id| id.parse().ok());
    let file = wanted.table().is_some();
    let most = if file { ROWS } else { ENTRIES + 1 };
    let mut found = app.stores.experiments.audit(experiment.as_deref(), before, most).await?;
    if file {
        return wanted.file("audit", vec![sheet(&found)])?.ok_or_else(Failure::page);
    }
    let more = found.len() > ENTRIES;
    found.truncate(ENTRIES);
    let now = app.now();
    let entry = |entry: &AuditEntry| Entry {
        at: Moment::full(frame.lang, entry.at, now),
        who: who(frame.lang, &entry.who).into(),
        action: action(frame.lang, &entry.action).into(),
        experiment: entry.experiment.clone(),
        subject: entry.subject.clone(),
        why: entry.why.clone(),
        request: entry.request.clone(),
    };
    let page = Audit {
        entries: found.iter().map(entry).collect(),
        older: found.last().filter(|_| more).map(|last| frame.with("before", &last.id.to_string())),
        later: before.is_some(),
        experiment: experiment.unwrap_or_default(),
        frame,
    };
    Ok(html(&page)?.into_response())
}

fn sheet(entries: &[AuditEntry]) -> Sheet {
    let row = |e: &AuditEntry| {
        let at = json!(e.at.to_string());
        vec![
            json!(e.id),
            at,
            json!(e.who),
            json!(e.action),
            json!(e.experiment),
            json!(e.subject),
            json!(e.why),
            json!(e.request),
        ]
    };
    Sheet {
        name: "entries",
        columns: &["id", "at", "who", "action", "experiment", "subject", "why", "request"],
        rows: entries.iter().map(row).collect(),
    }
}
