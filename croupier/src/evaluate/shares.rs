//! A policy as a table: arm, attributes of the context, probability.

use super::EvaluateError;
use crate::import::Shown;
use bandit::evaluate::{Choices, Trials, some};
use bandit::{Context, ContextValue, WHOLE, segment_of};
use std::collections::HashMap;
use std::path::Path;

/// By how much the probabilities of one segment may miss 1, as rounding in a file does.
const ROUNDING: f64 = 1e-3;

/// Probabilities of one segment: by arm of the log, and of all others together.
type Shares = (Vec<f64>, f64);

pub(super) fn choices(path: &Path, trials: &Trials) -> Result<Choices, EvaluateError> {
    let unusable = |why: String| EvaluateError::Policy { given: Shown::new(&format!("file:{}", path.display())), why };
    let tables = read(path, trials).map_err(unusable)?;
    let (mut lists, mut beyond, mut list_of) = (Vec::new(), Vec::new(), Vec::new());
    for segment in &trials.segments {
        let found = tables.get(segment).or_else(|| tables.get(WHOLE));
        let Some((list, others)) = found else {
            return Err(unusable(format!("says nothing of segment '{segment}', which the log has")));
        };
        let sum = list.iter().sum::<f64>() + others;
        if (sum - 1.0).abs() > ROUNDING {
            return Err(unusable(format!("probabilities of segment '{segment}' add up to {sum}, and must to 1")));
        }
        list_of.push(lists.len());
        lists.push(list.clone());
        beyond.push(*others);
    }
    let of_row: Vec<usize> = trials.segment.iter().map(|s| list_of[*s]).collect();
    #[expect(clippy::cast_precision_loss, reason = "rows stay below 2^53")]
    let beyond = of_row.iter().map(|list| beyond[*list]).sum::<f64>() / of_row.len() as f64;
    Ok(Choices::Lists { lists, of_row, beyond })
}

/// Tables by segment.
fn read(path: &Path, trials: &Trials) -> Result<HashMap<String, Shares>, String> {
    let mut reader = csv::Reader::from_path(path).map_err(|e| format!("cannot be read: {e}"))?;
    let names: Vec<String> =
        reader.headers().map_err(|e| format!("cannot be read: {e}"))?.iter().map(str::to_owned).collect();
    let [_, attributes @ .., _] = names.as_slice() else {
        return Err("must have a column for the arm and one for its probability".into());
    };
    // One column named segment stands for whole segments, as the platform names them.
    let whole = attributes == ["segment"] && trials.attributes != ["segment"];
    if let Some(unknown) = attributes.iter().find(|a| !whole && !trials.attributes.contains(a)) {
        return Err(format!(
            "has the column '{unknown}', which is no attribute of the log ({}): say which column is with --map \
             context.{unknown}=COLUMN",
            if trials.attributes.is_empty() { "it has none".into() } else { some(&trials.attributes) }
        ));
    }
    if let Some(missing) =
        trials.attributes.iter().find(|a| !attributes.is_empty() && !whole && !attributes.contains(a))
    {
        return Err(format!("has no column '{missing}' between arm and probability, and the log is split by it"));
    }
    let mut tables: HashMap<String, Shares> = HashMap::new();
    for (i, record) in reader.records().enumerate() {
        let line = i + 2;
        let record = record.map_err(|e| format!("line {line}: {e}"))?;
        let cells: Vec<&str> = record.iter().map(str::trim).collect();
        let [arm, between @ .., probability] = cells.as_slice() else { return Err(format!("line {line}: is empty")) };
        let share = probability.parse().ok().filter(|p| (0.0..=1.0).contains(p));
        let share: f64 = share.ok_or_else(|| format!("line {line}: '{probability}' is not a number from 0 to 1"))?;
        let segment = if whole {
            between.concat()
        } else {
            let values = between.iter().filter(|v| !v.is_empty()).map(|v| ContextValue::Text((*v).into()));
            let context: Context = attributes.iter().cloned().zip(values).collect();
            if attributes.is_empty() { WHOLE.into() } else { segment_of(&trials.attributes, &context) }
        };
        let table = tables.entry(segment).or_insert_with(|| (vec![0.0; trials.arms.len()], 0.0));
        match trials.arms.iter().position(|a| a == arm) {
            Some(place) => table.0[place] += share,
            None => table.1 += share,
        }
    }
    if tables.is_empty() { Err("has no rows".into()) } else { Ok(tables) }
}
