//! The statistics and the rules of Croupier, pure: no clock, no I/O, no randomness but a seed that is data.
//!
//! A decision is a function of an experiment, its posterior set, a request and the time: see [`decide`].
//! A posterior is a function of logged outcomes: see [`recompute`].

mod beta;
mod candidates;
mod clock;
#[expect(clippy::needless_range_loop, reason = "a node's index runs over several arrays at once")]
mod compare;
mod context;
mod decide;
mod difference;
pub mod document;
mod draw;
pub mod evaluate;
mod event;
mod experiment;
mod health;
mod id;
mod key;
mod lanes;
mod learn;
mod policy;
mod posterior;
#[expect(clippy::needless_range_loop, reason = "a node's index runs over several arrays at once")]
mod quadrature;
mod ratio;
mod results;
mod segment;
mod shape;
pub mod simulate;
mod stopping;
mod sweep;
mod validate;

pub use beta::{Beta, Interval};
pub use candidates::{
    BaseRate, CandidateArms, CandidatePolicy, DealtItem, DealtList, Explorer, MAX_POOL, MOST_CANDIDATES,
    OTHER_CANDIDATES,
};
pub use clock::Clock;
pub use compare::{Comparison, compare};
pub use context::{
    Coefficients, ContextModel, ContextOutcome, ContextPolicy, Encoder, Encoding, Link, MAX_COLUMNS, MAX_FEATURES,
    Normal, declared_features, highest, most_context_outcomes, recompute_model,
};
pub use decide::{ArmReplay, Assignment, Belief, Deal, DecideRequest, Decider, Difference, Replay, Source, replay};
pub use difference::{RateDifference, rate_difference};
pub use event::{CLOCK_SKEW, DecisionRecord, Event, EventError, NewEvent, UserEvent, UserEventKind};
pub use experiment::{
    Arm, Experiment, Exposure, Feature, FeatureKind, Guardrail, Prior, RewardKind, RewardSpec, Status, Sticky,
    StickyBy, Stopping,
};
pub use health::{
    Calibration, CalibrationFinding, ChangeConfig, ChangePoint, Dealt, ExposureFinding, Exposures, GuardrailFinding,
    HourCount, PropensityBin, SAMPLE_RATIO_ALARM, SampleRatio, SampleRatioFinding, Standing, changes, exposure,
    guardrail, homogeneous_since,
};
pub use id::{IdError, check_id, check_slug, shows_nothing};
pub use key::{AssignmentKey, DecisionId};
pub use learn::{
    DelayCurve, Evidence, HourDelay, HourOutcome, WATCHED_SEGMENTS, candidate_decisions, delay_bucket, hour_of,
    overall, recompute, seen_decisions, segment_changes,
};
pub use policy::{ListPolicy, OnChange, PolicyKind, PolicySpec, Pooling, SegmentPolicy, Step, from_json};
pub use posterior::{ArmPosterior, DecodeError, PosteriorSet, Shared};
pub use ratio::ratio_interval;
pub use results::{
    ArmResult, INTERVAL_LEVEL, Judgement, Uplift, judge, segment_weights, summarise, summarise_judged,
    trials_by_segment,
};
pub use segment::{Context, ContextValue, WHOLE, segment_of};
pub use stopping::{Remaining, StoppingAdvice, ValueRemaining, Verdict, advise, value_remaining, verdict};
pub use validate::{FieldError, MAX_ARMS, validate, validate_change};
