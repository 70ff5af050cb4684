//! Where two definitions differ.

use serde_json::Value;
use std::collections::BTreeMap;

/// A field with another value in each of two definitions.
pub(crate) struct Difference {
    pub(crate) field: String,
    pub(crate) theirs: String,
    pub(crate) ours: String,
}

/// Most that are told.
const MOST: usize = 30;
/// Longest value that is told, in characters.
const LONGEST: usize = 80;

/// The fields that differ, in order of their paths.
pub(crate) fn differences(theirs: &Value, ours: &Value) -> Vec<Difference> {
    let (mut a, mut b) = (BTreeMap::new(), BTreeMap::new());
    flatten(String::new(), theirs, &mut a);
    flatten(String::new(), ours, &mut b);
    let mut fields: Vec<&String> = a.keys().chain(b.keys()).collect();
    fields.sort_unstable();
    fields.dedup();
    let shown =
        |value: Option<&&Value>| value.map_or_else(|| "—".into(), |v| v.to_string().chars().take(LONGEST).collect());
    fields
        .into_iter()
        .filter(|f| a.get(*f) != b.get(*f))
        .take(MOST)
        .map(|f| Difference { field: f.clone(), theirs: shown(a.get(f)), ours: shown(b.get(f)) })
        .collect()
}

fn flatten<'a>(path: String, value: &'a Value, out: &mut BTreeMap<String, &'a Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                flatten(if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, out);
            }
        }
        Value::Array(all) if !all.is_empty() => {
            all.iter().enumerate().for_each(|(i, value)| flatten(format!("{path}[{i}]"), value, out));
        }
        Value::Null => {}
        leaf => drop(out.insert(path, leaf)),
    }
}
