//! Requests as they go over the wire.

use crate::read::Entry;
use form_urlencoded::Serializer;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// What logs hold unescaped and a request line cannot.
const UNFIT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^')
    .add(b'#');
/// Headers that belong to a connection, or that are made anew.
const NOT_OURS: [&str; 10] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "proxy-connection",
];

/// What a request is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fields {
    pub(super) experiment: Option<String>,
    pub(super) user: Option<String>,
    pub(super) item: Option<String>,
    pub(super) context: Vec<(String, String)>,
    pub(super) name: Option<String>,
    pub(super) value: Option<String>,
}

/// What all requests to a target share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// `host:port`, for the header.
    pub(crate) host: String,
    /// What comes before every path; without a slash at its end.
    pub(crate) prefix: String,
    /// Headers to add to every request.
    pub(crate) headers: Vec<(String, String)>,
}

impl Base {
    pub(super) fn decide_by_get(&self, fields: &Fields) -> Box<[u8]> {
        let mut query = Serializer::new(String::with_capacity(96));
        for (name, value) in [("experiment", &fields.experiment), ("user", &fields.user), ("item", &fields.item)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        for (name, value) in &fields.context {
            query.append_pair(&format!("context.{name}"), value);
        }
        self.request("GET", &format!("/v1/decide?{}", query.finish()), &[], b"")
    }

    pub(super) fn decide_by_post(&self, fields: &Fields) -> Box<[u8]> {
        let context: Map<String, Value> = fields.context.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
        let mut body = Map::new();
        for (name, value) in [("experiment", &fields.experiment), ("user", &fields.user), ("item", &fields.item)] {
            body.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
        }
        if !context.is_empty() {
            body.insert("context".to_owned(), Value::Object(context));
        }
        self.json("/v1/decide", &Value::Object(body))
    }

    /// A reward for the assignments of its user and item.
    pub(super) fn event(&self, fields: &Fields) -> Box<[u8]> {
        let mut body = Map::from_iter([("type".to_owned(), json!("reward"))]);
        let known = [
            ("name", &fields.name),
            ("user", &fields.user),
            ("item", &fields.item),
            ("experiment", &fields.experiment),
        ];
        for (name, value) in known {
            body.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
        }
        let value = fields.value.as_ref().and_then(|value| value.parse::<f64>().ok()).filter(|v| v.is_finite());
        body.extend(value.map(|value| ("value".to_owned(), json!(value))));
        self.json("/v1/events", &Value::Object(body))
    }

    /// A reward for one decision.
    pub(crate) fn reward(&self, name: &str, decision_id: &str) -> Box<[u8]> {
        self.json("/v1/events", &json!({"type": "reward", "name": name, "decision_id": decision_id}))
    }

    /// The logged request itself; none if its target is no path.
    pub(super) fn as_it_was(&self, entry: &Entry<'_>) -> Option<Box<[u8]>> {
        if !entry.target.starts_with('/') {
            return None;
        }
        let path = Cow::from(utf8_percent_encode(&entry.target, UNFIT));
        let fit = |text: &str| !text.bytes().any(|b| b.is_ascii_control());
        let headers: Vec<(&str, &str)> = entry
            .headers
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .filter(|(name, value)| {
                !NOT_OURS.contains(name) && fit(name) && fit(value) && !name.contains([':', ' ']) && !name.is_empty()
            })
            .collect();
        Some(self.request(&entry.method, &path, &headers, &entry.body))
    }

    fn json(&self, path: &str, body: &Value) -> Box<[u8]> {
        self.request("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Box<[u8]> {
        let mut out = Vec::with_capacity(192 + path.len() + body.len());
        // Formatting costs more than all else that is done to a line.
        let mut put = |parts: &[&str]| parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        put(&[method, " ", &self.prefix, path, " HTTP/1.1\r\nhost: ", &self.host, "\r\n"]);
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            put(&[name, ": ", value, "\r\n"]);
        }
        if !body.is_empty() || !matches!(method, "GET" | "HEAD" | "OPTIONS") {
            put(&["content-length: ", &body.len().to_string(), "\r\n"]);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
        out.into_boxed_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base() -> Base {
        Base {
            host: "127.0.0.1:1".into(),
            prefix: "/api".into(),
            headers: vec![("authorization".into(), "Bearer k".into())],
        }
    }

    #[test]
    fn requests_read_as_the_contract_says() {
        let fields = Fields {
            experiment: Some("page".into()),
            user: Some("u&1".into()),
            item: Some("ü".into()),
            context: vec![("device".into(), "mobile".into())],
            ..Fields::default()
        };
        let text = String::from_utf8(base().decide_by_get(&fields).into()).unwrap();
        let head = "GET /api/v1/decide?experiment=page&user=u%261&item=%C3%BC&context.device=mobile HTTP/1.1\r\nhost: 127.0.0.1:1\r\nauthorization: Bearer k\r\n\r\n";
        assert_eq!(text, head);
        let text = String::from_utf8(base().decide_by_post(&fields).into()).unwrap();
        let body = r#"{"context":{"device":"mobile"},"experiment":"page","item":"ü","user":"u&1"}"#;
        assert!(text.ends_with(&format!("content-length: {}\r\n\r\n{body}", body.len())), "{text}");
        let text = String::from_utf8(
            base().event(&Fields { value: Some("2.5".into()), name: Some("buy".into()), ..fields }).into(),
        )
        .unwrap();
        assert!(
            text.ends_with(r#"{"experiment":"page","item":"ü","name":"buy","type":"reward","user":"u&1","value":2.5}"#),
            "{text}"
        );
    }

    proptest! {
        /// Whatever a log holds, one request goes out and no more: nothing in it can end the head early.
        #[test]
        fn a_log_cannot_smuggle_requests(target in "/[ -~é\\r\\n\\t\u{0}]{0,60}", name in "[ -~]{0,12}", value in "[ -~\\r\\n]{0,40}") {
            let entry = Entry { method: "GET".into(), target: target.into(), headers: vec![(name.into(), value.into())], ..Entry::default() };
            let bytes = base().as_it_was(&entry).unwrap();
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut request = httparse::Request::new(&mut headers);
            if let Ok(httparse::Status::Complete(used)) = request.parse(&bytes) {
                prop_assert_eq!(used, bytes.len());
            }
            prop_assert_eq!(memchr::memmem::find_iter(&bytes, b"\r\n\r\n").count(), 1);
        }
    }
}
