//! Logs in, entries out: every line is an entry or a counted refusal.

mod clf;
mod clock;
mod decisions;
mod gor;
mod har;
mod input;
mod json;
mod ledger;
mod lines;
mod proxies;

pub(crate) use input::Input;
pub(crate) use ledger::{Count, Ledger, Note, Refusal, SharedLedger};
pub(crate) use lines::Outcome;

use clock::Clock;
use std::borrow::Cow;

/// What a log says of one request. Text is borrowed from the line where it can be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Entry<'a> {
    /// When it came in.
    pub(crate) at: Stamp,
    pub(crate) method: Cow<'a, str>,
    /// Path and query.
    pub(crate) target: Cow<'a, str>,
    /// Address of the client, or its name.
    pub(crate) client: Cow<'a, str>,
    /// Lower-case names and values, as far as the log has them.
    pub(crate) headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(crate) body: Cow<'a, [u8]>,
    /// Whether the line ends within its last fields.
    pub(crate) cut: bool,
    /// In a decision log, what was asked and what was reported.
    pub(crate) decided: Option<Box<Decided>>,
}

/// A line of a decision log.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Decided {
    pub(crate) experiment: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) item: Option<String>,
    pub(crate) context: Vec<(String, String)>,
    /// The line is a reward of its own.
    pub(crate) is_event: bool,
    /// The reward, and when it came.
    pub(crate) reward: Option<Reward>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reward {
    pub(crate) name: Option<String>,
    pub(crate) value: f64,
    pub(crate) at: Option<Stamp>,
}

/// A moment on the log's own clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    /// Nanoseconds since 1970.
    pub(crate) ns: i64,
    /// Whether the log says no more than the second.
    pub(crate) coarse: bool,
}

/// Which end of a request the log stamps, for requests whose duration it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Stamps {
    /// As the format is known to: nginx, Caddy and ALB the end; Apache, Envoy and HAR the start
    #[default]
    Auto,
    /// When it came in
    Start,
    /// When it was answered
    End,
}

impl Stamp {
    /// When a request came in that took `seconds`, if that is to be subtracted.
    fn begun(self, seconds: Option<f64>, ends: bool) -> Self {
        match seconds {
            // A day is no duration of a request, and NaN none at all.
            Some(s) if ends && (0.0..86_400.0).contains(&s) => Self { ns: self.ns - (s * 1e9) as i64, ..self },
            _ => self,
        }
    }
}

impl Stamps {
    /// Whether stamps are those of ends, where a format's habit is `usual`.
    fn ends(self, usual: bool) -> bool {
        match self {
            Self::Auto => usual,
            Self::Start => false,
            Self::End => true,
        }
    }
}

/// Reads lines of any known format, told apart one by one: logs are mixed when servers are changed.
#[derive(Debug)]
pub(crate) struct Parser {
    clock: Clock,
    stamps: Stamps,
}

impl Parser {
    pub(crate) fn new(stamps: Stamps) -> Self {
        Self { clock: Clock::default(), stamps }
    }

    /// The entry of a line.
    pub(crate) fn line<'a>(&mut self, line: &'a str) -> Result<Entry<'a>, Refusal> {
        let line = line.trim_ascii_end();
        match line.as_bytes().first() {
            Some(b'{') => json::entry(line, &mut self.clock, self.stamps),
            Some(b'[') => proxies::envoy(line, self.stamps),
            _ if proxies::is_alb(line) => proxies::alb(line, self.stamps),
            _ => clf::entry(line, &mut self.clock, self.stamps),
        }
    }
}

/// Splits `GET /path HTTP/1.1`.
fn request_line(text: &str) -> Result<(&str, &str), Refusal> {
    let (method, rest) = text.split_once(' ').ok_or(Refusal::NoRequest)?;
    let target = match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => target,
        _ => rest,
    };
    let token = !method.is_empty()
        && method.len() <= 20
        && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-' || b == b'_');
    if !token || target.is_empty() {
        return Err(Refusal::NoRequest);
    }
    Ok((method, target))
}

/// Path and query of what a log gives as a whole address.
fn path_of(address: &str) -> &str {
    let rest = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
    match rest {
        None => address,
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
    }
}
