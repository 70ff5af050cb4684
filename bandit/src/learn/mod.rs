//! Posteriors from logged outcomes.

mod outcome;

pub use outcome::{HourOutcome, candidate_decisions, hour_of, recompute, seen_decisions};
