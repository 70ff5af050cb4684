//! Reading what comes from outside, so that mistakes are named.

use crate::problem::{Problem, Result};
use axum::extract::Query;
use axum::http::Uri;
use bandit::document;
use serde::de::DeserializeOwned;

/// Reads a JSON body.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    document::read(bytes).map_err(Problem::from)
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
