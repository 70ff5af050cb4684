//! A row's fields, each checked.

use super::mapping::{Field, Layout};
use super::refusal::{Shown, Why};
use super::rows::RowReader;
use super::source::Cell;
use super::times;
use bandit::{Context, ContextValue, check_id, segment_of};
use jiff::Timestamp;

/// Largest reward, as of events that pages send.
const MAX_REWARD: f64 = 1e15;
/// Arms that a refusal lists.
const LISTED: usize = 5;

/// One row with its reader.
pub(super) struct Said<'a> {
    pub(super) reader: &'a RowReader<'a>,
    pub(super) cells: &'a [Cell],
    pub(super) number: u64,
}

/// What a row says of `field`, if anything.
pub(crate) fn text<'a>(layout: &Layout, cells: &'a [Cell], field: &Field) -> Result<Option<&'a str>, Why> {
    match layout.slot(field).and_then(|slot| cells.get(slot)) {
        None | Some(Cell::Empty) => Ok(None),
        Some(Cell::Text(text)) => Ok(Some(text)),
        Some(Cell::NotUtf8) => Err(Why::NotUtf8(field.clone())),
        Some(Cell::List(_) | Cell::NotAValue) => Err(Why::NotAValue(field.clone())),
    }
}

/// Size of a reward.
pub(crate) fn reward(text: &str) -> Result<f64, Why> {
    let value = match text.trim() {
        "true" | "True" => Some(1.0),
        "false" | "False" => Some(0.0),
        number => number.parse().ok().filter(|value| (0.0..=MAX_REWARD).contains(value)),
    };
    value.ok_or_else(|| Why::Reward(Shown::new(text)))
}

/// Probability of what happened.
pub(crate) fn propensity(text: &str) -> Result<f64, Why> {
    let value = text.trim().parse().ok().filter(|p| *p > 0.0 && *p <= 1.0);
    value.ok_or_else(|| Why::Propensity(Shown::new(text)))
}

impl Said<'_> {
    pub(super) fn text(&self, field: &Field) -> Result<Option<&str>, Why> {
        text(self.reader.layout, self.cells, field)
    }

    pub(super) fn id(&self, field: Field) -> Result<Option<&str>, Why> {
        let Some(id) = self.text(&field)? else { return Ok(None) };
        check_id(id).map(|()| Some(id)).map_err(|why| Why::Id { field, why })
    }

    pub(super) fn moment(&self, field: Field) -> Result<Option<Timestamp>, Why> {
        let Some(text) = self.text(&field)? else { return Ok(None) };
        match times::read(text) {
            None => Err(Why::NotATime { field, value: Shown::new(text) }),
            Some(at) if at > self.reader.import.at => Err(Why::Future { field, at }),
            Some(at) => Ok(Some(at)),
        }
    }

    pub(super) fn arm(&self) -> Result<String, Why> {
        let text = self.text(&Field::Arm)?.map(str::trim).ok_or(Why::Missing(Field::Arm))?;
        let arms = &self.reader.experiment.arms;
        let is = |id: &str| arms.iter().find(|arm| arm.id == id).map(|arm| arm.id.clone());
        is(text).or_else(|| is(&text.to_lowercase())).ok_or_else(|| {
            let some: Vec<&str> = arms.iter().take(LISTED).map(|arm| arm.id.as_str()).collect();
            let more = if arms.len() > LISTED { format!(" and {} more", arms.len() - LISTED) } else { String::new() };
            Why::UnknownArm { value: Shown::new(text), arms: some.join(", ") + &more }
        })
    }

    pub(super) fn reward(&self) -> Result<Option<f64>, Why> {
        self.text(&Field::Reward)?.map(reward).transpose()
    }

    pub(super) fn propensity(&self) -> Result<f64, Why> {
        self.text(&Field::Propensity)?.map_or(Ok(self.reader.uniform), propensity)
    }

    pub(super) fn segment(&self) -> Result<String, Why> {
        let by = &self.reader.experiment.segment_by;
        let mut context = Context::new();
        for name in by {
            let field = Field::Context(name.clone());
            if self.reader.layout.slot(&field).is_none() {
                return Err(Why::NoSegment(field));
            }
            if let Some(value) = self.id(field)? {
                context.insert(name.clone(), ContextValue::Text(value.into()));
            }
        }
        Ok(segment_of(by, &context))
    }
}
