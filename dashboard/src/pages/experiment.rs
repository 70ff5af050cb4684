//! One experiment, from its verdict down to its audit log.

use super::{Answer, html};
use crate::app::{App, Found};
use crate::arms::{ArmsTable, leader};
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::{Lang, Phrase};
use crate::moment::Moment;
use crate::plots::Style;
use crate::verdict::verdict;
use askama::Template;
use axum::extract::State;
use bandit::Status;
use jiff::Timestamp;
use store::{AuditEntry, ExperimentRecord, Group, Health, Results, SegmentResult, results};

/// Entries of the audit log shown.
const CHANGES: usize = 20;

#[derive(Template)]
#[template(path = "experiment.html")]
struct Experiment {
    frame: Frame,
    id: String,
    title: String,
    status: Status,
    winner: Option<String>,
    verdict: Vec<Phrase>,
    facts: Facts,
    arms: ArmsTable,
    tried: bool,
    segments: Vec<Segment>,
    groups: Vec<GroupRow>,
    health: Vec<Health>,
    changes: Vec<Change>,
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
}

struct Segment {
    name: String,
    trials: Num,
    leader: Option<(String, Style, Num)>,
    arms: ArmsTable,
}

struct GroupRow {
    name: &'static str,
    trials: Num,
    rewards: Num,
    rate: Num,
    interval: [Num; 2],
}

struct Change {
    at: Moment,
    who: String,
    action: String,
    why: String,
}

/// `GET /dashboard/experiments/{id}`
pub(crate) async fn experiment(State(app): State<App>, frame: Frame, Found(record): Found) -> Answer {
    let now = app.now();
    let results = results(&app.stores, &record, now, store::Detail::Segments).await?;
    let changes = app.stores.experiments.audit(Some(&record.definition.id), None, CHANGES).await?;
    html(&page(frame.live(record.status == Status::Running), &record, results, changes, now))
}

fn page(frame: Frame, record: &ExperimentRecord, r: Results, changes: Vec<AuditEntry>, now: Timestamp) -> Experiment {
    let e = &record.definition;
    let segmented = !e.segment_by.is_empty();
    Experiment {
        id: e.id.clone(),
        title: e.title().into(),
        status: record.status,
        winner: record.winner.clone(),
        verdict: verdict(frame.lang, record, &r),
        facts: facts(record, &r, now),
        arms: ArmsTable::new(frame.lang, None, e, &r.arms),
        tried: r.arms.iter().any(|a| a.trials > 0),
        segments: r.segments.iter().filter(|_| segmented).map(|s| segment(frame.lang, record, s)).collect(),
        groups: r.holdout.map_or_else(Vec::new, |h| vec![group("Policy", &h.policy), group("Holdout", &h.holdout)]),
        health: r.health,
        changes: changes.into_iter().map(|c| change(c, now)).collect(),
        frame,
    }
}

fn facts(record: &ExperimentRecord, r: &Results, now: Timestamp) -> Facts {
    let e = &record.definition;
    let moment = |at: Option<Timestamp>| at.map(|at| Moment::full(at, now));
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
    }
}

fn segment(lang: Lang, record: &ExperimentRecord, s: &SegmentResult) -> Segment {
    Segment {
        name: s.segment.clone(),
        trials: Num::count(s.arms.iter().map(|a| a.trials).sum()),
        leader: leader(&s.arms).map(|(i, a)| (a.id.clone(), Style::of(i), Num::share(a.p_best))),
        arms: ArmsTable::new(lang, Some(&s.segment), &record.definition, &s.arms),
    }
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

fn change(entry: AuditEntry, now: Timestamp) -> Change {
    Change { at: Moment::full(entry.at, now), who: entry.who, action: entry.action, why: entry.why }
}
