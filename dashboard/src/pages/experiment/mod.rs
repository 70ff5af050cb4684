//! One experiment: the answers first, then what they rest on, down to its audit log.

mod answers;
mod guardrails;
mod segments;
mod sheets;
mod timeline;
mod versions;

use super::html;
use crate::app::{App, Found};
use crate::arms::ArmsTable;
use crate::audit;
use crate::export::Wanted;
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::{Lang, Phrase};
use crate::moment::Moment;
use crate::verdict::verdict;
use crate::view::View;
use answers::Answer;
use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bandit::{Exposure, Standing, Status};
use guardrails::Guardrail;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use segments::{Drilled, SegmentRow};
use store::{AuditEntry, Detail, ExperimentRecord, Group, Results, Segments, VersionEntry, Versions};
use store::{results_and_segments, segment_counts, with_foremost_arms};
use timeline::Timeline;
use versions::Stepper;

#[derive(Template)]
#[template(path = "experiment.html")]
struct Experiment {
    frame: Frame,
    view: View,
    id: String,
    title: String,
    status: Status,
    status_name: &'static str,
    winner: Option<String>,
    /// Since when a breached guardrail deals the control to everyone new.
    frozen: Option<Moment>,
    verdict: Vec<Phrase>,
    answers: Vec<Answer>,
    facts: Facts,
    /// Changes whenever plots do.
    stamp: String,
    stepper: Option<Stepper>,
    /// How many versions cannot be read.
    unreadable: Option<Num>,
    arms: ArmsTable,
    tried: bool,
    contextual: bool,
    /// Of an experiment whose arms are a catalog's items.
    lists: Option<Lists>,
    /// Segments, and how many there are.
    segments: Vec<SegmentRow>,
    all_segments: Num,
    drilled: Option<Drilled>,
    /// With which probability no more value remains than is shown.
    remaining_level: Num,
    /// As of when the numbers of the log are.
    weighed: Option<Phrase>,
    gain: Option<GainRow>,
    groups: Vec<GroupRow>,
    difference: Option<(Num, [Num; 2])>,
    effective: Option<(Num, Num)>,
    guardrails: Vec<Guardrail>,
    health: Vec<Check>,
    timeline: Timeline,
}

/// What is known of the whole experiment beside its arms.
struct Facts {
    version: Num,
    revision: Num,
    updated: Option<Moment>,
    started: Option<Moment>,
    stopped: Option<Moment>,
    policy: String,
    reward: String,
    window_hours: Num,
    traffic: Num,
    holdout: Num,
    /// Whether a decision is a trial only once an event says that it was seen.
    by_event: bool,
    segment_by: String,
    features: String,
}

struct Check {
    name: String,
    finding: &'static str,
    ok: bool,
    detail: String,
}

struct GainRow {
    trials: Num,
    rewards: Num,
    total: Num,
    interval: [Num; 2],
    uniform: Num,
}

struct GroupRow {
    name: &'static str,
    trials: Num,
    rewards: Num,
    rate: Num,
    interval: [Num; 2],
}

/// Which items the page shows.
struct Lists {
    catalog: String,
    shown: Num,
    left_out: Num,
}

/// What a page is made of.
struct Read {
    results: Results,
    segments: Segments,
    /// The first version and the newest.
    ends: Versions,
    /// The version asked for, if it is not the newest.
    past: Option<VersionEntry>,
    /// A version that was asked for and is not kept, or cannot be read.
    lost: Option<u64>,
    changes: Vec<AuditEntry>,
}

/// `GET /dashboard/experiments/{id}?version=&days=&segment=&before=`
pub(crate) async fn experiment(
    State(app): State<App>,
    frame: Frame,
    Found(record): Found,
    view: View,
    wanted: Wanted,
) -> Result<Response, Failure> {
    let record = with_foremost_arms(&app.stores, record).await?;
    let read = read(&app, &record, &view).await?;
    if wanted.table().is_some() {
        let segments = if wanted.table() == Some("segments") {
            segment_counts(&app.stores, &record, sheets::SEGMENTS).await?
        } else {
            read.segments.clone()
        };
        let all = app.stores.experiments.audit(Some(&record.definition.id), view.before, sheets::CHANGES).await?;
        let sheets = sheets::sheets(&record, &read, &segments, &all, &app.stores.memory);
        return wanted.file(&record.definition.id, sheets)?.ok_or_else(Failure::page);
    }
    let now = app.now();
    let live = record.status == Status::Running && read.past.is_none() && view.before.is_none();
    Ok(html(&page(&app, frame.live(live), &record, view, read, now))?.into_response())
}

async fn read(app: &App, record: &ExperimentRecord, view: &View) -> Result<Read, Failure> {
    let (stores, id) = (&app.stores, &record.definition.id);
    let detail = view.segment.as_deref().map_or(Detail::Whole, Detail::Segment);
    let most = if record.definition.segment_by.is_empty() { 0 } else { crate::plots::SEGMENTS };
    let (results, segments) = results_and_segments(stores, record, app.now(), detail, most).await?;
    let ends = stores.history.entries(id, Timestamp::MIN, 2).await?;
    let asked = view.version.filter(|v| ends.entries.last().is_none_or(|newest| *v < newest.version));
    let past = match asked {
        Some(version) => stores.history.version(id, version).await?,
        None => None,
    };
    let lost = asked.filter(|_| past.is_none());
    let changes = stores.experiments.audit(Some(id), view.before, timeline::CHANGES + 1).await?;
    Ok(Read { results, segments, ends, past, lost, changes })
}

fn page(app: &App, frame: Frame, record: &ExperimentRecord, view: View, read: Read, now: Timestamp) -> Experiment {
    let (e, lang) = (&record.definition, frame.lang);
    let Read { mut results, segments, ends, past, lost, changes } = read;
    if let Some(past) = &past {
        results.arms = past.rows(&app.stores.memory);
        // Of the past only the arms' own rows are kept.
        if let Some(all) = &mut results.one_for_all
            && all.iter().all(|one| one.loss > 0.0)
        {
            all.clear();
        }
    }
    let newest = past.as_ref().or(ends.entries.last());
    // A version that is not kept is not what plots show either.
    let view = View { version: past.as_ref().map(|p| p.version), ..view };
    let r = &results;
    Experiment {
        id: e.id.clone(),
        title: e.title().into(),
        status: record.status,
        status_name: audit::status(lang, record.status),
        winner: record.winner.clone(),
        frozen: record.frozen_at.map(|at| Moment::full(lang, at, now)),
        verdict: verdict(lang, record, r),
        answers: answers::answers(lang, record, r, &segments, newest),
        facts: facts(lang, record, r, now),
        stamp: format!("{}/{}/{}", r.posterior_version, record.revision, record.status),
        stepper: Stepper::new(lang, &ends.entries, past.as_ref(), lost, now),
        unreadable: (ends.unreadable > 0).then(|| Num::count(ends.unreadable as u64)),
        arms: ArmsTable::whole(lang, e, r),
        tried: r.arms.iter().any(|a| a.trials > 0),
        contextual: !e.features.is_empty(),
        lists: e.candidates.as_ref().map(|c| Lists {
            catalog: c.catalog.clone(),
            shown: Num::count(r.arms.len() as u64),
            left_out: Num::count(r.arms_left_out.unwrap_or(0)),
        }),
        all_segments: Num::count(segments.all as u64),
        drilled: view.segment.as_deref().map(|name| Drilled::new(lang, e, name, &r.segments)),
        segments: segments.largest.iter().map(|s| SegmentRow::new(e, s)).collect(),
        remaining_level: Num::level(
            newest
                .and_then(|v| v.value_remaining)
                .map_or_else(|| e.stopping.clone().unwrap_or_default().confidence, |v| v.confidence(e)),
        ),
        weighed: newest
            .filter(|v| v.gain.is_some() || !v.propensities.is_empty())
            .map(|v| weighed(lang, record, v, now)),
        gain: newest.and_then(|v| v.gain).map(|g| GainRow {
            trials: Num::count(g.trials),
            rewards: Num::count(g.rewards),
            total: Num::signed(g.total),
            interval: g.interval.map(Num::signed),
            uniform: Num::rate(g.uniform),
        }),
        groups: r
            .holdout
            .as_ref()
            .map_or_else(Vec::new, |h| vec![group(lang.t("Policy"), &h.policy), group(lang.t("Holdout"), &h.holdout)]),
        difference: r
            .holdout
            .as_ref()
            .and_then(|h| h.difference)
            .map(|d| (Num::points(d.difference), d.interval.map(Num::points))),
        effective: newest
            .and_then(|v| v.gain)
            .map(|g| (Num::decimal(g.effective_trials.floor()), Num::count(g.trials))),
        guardrails: guardrails::guardrails(&r.health),
        timeline: Timeline::new(&frame, changes, now),
        health: results
            .health
            .into_iter()
            .map(|h| Check {
                name: audit::check(lang, &h.check),
                finding: audit::finding(lang, &h.check, h.ok),
                ok: h.ok,
                detail: h.detail,
            })
            .collect(),
        view,
        frame,
    }
}

fn facts(lang: Lang, record: &ExperimentRecord, r: &Results, now: Timestamp) -> Facts {
    let e = &record.definition;
    let moment = |at: Option<Timestamp>| at.map(|at| Moment::full(lang, at, now));
    let kind = serde_json::to_value(e.policy.kind).ok();
    Facts {
        version: Num::count(r.posterior_version),
        revision: Num::count(record.revision),
        updated: moment(r.updated_at),
        started: moment(record.started_at),
        stopped: moment(record.stopped_at),
        policy: kind.as_ref().and_then(|k| k.as_str()).unwrap_or_default().replace('_', " "),
        reward: e.reward.event.clone(),
        window_hours: Num::count(e.reward.window_hours.into()),
        traffic: Num::share(e.traffic),
        holdout: Num::share(e.holdout),
        by_event: e.exposure == Exposure::Event,
        segment_by: e.segment_by.join(", "),
        features: e.features.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", "),
    }
}

/// What is weighed by propensities is read by the hour, and no more once the experiment has stopped; versions are published
/// all the same while rewards come.
fn weighed(lang: Lang, record: &ExperimentRecord, version: &VersionEntry, now: Timestamp) -> Phrase {
    if let Some(stopped) = record.stopped_at.filter(|stopped| *stopped <= version.as_of) {
        return lang.say(
            "As of the last update before the experiment stopped ({at}): what came since is not in it.",
            &[("at", (&Moment::full(lang, stopped, now)).into())],
        );
    }
    let hour = version.as_of.round(TimestampRound::new().smallest(Unit::Hour).mode(RoundMode::Trunc));
    let at = Moment::full(lang, hour.unwrap_or(version.as_of), now);
    lang.say(
        "As of {at}, in version {n}: what was decided or rewarded since is not in it.",
        &[("at", (&at).into()), ("n", (&Num::count(version.version)).into())],
    )
}

fn group(name: &'static str, g: &Group) -> GroupRow {
    GroupRow {
        name,
        trials: Num::count(g.trials),
        rewards: Num::count(g.rewards),
        rate: Num::maybe_rate(g.rate),
        interval: Num::range(g.interval),
    }
}
