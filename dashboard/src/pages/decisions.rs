//! Decisions as they come in, and the search for some of them.

mod form;

use super::html;
use crate::address::host;
use crate::app::{App, Found};
use crate::export::{Sheet, Wanted};
use crate::failure::Failure;
use crate::filter_field::{Control, FilterField};
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::Phrase;
use crate::moment::Moment;
use crate::plots::Style;
use crate::sought::{Sought, place};
use crate::wording;
use crate::{address, lang::Lang};
use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{Cursor, DecisionFilter, FoundDecisions, LoggedDecision};

/// Decisions of one page.
const PAGE: usize = 50;
/// Experiments that the field suggests.
const SUGGESTED: usize = 100;
/// Clocks of replicas differ: what is stamped a little ahead is shown too.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

#[derive(Template)]
#[template(path = "decisions.html")]
struct Decisions {
    frame: Frame,
    uri: Uri,
    host: String,
    sought: Sought,
    experiments: Vec<String>,
    rows: Vec<Row>,
    /// When the newest decision of all was made that has been read.
    newest: Option<Moment>,
    /// Records that wait to be read.
    backlog: Option<Num>,
    first: bool,
    paused: bool,
    next: Option<String>,
    /// Where a search that would have read too much ended.
    ended: Option<Moment>,
}

struct Row {
    id: String,
    at: Moment,
    experiment: String,
    user: String,
    item: Option<String>,
    arm: String,
    style: Style,
    /// Its place in a list, from 1.
    place: Option<Num>,
    segment: String,
    source: &'static str,
    propensity: Num,
    version: Num,
    outcome: Phrase,
}

impl Decisions {
    /// Filters that are set, each with the page without it.
    fn dropped(&self) -> Vec<(&'static str, &str, String)> {
        let one = |field| (form::label(self.frame.lang, field), self.sought.value(field), self.with(field, ""));
        self.sought.set().into_iter().map(one).collect()
    }

    /// The newest decisions with one filter set otherwise.
    fn with(&self, field: &str, value: &str) -> String {
        address::with(&self.uri, &[(field, value), ("before", "")])
    }

    fn fields(&self) -> Vec<FilterField<'_>> {
        form::fields(self.frame.lang, &self.sought)
    }

    fn id_field(&self) -> FilterField<'_> {
        form::field(self.frame.lang, &self.sought, "id", "", Control::Input("text", ""))
    }
}

/// `GET /dashboard/experiments/{id}/decisions`: the same of one experiment.
pub(crate) async fn of_experiment(uri: Uri, Found(record): Found) -> Redirect {
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let all: Uri = format!("/dashboard/decisions{query}").parse().unwrap_or_default();
    Redirect::to(&address::with(&all, &[("experiment", &record.definition.id)]))
}

/// `GET /dashboard/decisions?experiment=&user=&item=&arm=&segment=&source=&day=&from=&to=&rewarded=&before=&id=&live=`
pub(crate) async fn decisions(
    State(app): State<App>,
    frame: Frame,
    uri: Uri,
    headers: HeaderMap,
    wanted: Wanted,
) -> Result<Response, Failure> {
    let sought = Sought::read(&app, &uri, frame.lang).await?;
    if let Some(id) = sought.id {
        return Ok(Redirect::to(&format!("/dashboard/decisions/{id}")).into_response());
    }
    let now = app.now();
    let start = Cursor::at(now.saturating_add(AHEAD).unwrap_or(now));
    let found = if sought.is_usable() && sought.missing().is_none() {
        app.stores.decisions.search(&sought.filter, sought.before.unwrap_or(start), PAGE).await?
    } else {
        FoundDecisions { decisions: Vec::new(), next: None, gave_up: false }
    };
    if let Some(file) = wanted.file("decisions", vec![sheet(&found.decisions)])? {
        return Ok(file);
    }
    let newest = app.stores.decisions.search(&DecisionFilter::default(), start, 1).await?.decisions;
    let experiments = app.stores.experiments.list(None, SUGGESTED).await?;
    let (first, paused) = (sought.before.is_none(), sought.value("live") == "off");
    let usable = sought.is_usable();
    let page = Decisions {
        uri,
        host: host(&headers),
        experiments: experiments.into_iter().map(|e| e.definition.id).collect(),
        newest: newest.first().map(|d| Moment::ago(frame.lang, d.record.at, now)),
        backlog: app.stores.events.backlog().await?.map(Num::count),
        next: found.next.map(|next| frame.with("before", &place(next))),
        ended: found.next.filter(|_| found.gave_up).and_then(|next| moment(frame.lang, next.at, now)),
        rows: rows(frame.lang, found.decisions, now),
        frame: frame.live(first && !paused && usable),
        sought,
        first,
        paused,
    };
    let status = if usable { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok((status, html(&page)?).into_response())
}

fn moment(lang: Lang, ms: i64, now: Timestamp) -> Option<Moment> {
    Timestamp::from_millisecond(ms).ok().map(|at| Moment::full(lang, at, now))
}

fn rows(lang: Lang, found: Vec<LoggedDecision>, now: Timestamp) -> Vec<Row> {
    let row = |d: LoggedDecision| {
        let r = d.record;
        Row {
            id: r.decision_id.to_string(),
            at: Moment::full(lang, r.at, now),
            experiment: r.experiment,
            user: r.user,
            item: r.item,
            arm: r.arm,
            style: Style::of(d.arm),
            place: r.position.map(|p| Num::count(u64::from(p) + 1)),
            segment: r.segment,
            source: wording::source(lang, r.source),
            propensity: Num::share(r.propensity),
            version: Num::count(r.posterior_version),
            outcome: match (d.trial, d.rewarded, d.delay_ms) {
                (_, true, Some(ms)) => {
                    lang.say("rewarded after {time}", &[("time", (&wording::span(lang, ms)).into())])
                }
                (_, true, None) => lang.say("rewarded", &[]),
                (true, false, _) => lang.say("no reward so far", &[]),
                (false, false, _) => lang.say("no trial", &[]),
            },
        }
    };
    found.into_iter().map(row).collect()
}

/// What is shown, with exact values.
fn sheet(found: &[LoggedDecision]) -> Sheet {
    let row = |d: &LoggedDecision| {
        let r = &d.record;
        vec![
            json!(r.decision_id),
            json!(r.at),
            json!(r.experiment),
            json!(r.user),
            json!(r.item),
            json!(r.day),
            json!(r.segment),
            json!(r.arm),
            json!(r.source),
            json!(r.propensity),
            json!(r.posterior_version),
            json!(r.revision),
            json!(d.trial),
            json!(d.rewarded),
            json!(d.delay_ms),
            json!(r.position),
            json!(r.list),
        ]
    };
    Sheet {
        name: "decisions",
        columns: &[
            "decision_id",
            "at",
            "experiment",
            "user",
            "item",
            "day",
            "segment",
            "arm",
            "source",
            "propensity",
            "posterior_version",
            "revision",
            "trial",
            "rewarded",
            "delay_ms",
            "position",
            "list",
        ],
        rows: found.iter().map(row).collect(),
    }
}
