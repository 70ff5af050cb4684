//! Posteriors from logged outcomes.

mod delay;
mod outcome;
mod pending;

pub use delay::{DelayCurve, HourDelay, delay_bucket};
pub use outcome::{Evidence, HourOutcome, candidate_decisions, hour_of, recompute, seen_decisions};
