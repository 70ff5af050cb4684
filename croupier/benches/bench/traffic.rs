//! Visitors.

use loadtest::{PathAndQuery, Request, post};
use serde_json::{Value, json};

/// What reports call the two kinds of requests; a source gives their places in this list.
pub(crate) const CLASSES: [&str; 2] = [FIRST, REPEAT];
/// A user's first decision.
pub(crate) const FIRST: &str = "first";
/// Another request of a user who has a decision.
pub(crate) const REPEAT: &str = "repeat";
/// Users who have a decision before anything is measured.
pub(crate) const KNOWN_USERS: u64 = 20_000;
/// The experiment's id.
pub(crate) const EXPERIMENT: &str = "bench";

/// Five arms, in segments.
pub(crate) fn experiment() -> Value {
    let arms: Vec<Value> = ["a", "b", "c", "d", "e"].map(|id| json!({"id": id, "payload": {"layout": id}})).into();
    json!({
        "id": EXPERIMENT, "arms": arms, "segment_by": ["device"], "policy": {"kind": "thompson", "floor": 0.01},
        "reward": {"event": "purchase"},
    })
}

/// The body of a decide request.
pub(crate) fn decide(user: &str) -> String {
    format!(r#"{{"experiment":"{EXPERIMENT}","user":"{user}","item":"sku-9","context":{{"device":"mobile"}}}}"#)
}

fn request(user: &str) -> Request {
    post(&PathAndQuery::from_static("/v1/decide"), decide(user))
}

/// The user whose decision every repeat of this number asks for again.
fn known(index: u64) -> String {
    // A multiplicative hash: neighbours in time are strangers in memory.
    let user = index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    format!("known-{}", user % KNOWN_USERS)
}

/// Makes the known users known.
pub(crate) fn introductions(index: u64) -> (usize, Request) {
    (0, request(&format!("known-{index}")))
}

/// First decisions and repeats, one to four. `tag` makes this run's new users new.
pub(crate) fn mixed(tag: &str) -> impl Fn(u64) -> (usize, Request) + Send + Sync + use<> {
    let tag = tag.to_owned();
    move |index| {
        if index % 5 == 0 { (0, request(&format!("{tag}-{index}"))) } else { (1, request(&known(index))) }
    }
}

/// New users only; `tag` makes this run's new.
pub(crate) fn strangers(tag: &str) -> impl Fn(u64) -> (usize, Request) + Send + Sync + use<> {
    let tag = tag.to_owned();
    move |index| (0, request(&format!("{tag}-{index}")))
}
