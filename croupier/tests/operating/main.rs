//! What operators rely on: metrics, stopping, logs, backups, traces, and a document that is true.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backup;
mod contract;
mod metrics;
mod overload;
mod secrets;
mod stopping;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "cloud")]
mod traces;
