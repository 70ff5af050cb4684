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
            let why = e.inner().to_string();
            field(field_of(&e.path().to_string(), &why), why)
        }
        Err(e) => Unreadable::Whole(format!("is not JSON: {}", e.inner())),
        Ok(_) => Unreadable::Whole("has something after its JSON".into()),
    }
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
