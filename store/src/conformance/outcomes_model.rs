//! What outcomes must be, written naively: every decision and event in a map, counted anew each time.

use super::{Numbers, moment};
use crate::{Ingest, Ingested};
use bandit::{
    DecisionId, DecisionRecord, Evidence, Experiment, Exposure, HourDelay, HourOutcome, Source, UserEvent,
    UserEventKind, delay_bucket, hour_of,
};
use jiff::civil::date;
use std::collections::{BTreeMap, BTreeSet};

/// An event with the decisions that it may belong to.
pub type Reported = (UserEvent, Vec<DecisionId>);

/// What has arrived, each id once.
#[derive(Default)]
pub struct Model {
    decisions: BTreeMap<[u8; 16], DecisionRecord>,
    /// Those that came as decisions, not as offers alone.
    told: BTreeSet<[u8; 16]>,
    events: BTreeMap<String, Reported>,
    set_aside: BTreeSet<String>,
}

impl Model {
    /// Takes in what a store takes in; says what was new.
    pub fn ingest(&mut self, e: &Experiment, batch: &Ingest) -> Ingested {
        let before = self.sizes();
        let all = batch.decisions.iter().map(|d| (d, true)).chain(batch.offers.iter().map(|d| (d, false)));
        for (d, told) in all {
            if d.experiment == e.id && e.arms.iter().any(|a| a.id == d.arm) {
                self.told.extend(told.then_some(d.decision_id.0));
                self.decisions.entry(d.decision_id.0).or_insert_with(|| d.clone());
            } else {
                self.set_aside.insert(format!("{d:?}"));
            }
        }
        for (event, decisions) in &batch.events {
            self.events.entry(event.id.clone()).or_insert_with(|| (event.clone(), decisions.clone()));
        }
        let now = self.sizes();
        Ingested { decisions: now.0 - before.0, events: now.1 - before.1, set_aside: now.2 - before.2 }
    }

    fn sizes(&self) -> (u64, u64, u64) {
        (self.decisions.len() as u64, self.events.len() as u64, self.set_aside.len() as u64)
    }

    /// The counts of all that has arrived.
    #[must_use]
    pub fn evidence(&self, e: &Experiment) -> Evidence {
        let mut cells: BTreeMap<(i64, &str, usize, bool), (u64, u64)> = BTreeMap::new();
        let mut delays: BTreeMap<(i64, usize), u64> = BTreeMap::new();
        let mut latest = None;
        for d in self.decisions.values() {
            let of_decision =
                || self.events.values().filter(|(_, to)| to.contains(&d.decision_id)).map(|(event, _)| event);
            let late = |event: &UserEvent| event.at.as_millisecond() - d.at.as_millisecond();
            let shows = |event: &UserEvent| event.kind == UserEventKind::Exposure && late(event) >= -60_000;
            let told = self.told.contains(&d.decision_id.0);
            let seen = (told && e.exposure == Exposure::Decide) || of_decision().any(shows);
            if !seen || !matches!(d.source, Source::Policy | Source::Holdout) {
                continue;
            }
            let rewards = of_decision().filter(|event| {
                event.kind == UserEventKind::Reward
                    && event.name == e.reward.event
                    && event.value > 0.0
                    && (-60_000..=i64::from(e.reward.window_hours) * 3_600_000).contains(&late(event))
            });
            let arm = e.arms.iter().position(|a| a.id == d.arm).unwrap();
            let cell = cells.entry((hour_of(d.at), &d.segment, arm, d.source == Source::Holdout)).or_default();
            cell.0 += 1;
            if let Some(first) = rewards.map(late).min() {
                cell.1 += 1;
                *delays.entry((hour_of(d.at), delay_bucket(first))).or_default() += 1;
            }
            latest = latest.max(Some(d.at));
        }
        let outcomes = cells
            .into_iter()
            .map(|((hour, segment, arm, holdout), (trials, rewards))| HourOutcome {
                hour,
                segment: segment.into(),
                arm,
                holdout,
                trials,
                rewards,
            })
            .collect();
        let delay = |((hour, bucket), rewards)| HourDelay { hour, bucket, rewards };
        Evidence { outcomes, delays: delays.into_iter().map(delay).collect(), latest, ..Evidence::default() }
    }
}

/// Decision `n` of experiment `e`, `ms` into the hour.
#[must_use]
pub fn decision(e: &Experiment, n: u64, ms: i64) -> DecisionRecord {
    let mut id = [0; 16];
    for (byte, from) in id.iter_mut().zip(n.to_be_bytes().into_iter().chain(e.id.bytes())) {
        *byte = from;
    }
    DecisionRecord {
        decision_id: DecisionId(id),
        experiment: e.id.clone(),
        user: format!("u{n}"),
        item: None,
        day: date(2026, 11, 21),
        segment: "all".into(),
        features: None,
        arm: e.arms[0].id.clone(),
        position: None,
        list: None,
        propensity: 0.5,
        posterior_version: 0,
        revision: 1,
        source: Source::Policy,
        at: moment(ms),
    }
}

/// An event of a kind for decisions; rewards are what the experiment asks for.
#[must_use]
pub fn event(e: &Experiment, id: &str, kind: UserEventKind, ms: i64, of: &[&DecisionRecord]) -> Reported {
    let name = if kind == UserEventKind::Reward { e.reward.event.clone() } else { String::new() };
    let event = UserEvent {
        id: id.into(),
        kind,
        name,
        user: None,
        item: None,
        decision_id: None,
        experiment: None,
        value: 1.0,
        at: moment(ms),
    };
    (event, of.iter().map(|d| d.decision_id).collect())
}

/// A random history of an experiment: larger the larger the seed, so that the first failure is a small one.
/// Each decision and event is in it up to three times, in any order, split into batches anywhere.
#[must_use]
pub fn history(e: &Experiment, seed: u64) -> Vec<Ingest> {
    let mut random = Numbers(seed);
    let size = 1 + usize::try_from(seed).unwrap() / 4;
    let sources =
        [Source::Policy, Source::Policy, Source::Holdout, Source::NotEnrolled, Source::Paused, Source::Fallback];
    let decisions: Vec<DecisionRecord> = (0..1 + random.below(size))
        .map(|n| {
            let ms = i64::try_from(random.below(3 * 3_600_000)).unwrap();
            // About the full hour, where rows of counts meet.
            let mut d = decision(e, n as u64, random.pick(&[ms, 0, -1, 3_599_999, 3_600_000]));
            d.arm = random.pick(&["a", "b", "c"]).into();
            d.segment = random.pick(&["all", "端末=携帯", "x=1,y="]).into();
            d.source = random.pick(&sources);
            d
        })
        .collect();
    let stranger = decision(e, u64::MAX, 0);
    let events: Vec<Reported> = (0..random.below(3 * size))
        .map(|n| {
            let mut claimed: Vec<&DecisionRecord> =
                (0..1 + random.below(3)).map(|_| &decisions[random.below(decisions.len())]).collect();
            if random.below(4) == 0 {
                claimed.push(&stranger);
            }
            let kind = random.pick(&[
                UserEventKind::Reward,
                UserEventKind::Reward,
                UserEventKind::Exposure,
                UserEventKind::View,
            ]);
            let late = i64::try_from(random.below(4_000_000)).unwrap();
            let late = random.pick(&[late, 0, -1, -60_000, -60_001, 3_600_000, 3_600_001]);
            let ms = claimed[0].at.as_millisecond() - moment(0).as_millisecond() + late;
            let mut reported = event(e, &format!("{}-{n}", e.id), kind, ms, &claimed);
            reported.0.value = random.pick(&[0.0, 0.5, 1.0, 1e15]);
            if random.below(4) == 0 {
                reported.0.name = "other".into();
            }
            reported
        })
        .collect();
    deliver(&mut random, &decisions, &events)
}

fn deliver(random: &mut Numbers, decisions: &[DecisionRecord], events: &[Reported]) -> Vec<Ingest> {
    let all = decisions.len() + events.len();
    let mut deliveries: Vec<usize> = (0..all).flat_map(|n| std::iter::repeat_n(n, 1 + random.below(3))).collect();
    random.shuffle(&mut deliveries);
    let mut batches = Vec::new();
    let mut rest = &deliveries[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(1 + random.below(rest.len().min(1 + all / 2)));
        let mut batch = Ingest { at: moment(0), ..Default::default() };
        for &n in now {
            match n.checked_sub(decisions.len()) {
                None if random.below(3) == 0 => batch.offers.push(decisions[n].clone()),
                None => batch.decisions.push(decisions[n].clone()),
                Some(n) => batch.events.push(events[n].clone()),
            }
        }
        batches.push(batch);
        rest = later;
    }
    batches
}
