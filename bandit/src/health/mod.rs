//! Checks of an experiment's data: what to know before trusting its numbers. All hold at every look.

mod change;

pub use change::{ChangeConfig, ChangePoint, HourCount, changes, homogeneous_since};
