//! What a row says: a decision, perhaps with its reward, or an event of its own.

use super::fields::Said;
use super::mapping::{Field, Layout};
use super::refusal::{Shown, Why};
use super::source::Row;
use super::{ImportError, ids};
use bandit::{
    AssignmentKey, CLOCK_SKEW, DecisionId, DecisionRecord, Experiment, Source, UserEvent, UserEventKind,
    candidate_decisions,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use store::{ExperimentRecord, Import, StoreError};

/// What the store takes in of one row.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) decision: Option<DecisionRecord>,
    pub(super) event: Option<(UserEvent, Vec<DecisionId>)>,
    /// The decision may be there already, as an earlier row of the same user.
    pub(super) assignment: bool,
    /// The row's reward came when its decision could not have it any more, or not yet.
    pub(super) outside_window: bool,
}

/// Reads rows of one experiment.
pub(super) struct RowReader<'a> {
    pub(super) import: &'a Import,
    pub(super) experiment: &'a Experiment,
    revision: u64,
    zone: TimeZone,
    reward_event: String,
    pub(super) layout: &'a Layout,
    /// Propensity of an arm when the log does not say.
    pub(super) uniform: f64,
}

impl<'a> RowReader<'a> {
    pub(super) fn new(
        import: &'a Import,
        record: &'a ExperimentRecord,
        reward_event: String,
        layout: &'a Layout,
    ) -> Result<Self, ImportError> {
        let experiment = &record.definition;
        let zone = TimeZone::get(&experiment.sticky.time_zone);
        #[expect(clippy::cast_precision_loss, reason = "at most 100 arms")]
        let uniform = 1.0 / experiment.arms.len().max(1) as f64;
        Ok(Self {
            import,
            experiment,
            revision: record.revision,
            zone: zone.map_err(|e| StoreError::Damaged(format!("experiment '{}': {e}", experiment.id)))?,
            reward_event,
            layout,
            uniform,
        })
    }

    /// What a row says, or why it cannot be taken.
    pub(super) fn read(&self, row: Row) -> Result<Taken, Why> {
        let said = Said { reader: self, cells: &row.cells?, number: row.number };
        match said.text(&Field::Type)?.map(str::trim) {
            None | Some("decision") => said.decision(),
            Some("reward") => said.event(UserEventKind::Reward),
            Some("exposure") => said.event(UserEventKind::Exposure),
            Some(other) => Err(Why::UnknownType(Shown::new(other))),
        }
    }
}

impl Said<'_> {
    fn decision(&self) -> Result<Taken, Why> {
        let (reader, experiment) = (self.reader, self.reader.experiment);
        let at = self.moment(Field::At)?.ok_or(Why::Missing(Field::At))?;
        let arm = self.arm()?;
        let (user, item, source) = (self.id(Field::User)?, self.id(Field::Item)?, self.id(Field::DecisionId)?);
        let day = reader.zone.to_datetime(at).date();
        let decision_id = match (source, user) {
            (Some(source), _) => ids::of_source(&experiment.id, source),
            (None, Some(user)) => AssignmentKey::new(&experiment.id, &experiment.sticky, user, item, day).id,
            (None, None) => ids::of_row(&experiment.id, &reader.import.name, self.number),
        };
        let decision = DecisionRecord {
            decision_id,
            experiment: experiment.id.clone(),
            user: user.or(source).map_or_else(|| format!("row-{}", self.number), str::to_owned),
            item: item.map(str::to_owned),
            day,
            segment: self.segment()?,
            features: None,
            arm,
            position: None,
            list: None,
            propensity: self.propensity()?,
            posterior_version: 0,
            revision: reader.revision,
            source: Source::Policy,
            at,
        };
        let mut taken = Taken { assignment: source.is_none() && user.is_some(), ..Taken::default() };
        if let Some(value) = self.reward()?.filter(|value| *value > 0.0) {
            let moment = self.moment(Field::RewardAt)?.unwrap_or(at);
            let window = SignedDuration::from_hours(i64::from(experiment.reward.window_hours));
            let late = moment.duration_since(at);
            taken.outside_window = late > window || late < -CLOCK_SKEW;
            let event = self.user_event(UserEventKind::Reward, value, moment, user, item, Some(decision_id));
            taken.event = Some((event, vec![decision_id]));
        }
        taken.decision = Some(decision);
        Ok(taken)
    }

    fn event(&self, kind: UserEventKind) -> Result<Taken, Why> {
        let experiment = self.reader.experiment;
        let own = if kind == UserEventKind::Reward { self.moment(Field::RewardAt)? } else { None };
        let at = match own {
            Some(at) => at,
            None => self.moment(Field::At)?.ok_or(Why::NoMoment(kind))?,
        };
        let (user, item) = (self.id(Field::User)?, self.id(Field::Item)?);
        let decision_id = self.id(Field::DecisionId)?.map(|source| ids::of_source(&experiment.id, source));
        let claims = match (decision_id, user) {
            (Some(id), _) => vec![id],
            (None, Some(user)) => candidate_decisions(experiment, user, item, at),
            (None, None) => return Err(Why::NoDecision(kind)),
        };
        // Who says that there was a reward, and not how large, says 1.
        let value = if kind == UserEventKind::Reward { self.reward()?.unwrap_or(1.0) } else { 1.0 };
        let event = self.user_event(kind, value, at, user, item, decision_id);
        Ok(Taken { event: Some((event, claims)), ..Taken::default() })
    }

    fn user_event(
        &self,
        kind: UserEventKind,
        value: f64,
        at: Timestamp,
        user: Option<&str>,
        item: Option<&str>,
        decision_id: Option<DecisionId>,
    ) -> UserEvent {
        let reader = self.reader;
        UserEvent {
            id: ids::event(&reader.experiment.id, &reader.import.name, self.number),
            kind,
            name: if kind == UserEventKind::Reward { reader.reward_event.clone() } else { String::new() },
            user: user.map(str::to_owned),
            item: item.map(str::to_owned),
            decision_id,
            experiment: Some(reader.experiment.id.clone()),
            value,
            at,
        }
    }
}
