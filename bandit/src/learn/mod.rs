//! Posteriors from logged outcomes.

mod delay;
mod forgetting;
mod outcome;
mod pending;
mod pooling;
mod posteriors;

pub use delay::{DelayCurve, HourDelay, delay_bucket};
pub use forgetting::{WATCHED_SEGMENTS, segment_changes};
pub use outcome::{Evidence, HourOutcome, candidate_decisions, hour_of, recompute, seen_decisions};
pub use posteriors::overall;
pub(crate) use posteriors::{Arrivals, Posteriors, posteriors};
