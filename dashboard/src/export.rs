//! Tables as files: every table of a page is also there as CSV and as JSON, under the page's own address with
//! `table=` and `as=` added, so that its filters hold for the file too.

use crate::address;
use crate::failure::Failure;
use crate::lang::Lang;
use askama::Template;
use askama::filters::HtmlSafe;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use std::convert::Infallible;

/// A table with names of columns and rows of exact values.
pub(crate) struct Sheet {
    /// What `table=` calls it.
    pub(crate) name: &'static str,
    /// Field names, with units.
    pub(crate) columns: &'static [&'static str],
    /// One value for each column: strings, numbers, booleans or null.
    pub(crate) rows: Vec<Vec<Value>>,
}

/// What a request wants beside the page: none of the page's tables, or one of them in a format.
pub(crate) struct Wanted(Option<(String, Format)>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let pairs = address::pairs(&parts.uri);
        let value = |wanted| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let format = match value("as") {
            Some("json") => Format::Json,
            _ => Format::Csv,
        };
        Ok(Self(value("table").map(|table| (table.to_owned(), format))))
    }
}

impl Wanted {
    /// Name of the table that is wanted.
    pub(crate) fn table(&self) -> Option<&str> {
        self.0.as_ref().map(|(table, _)| table.as_str())
    }

    /// The file, if one of these tables is wanted; it is named after `page`. None if the page itself is.
    ///
    /// # Errors
    /// When the page has no such table.
    pub(crate) fn file(&self, page: &str, sheets: Vec<Sheet>) -> Result<Option<Response>, Failure> {
        let Some((table, format)) = &self.0 else { return Ok(None) };
        let sheet = sheets.into_iter().find(|s| s.name == *table).ok_or_else(Failure::page)?;
        let (kind, ending, body) = match format {
            Format::Csv => ("text/csv", "csv", sheet.csv().map_err(|e| Failure::internal(&e))?),
            Format::Json => ("application/json", "json", sheet.json().into_bytes()),
        };
        // Ids are letters, digits, - and _.
        let name = format!("attachment; filename=\"{page}-{table}.{ending}\"");
        let headers = [(header::CONTENT_TYPE, format!("{kind}; charset=utf-8")), (header::CONTENT_DISPOSITION, name)];
        Ok(Some((headers, body).into_response()))
    }
}

impl Sheet {
    fn json(self) -> String {
        let named = |row: Vec<Value>| {
            Value::Object(self.columns.iter().map(|c| (*c).to_owned()).zip(row).collect::<Map<_, _>>())
        };
        Value::Array(self.rows.into_iter().map(named).collect()).to_string()
    }

    fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record(self.columns)?;
        for row in &self.rows {
            out.write_record(row.iter().map(|value| match value {
                Value::Null => String::new(),
                Value::String(text) => inert(text),
                other => other.to_string(),
            }))?;
        }
        out.into_inner().map_err(|e| e.into_error().into())
    }
}

/// Spreadsheets run text that begins like a formula.
fn inert(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.into() }
}

/// Links to a table's files.
#[derive(Template)]
#[template(path = "downloads.html")]
pub(crate) struct Downloads {
    lang: Lang,
    csv: String,
    json: String,
}

/// The template escapes.
impl HtmlSafe for Downloads {}

impl Downloads {
    pub(crate) fn new(uri: &Uri, table: &str, lang: Lang) -> Self {
        let link = |format| address::with(uri, &[("table", table), ("as", format)]);
        Self { lang, csv: link("csv"), json: link("json") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_hold_exact_values_and_no_formula() {
        let sheet = || Sheet {
            name: "t",
            columns: &["arm", "rate"],
            rows: vec![vec![json!("=cmd|x"), json!(0.1)], vec![json!("a,\"b\""), Value::Null]],
        };
        assert_eq!(sheet().csv().unwrap(), b"arm,rate\n'=cmd|x,0.1\n\"a,\"\"b\"\"\",\n");
        assert_eq!(sheet().json(), r#"[{"arm":"=cmd|x","rate":0.1},{"arm":"a,\"b\"","rate":null}]"#);
    }
}
