//! Plots as JSON: data, layout and configuration for Plotly, built from the same numbers as the tables.

mod bands;
mod delay;
mod densities;
mod draw;
mod forest;
mod planned;
mod experiment;
mod figure;
mod gain;
mod past;
mod propensities;
mod segments;
mod standalone;
mod style;
mod values;

pub(crate) use experiment::plot;
pub use figure::{Figure, layout};
pub(crate) use segments::SEGMENTS;
pub(crate) use draw::draw;
pub(crate) use forest::forest;
pub(crate) use planned::{decided, regret};
pub use style::Style;
