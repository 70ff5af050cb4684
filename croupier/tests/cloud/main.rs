//! The platform on Bigtable, Pub/Sub and PostgreSQL: real processes against Google's emulators and a private PostgreSQL,
//! each behind a proxy that can be slow or away.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test fails by panicking, and its parts are its own")]

mod catalogs;
mod faults;
mod house;
mod killed;
mod refusals;
mod replicas;
#[path = "../support/mod.rs"]
mod support;
mod visitors;
