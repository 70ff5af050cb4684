//! Plots as JSON: data, layout and configuration for Plotly, built from the same numbers as the tables.

mod bands;
mod catalog;
mod delay;
mod densities;
mod draw;
mod experiment;
mod figure;
mod forest;
mod gain;
mod map;
mod past;
mod planned;
mod propensities;
mod segments;
mod standalone;
mod style;
mod values;

pub(crate) use catalog::of_catalog;
pub(crate) use draw::draw;
pub(crate) use experiment::plot;
pub use figure::{Figure, layout};
pub(crate) use forest::forest;
pub(crate) use planned::{decided, regret};
pub(crate) use segments::SEGMENTS;
pub use style::Style;
