//! Sends real traffic to any HTTP/1.1 target, as it really was, and says how it answered.
//!
//! One pipeline: [`read`] makes entries of a log, [`map`] a request of each, [`plan`] says when it is due, [`send`]
//! sends it then whether earlier answers came or not, [`check`] looks at the answers, [`report`] tells. Latency
//! counts from the moment a request was due: a target that freezes cannot hide it by not being asked meanwhile.
//!
//! [`drivers`] is the same idea for programs that make their requests themselves.

mod args;
mod check;
mod command;
mod drivers;
mod failure;
#[doc(hidden)]
pub mod fuzzing;
mod map;
mod plan;
mod read;
mod report;
mod send;

pub use command::main;
pub use drivers::*;
