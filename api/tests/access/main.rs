//! Who may do what, from where, how often, under which name; and what becomes of a user's data.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod keys;
mod pages;
mod stolen;
#[path = "../support/mod.rs"]
mod support;
mod users;

use serde_json::{Value, json};

fn page() -> Value {
    json!({
        "id": "page", "arms": [{"id": "a"}, {"id": "b"}], "policy": {"kind": "fixed"}, "reward": {"event": "buy"},
        "sticky": {"by": ["user", "day"], "time_zone": "UTC"}
    })
}

const ASK: &str = r#"{"experiment": "page", "user": "u"}"#;
