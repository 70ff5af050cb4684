//! Checks of an experiment's data: what to know before trusting its numbers. All hold at every look.

mod bets;
mod calibration;
mod change;
mod exposure;
mod guardrail;
mod sample_ratio;

pub use bets::Dealt;
pub use calibration::{Calibration, CalibrationFinding, PropensityBin};
pub use change::{ChangeConfig, ChangePoint, HourCount, changes, homogeneous_since};
pub use exposure::{ExposureFinding, Exposures, exposure};
pub use guardrail::{GuardrailFinding, Standing, guardrail};
pub use sample_ratio::{SAMPLE_RATIO_ALARM, SampleRatio, SampleRatioFinding};
