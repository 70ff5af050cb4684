//! Every experiment at a glance.

use super::{Answer, html};
use crate::app::App;
use crate::arms::leader;
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::moment::Moment;
use crate::plots::Style;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use bandit::Status;
use jiff::Timestamp;
use serde::Deserialize;
use store::{ExperimentRecord, results};

/// Experiments of one page: each costs as much as its results.
const PAGE: usize = 25;

#[derive(Template)]
#[template(path = "experiments.html")]
struct Experiments {
    frame: Frame,
    /// Where this server is reached, for the example.
    host: String,
    rows: Vec<Row>,
    first: bool,
    /// Id after which the next page begins.
    next: Option<String>,
}

struct Row {
    id: String,
    title: String,
    status: Status,
    /// None if its results cannot be read.
    numbers: Option<Numbers>,
}

struct Numbers {
    leader: Option<Leader>,
    p_best: Num,
    trials: Num,
    rewards: Num,
    updated: Option<Moment>,
}

struct Leader {
    id: String,
    style: Style,
    wins: bool,
}

/// Where a page of the list begins.
#[derive(Deserialize)]
pub(crate) struct Start {
    after: Option<String>,
}

/// `GET /dashboard?after=`
pub(crate) async fn experiments(
    State(app): State<App>,
    frame: Frame,
    Query(start): Query<Start>,
    headers: HeaderMap,
) -> Answer {
    let after = start.after.as_deref();
    let mut records = app.stores.experiments.list(after, PAGE + 1).await?;
    let more = records.len() > PAGE;
    records.truncate(PAGE);
    let next = records.last().filter(|_| more).map(|r| r.definition.id.clone());
    let live = records.iter().any(|r| r.status == Status::Running);
    let mut rows = Vec::with_capacity(records.len());
    for record in &records {
        rows.push(row(&app, record, app.now()).await);
    }
    html(&Experiments { frame: frame.live(live), host: host(&headers), rows, first: after.is_none(), next })
}

async fn row(app: &App, record: &ExperimentRecord, now: Timestamp) -> Row {
    // One damaged experiment must not hide the others.
    let numbers = results(&app.stores, record, now, store::Detail::Whole).await.map_err(Failure::from).ok().map(|r| {
        let ahead = leader(&r.arms);
        let winner = r.winner.as_ref().and_then(|w| r.arms.iter().enumerate().find(|(_, a)| a.id == *w));
        let shown = winner.or(ahead);
        Numbers {
            leader: shown.map(|(i, a)| Leader { id: a.id.clone(), style: Style::of(i), wins: winner.is_some() }),
            p_best: shown.filter(|_| ahead.is_some()).map_or_else(Num::none, |(_, a)| Num::share(a.p_best)),
            trials: Num::count(r.arms.iter().map(|a| a.trials).sum()),
            rewards: Num::count(r.arms.iter().map(|a| a.rewards).sum()),
            updated: r.updated_at.map(|at| Moment::ago(at, now)),
        }
    });
    let e = &record.definition;
    Row { id: e.id.clone(), title: e.title().into(), status: record.status, numbers }
}

/// The host that the browser asked for, if a shell can take it as it is.
pub(super) fn host(headers: &HeaderMap) -> String {
    let asked = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let plain = |h: &&str| !h.is_empty() && h.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b));
    asked.filter(plain).unwrap_or("127.0.0.1:8080").into()
}
