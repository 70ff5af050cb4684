//! What happens behind the pages: updates, the log of events, the processes and the stores.

use super::html;
use crate::address;
use crate::app::App;
use crate::export::Wanted;
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::{Lang, Phrase};
use crate::moment::Moment;
use crate::pipeline::{Pipeline, sheets, troubles};
use crate::probe::Health;
use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use store::{DeadLetter, Replica, Run, RunKind, RunStatus, RunStep, Trigger};

/// Characters of a dead letter that are shown.
const SHOWN: usize = 400;

#[derive(Template)]
#[template(path = "pipeline.html")]
struct Page {
    frame: Frame,
    /// What is wrong, and what to do; nothing if all is well.
    troubles: Vec<Phrase>,
    stores: Vec<StoreRow>,
    /// None where it cannot be read.
    holder: Option<Option<String>>,
    backlog: Option<Option<Num>>,
    spooled: Num,
    /// All runs, or those of one kind: what it is called, its address, and whether it is what is shown.
    kinds: Vec<(&'static str, String, bool)>,
    runs: Option<Vec<RunRow>>,
    /// Addresses of older pages.
    older_runs: Option<String>,
    newest_runs: bool,
    replicas: Option<Vec<ReplicaRow>>,
    letters: Option<Vec<Letter>>,
    older_letters: Option<String>,
    newest_letters: bool,
}

struct StoreRow {
    name: &'static str,
    about: &'static str,
    health: Health,
    took: Num,
    remedy: &'static str,
}

struct RunRow {
    id: i64,
    kind: &'static str,
    catalog: Option<String>,
    started: Moment,
    trigger: &'static str,
    status: RunStatus,
    said: &'static str,
    took: Num,
    events: Num,
    published: Num,
    set_aside: Num,
    retries: Num,
    steps: Vec<(String, Num, String)>,
    error: Option<String>,
}

struct ReplicaRow {
    name: String,
    roles: String,
    holds: bool,
    silent: Num,
    fresh: Option<Moment>,
    behind: Option<Num>,
    /// Decisions, fallbacks, requests refused and bad events: of the last minute, and of all.
    counts: [[Num; 2]; 4],
    spooled: Option<Num>,
}

struct Letter {
    id: i64,
    at: Moment,
    reason: String,
    body: String,
    cut: bool,
}

/// `GET /dashboard/pipeline`
pub(crate) async fn pipeline(
    State(app): State<App>,
    frame: Frame,
    wanted: Wanted,
    uri: Uri,
) -> Result<Response, Failure> {
    let pairs = address::pairs(&uri);
    let number = |name: &str| pairs.iter().find(|(known, _)| known == name).and_then(|(_, v)| v.parse::<i64>().ok());
    let (before, letters) = (number("before"), number("letters"));
    let kind = pairs.iter().find(|(known, _)| known == "kind").and_then(|(_, v)| v.parse::<RunKind>().ok());
    let found = Pipeline::of(&app, kind, before, letters).await;
    if let Some(file) = wanted.file("pipeline", sheets(&found))? {
        return Ok(file);
    }
    Ok(html(&page(frame.live(true), &found, app.now(), kind, before, letters))?.into_response())
}

fn page(
    frame: Frame,
    found: &Pipeline,
    now: Timestamp,
    kind: Option<RunKind>,
    before: Option<i64>,
    letters: Option<i64>,
) -> Page {
    let lang = frame.lang;
    let holder = found.holder.answer.clone();
    let held = holder.clone().flatten();
    let store = |name, about, health: Health, took: std::time::Duration, remedy| StoreRow {
        name,
        about,
        health,
        took: millis(took),
        remedy: match health {
            Health::Ok => "",
            Health::Slow => lang.t("It answers slowly: look at its load and the network."),
            Health::Away => remedy,
        },
    };
    Page {
        troubles: troubles(lang, found),
        stores: vec![
            store(
                lang.t("Database"),
                lang.t("experiments, outcomes, runs, keys"),
                found.database.health(),
                found.database.took,
                lang.t("Decisions go on from what is known; nothing can be changed or learnt. Start it, or check its address in the settings."),
            ),
            store(
                lang.t("State"),
                lang.t("assignments and posteriors"),
                found.state.health(),
                found.state.took,
                lang.t("Decisions fall back to their draws. Check that it runs and that this server may reach it."),
            ),
            store(
                lang.t("Event log"),
                lang.t("decisions and events on their way to the updater"),
                found.log.health(),
                found.log.took,
                lang.t("Decisions and events cannot be written. Look for a full disk in the server’s log, then restart it."),
            ),
        ],
        backlog: found.backlog.answer.map(|n| n.map(Num::count)),
        spooled: Num::count(found.spooled()),
        kinds: kinds(&frame, kind),
        runs: found.runs.answer.as_ref().map(|runs| runs.iter().map(|r| run(&frame, r, now)).collect()),
        older_runs: found.older_runs().map(|id| frame.with("before", &id.to_string())),
        newest_runs: before.is_none(),
        replicas: found.replicas.answer.as_ref().map(|all| {
            all.iter().map(|r| replica(frame.lang, r, found.behind(r), held.as_deref() == Some(&r.name), now)).collect()
        }),
        letters: found.letters.answer.as_ref().map(|all| all.iter().map(|l| letter(frame.lang, l, now)).collect()),
        older_letters: found.older_letters().map(|id| frame.with("letters", &id.to_string())),
        newest_letters: letters.is_none(),
        holder,
        frame,
    }
}

/// Each begins with its newest runs.
fn kinds(frame: &Frame, shown: Option<RunKind>) -> Vec<(&'static str, String, bool)> {
    let all = std::iter::once(None).chain(RunKind::ALL.map(Some));
    let name = |kind: Option<RunKind>| kind.map_or(frame.t("all"), |kind| said(frame.lang, kind));
    let of = |kind: Option<RunKind>| frame.with_all(&[("kind", kind.map_or("", RunKind::name)), ("before", "")]);
    all.map(|kind| (name(kind), of(kind), kind == shown)).collect()
}

fn said(lang: Lang, kind: RunKind) -> &'static str {
    match kind {
        RunKind::Posteriors => lang.t("posteriors"),
        RunKind::Vectors => lang.t("vectors"),
        RunKind::Lists => lang.t("lists"),
        RunKind::Popular => lang.t("popular items"),
        RunKind::Maps => lang.t("maps"),
        RunKind::Expired => lang.t("expired items"),
    }
}

fn millis(duration: std::time::Duration) -> Num {
    Num::count(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn run(frame: &Frame, r: &Run, now: Timestamp) -> RunRow {
    let lang = frame.lang;
    let ended = r.finished_at.map_or(now, |at| at).duration_since(r.started_at).max(SignedDuration::ZERO);
    let took = if r.report.duration_ms > 0 { r.report.duration_ms } else { ended.as_millis().unsigned_abs() as u64 };
    let step = |s: &RunStep| (s.name.clone(), Num::count(s.duration_ms), s.detail.clone());
    RunRow {
        id: r.id,
        kind: said(lang, r.kind),
        catalog: r.catalog.clone(),
        started: Moment::full(lang, r.started_at, now),
        trigger: match r.trigger {
            Trigger::Schedule => lang.t("the clock"),
            Trigger::Request => lang.t("a request"),
            Trigger::Once => lang.t("by hand"),
        },
        status: r.status,
        said: match r.status {
            RunStatus::Requested => lang.t("requested"),
            RunStatus::Running => lang.t("running"),
            RunStatus::Done => lang.t("done"),
            RunStatus::Failed => lang.t("failed"),
        },
        took: Num::count(took),
        events: Num::count(r.report.events_read),
        published: Num::count(r.report.published),
        set_aside: Num::count(r.report.set_aside),
        retries: Num::count(r.report.retries),
        steps: r.report.steps.iter().map(step).collect(),
        error: r.report.error.clone(),
    }
}

fn replica(lang: Lang, r: &Replica, behind: Option<u64>, holds: bool, now: Timestamp) -> ReplicaRow {
    let (minute, total) = (r.report.last_minute, r.report.total);
    let both = |of: fn(store::Tally) -> u64| [Num::count(of(minute)), Num::count(of(total))];
    ReplicaRow {
        name: r.name.clone(),
        roles: r.report.roles.join(", "),
        holds,
        silent: Num::count(r.silent.as_secs()),
        fresh: r.report.fresh_at.map(|at| Moment::ago(lang, at, now)),
        behind: behind.map(Num::count),
        counts: [both(|t| t.decides), both(|t| t.fallbacks), both(|t| t.refused), both(|t| t.rejected)],
        spooled: r.report.spooled.map(Num::count),
    }
}

fn letter(lang: Lang, l: &DeadLetter, now: Timestamp) -> Letter {
    let body: String = l.body.chars().take(SHOWN).collect();
    Letter {
        id: l.id,
        at: Moment::full(lang, l.at, now),
        reason: l.reason.clone(),
        cut: body.len() < l.body.len(),
        body,
    }
}
