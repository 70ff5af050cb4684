//! One decision, pure: an experiment with its posteriors, a request and `now` go in; an assignment comes out.

mod replay;

pub use replay::{ArmReplay, Belief, Difference, Replay, replay};

use crate::beta::Beta;
use crate::context::{ContextModel, ContextPolicy, declared_features};
use crate::event::DecisionRecord;
use crate::experiment::{Experiment, Status, StickyBy};
use crate::id::check_id;
use crate::key::{AssignmentKey, DecisionId, participation};
use crate::policy::{SegmentPolicy, Step};
use crate::posterior::{ArmPosterior, PosteriorSet};
use crate::segment::{Context, check_context, segment_of};
use crate::validate::FieldError;
use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// What a page asks.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct DecideRequest {
    /// The experiment's id.
    pub experiment: String,
    /// The visitor.
    pub user: String,
    /// What the visitor looks at, where the experiment is about items.
    pub item: Option<String>,
    /// Circumstances, by which `segment_by` chooses the posteriors.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"device": "mobile"}))]
    pub context: Context,
}

impl DecideRequest {
    /// Checks what came from outside.
    ///
    /// # Errors
    /// Every field that cannot be taken, with the reason.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut add = |field: &str, why: String| errors.push(FieldError { field: field.into(), why });
        for (field, id) in
            [("experiment", Some(&self.experiment)), ("user", Some(&self.user)), ("item", self.item.as_ref())]
        {
            if let Some(Err(why)) = id.map(|id| check_id(id)) {
                add(field, why.to_string());
            }
        }
        if let Err((field, why)) = check_context(&self.context) {
            add(&field, why);
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// Who or what chose the arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The experiment's policy: a trial.
    Policy,
    /// The uniform draw of the holdout: a trial.
    Holdout,
    /// The control, for who is outside the experiment's traffic.
    NotEnrolled,
    /// The control (or the winner), because the experiment is not running, or is frozen by a guardrail.
    Paused,
    /// The policy's draw, while a store did not answer in time.
    Fallback,
}

impl Source {
    /// Whether such an assignment is evidence about its arm.
    #[must_use]
    pub fn is_trial(self) -> bool {
        matches!(self, Self::Policy | Self::Holdout)
    }
}

/// What a key was dealt, first and for as long as the key lasts.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// What it is stored under.
    pub key: AssignmentKey,
    /// Arm id.
    pub arm: Arc<str>,
    /// Segment of the first request.
    pub segment: Arc<str>,
    /// Probability of that arm when it was dealt.
    pub propensity: f64,
    /// Posterior version that dealt it.
    pub posterior_version: u64,
    /// Revision of the definition that dealt it.
    pub revision: u64,
    /// Who chose.
    pub source: Source,
    /// When.
    pub at: Timestamp,
}

/// An assignment and the day it is asked for.
#[derive(Debug, Clone)]
pub struct Deal {
    /// What to answer.
    pub assignment: Assignment,
    /// The day of the request in the experiment's time zone.
    pub day: Date,
    /// Values of the declared features, under a contextual policy.
    pub features: Option<Context>,
}

impl Deal {
    /// The deal that stands for its key, where `self` was proposed. If it is not the very draw, it may have been drawn for
    /// other features, which nobody here knows.
    #[must_use]
    pub fn standing(self, assignment: Assignment) -> Self {
        let own = &self.assignment;
        let same = assignment.posterior_version == own.posterior_version
            && assignment.source == own.source
            && assignment.arm == own.arm
            && assignment.propensity.to_bits() == own.propensity.to_bits();
        Self { assignment, day: self.day, features: self.features.filter(|_| same) }
    }

    /// The record of this deal for the event log.
    #[must_use]
    pub fn record(&self, request: &DecideRequest) -> DecisionRecord {
        let a = &self.assignment;
        DecisionRecord {
            decision_id: a.key.id,
            experiment: request.experiment.clone(),
            user: request.user.clone(),
            item: request.item.clone(),
            day: self.day,
            segment: a.segment.to_string(),
            features: self.features.clone(),
            arm: a.arm.to_string(),
            propensity: a.propensity,
            position: None,
            list: None,
            posterior_version: a.posterior_version,
            revision: a.revision,
            source: a.source,
            at: a.at,
        }
    }
}

/// An experiment with its posteriors, compiled to decide.
#[derive(Debug, Clone)]
pub struct Decider {
    experiment: Experiment,
    status: Status,
    winner: Option<usize>,
    revision: u64,
    version: u64,
    zone: TimeZone,
    arms: Vec<Arc<str>>,
    payloads: Vec<Box<RawValue>>,
    segments: HashMap<Arc<str>, SegmentPolicy>,
    /// For segments that nothing is known of.
    prior: SegmentPolicy,
    /// What deals instead of segments' policies, if the policy is contextual.
    contextual: Option<ContextPolicy>,
    by_user: bool,
    frozen: bool,
}

impl Decider {
    /// Compiles a valid definition at `revision`, with the newest posterior set if one was published.
    ///
    /// # Errors
    /// What makes the definition unusable: it was not validated.
    pub fn new(
        experiment: Experiment,
        status: Status,
        winner: Option<&str>,
        revision: u64,
        set: Option<&PosteriorSet>,
    ) -> Result<Self, String> {
        if experiment.candidates.is_some() {
            return Err("it orders lists: an Explorer deals them".into());
        }
        let zone = TimeZone::get(&experiment.sticky.time_zone).map_err(|e| e.to_string())?;
        let payloads: Result<Vec<_>, _> =
            experiment.arms.iter().map(|a| serde_json::value::to_raw_value(&a.payload)).collect();
        let priors: Vec<Beta> = experiment.arms.iter().map(|a| prior_of(a.prior)).collect();
        let mut segments = HashMap::new();
        let mut prior = None;
        // Only a running experiment draws.
        if let Some(set) = set.filter(|_| status == Status::Running) {
            let column: Vec<Option<usize>> =
                experiment.arms.iter().map(|a| set.arms.iter().position(|id| *id == a.id)).collect();
            let compiled = |list: &[ArmPosterior], scale| {
                let posteriors: Vec<Beta> =
                    column.iter().zip(&priors).map(|(c, prior)| c.map_or(*prior, |c| list[c].beta())).collect();
                let known = (set.revision == revision).then(|| list.iter().map(|p| p.propensity).collect());
                SegmentPolicy::paced(&experiment, &posteriors, scale, known)
            };
            for (segment, list) in &set.segments {
                segments.insert(segment.as_str().into(), compiled(list, set.scale(segment)));
            }
            prior = set.shared.as_ref().map(|shared| compiled(&shared.unseen, shared.unseen_scale));
        }
        let contextual = set
            .and_then(|s| s.model.as_ref().map(|model| ContextPolicy::new(&experiment, model, &s.arms)))
            .or_else(|| ContextModel::prior(&experiment).map(|model| ContextPolicy::new(&experiment, &model, &[])))
            .filter(|_| !experiment.features.is_empty());
        Ok(Self {
            contextual,
            prior: prior.unwrap_or_else(|| SegmentPolicy::new(&experiment, &priors, None)),
            by_user: experiment.sticky.by.contains(&StickyBy::User),
            frozen: false,
            winner: winner.and_then(|id| experiment.arm_index(id)),
            arms: experiment.arms.iter().map(|a| a.id.as_str().into()).collect(),
            payloads: payloads.map_err(|e| e.to_string())?,
            version: set.map_or(0, |s| s.version),
            experiment,
            status,
            revision,
            zone,
            segments,
        })
    }

    /// The same, dealing the control to everyone new if `frozen`.
    #[must_use]
    pub fn frozen(self, frozen: bool) -> Self {
        Self { frozen, ..self }
    }

    /// Whether everyone new gets the control.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// The definition.
    #[must_use]
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// Where the experiment is in its life.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether it was stopped with a winner, which everyone gets.
    #[must_use]
    pub fn has_winner(&self) -> bool {
        self.winner.is_some()
    }

    /// Version of the posteriors that it deals from.
    #[must_use]
    pub fn posterior_version(&self) -> u64 {
        self.version
    }

    /// Revision of the definition that it deals by.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What the page receives with `arm`; none if there is no such arm.
    #[must_use]
    pub fn payload(&self, arm: &str) -> Option<&RawValue> {
        self.arms.iter().position(|id| **id == *arm).map(|i| &*self.payloads[i])
    }

    /// The day at `now` in the experiment's time zone, and the request's key on it.
    #[must_use]
    pub fn key(&self, request: &DecideRequest, now: Timestamp) -> (AssignmentKey, Date) {
        let day = self.zone.to_datetime(now).date();
        let e = &self.experiment;
        (AssignmentKey::new(&e.id, &e.sticky, &request.user, request.item.as_deref(), day), day)
    }

    /// The arm that everyone gets whatever was assigned: the winner of a stopped experiment, or the
    /// control of a draft, whose arms may still change.
    #[must_use]
    pub fn settled(&self, request: &DecideRequest, now: Timestamp) -> Option<Deal> {
        match (self.status, self.winner) {
            (Status::Stopped, Some(winner)) => Some(self.certain(request, winner, Source::Paused, now)),
            (Status::Draft, _) => Some(self.certain(request, self.experiment.control(), Source::Paused, now)),
            _ => None,
        }
    }

    /// Deals an arm to a key that has none.
    #[must_use]
    pub fn deal(&self, request: &DecideRequest, now: Timestamp) -> Deal {
        let mut deal = self.certain(request, self.experiment.control(), Source::Paused, now);
        let a = &mut deal.assignment;
        let (source, arm, propensity) = self.choose(request, a.key.id, &a.segment, &mut |_| ());
        a.source = source;
        a.arm = self.arms[arm].clone();
        a.propensity = propensity;
        deal
    }

    /// Who chooses the arm of a key, which, and with what probability.
    fn choose(
        &self,
        request: &DecideRequest,
        id: DecisionId,
        segment: &str,
        see: &mut impl FnMut(Step),
    ) -> (Source, usize, f64) {
        let control = self.experiment.control();
        if self.status != Status::Running {
            return (Source::Paused, control, 1.0);
        }
        let participant = if self.by_user { &request.user } else { request.item.as_deref().unwrap_or("") };
        let (enrolment, holdout) = participation(&self.experiment.id, participant);
        see(Step::Participates { enrolment, holdout });
        if enrolment >= self.experiment.traffic {
            return (Source::NotEnrolled, control, 1.0);
        }
        if self.frozen {
            return (Source::Paused, control, 1.0);
        }
        let held_out = holdout < self.experiment.holdout;
        let source = if held_out { Source::Holdout } else { Source::Policy };
        match &self.contextual {
            Some(contextual) => {
                let (arm, propensity) = contextual.deal_seen(&request.context, id, self.version, held_out, see);
                (source, arm, propensity)
            }
            None => {
                let policy = self.policy(segment);
                let arm = policy.draw_seen(id, self.version, held_out, see);
                (source, arm, policy.propensities()[arm])
            }
        }
    }

    /// What deals in a segment.
    fn policy(&self, segment: &str) -> &SegmentPolicy {
        self.segments.get(segment).unwrap_or(&self.prior)
    }

    /// An assignment without a draw.
    fn certain(&self, request: &DecideRequest, arm: usize, source: Source, now: Timestamp) -> Deal {
        let (key, day) = self.key(request, now);
        let segment = segment_of(&self.experiment.segment_by, &request.context);
        // Known segments share one allocation.
        let segment =
            self.segments.get_key_value(segment.as_str()).map_or_else(|| segment.as_str().into(), |(s, _)| s.clone());
        let assignment = Assignment {
            key,
            arm: self.arms[arm].clone(),
            segment,
            propensity: 1.0,
            posterior_version: self.version,
            revision: self.revision,
            source,
            at: now,
        };
        Deal { assignment, day, features: self.features(request) }
    }

    /// What the log keeps of a request's context: the declared features' values, under a contextual policy.
    #[must_use]
    pub fn features(&self, request: &DecideRequest) -> Option<Context> {
        self.contextual.as_ref().map(|_| declared_features(&self.experiment.features, &request.context))
    }
}

pub(crate) fn prior_of(prior: crate::Prior) -> Beta {
    Beta { alpha: prior.alpha, beta: prior.beta }
}
