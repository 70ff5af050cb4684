//! The statistics and the rules of Croupier, pure: no clock, no I/O, no randomness but a seed that is data.
//!
//! A decision is a function of an experiment, its posterior set, a request and the time: see [`decide`].
//! A posterior is a function of logged outcomes: see [`recompute`].

mod beta;
mod clock;
mod decide;
pub mod evaluate;
mod event;
mod experiment;
mod id;
mod key;
mod learn;
mod policy;
mod posterior;
#[expect(clippy::needless_range_loop, reason = "a node's index runs over several arrays at once")]
mod quadrature;
mod results;
mod segment;
mod validate;

pub use beta::{Beta, Interval};
pub use clock::Clock;
pub use decide::{Assignment, Deal, DecideRequest, Decider, Source};
pub use event::{CLOCK_SKEW, DecisionRecord, Event, EventError, NewEvent, UserEvent, UserEventKind};
pub use experiment::{
    Arm, Experiment, Exposure, Feature, FeatureKind, Guardrail, OnChange, PolicyKind, PolicySpec, Pooling, Prior,
    RewardKind, RewardSpec, Status, Sticky, StickyBy,
};
pub use id::{IdError, check_id, check_slug};
pub use key::{AssignmentKey, DecisionId};
pub use learn::{HourOutcome, candidate_decisions, hour_of, recompute, seen_decisions};
pub use policy::SegmentPolicy;
pub use posterior::{ArmPosterior, DecodeError, PosteriorSet};
pub use quadrature::{Comparison, compare, ratio_interval};
pub use results::{ArmResult, Uplift, segment_weights, summarise, trials_by_segment};
pub use segment::{Context, ContextValue, WHOLE, segment_of};
pub use validate::{FieldError, MAX_ARMS, validate, validate_change};
