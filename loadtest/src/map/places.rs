//! Where in an entry a rule looks.

use crate::read::Entry;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// A part of a logged request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The path, without its query.
    Path,
    /// A parameter of the query.
    Query(String),
    /// A cookie.
    Cookie(String),
    /// A header, by its name in lower case.
    Header(String),
    /// The client's address.
    Client,
    /// The method.
    Method,
}

impl std::str::FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (place, name) = text.split_once('.').unwrap_or((text, ""));
        Ok(match (place, name) {
            ("path", "") => Self::Path,
            ("client", "") => Self::Client,
            ("method", "") => Self::Method,
            ("query", name) if !name.is_empty() => Self::Query(name.to_owned()),
            ("cookie", name) if !name.is_empty() => Self::Cookie(name.to_owned()),
            ("header", name) if !name.is_empty() => Self::Header(name.to_ascii_lowercase()),
            _ => return Err("begins with path:, query.NAME:, cookie.NAME:, header.NAME:, client: or method:"),
        })
    }
}

impl Place {
    /// What stands there, decoded.
    pub(crate) fn find<'a>(&'a self, entry: &'a Entry<'_>) -> Option<Cow<'a, str>> {
        let (path, query) = entry.target.split_once('?').unwrap_or((&entry.target, ""));
        match self {
            Self::Path => Some(percent_decode_str(path).decode_utf8_lossy()),
            Self::Query(wanted) => {
                form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted).map(|(_, value)| value)
            }
            Self::Cookie(wanted) => headers(entry, "cookie")
                .flat_map(|line| line.split(';'))
                .filter_map(|cookie| cookie.trim().split_once('='))
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| Cow::Borrowed(value.trim_matches('"'))),
            Self::Header(wanted) => headers(entry, wanted).next().map(Cow::Borrowed),
            Self::Client => Some(Cow::Borrowed(&*entry.client)).filter(|client| !client.is_empty()),
            Self::Method => Some(Cow::Borrowed(&*entry.method)),
        }
    }
}

fn headers<'a>(entry: &'a Entry<'_>, wanted: &'a str) -> impl Iterator<Item = &'a str> {
    entry.headers.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| &**value)
}
