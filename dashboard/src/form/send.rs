//! The same change over HTTP.

use serde_json::{Map, Value};

/// The command that does what a form does: a draft from a document, or a new definition of `id`.
pub(crate) fn curl(host: &str, id: Option<&str>, document: &Map<String, Value>, reason: &str) -> String {
    let (method, path) = match id {
        None => ("POST", "/v1/experiments".to_owned()),
        Some(id) => ("PUT", format!("/v1/experiments/{id}")),
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    if !reason.is_empty() {
        query.append_pair("reason", reason);
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    let body = quoted(&pretty(document));
    format!(
        "curl -X {method} 'http://{host}{path}{mark}{query}' \\\n  -H 'content-type: application/json' \\\n  -d {body}"
    )
}

/// The document as people read it.
pub(crate) fn pretty(document: &Map<String, Value>) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_word() {
        let document = Map::from_iter([("name".to_owned(), Value::from("it's; $(rm)"))]);
        let line = curl("h:1", Some("e"), &document, "a&b'");
        assert_eq!(
            line,
            "curl -X PUT 'http://h:1/v1/experiments/e?reason=a%26b%27' \\\n  -H 'content-type: application/json' \\\n  \
             -d '{\n  \"name\": \"it'\\''s; $(rm)\"\n}'"
        );
    }
}
