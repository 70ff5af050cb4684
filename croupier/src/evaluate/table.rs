//! A file of trials, one in each row.

use super::policy::Policy;
use super::{EvaluateArgs, EvaluateError, records};
use crate::import::fields::{propensity, reward, text};
use crate::import::mapping::{Columns, Layout, Mapping};
use crate::import::progress::Progress;
use crate::import::source::{Cell, Source};
use crate::import::{Field, ImportError, Place, Refusal, Shown, Why, times};
use bandit::evaluate::{Names, Trials};
use bandit::{Context, ContextValue, check_id, segment_of};
use std::collections::BTreeSet;
use std::path::Path;

/// Most different arms. A log with more has something else in that column.
pub(super) const MOST_ARMS: usize = 10_000;

/// Reads the log, with what `policies` need of it.
pub(super) fn read(
    args: &EvaluateArgs,
    path: &Path,
    policies: &[Policy],
    progress: bool,
) -> Result<Trials, EvaluateError> {
    let mapping = Mapping::parse(&args.map)?;
    let source = Source::open(path, args.input, Progress::new(progress)).map_err(|e| match e {
        ImportError::Format { path } => EvaluateError::Format { path },
        other => other.into(),
    })?;
    let wanted: BTreeSet<String> = policies.iter().filter_map(Policy::column).collect();
    let mut named = mapping.given();
    named.extend(wanted.iter().map(String::as_str));
    if records::are_in(&source.columns(&named)?, &args.map) {
        return records::read(args, &source);
    }
    let columns = source.columns(&named)?;
    if columns.names.is_empty() {
        return Err(EvaluateError::NoTrials { log: path.display().to_string(), left_out: 0 });
    }
    let layout = mapping.lay_out_trials(&[Field::Arm, Field::Reward, Field::Propensity], &columns)?;
    if let Some(column) = wanted.iter().find(|c| !columns.names.contains(c)) {
        return Err(EvaluateError::NoColumn { column: column.clone(), there: columns.names.join(", ") });
    }
    let reader = Reader { path, layout: &layout, attributes: mapping.attributes(), wanted: Vec::from_iter(wanted) };
    let mut trials = reader.trials(&source, &columns)?;
    source.unchanged()?;
    trials.sort_arms();
    trials.sort_by_time();
    Ok(trials)
}

struct Reader<'a> {
    path: &'a Path,
    layout: &'a Layout,
    attributes: Vec<String>,
    /// Columns beyond the fields.
    wanted: Vec<String>,
}

impl Reader<'_> {
    fn trials(&self, source: &Source, columns: &Columns) -> Result<Trials, EvaluateError> {
        let all: Vec<String> = self.layout.columns.iter().chain(&self.wanted).cloned().collect();
        let (mut arms, mut segments) = (Names::default(), Names::default());
        let mut trials = Trials { attributes: self.attributes.clone(), ..Trials::default() };
        // In NDJSON every column might be there.
        let dated = self.layout.slot(&Field::At).is_some_and(|i| columns.names.contains(&self.layout.columns[i]));
        let mut extra = vec![Vec::new(); self.wanted.len()];
        for row in source.rows(&all, "reading")? {
            let row = row?;
            let refuse =
                |why| EvaluateError::Row { path: self.path.into(), refusal: Refusal { place: row.place, why } };
            let cells = row.cells.map_err(refuse)?;
            let say = |field: &Field| text(self.layout, &cells, field).map_err(refuse);
            let need = |field: Field| {
                say(&field)?.ok_or(EvaluateError::Empty { path: self.path.into(), place: row.place, field })
            };
            trials.arm.push(arms.place(need(Field::Arm)?.trim()));
            if arms.names.len() > MOST_ARMS {
                return Err(self.too_many_arms());
            }
            // Logs say what happened: a trial whose reward is empty had none.
            trials.rewards.push(say(&Field::Reward)?.map_or(Ok(0.0), reward).map_err(refuse)?);
            trials.propensities.push(propensity(need(Field::Propensity)?).map_err(refuse)?);
            if dated {
                let at = need(Field::At)?;
                let not_a_time = || refuse(Why::NotATime { field: Field::At, value: Shown::new(at) });
                trials.at.push(times::read(at).ok_or_else(not_a_time)?);
            }
            let mut context = Context::new();
            for name in &self.attributes {
                let field = Field::Context(name.clone());
                if let Some(value) = say(&field)? {
                    check_id(value).map_err(|why| refuse(Why::Id { field, why }))?;
                    context.insert(name.clone(), ContextValue::Text(value.into()));
                }
            }
            trials.segment.push(segments.place(&segment_of(&self.attributes, &context)));
            for ((column, name), cell) in extra.iter_mut().zip(&self.wanted).zip(&cells[self.layout.columns.len()..]) {
                column.push(self.probability(row.place, name, cell)?);
            }
        }
        (trials.arms, trials.segments) = (arms.names, segments.names);
        trials.columns = self.wanted.iter().cloned().zip(extra).collect();
        Ok(trials)
    }

    fn too_many_arms(&self) -> EvaluateError {
        let slot = self.layout.slot(&Field::Arm).unwrap_or(0);
        let column = self.layout.columns.get(slot).cloned().unwrap_or_default();
        EvaluateError::TooManyArms { path: self.path.into(), column, most: MOST_ARMS }
    }

    fn probability(&self, place: Place, column: &str, cell: &Cell) -> Result<f64, EvaluateError> {
        let text = if let Cell::Text(text) = cell { text.trim() } else { "" };
        let value = text.parse().ok().filter(|p| (0.0..=1.0 + 1e-9).contains(p));
        value.ok_or_else(|| EvaluateError::Probability {
            path: self.path.into(),
            place,
            column: column.into(),
            value: Shown::new(text),
        })
    }
}
