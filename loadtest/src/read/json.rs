//! One JSON object per line: access logs of nginx, Envoy, Caddy and ALB under the names that are usual for them.

use super::clock::{Clock, seconds};
use super::{Entry, Refusal, Stamp, Stamps, decisions, path_of, request_line};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

const STARTS: [&str; 2] = ["start_time", "request_creation_time"];
const TIMES: [&str; 9] = ["time_iso8601", "@timestamp", "msec", "ts", "timestamp", "time", "time_local", "at", "date"];
const METHODS: [&str; 4] = ["request_method", "method", ":method", "request_verb"];
const PATHS: [&str; 6] = ["request_uri", "path", ":path", "uri", "request_url", "url"];
const CLIENTS: [&str; 6] =
    ["remote_addr", "client_ip", "remote_ip", "downstream_remote_address", "client", "x_forwarded_for"];
const HEADERS: [(&str, &str); 6] = [
    ("http_referer", "referer"),
    ("referer", "referer"),
    ("http_user_agent", "user-agent"),
    ("user_agent", "user-agent"),
    ("cookie", "cookie"),
    ("x_forwarded_for", "x-forwarded-for"),
];
const ALB_TIMES: [&str; 3] = ["request_processing_time", "target_processing_time", "response_processing_time"];

/// An object's members in their order, their values unread.
pub(super) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'a> Visitor<'a> for Collect {
            type Value = Members<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Members<'a>, M::Error> {
                let mut members = Vec::with_capacity(24);
                while let Some((Text(name), value)) = map.next_entry::<Text<'a>, &RawValue>()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Text that is borrowed unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Members<'a> {
    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// A text or a number; empty ones and dashes are absent.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.raw(name).and_then(text)
    }

    fn first(&self, names: &[&str]) -> Option<Cow<'a, str>> {
        names.iter().find_map(|name| self.text(name))
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok()
    }

    pub(super) fn object(&self, name: &str) -> Option<Members<'a>> {
        serde_json::from_str(self.raw(name).filter(|raw| raw.get().starts_with('{'))?.get()).ok()
    }
}

pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let value = match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<Text<'_>>(raw.get()).ok()?.0,
        b'{' | b'[' | b'n' => return None,
        _ => Cow::Borrowed(raw.get()),
    };
    (!value.is_empty() && value != "-").then_some(value)
}

pub(super) fn entry<'a>(line: &'a str, clock: &mut Clock, stamps: Stamps) -> Result<Entry<'a>, Refusal> {
    let members: Members<'a> = serde_json::from_str(line).map_err(|_| Refusal::Json)?;
    let inner = members.object("request");
    let request = inner.as_ref().unwrap_or(&members);
    let method = request.first(&METHODS);
    if method.is_none()
        && members.raw("user").is_some()
        && (members.raw("arm").is_some() || members.raw("kind").is_some())
    {
        return decisions::entry(&members, clock);
    }
    let (method, target) = match (method, members.text("request")) {
        (None, Some(line)) => {
            let (method, target) = request_line(&line)?;
            (Cow::Owned(method.to_owned()), Cow::Owned(path_of(target).to_owned()))
        }
        (Some(method), _) => (method, target(request).ok_or(Refusal::NoRequest)?),
        (None, None) => return Err(Refusal::Json),
    };
    let (at, ends) = stamp(&members, clock).ok_or(Refusal::NoTime)?;
    let took = duration(&members, inner.is_some());
    let client = request.first(&CLIENTS).unwrap_or_default();
    let headers = headers(&members, inner.as_ref());
    Ok(Entry {
        at: at.begun(took, stamps.ends(ends)),
        method,
        target,
        client: address(client),
        headers,
        ..Entry::default()
    })
}

fn target<'a>(members: &Members<'a>) -> Option<Cow<'a, str>> {
    let path = match members.first(&PATHS)? {
        Cow::Borrowed(path) => Cow::Borrowed(path_of(path)),
        Cow::Owned(path) => Cow::Owned(path_of(&path).to_owned()),
    };
    match members.first(&["args", "query_string"]) {
        Some(query) if !path.contains('?') => Some(format!("{path}?{}", query.trim_start_matches('?')).into()),
        _ => Some(path),
    }
}

/// The stamp, and whether servers that write it so stamp the end.
fn stamp(members: &Members<'_>, clock: &mut Clock) -> Option<(Stamp, bool)> {
    if let Some(at) = members.first(&STARTS).and_then(|text| clock.any(&text)) {
        return Some((at, false));
    }
    let at = TIMES.iter().find_map(|name| clock.any(&members.text(name)?));
    at.map(|at| (at, true))
}

/// Seconds that it took: Caddy's `duration` is in seconds, Envoy's in milliseconds.
fn duration(members: &Members<'_>, nested: bool) -> Option<f64> {
    let took = members.number("request_time").or_else(|| {
        let scale = if nested { 1.0 } else { 1e3 };
        members.number("duration").map(|d| d / scale)
    });
    took.or_else(|| {
        let parts: Vec<f64> = ALB_TIMES.iter().filter_map(|name| members.number(name)).filter(|t| *t > 0.0).collect();
        (!parts.is_empty()).then(|| parts.iter().sum())
    })
}

fn headers<'a>(members: &Members<'a>, inner: Option<&Members<'a>>) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let mut headers: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
    for (member, header) in HEADERS {
        if let Some(value) = members.text(member) {
            headers.push((header.into(), value));
        }
    }
    for (name, value) in &members.0 {
        if let (Some(cookie), Some(value)) = (name.strip_prefix("cookie_"), text(value)) {
            headers.push(("cookie".into(), format!("{cookie}={value}").into()));
        } else if let Some(header) = name.strip_prefix("http_").filter(|h| *h != "referer" && *h != "user_agent")
            && let Some(value) = text(value)
        {
            headers.push((header.replace('_', "-").into(), value));
        }
    }
    // Caddy: lists of values by name.
    for (name, values) in inner.and_then(|inner| inner.object("headers")).map(|h| h.0).unwrap_or_default() {
        let values: Vec<String> = serde_json::from_str(values.get()).unwrap_or_default();
        headers.extend(values.into_iter().map(|value| (name.to_ascii_lowercase().into(), value.into())));
    }
    headers
}

/// Without the port that Envoy adds.
fn address(text: Cow<'_, str>) -> Cow<'_, str> {
    let first = text.split(',').next().unwrap_or_default().trim();
    match first.parse::<std::net::SocketAddr>() {
        Ok(socket) => socket.ip().to_string().into(),
        Err(_) if first.len() == text.len() => text,
        Err(_) => first.to_owned().into(),
    }
}

/// A number of HAR and Caddy, for others.
pub(super) fn stamp_of(text: &str) -> Option<Stamp> {
    Clock::default().any(text).or_else(|| seconds(text.parse().ok()?, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str) -> Result<Entry<'_>, Refusal> {
        entry(line, &mut Clock::default(), Stamps::Auto)
    }

    #[test]
    fn each_server_under_its_own_names() {
        let at = 1_431_857_103_000_000_000;
        for (line, client, before_ms) in [
            // nginx, as usually configured
            (
                r#"{"time_iso8601":"2015-05-17T10:05:03+00:00","remote_addr":"10.0.0.9","request":"GET /p?q=1 HTTP/1.1","status":200,"request_time":"0.250","http_user_agent":"x\"y"}"#,
                "10.0.0.9",
                250,
            ),
            (
                r#"{"msec":"1431857103.000","remote_addr":"10.0.0.9","request_method":"GET","request_uri":"/p?q=1","request_time":0.001,"http_user_agent":"x\"y"}"#,
                "10.0.0.9",
                1,
            ),
            // Envoy: the start is stamped
            (
                r#"{"start_time":"2015-05-17T10:05:03.000Z","method":"GET","path":"/p?q=1","duration":17,"downstream_remote_address":"10.0.0.9:4711","user_agent":"x\"y","response_code":200}"#,
                "10.0.0.9",
                0,
            ),
            // Caddy
            (
                r#"{"level":"info","ts":1431857103.000,"logger":"http.log.access","request":{"remote_ip":"10.0.0.9","remote_port":"1","method":"GET","host":"x","uri":"/p?q=1","headers":{"User-Agent":["x\"y"]}},"duration":0.5,"status":200}"#,
                "10.0.0.9",
                500,
            ),
            // ALB, as queried
            (
                r#"{"type":"h2","time":"2015-05-17T10:05:04.000000Z","client_ip":"10.0.0.9","client_port":1,"request_processing_time":0.0,"target_processing_time":1,"response_processing_time":-1,"request_verb":"GET","request_url":"https://x.org:443/p?q=1","user_agent":"x\"y"}"#,
                "10.0.0.9",
                0,
            ),
        ] {
            let got = read(line).unwrap_or_else(|e| panic!("{line}: {e:?}"));
            assert_eq!((&*got.method, &*got.target, &*got.client), ("GET", "/p?q=1", client), "{line}");
            assert_eq!((at - got.at.ns) / 1_000_000, before_ms, "{line}");
            assert_eq!(got.headers, [("user-agent".into(), "x\"y".into())], "{line}");
        }
    }

    #[test]
    fn refusals_say_why() {
        for (line, why) in [
            (r#"{"msec":1431857103.0,"request":"GET /"#, Refusal::Json),
            (r#"{"msec":1431857103.0,"level":"info"}"#, Refusal::Json),
            (r#"{"msec":1431857103.0,"method":"GET"}"#, Refusal::NoRequest),
            (r#"{"method":"GET","path":"/"}"#, Refusal::NoTime),
        ] {
            assert_eq!(read(line).err(), Some(why), "{line}");
        }
    }

    proptest! {
        #[test]
        fn nothing_from_outside_panics(line in r#"\{[ -~]{0,80}"#) {
            let _ = read(&line);
        }
    }
}
