//! Models against their references, and what is broken, missing or slow.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod broken;
mod endpoint;
mod folders;
mod made;
mod reference;
