//! The rules of an experiment's definition, all checked at once so that its owner sees every mistake.

mod policy;

use crate::experiment::{Experiment, StickyBy};
use crate::id::{check_id, check_slug};
use jiff::tz::TimeZone;
use std::collections::HashSet;

/// Most arms of one experiment.
pub const MAX_ARMS: usize = 100;
const MAX_SEGMENT_ATTRIBUTES: usize = 8;
const MAX_GUARDRAILS: usize = 20;
const MAX_PAYLOAD_BYTES: usize = 65_536;
/// Ninety days: each day of a window is looked up for every reward that names no decision.
const MAX_WINDOW_HOURS: u32 = 2_160;

/// One mistake: where, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path in the JSON, as `arms[1].prior.alpha`.
    pub field: String,
    /// What it may be.
    pub why: String,
}

struct Findings(Vec<FieldError>);

impl Findings {
    fn add(&mut self, field: impl Into<String>, why: impl Into<String>) {
        self.0.push(FieldError { field: field.into(), why: why.into() });
    }

    fn check(&mut self, ok: bool, field: impl Into<String>, why: impl Into<String>) {
        if !ok {
            self.add(field, why);
        }
    }

    fn done(self) -> Result<(), Vec<FieldError>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// Checks a definition by itself.
///
/// # Errors
/// Every mistake found.
pub fn validate(e: &Experiment) -> Result<(), Vec<FieldError>> {
    let mut f = Findings(Vec::new());
    if let Err(why) = check_slug(&e.id) {
        f.add("id", why.to_string());
    }
    if !e.name.is_empty()
        && let Err(why) = check_id(&e.name)
    {
        f.add("name", why.to_string());
    }
    match &e.candidates {
        None => {
            arms(e, &mut f);
            policy::floor(e, &mut f);
        }
        Some(candidates) => candidates.check(e, |ok, field, why| f.check(ok, field, why)),
    }
    policy::policy(e, &mut f);
    sticky(e, &mut f);
    if let Err(why) = check_id(&e.reward.event) {
        f.add("reward.event", why.to_string());
    }
    f.check(
        (1..=MAX_WINDOW_HOURS).contains(&e.reward.window_hours),
        "reward.window_hours",
        format!("must be 1 to {MAX_WINDOW_HOURS}"),
    );
    segments(e, &mut f);
    guardrails(e, &mut f);
    stopping(e, &mut f);
    f.check(share(e.traffic), "traffic", "must be 0 to 1");
    f.check(share(e.holdout), "holdout", "must be 0 to 1");
    f.done()
}

fn guardrails(e: &Experiment, f: &mut Findings) {
    f.check(
        e.guardrails.len() <= MAX_GUARDRAILS,
        "guardrails",
        format!("must be at most {MAX_GUARDRAILS}, are {}", e.guardrails.len()),
    );
    let mut seen = HashSet::new();
    for (i, g) in e.guardrails.iter().enumerate() {
        let at = |part: &str| format!("guardrails[{i}].{part}");
        if let Err(why) = check_id(&g.event) {
            f.add(at("event"), why.to_string());
        }
        // An event has one rate: of two limits one would say nothing.
        f.check(seen.insert(&g.event), at("event"), format!("'{}' has a guardrail already", g.event));
        f.check(share(g.max_rate), at("max_rate"), "must be 0 to 1");
    }
}

fn share(x: f64) -> bool {
    (0.0..=1.0).contains(&x)
}

fn arms(e: &Experiment, f: &mut Findings) {
    f.check(
        (2..=MAX_ARMS).contains(&e.arms.len()),
        "arms",
        format!("must have 2 to {MAX_ARMS} arms, has {}", e.arms.len()),
    );
    let mut seen = HashSet::new();
    for (i, arm) in e.arms.iter().enumerate() {
        let at = |part: &str| format!("arms[{i}].{part}");
        if let Err(why) = check_slug(&arm.id) {
            f.add(at("id"), why.to_string());
        }
        f.check(seen.insert(&arm.id), at("id"), format!("'{}' is used twice", arm.id));
        for (part, value) in [("prior.alpha", arm.prior.alpha), ("prior.beta", arm.prior.beta)] {
            f.check((1e-3..=1e9).contains(&value), at(part), "must be 0.001 to 1e9");
        }
        f.check((0.0..=1e6).contains(&arm.weight), at("weight"), "must be 0 to 1e6");
        f.check(!holds_nul(&arm.payload), at("payload"), "must not hold the character U+0000");
        let bytes = arm.payload.to_string().len();
        f.check(
            bytes <= MAX_PAYLOAD_BYTES,
            at("payload"),
            format!("must be at most {MAX_PAYLOAD_BYTES} bytes of JSON"),
        );
    }
    f.check(e.arms.iter().filter(|a| a.control).count() <= 1, "arms", "only one arm may be the control");
    let control = e.control();
    f.check(
        e.arms.get(control).is_none_or(|a| a.enabled),
        format!("arms[{control}].enabled"),
        "must be true: the control is what everyone outside the experiment gets",
    );
}

fn sticky(e: &Experiment, f: &mut Findings) {
    let by = &e.sticky.by;
    f.check(by.contains(&StickyBy::User) || by.contains(&StickyBy::Item), "sticky.by", "must contain 'user' or 'item'");
    let twice = by.iter().enumerate().any(|(i, part)| by[..i].contains(part));
    f.check(!twice, "sticky.by", "must not repeat a part");
    f.check(
        TimeZone::get(&e.sticky.time_zone).is_ok(),
        "sticky.time_zone",
        format!("'{}' is not an IANA time zone such as 'Asia/Tokyo'", e.sticky.time_zone.escape_debug()),
    );
}

fn stopping(e: &Experiment, f: &mut Findings) {
    let Some(rule) = &e.stopping else { return };
    f.check((1e-4..=1.0).contains(&rule.value_remaining), "stopping.value_remaining", "must be 0.0001 to 1");
    f.check((0.5..=0.9999).contains(&rule.confidence), "stopping.confidence", "must be 0.5 to 0.9999");
    f.check(
        !rule.automatic || (e.segment_by.is_empty() && e.features.is_empty()),
        "stopping.automatic",
        "must be false with segments or features: the best arm may differ between them",
    );
}

fn segments(e: &Experiment, f: &mut Findings) {
    f.check(
        e.segment_by.len() <= MAX_SEGMENT_ATTRIBUTES,
        "segment_by",
        format!("must have at most {MAX_SEGMENT_ATTRIBUTES} attributes"),
    );
    for (i, name) in e.segment_by.iter().enumerate() {
        if let Err(why) = check_id(name) {
            f.add(format!("segment_by[{i}]"), why.to_string());
        }
        f.check(!e.segment_by[..i].contains(name), format!("segment_by[{i}]"), "is named twice");
    }
}

/// Checks that a started experiment may change from `old` to `new`: nobody is re-randomised and no
/// logged outcome changes its meaning.
///
/// # Errors
/// Every forbidden change.
pub fn validate_change(old: &Experiment, new: &Experiment) -> Result<(), Vec<FieldError>> {
    let mut f = Findings(Vec::new());
    let fixed = "cannot change once the experiment has started";
    f.check(old.id == new.id, "id", fixed);
    for (i, arm) in old.arms.iter().enumerate() {
        f.check(
            new.arms.get(i).is_some_and(|a| a.id == arm.id),
            format!("arms[{i}].id"),
            format!("must stay '{}': disable an arm instead of removing it, and add new ones last", arm.id),
        );
    }
    f.check(
        old.candidates.as_ref().map(|c| &c.catalog) == new.candidates.as_ref().map(|c| &c.catalog),
        "candidates.catalog",
        fixed,
    );
    f.check(old.control() == new.control(), "arms", "the control cannot change once the experiment has started");
    f.check(old.segment_by == new.segment_by, "segment_by", fixed);
    f.check(old.features == new.features, "features", fixed);
    f.check(old.sticky == new.sticky, "sticky", fixed);
    f.check(old.reward == new.reward, "reward", fixed);
    f.check(old.exposure == new.exposure, "exposure", fixed);
    f.done()
}

/// Whether a text within holds U+0000, which PostgreSQL's JSON cannot.
fn holds_nul(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(all) => all.iter().any(holds_nul),
        Value::Object(all) => all.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
