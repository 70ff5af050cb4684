//! Reading what comes from outside, so that mistakes are named.

use crate::problem::{Problem, Result};
use axum::extract::Query;
use axum::http::Uri;
use serde::de::DeserializeOwned;

/// Reads a JSON body. The quick way first; only a body that is wrong is read again to find the field.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let text = bytes.trim_ascii_start();
    // Structs could be read from arrays too, by position: nobody means that.
    if !text.is_empty() && !text.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() {
        return Err(Problem::field("body", "must be a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|_| explain::<T>(bytes))
}

fn explain<T: DeserializeOwned>(bytes: &[u8]) -> Problem {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Problem::bad("the body is empty: it must be JSON");
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(e) if e.inner().is_data() => {
            let why = e.inner().to_string();
            Problem::field(&field_of(&e.path().to_string(), &why), why)
        }
        Err(e) => Problem::bad(format!("the body is not JSON: {}", e.inner())),
        Ok(_) => Problem::bad("the body has something after its JSON"),
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

/// Reads a query's pairs in order; a name may come once.
pub(crate) fn query(uri: &Uri) -> Result<Vec<(String, String)>> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|e| Problem::bad(format!("the query cannot be read: {e}")))?;
    // Decoding replaces what is not UTF-8; what was not there before is such a replacement.
    let raw = uri.query().unwrap_or_default().to_ascii_uppercase();
    let replaced = |s: &str| s.contains('\u{FFFD}') && !raw.contains("%EF%BF%BD");
    for (i, (name, value)) in pairs.iter().enumerate() {
        if replaced(name) || replaced(value) {
            return Err(Problem::field(&name.escape_debug().to_string(), "is not UTF-8"));
        }
        if pairs[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(Problem::field(&name.escape_debug().to_string(), "is given twice"));
        }
    }
    Ok(pairs)
}

/// Reads a query into a struct whose fields are optional strings and numbers.
pub(crate) fn params<T: DeserializeOwned>(uri: &Uri) -> Result<T> {
    query(uri)?;
    Query::try_from_uri(uri).map(|Query(params)| params).map_err(|e| {
        let why = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
        Problem::bad(format!("the query cannot be read: {why}"))
    })
}
