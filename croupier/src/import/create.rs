//! An experiment made from the arms in a log.

use super::mapping::{Field, Mapping};
use super::refusal::{Refusal, Shown, Why};
use super::source::{Cell, Source};
use super::{ImportArgs, ImportError};
use bandit::{Arm, Experiment, MAX_ARMS, PolicySpec, Prior, RewardKind, RewardSpec, Sticky};
use std::collections::BTreeSet;

/// Hours within which a reward counts, as of experiments whose owner does not say.
const WINDOW_HOURS: u32 = 24;

/// The experiment that `args` ask for.
pub(super) fn definition(args: &ImportArgs, mapping: &Mapping, source: &Source) -> Result<Experiment, ImportError> {
    let arm = |id: String| Arm {
        id,
        control: false,
        payload: serde_json::Value::Null,
        prior: Prior::default(),
        enabled: true,
        weight: 1.0,
    };
    let experiment = Experiment {
        id: args.experiment.clone(),
        name: String::new(),
        arms: arms(mapping, source)?.into_iter().map(arm).collect(),
        candidates: None,
        policy: PolicySpec::default(),
        segment_by: mapping.attributes(),
        features: Vec::new(),
        sticky: Sticky::default(),
        reward: RewardSpec {
            event: args.reward_event.clone().unwrap_or_else(|| "reward".into()),
            kind: RewardKind::Binary,
            window_hours: WINDOW_HOURS,
        },
        guardrails: Vec::new(),
        traffic: 1.0,
        holdout: 0.0,
        exposure: bandit::Exposure::Decide,
        stopping: None,
    };
    match bandit::validate(&experiment) {
        Ok(()) => Ok(experiment),
        Err(errors) => Err(ImportError::Definition { experiment: experiment.id, errors }),
    }
}

/// The arms in the log: in the order of numbers if they are numbers, else of the alphabet.
fn arms(mapping: &Mapping, source: &Source) -> Result<Vec<String>, ImportError> {
    let columns = source.columns(&mapping.given())?;
    let layout = mapping.lay_out(&mapping.attributes(), &columns)?;
    let Some(arm) = layout.slot(&Field::Arm).map(|slot| layout.columns[slot].clone()) else {
        return Err(ImportError::Unmapped { field: Field::Arm, columns: columns.names });
    };
    let kind = layout.slot(&Field::Type).map(|slot| layout.columns[slot].clone());
    let wanted: Vec<String> = std::iter::once(arm.clone()).chain(kind).collect();
    let mut found = BTreeSet::new();
    let (mut rows, mut readable, mut first) = (0, false, None);
    for row in source.rows(&wanted, "arms")? {
        let row = row?;
        rows += 1;
        // What is not a decision with an arm is refused, or none, when it is loaded.
        let cells = match row.cells {
            Ok(cells) => cells,
            Err(why) => {
                first = first.or(Some(Refusal { place: row.place, why }));
                continue;
            }
        };
        readable = true;
        let text = match (cells.first(), cells.get(1)) {
            (Some(Cell::Text(arm)), None | Some(Cell::Empty)) => arm,
            (Some(Cell::Text(arm)), Some(Cell::Text(kind))) if kind.trim() == "decision" => arm,
            _ => continue,
        };
        let id = text.trim().to_lowercase();
        if found.contains(&id) {
            continue;
        }
        if let Err(why) = bandit::check_slug(&id) {
            let refusal = Refusal { place: row.place, why: Why::ArmId { value: Shown::new(text), why } };
            return Err(ImportError::ArmId { refusal });
        }
        if found.len() == MAX_ARMS {
            return Err(ImportError::TooManyArms { column: arm, some: found.into_iter().take(5).collect() });
        }
        found.insert(id);
    }
    // That it has too few arms would be true of it, but no help.
    if !readable {
        return Err(ImportError::Nothing { path: source.path().into(), rows, first });
    }
    let mut arms: Vec<String> = found.into_iter().collect();
    let numbers: Option<Vec<u64>> = arms.iter().map(|id| id.parse().ok()).collect();
    if numbers.is_some() {
        arms.sort_by_key(|id| id.parse::<u64>().ok());
    }
    Ok(arms)
}
