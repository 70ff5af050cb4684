//! The platform's own log as trials: decisions and rewards as the event log holds them (`"record": "decision"`), or as
//! they are in BigQuery (`"kind": "decision"`).

use super::{EvaluateArgs, EvaluateError};
use crate::import::mapping::Columns;
use crate::import::source::{Cell, Row, Source};
use crate::import::{Field, Refusal, Shown, Why, fields, times};
use bandit::evaluate::{Names, Trials};
use bandit::{CLOCK_SKEW, WHOLE};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, HashMap, HashSet};

const COLUMNS: [&str; 14] = [
    "record",
    "kind",
    "decision_id",
    "experiment",
    "user",
    "item",
    "segment",
    "arm",
    "propensity",
    "source",
    "id",
    "name",
    "value",
    "list",
];

/// Whether these columns are of the platform's records, and nobody says that they are something else.
pub(super) fn are_in(columns: &Columns, map: &[String]) -> bool {
    let has = |name: &str| columns.names.iter().any(|c| c == name);
    let decisions = ["decision_id", "arm", "propensity", "source", "at"].into_iter().all(has);
    // The first lines of a file may all be decisions, or all be rewards.
    map.is_empty() && (has("record") || has("kind")) && (decisions || has("decision_id"))
}

/// A first decision.
struct Decided {
    arm: String,
    propensity: f64,
    segment: String,
    user: String,
    item: Option<String>,
    at: Timestamp,
    rewarded: bool,
    exposed: bool,
    /// Whether it counts only if it was seen.
    offered: bool,
}

/// A reward or an exposure.
struct Told {
    exposure: bool,
    decision_id: Option<String>,
    user: Option<String>,
    item: Option<String>,
    at: Timestamp,
}

/// One row's cells by name.
struct Said<'a> {
    cells: &'a [Cell],
}

impl Said<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let slot = COLUMNS.iter().position(|c| *c == name).unwrap_or(COLUMNS.len());
        if let Some(Cell::Text(text)) = self.cells.get(slot) { Some(text.trim()) } else { None }
    }
}

/// Everything read so far.
#[derive(Default)]
struct Records {
    decisions: HashMap<String, Decided>,
    order: Vec<String>,
    told: Vec<Told>,
    /// Ids of events: delivery is at least once.
    seen: HashSet<String>,
    experiments: BTreeSet<String>,
    /// An experiment whose decisions are places in lists.
    lists: Option<String>,
    rewards: BTreeSet<String>,
    last: Option<Timestamp>,
}

pub(super) fn read(args: &EvaluateArgs, source: &Source) -> Result<Trials, EvaluateError> {
    let path = source.path();
    let columns: Vec<String> = COLUMNS.iter().chain(&["at"]).map(|c| (*c).to_owned()).collect();
    let mut records = Records::default();
    for row in source.rows(&columns, "reading")? {
        let row = row?;
        let place = row.place;
        records
            .take(args, row)
            .map_err(|why| EvaluateError::Row { path: path.into(), refusal: Refusal { place, why } })?;
    }
    source.unchanged()?;
    let list = |names: &BTreeSet<String>| names.iter().map(|n| format!("'{n}'")).collect::<Vec<_>>().join(", ");
    if args.experiment.is_none() && records.experiments.len() > 1 {
        return Err(EvaluateError::WhichExperiment { path: path.into(), found: list(&records.experiments) });
    }
    if let Some(experiment) = records.lists {
        return Err(EvaluateError::Lists(experiment));
    }
    if args.reward_event.is_none() && records.rewards.len() > 1 {
        return Err(EvaluateError::WhichReward { path: path.into(), found: list(&records.rewards) });
    }
    Ok(records.trials(args))
}

impl Records {
    fn take(&mut self, args: &EvaluateArgs, row: Row) -> Result<(), Why> {
        let cells = row.cells?;
        let said = Said { cells: &cells };
        let kind = match said.get("record") {
            Some(dealt @ ("decision" | "offer")) => dealt,
            _ => said.get("kind").unwrap_or(""),
        };
        if !["decision", "offer", "reward", "exposure"].contains(&kind) {
            return if kind == "view" { Ok(()) } else { Err(Why::UnknownType(Shown::new(kind))) };
        }
        let experiment = said.get("experiment");
        let meant = match (&args.experiment, experiment) {
            (Some(wanted), Some(own)) => wanted == own,
            (Some(_), None) => !["decision", "offer"].contains(&kind),
            (None, _) => true,
        };
        if !meant {
            return Ok(());
        }
        let Some(Cell::Text(at)) = cells.last() else { return Err(Why::Missing(Field::At)) };
        // BigQuery writes the zone as a word.
        let moment = times::read(at.trim().trim_end_matches(" UTC"));
        let at = moment.ok_or_else(|| Why::NotATime { field: Field::At, value: Shown::new(at) })?;
        self.last = self.last.max(Some(at));
        match kind {
            "decision" | "offer" => self.decision(&said, at, kind == "offer"),
            _ => self.event(args, &said, kind, at),
        }
    }

    fn decision(&mut self, said: &Said<'_>, at: Timestamp, offered: bool) -> Result<(), Why> {
        // Who was not dealt by a draw is no trial.
        if !matches!(said.get("source"), Some("policy" | "holdout")) {
            return Ok(());
        }
        self.experiments.extend(said.get("experiment").map(str::to_owned));
        if said.get("list").is_some_and(|list| !list.is_empty()) {
            self.lists = said.get("experiment").map(str::to_owned);
        }
        let need = |field: Field, name: &str| said.get(name).ok_or(Why::Missing(field));
        let id = need(Field::DecisionId, "decision_id")?.to_owned();
        let decided = Decided {
            arm: need(Field::Arm, "arm")?.to_owned(),
            propensity: fields::propensity(need(Field::Propensity, "propensity")?)?,
            segment: said.get("segment").unwrap_or(WHOLE).to_owned(),
            user: said.get("user").unwrap_or_default().to_owned(),
            item: said.get("item").map(str::to_owned),
            at,
            rewarded: false,
            exposed: false,
            offered,
        };
        if let Some(known) = self.decisions.get_mut(&id) {
            known.offered &= offered;
        } else {
            self.order.push(id.clone());
            self.decisions.insert(id, decided);
        }
        Ok(())
    }

    fn event(&mut self, args: &EvaluateArgs, said: &Said<'_>, kind: &str, at: Timestamp) -> Result<(), Why> {
        if let Some(id) = said.get("id")
            && !self.seen.insert(id.to_owned())
        {
            return Ok(());
        }
        if kind == "reward" {
            let name = said.get("name").unwrap_or_default();
            if args.reward_event.as_deref().is_some_and(|wanted| wanted != name) {
                return Ok(());
            }
            self.rewards.insert(name.to_owned());
            if said.get("value").map_or(Ok(1.0), fields::reward)? <= 0.0 {
                return Ok(());
            }
        }
        let own = |name: &str| said.get(name).map(str::to_owned);
        let (decision_id, user, item) = (own("decision_id"), own("user"), own("item"));
        self.told.push(Told { exposure: kind == "exposure", decision_id, user, item, at });
        Ok(())
    }

    /// Joins events to decisions: by id, else by user and item, within the window. So the platform does for experiments
    /// that are sticky by both, which a log does not say.
    fn trials(mut self, args: &EvaluateArgs) -> Trials {
        let window = SignedDuration::from_hours(i64::from(args.window_hours));
        let mut by_user: HashMap<&str, Vec<&String>> = HashMap::new();
        for id in &self.order {
            if let Some(d) = self.decisions.get(id) {
                by_user.entry(&d.user).or_default().push(id);
            }
        }
        let claims = |told: &Told| -> Vec<String> {
            match (&told.decision_id, &told.user) {
                (Some(id), _) => vec![id.clone()],
                (None, Some(user)) => {
                    by_user.get(user.as_str()).into_iter().flatten().map(|id| (*id).clone()).collect()
                }
                (None, None) => Vec::new(),
            }
        };
        let claimed: Vec<Vec<String>> = self.told.iter().map(claims).collect();
        for (told, ids) in self.told.iter().zip(claimed) {
            for id in ids {
                let Some(d) = self.decisions.get_mut(&id) else { continue };
                let other = told.decision_id.is_none() && told.item != d.item;
                let late = told.at.duration_since(d.at);
                if other || late < -CLOCK_SKEW || late > window {
                    continue;
                }
                d.exposed |= told.exposure;
                d.rewarded |= !told.exposure;
            }
        }
        let (mut arms, mut segments) = (Names::default(), Names::default());
        let mut trials = Trials::default();
        let end = self.last.unwrap_or(Timestamp::MIN);
        for id in &self.order {
            let Some(d) = self.decisions.get(id).filter(|d| d.exposed || !(args.exposed || d.offered)) else {
                continue;
            };
            // As of the log's end its reward may still come.
            if end.duration_since(d.at) < window {
                trials.open += 1;
                continue;
            }
            trials.arm.push(arms.place(&d.arm));
            trials.rewards.push(f64::from(u8::from(d.rewarded)));
            trials.propensities.push(d.propensity);
            trials.segment.push(segments.place(&d.segment));
            trials.at.push(d.at);
        }
        (trials.arms, trials.segments) = (arms.names, segments.names);
        trials.attributes = attributes(&trials.segments);
        trials.sort_arms();
        trials.sort_by_time();
        trials
    }
}

/// Attributes that the names of segments speak of.
fn attributes(segments: &[String]) -> Vec<String> {
    match segments.first() {
        Some(first) if first != WHOLE => {
            first.split(',').filter_map(|part| part.split_once('=')).map(|(name, _)| name.to_owned()).collect()
        }
        _ => Vec::new(),
    }
}
