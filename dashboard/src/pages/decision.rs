//! One decision explained: what dealt it, the draw once more, and what became of it.

use super::html;
use crate::app::App;
use crate::export::{Sheet, Wanted};
use crate::failure::Failure;
use crate::format::Num;
use crate::frame::Frame;
use crate::lang::Phrase;
use crate::moment::Moment;
use crate::past::Past;
use crate::plots::Style;
use crate::{drawing, explanation, wording};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bandit::{Experiment, Replay};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{DecisionStory, LoggedDecision};

#[derive(Template)]
#[template(path = "decision.html")]
struct Decision {
    frame: Frame,
    logged: LoggedDecision,
    verdict: Phrase,
    style: Style,
    /// Its place in a list, from 1.
    place: Option<Num>,
    at: Moment,
    zone: String,
    source: &'static str,
    means: Vec<Phrase>,
    propensity: Num,
    version: Num,
    revision: Num,
    features: Vec<(String, String)>,
    /// What the replay says, and whether it agrees.
    agrees: bool,
    replayed: Vec<Phrase>,
    steps: Vec<Phrase>,
    seed: Option<String>,
    arms: Vec<ArmRow>,
    drawn: bool,
    outcome: Vec<Phrase>,
    events: Vec<EventRow>,
}

struct ArmRow {
    id: String,
    style: Style,
    dealt: bool,
    wins: bool,
    enabled: bool,
    alpha: Num,
    beta: Num,
    mean: Num,
    interval: [Num; 2],
    value: Num,
    propensity: Num,
}

struct EventRow {
    at: Moment,
    kind: String,
    name: String,
    value: Num,
    delay: Phrase,
    standing: &'static str,
}

/// What a path calls a decision.
pub(crate) async fn find(app: &App, id: &str) -> Result<DecisionStory, Failure> {
    let unknown = || Failure::decision(id);
    let id = id.parse().map_err(|_| unknown())?;
    app.stores.decisions.decision(&id).await?.ok_or_else(unknown)
}

/// `GET /dashboard/decisions/{decision}`
pub(crate) async fn decision(
    State(app): State<App>,
    frame: Frame,
    id: Result<Path<String>, axum::extract::rejection::PathRejection>,
    wanted: Wanted,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|_| Failure::page())?;
    let story = find(&app, &id).await?;
    let past = Past::of(&app, &story).await?;
    let now = app.now();
    if let Some(file) = wanted.file(&format!("decision-{id}"), sheets(&story, &past))? {
        return Ok(file);
    }
    let open = window_end(&story).is_some_and(|end| end > now) && !story.decision.rewarded;
    Ok(html(&page(frame.live(open), story, past, now))?.into_response())
}

fn window_end(story: &DecisionStory) -> Option<Timestamp> {
    let window = SignedDuration::from_hours(story.definition.reward.window_hours.into());
    story.decision.record.at.checked_add(window).ok()
}

fn page(frame: Frame, story: DecisionStory, past: Past, now: Timestamp) -> Decision {
    let lang = frame.lang;
    let e = past.definition.as_ref().unwrap_or(&story.definition);
    let record = &story.decision.record;
    let (agrees, replayed) = drawing::comparison(lang, e, record, past.replay.as_ref());
    let replay = past.replay.as_ref().ok();
    let features = record.features.iter().flatten().map(|(name, value)| {
        let text = serde_json::to_string(value).unwrap_or_default();
        (name.clone(), text)
    });
    let events = story.events.iter().map(|event| EventRow {
        at: Moment::full(lang, event.at, now),
        kind: event.kind.clone(),
        name: event.name.clone(),
        value: Num::number(event.value),
        delay: wording::span(lang, event.at.as_millisecond() - record.at.as_millisecond()),
        standing: explanation::standing(lang, story.definition.exposure, event.standing),
    });
    Decision {
        verdict: explanation::verdict(lang, record),
        style: Style::of(story.decision.arm),
        place: record.position.map(|p| Num::count(u64::from(p) + 1)),
        at: Moment::full(lang, record.at, now),
        zone: story.definition.sticky.time_zone.clone(),
        source: wording::source(lang, record.source),
        means: explanation::source(lang, e, record, replay, past.status.as_ref(), now),
        propensity: Num::share(record.propensity),
        version: Num::count(record.posterior_version),
        revision: Num::count(record.revision),
        features: features.collect(),
        agrees,
        replayed,
        steps: replay.map_or_else(Vec::new, |r| drawing::steps(lang, e, r)),
        seed: replay.filter(|r| drawing::draws(r)).map(|r| r.seed.iter().map(|byte| format!("{byte:02x}")).collect()),
        drawn: replay.is_some_and(|r| r.arms.iter().any(|a| a.value.is_some())),
        arms: replay.filter(|r| drawing::draws(r)).map_or_else(Vec::new, |r| arms(e, r, story.decision.arm)),
        outcome: explanation::outcome(lang, &story, window_end(&story), now),
        events: events.collect(),
        logged: story.decision,
        frame,
    }
}

fn arms(e: &Experiment, replay: &Replay, dealt: usize) -> Vec<ArmRow> {
    let row = |(i, (arm, part)): (usize, (&bandit::Arm, &bandit::ArmReplay))| ArmRow {
        id: arm.id.clone(),
        style: Style::of(i),
        dealt: i == dealt,
        wins: i == replay.arm,
        enabled: arm.enabled,
        alpha: Num::number(part.posterior.alpha),
        beta: Num::number(part.posterior.beta),
        mean: Num::rate(part.posterior.mean()),
        interval: Num::range(part.posterior.interval(bandit::INTERVAL_LEVEL)),
        value: match (part.value, part.drawn_from) {
            (Some(value), Some(bandit::Belief::Rate(_))) => Num::rate(value),
            (Some(value), _) => Num::number(value),
            (None, _) => Num::none(),
        },
        propensity: Num::share(part.propensity),
    };
    e.arms.iter().zip(&replay.arms).enumerate().map(row).collect()
}

fn sheets(story: &DecisionStory, past: &Past) -> Vec<Sheet> {
    let e = past.definition.as_ref().unwrap_or(&story.definition);
    let replay = past.replay.as_ref().ok().filter(|r| drawing::draws(r));
    let arms = replay.iter().flat_map(|r| {
        e.arms.iter().zip(&r.arms).enumerate().map(move |(i, (arm, part))| {
            vec![
                json!(arm.id),
                json!(i == story.decision.arm),
                json!(i == r.arm),
                json!(part.posterior.alpha),
                json!(part.posterior.beta),
                json!(part.value),
                json!(part.share),
                json!(part.propensity),
            ]
        })
    });
    let at = story.decision.record.at.as_millisecond();
    let event = |event: &store::ClaimingEvent| {
        let delay = event.at.as_millisecond() - at;
        vec![
            json!(event.at),
            json!(event.kind),
            json!(event.name),
            json!(event.value),
            json!(delay),
            json!(format!("{:?}", event.standing).to_lowercase()),
        ]
    };
    vec![
        Sheet {
            name: "arms",
            columns: &["arm", "logged", "replayed", "alpha", "beta", "drawn", "share", "propensity"],
            rows: arms.collect(),
        },
        Sheet {
            name: "events",
            columns: &["at", "type", "name", "value", "delay_ms", "standing"],
            rows: story.events.iter().map(event).collect(),
        },
    ]
}
