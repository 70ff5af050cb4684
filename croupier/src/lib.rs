//! The binary's parts: settings, roles and commands, composed of the other crates.

mod admin;
mod backup;
mod beat;
mod check;
pub mod cli;
mod clock;
mod demo;
pub mod evaluate;
#[doc(hidden)]
pub mod fuzzing;
pub mod import;
mod interruption;
mod keys;
mod listen;
mod patient;
mod people;
mod recorder;
mod rule;
mod serve;
mod settings;
pub mod simulate;
mod telemetry;
mod trusted;
mod update;

pub use cli::{Failure, run};
