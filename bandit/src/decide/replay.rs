//! A decision of the log, dealt once more: by the definition of its revision, the posterior set of its version and its
//! key, through the very code that deals.

use super::{DecideRequest, Decider, Source, prior_of};
use crate::beta::Beta;
use crate::context::Normal;
use crate::event::DecisionRecord;
use crate::experiment::{Experiment, Status};
use crate::key::AssignmentKey;
use crate::policy::{PolicyKind, Step, scaled, seed};
use crate::posterior::PosteriorSet;

/// Propensities that were computed from the same numbers differ by less.
const TOLERANCE: f64 = 1e-9;

/// How a decision comes about.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The key of user, item and day.
    pub key: AssignmentKey,
    /// What seeds the generator.
    pub seed: [u8; 32],
    /// Who chooses. A pause is taken from the record, since nothing else tells of it.
    pub source: Source,
    /// Index of the arm.
    pub arm: usize,
    /// Its probability.
    pub propensity: f64,
    /// One for each arm of the definition.
    pub arms: Vec<ArmReplay>,
    /// What happened on the way.
    pub steps: Vec<Step>,
}

/// An arm's part in a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmReplay {
    /// Its rate, as it was believed to be in the segment.
    pub posterior: Beta,
    /// What values are drawn from, if values are, and the arm was enabled.
    pub drawn_from: Option<Belief>,
    /// The value that was drawn for it.
    pub value: Option<f64>,
    /// Its share, where a uniform number chooses between shares.
    pub share: Option<f64>,
    /// Its probability for a participant, floor and holdout included.
    pub propensity: f64,
}

/// What a value is drawn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Belief {
    /// A rate.
    Rate(Beta),
    /// The predictor of a contextual policy: log-odds, or a rate if the policy is linear.
    Predictor(Normal),
}

/// In what a replay and the log differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// User, item and day have another id.
    Key,
    /// Another chose.
    Source,
    /// Another arm was dealt.
    Arm,
    /// With another probability.
    Propensity,
}

impl Replay {
    /// In what it differs from the record: nothing, unless the record or what it was dealt from is not what it was.
    #[must_use]
    pub fn differences(&self, experiment: &Experiment, record: &DecisionRecord) -> Vec<Difference> {
        let arm = experiment.arms.get(self.arm).map(|a| a.id.as_str());
        // A fallback is told in place of what would have been told.
        let source = record.source == self.source || record.source == Source::Fallback;
        let propensity = (record.propensity - self.propensity).abs() <= TOLERANCE;
        let same = [
            (Difference::Key, record.decision_id == self.key.id),
            (Difference::Source, source),
            (Difference::Arm, arm == Some(record.arm.as_str())),
            (Difference::Propensity, propensity),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(difference, _)| difference).collect()
    }
}

/// Deals a record's key once more: `experiment` is the definition at its revision, `set` the posterior set of its version,
/// none of version 0.
///
/// # Errors
/// What makes the definition unusable.
pub fn replay(experiment: &Experiment, set: Option<&PosteriorSet>, record: &DecisionRecord) -> Result<Replay, String> {
    // Of all segments one is asked for.
    let set = set.map(|set| narrowed(set, &record.segment));
    let status = if record.source == Source::Paused { Status::Paused } else { Status::Running };
    let decider = Decider::new(experiment.clone(), status, None, record.revision, set.as_ref())?;
    let request = DecideRequest {
        experiment: record.experiment.clone(),
        user: record.user.clone(),
        item: record.item.clone(),
        context: record.features.clone().unwrap_or_default(),
    };
    let key = AssignmentKey::new(&experiment.id, &experiment.sticky, &record.user, record.item.as_deref(), record.day);
    let mut steps = Vec::new();
    let id = record.decision_id;
    let (source, arm, propensity) = decider.choose(&request, id, &record.segment, &mut |step| steps.push(step));
    let mut arms = beliefs(&decider, set.as_ref(), &request, &record.segment);
    for step in &steps {
        if let Step::Value { arm, value } = step {
            arms[*arm].value = Some(*value);
        }
    }
    Ok(Replay { key, seed: seed(id, record.posterior_version), source, arm, propensity, arms, steps })
}

/// The same set without other segments.
fn narrowed(set: &PosteriorSet, segment: &str) -> PosteriorSet {
    let mut one = set.clone();
    one.segments.retain(|name, _| name == segment);
    if let Some(shared) = &mut one.shared {
        shared.scales.retain(|name, _| name == segment);
    }
    one
}

fn beliefs(decider: &Decider, set: Option<&PosteriorSet>, request: &DecideRequest, segment: &str) -> Vec<ArmReplay> {
    let e = &decider.experiment;
    let known = set.and_then(|s| {
        let unseen = || s.shared.as_ref().map(|shared| (&shared.unseen, shared.unseen_scale));
        let list = s.segments.get(segment).map(|list| (list, s.scale(segment))).or_else(unseen);
        list.map(|(list, scale)| (&s.arms, list, scale))
    });
    let scale = known.map_or(1.0, |(_, _, scale)| scale);
    let posterior = |arm: &crate::Arm| {
        let place = known.and_then(|(ids, list, _)| Some(list[ids.iter().position(|id| *id == arm.id)?].beta()));
        place.unwrap_or_else(|| prior_of(arm.prior))
    };
    let posteriors: Vec<Beta> = e.arms.iter().map(posterior).collect();
    let policy = decider.policy(segment);
    let propensities = match &decider.contextual {
        Some(contextual) => contextual.propensities(&request.context, e.arms.len()),
        None => policy.propensities().to_vec(),
    };
    let drawn = scaled(e, &posteriors, scale);
    let predictors = decider.contextual.as_ref().map(|c| c.beliefs(&request.context));
    let shares = policy.shares();
    let of = |list: &[(usize, f64)], i| list.iter().find(|(arm, _)| *arm == i).map(|(_, x)| *x);
    let arm = |i: usize| ArmReplay {
        posterior: posteriors[i],
        drawn_from: match &predictors {
            Some(all) => all.iter().find(|(arm, _)| *arm == i).map(|(_, normal)| Belief::Predictor(*normal)),
            None => (e.policy.kind == PolicyKind::Thompson && e.arms[i].enabled).then(|| Belief::Rate(drawn[i])),
        },
        value: None,
        share: shares.as_ref().filter(|_| predictors.is_none()).and_then(|list| of(list, i)),
        propensity: propensities[i],
    };
    (0..e.arms.len()).map(arm).collect()
}
