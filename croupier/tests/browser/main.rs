//! The dashboard in a real browser, over the real binary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/browser.rs"]
mod browser;
#[path = "../support/mod.rs"]
mod support;

mod every_page;
mod in_the_page;
mod interactive;
mod journey;
mod sign_in;
