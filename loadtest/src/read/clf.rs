//! Common and combined logs of Apache and nginx, with or without the virtual host before them and more behind.

use super::clock::Clock;
use super::{Entry, Refusal, Stamps, path_of, request_line};
use memchr::{memchr, memchr2};
use std::borrow::Cow;

/// `client ident user [time] "request" status bytes "referer" "agent" …`
pub(crate) fn entry<'a>(line: &'a str, clock: &mut Clock, stamps: Stamps) -> Result<Entry<'a>, Refusal> {
    let open =
        memchr(b'[', line.as_bytes()).ok_or(if known_start(line) { Refusal::CutShort } else { Refusal::Unknown })?;
    let client = client(&line[..open])?;
    let rest = &line[open + 1..];
    let close = memchr(b']', rest.as_bytes()).ok_or(Refusal::CutShort)?;
    let at = clock.common(&rest[..close]).ok_or(Refusal::NoTime)?;
    let (request, rest) = quoted(&rest[close + 1..])?;
    // What Apache writes when a client said nothing.
    let (method, target) = match &request {
        Cow::Borrowed(text) => request_line(text).map(|(m, t)| (m.into(), path_of(t).into()))?,
        Cow::Owned(text) => request_line(text).map(|(m, t)| (m.to_owned().into(), path_of(t).to_owned().into()))?,
    };
    let (status, rest) = word(rest);
    let (bytes, rest) = word(rest);
    if !status.bytes().all(|b| b.is_ascii_digit()) || status.len() != 3 || bytes.is_empty() {
        return Err(Refusal::CutShort);
    }
    let mut headers = Vec::new();
    let (mut rest, mut cut) = (rest, false);
    for name in ["referer", "user-agent"] {
        if !rest.trim_ascii_start().starts_with('"') {
            break;
        }
        let Ok((value, after)) = quoted(rest) else {
            (rest, cut) = ("", true);
            break;
        };
        if !value.is_empty() && value != "-" {
            headers.push((name.into(), value));
        }
        rest = after;
    }
    let took = if rest.is_empty() { None } else { duration(rest) };
    Ok(Entry {
        at: at.begun(took, stamps.ends(true)),
        method,
        target,
        client: client.into(),
        headers,
        cut,
        ..Entry::default()
    })
}

/// The client before the time: the first word, or the second behind a virtual host.
fn client(text: &str) -> Result<&str, Refusal> {
    let mut words = text.split_ascii_whitespace();
    let (first, second, third) = (words.next(), words.next(), words.next());
    match (first, second, third, words.next()) {
        (Some(_), Some(client), Some("-"), Some(_)) => Ok(client),
        (Some(client), Some(_), Some(_), _) => Ok(client),
        _ => Err(Refusal::Unknown),
    }
}

/// A line without a time may be the beginning of one that was cut: an address and a dash.
fn known_start(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    words.next().is_some_and(|first| first.parse::<std::net::IpAddr>().is_ok()) && words.next().is_none_or(|w| w == "-")
}

/// The field in quotes that comes next, with what servers escape in it undone.
pub(super) fn quoted(text: &str) -> Result<(Cow<'_, str>, &str), Refusal> {
    let text = text.trim_ascii_start();
    let inner = text.strip_prefix('"').ok_or(Refusal::CutShort)?;
    let bytes = inner.as_bytes();
    let mut at = 0;
    let mut escaped = false;
    loop {
        at += memchr2(b'"', b'\\', &bytes[at..]).ok_or(Refusal::CutShort)?;
        if bytes[at] == b'"' {
            break;
        }
        escaped = true;
        at += 2;
        if at >= bytes.len() {
            return Err(Refusal::CutShort);
        }
    }
    let value = &inner[..at];
    Ok((if escaped { Cow::Owned(unescape(value)) } else { Cow::Borrowed(value) }, &inner[at + 1..]))
}

/// `\"`, `\\` and `\x41` are what servers write for what would end the field.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |from: &[u8]| std::str::from_utf8(from).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = match (first, after) {
            (b'\\', [b'x', a, b, more @ ..]) if let Some(byte) = hex(&[*a, *b]) => {
                bytes.push(byte);
                more
            }
            (b'\\', [next, more @ ..]) => {
                bytes.push(match next {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    other => *other,
                });
                more
            }
            (byte, more) => {
                bytes.push(*byte);
                more
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn word(text: &str) -> (&str, &str) {
    let text = text.trim_ascii_start();
    memchr(b' ', text.as_bytes()).map_or((text, ""), |at| text.split_at(at))
}

/// What nginx takes for `$request_time`: seconds with a fraction, alone or as `rt=0.123`. Apache's `%D` is a whole
/// number and its stamps are of starts, so there is nothing to subtract.
fn duration(rest: &str) -> Option<f64> {
    let fraction = |word: &str| word.contains('.').then(|| word.parse().ok()).flatten();
    rest.split_ascii_whitespace().find_map(|word| match word.split_once('=') {
        Some(("rt" | "request_time", value)) => value.trim_matches('"').parse().ok(),
        Some(_) => None,
        None => fraction(word.trim_matches('"')),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: i64 = 1_431_857_103_000_000_000;

    fn read(line: &str) -> Result<Entry<'_>, Refusal> {
        entry(line, &mut Clock::default(), Stamps::Auto)
    }

    #[test]
    fn fields_are_where_they_should_be() {
        let got = read(r#"198.18.0.7 - - [17/May/2015:10:05:03 +0000] "GET /a/b?c=d HTTP/1.1" 200 203023 "http://x/" "Mozilla \"5\" \xc3\xa9""#).unwrap();
        assert_eq!(
            (got.at.ns, got.at.coarse, &*got.method, &*got.target, &*got.client),
            (AT, true, "GET", "/a/b?c=d", "198.18.0.7")
        );
        assert_eq!(
            got.headers,
            [("referer".into(), "http://x/".into()), ("user-agent".into(), "Mozilla \"5\" é".into())]
        );
    }

    #[test]
    fn relatives_are_known() {
        for (line, client, took_ms) in [
            (r#"::1 - bob [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 304 -"#, "::1", 0),
            (
                r#"www.x.org:443 10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/2.0" 200 1 "-" "-""#,
                "10.0.0.1",
                0,
            ),
            (r#"10.0.0.1 - mary ann [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1"#, "10.0.0.1", 0),
            (r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x" 0.250"#, "10.0.0.1", 250),
            (
                r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x" "-" rt=1.5 uct="0.1""#,
                "10.0.0.1",
                1_500,
            ),
            // Apache's %D: microseconds, and the stamp is of the start.
            (r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "x" 250000"#, "10.0.0.1", 0),
            (r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET http://x.org/ HTTP/1.1" 200 1"#, "10.0.0.1", 0),
        ] {
            let got = read(line).unwrap_or_else(|e| panic!("{line}: {e:?}"));
            assert_eq!((&*got.client, AT - got.at.ns, &*got.target), (client, took_ms * 1_000_000, "/"), "{line}");
        }
    }

    #[test]
    fn refusals_say_why() {
        for (line, why) in [
            ("", Refusal::Unknown),
            ("hello world", Refusal::Unknown),
            ("10.0.0.1 - ", Refusal::CutShort),
            ("10.0.0.1 - - [17/May/2015:10:0", Refusal::CutShort),
            (r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /x"#, Refusal::CutShort),
            (r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /x HTTP/1.1""#, Refusal::CutShort),
            (r#"10.0.0.1 - - [99/May/2015:10:05:03 +0000] "GET /x HTTP/1.1" 200 1"#, Refusal::NoTime),
            (r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "-" 408 -"#, Refusal::NoRequest),
            (r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "\x16\x03\x01" 400 0"#, Refusal::NoRequest),
        ] {
            assert_eq!(read(line).err(), Some(why), "{line}");
        }
    }

    #[test]
    fn a_line_that_is_cut_after_its_request_is_used() {
        let got =
            read(r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /x HTTP/1.1" 200 1 "http://y/" "Mozi"#).unwrap();
        assert!(got.cut && &*got.target == "/x" && got.headers == [("referer".into(), "http://y/".into())]);
    }

    proptest! {
        #[test]
        fn nothing_from_outside_panics(line in r#"[ -~é\\"\[\]]{0,120}"#, cut in 0_usize..200) {
            let _ = read(&line);
            let whole = format!(r#"1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /é{line} HTTP/1.1" 200 1 "{line}" "x\"#);
            let cut = (0..=cut.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap();
            let _ = read(&whole[..cut]);
        }
    }
}
