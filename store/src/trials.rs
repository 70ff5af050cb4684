//! An experiment's own log, as off-policy evaluation wants it.

use crate::{ExperimentRecord, Outcomes, Result};
use bandit::evaluate::{Names, Trials};
use bandit::{Evidence, hour_of};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Part of a log: what is asked for, and how much of it may be read.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Dealt from then on.
    pub from: Timestamp,
    /// And before.
    pub until: Timestamp,
    /// Most trials that are read: where there are more, the newest whole hours that hold at most so many, at least one.
    pub most: Option<u64>,
}

impl Span {
    /// The whole log.
    pub const ALL: Self = Self { from: Timestamp::MIN, until: Timestamp::MAX, most: None };
}

/// Trials, and what was asked for.
#[derive(Debug)]
pub struct Logged {
    /// Those that were read, whose windows are closed.
    pub trials: Trials,
    /// Trials that were asked for, before the bound.
    pub asked: u64,
    /// Where reading began, if the bound cut off older ones.
    pub cut: Option<Timestamp>,
}

/// The trials of an experiment in a span, whose windows are closed `now`.
///
/// # Errors
/// When the database cannot be read.
pub async fn logged_trials(
    outcomes: &dyn Outcomes,
    record: &ExperimentRecord,
    span: Span,
    now: Timestamp,
) -> Result<Logged> {
    let e = &record.definition;
    let window = SignedDuration::from_hours(i64::from(e.reward.window_hours));
    let mut segments = Names::default();
    let mut trials = Trials {
        arms: e.arms.iter().map(|a| a.id.clone()).collect(),
        defined: e.arms.iter().map(Into::into).collect(),
        attributes: e.segment_by.clone(),
        ..Trials::default()
    };
    let (mut span, mut cut, mut asked) = (span, None, None);
    if let Some(most) = span.most {
        let evidence = outcomes.evidence(&e.id).await?;
        let (mut from, all) = bounded(&evidence, span, most);
        if all > most {
            // The newest hours would all be open where a window sees more trials than are read.
            span.until = span.until.min(now.saturating_sub(window).unwrap_or(now));
            let (closed_from, closed) = bounded(&evidence, span, most);
            (from, trials.open) = (closed_from, all - closed);
        }
        (cut, asked) = (from, Some(all));
    }
    for trial in outcomes.trials(&e.id, cut.unwrap_or(span.from), span.until).await? {
        if trial.arm >= trials.arms.len() {
            continue;
        }
        if now.duration_since(trial.at) < window {
            trials.open += 1;
            continue;
        }
        trials.arm.push(trial.arm);
        trials.rewards.push(f64::from(u8::from(trial.rewarded)));
        trials.propensities.push(trial.propensity);
        trials.segment.push(segments.place(&trial.segment));
        trials.at.push(trial.at);
    }
    trials.segments = segments.names;
    trials.sort_by_time();
    let asked = asked.unwrap_or(trials.len() as u64 + trials.open);
    Ok(Logged { trials, asked, cut })
}

/// Where reading must begin to stay within the bound, if not at the span's beginning, and trials in the span; both by
/// whole hours, which are counted already.
fn bounded(evidence: &Evidence, span: Span, most: u64) -> (Option<Timestamp>, u64) {
    let mut hours: BTreeMap<i64, u64> = BTreeMap::new();
    let wanted = hour_of(span.from)..=hour_of(span.until);
    for o in evidence.outcomes.iter().filter(|o| wanted.contains(&o.hour)) {
        *hours.entry(o.hour).or_default() += o.trials;
    }
    let asked: u64 = hours.values().sum();
    if asked <= most {
        return (None, asked);
    }
    let mut read = 0;
    let newest = hours.iter().rev().take_while(|(_, trials)| {
        let first = read == 0;
        read += **trials;
        first || read <= most
    });
    let hour = newest.last().map_or(0, |(hour, _)| *hour);
    (Timestamp::from_second(hour.saturating_mul(3_600)).ok().filter(|cut| *cut > span.from), asked)
}
