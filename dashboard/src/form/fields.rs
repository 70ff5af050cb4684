//! Which parts of a definition the form has inputs for, and how their texts become JSON.

use serde_json::{Map, Number, Value};

/// How the text of an input is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is, empty or not.
    Text,
    /// One of several, or a name; empty leaves it to the default.
    Choice,
    /// A number; empty leaves it to the default.
    Number,
    /// One entry on each line; none leaves it to the default.
    Lines,
    /// Ticked or not, with what it is by default.
    Switch(bool),
    /// Any JSON; empty leaves it to the default.
    Json,
}

use Kind::{Choice, Json, Lines, Switch, Text};

/// Inputs that are there once, in the order of the page.
pub(super) const FIELDS: [(&str, Kind); 31] = [
    ("id", Text),
    ("name", Text),
    ("candidates.catalog", Choice),
    ("candidates.pool", Kind::Number),
    ("candidates.strength", Kind::Number),
    ("candidates.similarity_weight", Kind::Number),
    ("candidates.sticky", Switch(false)),
    ("reward.event", Text),
    ("reward.kind", Choice),
    ("reward.window_hours", Kind::Number),
    ("policy.kind", Choice),
    ("policy.floor", Kind::Number),
    ("policy.half_life_hours", Kind::Number),
    ("policy.window_hours", Kind::Number),
    ("policy.pooling", Choice),
    ("policy.on_change", Choice),
    ("policy.posterior_scale", Kind::Number),
    ("policy.optimism", Kind::Number),
    ("policy.pace_rewards", Kind::Number),
    ("policy.leader_share", Kind::Number),
    ("policy.epsilon", Kind::Number),
    ("segment_by", Lines),
    ("traffic", Kind::Number),
    ("holdout", Kind::Number),
    ("exposure", Choice),
    ("sticky.by", Lines),
    ("sticky.time_zone", Text),
    ("stopping.automatic", Switch(false)),
    ("stopping.value_remaining", Kind::Number),
    ("stopping.confidence", Kind::Number),
    ("stopping.min_hours", Kind::Number),
];

/// A list of things that are added and removed.
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) parts: &'static [(&'static str, Kind)],
    /// Most rows that are read: what is beyond would be refused anyway.
    pub(super) most: usize,
}

/// The lists, in the order of the page.
pub(super) const GROUPS: [Group; 3] = [
    Group {
        name: "arms",
        parts: &[
            ("id", Text),
            ("control", Switch(false)),
            ("enabled", Switch(true)),
            ("payload", Json),
            ("prior.alpha", Kind::Number),
            ("prior.beta", Kind::Number),
            ("weight", Kind::Number),
        ],
        most: bandit::MAX_ARMS + 1,
    },
    Group { name: "features", parts: &[("name", Text), ("kind", Choice)], most: bandit::MAX_FEATURES + 1 },
    Group {
        name: "guardrails",
        parts: &[("event", Text), ("max_rate", Kind::Number), ("freeze", Switch(false))],
        most: 100,
    },
];

/// The group of this name.
pub(super) fn group(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|g| g.name == name)
}

impl Kind {
    /// What an input shows of a value; none for a box that is not ticked.
    pub(super) fn text(self, value: Option<Value>) -> Option<String> {
        match (self, value) {
            (Switch(default), value) => value.and_then(|v| v.as_bool()).unwrap_or(default).then(|| "on".into()),
            (_, None | Some(Value::Null)) => Some(String::new()),
            (Json, Some(value)) => serde_json::to_string_pretty(&value).ok(),
            (_, Some(Value::String(text))) => Some(text),
            (Lines, Some(Value::Array(all))) => {
                Some(all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"))
            }
            // People write 1, not 1.0.
            (_, Some(other)) => {
                let text = other.to_string();
                Some(text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned))
            }
        }
    }

    /// The value that a text stands for; none where it is left to the default.
    pub(super) fn value(self, text: Option<&str>) -> Result<Option<Value>, String> {
        if let Switch(default) = self {
            return Ok((text.is_some() != default).then(|| text.is_some().into()));
        }
        let text = text.unwrap_or_default();
        match (self, text.trim()) {
            (Text, trimmed) => Ok(Some(trimmed.into())),
            (_, "") => Ok(None),
            (Choice, trimmed) => Ok(Some(trimmed.into())),
            (Kind::Number, trimmed) => number(trimmed).map(Some).ok_or_else(|| "must be a number".into()),
            (Json, trimmed) => serde_json::from_str(trimmed).map(Some).map_err(|e| format!("is not JSON: {e}")),
            (Lines | Switch(_), trimmed) => {
                let lines: Vec<Value> =
                    trimmed.lines().map(str::trim).filter(|l| !l.is_empty()).map(Into::into).collect();
                Ok(Some(lines.into()))
            }
        }
    }
}

/// A number as JSON has it, or as people write it: .5, +1, 05.
fn number(text: &str) -> Option<Value> {
    let exact = serde_json::from_str::<Number>(text).ok();
    exact.or_else(|| text.parse().ok().and_then(Number::from_f64)).map(Value::Number)
}

/// Takes the value at a path such as `prior.alpha` out of an object.
pub(super) fn take(object: &mut Map<String, Value>, path: &str) -> Option<Value> {
    let Some((first, rest)) = path.split_once('.') else { return object.remove(path) };
    let inner = object.get_mut(first)?.as_object_mut()?;
    let taken = take(inner, rest);
    if inner.is_empty() {
        object.remove(first);
    }
    taken
}

/// Puts a value at a path.
pub(super) fn put(object: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(object.insert(path.into(), value)),
        Some((first, rest)) => {
            let inner = object.entry(first).or_insert_with(|| Map::new().into());
            if let Some(inner) = inner.as_object_mut() {
                put(inner, rest, value);
            }
        }
    }
}
