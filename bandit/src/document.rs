//! Reading JSON that people wrote, so that mistakes are named.

use crate::validate::FieldError;
use serde::de::{DeserializeOwned, IgnoredAny};

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// A field is wrong.
    Field(FieldError),
    /// All of it is: what it should be, in words that follow "the body".
    Whole(String),
}

/// Reads an object. The quick way first; only a document that is wrong is read again to find the field.
///
/// # Errors
/// Says which field is wrong and why, or why it is no document at all.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    let text = bytes.trim_ascii_start();
    // Structs could be read from arrays too, by position: nobody means that.
    if !text.is_empty() && !text.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(text).is_ok() {
        return Err(field("body", "must be a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|_| explain::<T>(bytes))
}

fn field(field: impl Into<String>, why: impl Into<String>) -> Unreadable {
    Unreadable::Field(FieldError { field: field.into(), why: why.into() })
}

fn explain<T: DeserializeOwned>(bytes: &[u8]) -> Unreadable {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Unreadable::Whole("is empty: it must be JSON".into());
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(e) if e.inner().is_data() => {
            let why = plain(&e.inner().to_string());
            field(field_of(&e.path().to_string(), &why), why)
        }
        Err(e) => Unreadable::Whole(format!("is not JSON: {}", e.inner())),
        Ok(_) => Unreadable::Whole("has something after its JSON".into()),
    }
}

/// What was expected, in words of people who do not write Rust.
fn plain(why: &str) -> String {
    const TYPES: [(&str, &str); 9] = [
        ("u8", "a whole number"),
        ("u16", "a whole number"),
        ("u32", "a whole number"),
        ("u64", "a whole number"),
        ("usize", "a whole number"),
        ("f32", "a number"),
        ("f64", "a number"),
        ("a sequence", "a list"),
        ("a map", "an object"),
    ];
    let Some((found, wanted)) = why.rsplit_once(", expected ") else { return why.into() };
    let known = TYPES.iter().find_map(|(rust, words)| Some((words, wanted.strip_prefix(rust)?)));
    let known = known.filter(|(_, rest)| rest.is_empty() || rest.starts_with(" at line "));
    known.map_or_else(|| why.into(), |(words, rest)| format!("{found}, expected {words}{rest}"))
}

/// The path to the mistake; for a missing or unknown field the error's words name the last step.
fn field_of(path: &str, why: &str) -> String {
    let path = if path == "." { "" } else { path };
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| why.strip_prefix(start))
        .and_then(|rest| rest.split('`').next());
    match named {
        Some(name) if path.is_empty() => name.to_owned(),
        Some(name) if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        Some(name) => format!("{path}.{name}"),
        None if path.is_empty() => "body".to_owned(),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Experiment;

    #[test]
    fn mistakes_are_told_without_types_of_rust() {
        let why = |json: &str| match read::<Experiment>(json.as_bytes()) {
            Err(Unreadable::Field(e)) => format!("{}: {}", e.field, e.why.split(" at line ").next().unwrap()),
            other => panic!("{other:?}"),
        };
        let hours =
            |value: &str| why(&format!(r#"{{"id": "e", "reward": {{"event": "x", "window_hours": {value}}}}}"#));
        assert_eq!(hours("-1"), "reward.window_hours: invalid value: integer `-1`, expected a whole number");
        assert_eq!(hours("[]"), "reward.window_hours: invalid type: sequence, expected a whole number");
        assert_eq!(why(r#"{"traffic": "half"}"#), "traffic: invalid type: string \"half\", expected a number");
        assert_eq!(why(r#"{"arms": {}}"#), "arms: invalid type: map, expected a list");
        assert_eq!(why(r#"{"id": 1}"#), "id: invalid type: integer `1`, expected a string");
    }
}
