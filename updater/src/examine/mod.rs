//! Health: each run judges what has come since the last one, keeps what it found, and acts where the experiment asks.
//!
//! What it costs: the decisions of each hour are read once, grouped; trials and guardrail events of the last window are
//! counted anew each run (at most of two days, and of what came since the last run); users with several arms are counted
//! once a day, over the day before; trials are weighed by their propensities as their windows close; counts per hour are read whole once an hour, as for posteriors.

mod dealt;
mod guardrails;
mod lines;
mod weighed;

use crate::Updater;
use bandit::{
    Calibration, Evidence, Exposures, SampleRatio, Standing, Status, Verdict, advise, exposure, hour_of, overall,
    segment_changes,
};
use guardrails::Watched;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::{Change, Examined, ExperimentRecord, Health, Result, StoreError};
use weighed::Weighed;

/// Hours of decisions that one run looks at: after a long absence the next ones go on.
const MOST_HOURS: i64 = 48;
/// Version of the state that checks keep: those of another begin anew.
const FORMAT: u32 = 1;
/// What the updater is called in the audit log.
const WHO: &str = "updater";

/// What checks need to go on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// The hour up to which hourly checks were made, for this revision.
    done: Option<(i64, u64)>,
    /// The first hour whose decisions are not looked at.
    until: Option<i64>,
    sample_ratio: Option<SampleRatio>,
    calibration: Option<Calibration>,
    /// Day after the last one whose users were counted.
    day: Option<i64>,
    exposures: Exposures,
    guardrails: Vec<Watched>,
    #[serde(default)]
    weighed: Weighed,
}

impl Updater {
    /// Judges a started experiment as of a boundary.
    pub(crate) async fn examine(&self, record: &ExperimentRecord, as_of: Timestamp) -> Result<()> {
        if !matches!(record.status, Status::Running | Status::Paused) {
            return Ok(());
        }
        let id = &record.definition.id;
        let damaged = |e: serde_json::Error| StoreError::Damaged(format!("findings of '{id}': {e}"));
        if record.definition.candidates.is_some() {
            let state = serde_json::to_value(State::default()).map_err(damaged)?;
            let (gain, propensities, lines) = (None, Vec::new(), vec![lines::of_lists()]);
            let kept = Examined { format: FORMAT, lines, gain, propensities, state };
            let text = serde_json::to_string(&kept).map_err(damaged)?;
            return self.work.stores.findings.keep_findings(id, self.work.clock.now(), &text).await;
        }
        let (mut lines, mut state) = match self.work.stores.findings.findings(id).await? {
            None => (Vec::new(), State::default()),
            Some(text) => {
                let kept: Examined = serde_json::from_str(&text).map_err(damaged)?;
                if kept.format == FORMAT {
                    (kept.lines, serde_json::from_value(kept.state).map_err(damaged)?)
                } else {
                    tracing::warn!("findings of '{id}' have format {}: its checks begin anew", kept.format);
                    (Vec::new(), State::default())
                }
            }
        };
        let (line, breached) = self.guardrails(record, &mut state.guardrails).await?;
        replace(&mut lines, "guardrails", line);
        let now = hour_of(as_of);
        if state.done != Some((now, record.revision)) {
            for line in self.of_the_log(record, &mut state, now).await? {
                replace(&mut lines, &line.check.clone(), Some(line));
            }
            for line in self.of_the_rates(record, as_of, breached).await? {
                replace(&mut lines, &line.check.clone(), Some(line));
            }
            state.done = Some((now, record.revision));
        }
        let enabled: Vec<bool> = record.definition.arms.iter().map(|a| a.enabled).collect();
        let (gain, propensities) = (state.weighed.gain(&enabled), state.weighed.propensities());
        let kept = Examined {
            format: FORMAT,
            lines,
            gain,
            propensities,
            state: serde_json::to_value(state).map_err(damaged)?,
        };
        let text = serde_json::to_string(&kept).map_err(damaged)?;
        self.work.stores.findings.keep_findings(id, self.work.clock.now(), &text).await
    }

    /// Checks of what was dealt and logged.
    async fn of_the_log(&self, record: &ExperimentRecord, state: &mut State, now: i64) -> Result<Vec<Health>> {
        let (e, arms) = (&record.definition, record.definition.arms.len());
        let started = record.started_at.map_or(now, hour_of);
        let from = state.until.unwrap_or_else(|| started.max(now - MOST_HOURS));
        let to = now.min(from + MOST_HOURS);
        let ratio = state.sample_ratio.get_or_insert_with(|| SampleRatio::new(arms));
        let calibration = state.calibration.get_or_insert_with(|| Calibration::new(arms));
        ratio.grow(arms);
        calibration.grow(arms);
        for hour in from..to {
            let dealt = dealt::of_hour(&self.work.stores, record, hour).await?;
            ratio.observe(&dealt);
            calibration.observe(&dealt);
        }
        state.until = Some(to.max(from));
        state.weighed.read(&self.work.stores, record, started, now).await?;
        let yesterday = now.div_euclid(24) - 1;
        if state.day != Some(yesterday + 1) {
            let hours = yesterday * 24..(yesterday + 1) * 24;
            state.exposures = self.work.stores.findings.exposures(&e.id, hours).await?;
            state.day = Some(yesterday + 1);
        } else {
            // Contradictions are looked up, not counted: always.
            let none = self.work.stores.findings.exposures(&e.id, 0..0).await?;
            state.exposures.contradictions = none.contradictions;
        }
        Ok(vec![
            lines::sample_ratio(e, &ratio.finding()),
            lines::propensity(&calibration.finding()),
            lines::multiple_exposure(&exposure(e, state.exposures)),
        ])
    }

    /// Checks of what became of it, and what they advise.
    async fn of_the_rates(&self, record: &ExperimentRecord, as_of: Timestamp, breached: bool) -> Result<Vec<Health>> {
        let e = record.definition.clone();
        let evidence = Evidence { ended: record.stopped_at, ..self.work.stores.outcomes.evidence(&e.id).await? };
        let set = self.work.stores.posteriors.latest(&e.id).await?;
        let hours = u32::try_from(hour_of(as_of) - record.started_at.map_or(hour_of(as_of), hour_of)).unwrap_or(0);
        let computed = tokio::task::spawn_blocking(move || {
            let found = segment_changes(&e, &evidence, as_of);
            // What segments lent each other is no evidence on the whole.
            // Where arms are dealt by segment or features, each has the visitors that suit it: over all of them the best one
            // is not the one that would be best for all.
            let alike = e.features.is_empty() && e.segment_by.is_empty();
            let advice =
                set.filter(|_| alike).and_then(|_| advise(&e, &overall(&e, &evidence, as_of), hours, breached));
            let segments: BTreeSet<&str> = evidence.outcomes.iter().map(|o| o.segment.as_str()).collect();
            (lines::change(&e, &found, segments.len()), advice, e)
        });
        let (change, advice, e) =
            computed.await.map_err(|e| StoreError::Damaged(format!("checks of '{}': {e}", record.definition.id)))?;
        let mut lines = vec![change];
        if !(e.features.is_empty() && e.segment_by.is_empty()) {
            lines.push(lines::not_compared());
        }
        if let Some(advice) = advice {
            let asked = e.stopping.as_ref().is_some_and(|s| s.automatic) && record.status == Status::Running;
            let winner = match advice.verdict {
                Verdict::Winner => Some(advice.champion),
                Verdict::Futile => Some(e.control()),
                _ => None,
            };
            // Not by a definition that somebody has changed meanwhile.
            let current =
                self.work.stores.experiments.get(&e.id).await?.is_some_and(|now| now.revision == record.revision);
            if let Some(winner) = winner.filter(|_| asked && current) {
                let change = Change {
                    who: WHO.into(),
                    why: advice.advice.clone(),
                    at: self.work.clock.now(),
                    request: String::new(),
                };
                let winner = Some(e.arms[winner].id.as_str());
                self.work
                    .stores
                    .experiments
                    .set_status(&e.id, Status::Running, Status::Stopped, winner, &change)
                    .await?;
            }
            lines.push(lines::stopping(&e, &advice));
        }
        Ok(lines)
    }

    /// Counts guardrail events, judges them and freezes the experiment if it asks for that; says whether an arm that is
    /// dealt breaks one.
    async fn guardrails(
        &self,
        record: &ExperimentRecord,
        watched: &mut Vec<Watched>,
    ) -> Result<(Option<Health>, bool)> {
        let e = &record.definition;
        guardrails::count(&self.work.stores, record, watched, hour_of(self.work.clock.now())).await?;
        let judged: Vec<_> = watched.iter().map(|w| (w, w.judge())).collect();
        let dealt = |arm: usize| e.arms.get(arm).is_some_and(|a| a.enabled);
        let breaks = |findings: &[bandit::GuardrailFinding], control: bool| {
            let broken = |f: &&bandit::GuardrailFinding| f.standing == Standing::Breached && dealt(f.arm);
            findings.iter().filter(broken).any(|f| control || f.arm != e.control())
        };
        let breached = judged.iter().any(|(_, f)| breaks(f, true));
        // Where the control is the one that breaks it, dealing nothing else would be no help.
        let freezes = judged.iter().any(|(w, f)| w.freeze && breaks(f, false));
        let mut frozen = record.frozen_at;
        if freezes && frozen.is_none() && record.status == Status::Running {
            let why = lines::breach(e, &judged);
            let change = Change { who: WHO.into(), why, at: self.work.clock.now(), request: String::new() };
            frozen = self.work.stores.experiments.freeze(&e.id, record.revision, &change).await?.frozen_at;
        }
        let line = (!judged.is_empty()).then(|| lines::guardrails(e, &judged, frozen));
        Ok((line, breached))
    }
}

/// Puts a line in place of the last one of its check.
fn replace(lines: &mut Vec<Health>, check: &str, line: Option<Health>) {
    let place = lines.iter().position(|l| l.check == check);
    match (place, line) {
        (Some(place), Some(line)) => lines[place] = line,
        (Some(place), None) => drop(lines.remove(place)),
        (None, Some(line)) => lines.push(line),
        (None, None) => {}
    }
}
