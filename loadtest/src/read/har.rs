//! HTTP archives, as browsers save them; see <http://www.softwareishard.com/blog/har-12-spec/>.

use super::json::stamp_of;
use super::ledger::{Refusal, SharedLedger};
use super::lines::Outcome;
use super::{Entry, Stamps, path_of};
use serde::Deserialize;
use std::io::{BufRead, Read};

/// Largest archive that is read: it is one document, which is held whole.
const LARGEST: u64 = 256 << 20;

#[derive(Deserialize)]
struct Archive {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    started_date_time: String,
    #[serde(default)]
    time: f64,
    request: Request,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Header>,
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    #[serde(default)]
    text: String,
}

pub(super) fn is_har(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start));
    let mut rest = text.trim_start();
    ["{", "\"log\"", ":", "{"].iter().all(|part| {
        let found = rest.strip_prefix(part);
        rest = found.unwrap_or_default().trim_start();
        found.is_some()
    })
}

pub(super) fn read(
    input: &mut dyn BufRead,
    stamps: Stamps,
    ledger: &SharedLedger,
    each: &mut dyn FnMut(&Entry<'_>, &[u8]) -> Outcome,
) -> Outcome {
    let mut bytes = Vec::new();
    let read = input.take(LARGEST + 1).read_to_end(&mut bytes);
    let start = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let why = match read {
        Err(_) => Refusal::Packed,
        Ok(_) if bytes.len() as u64 > LARGEST => Refusal::TooLong,
        Ok(_) => match serde_json::from_slice::<Archive>(start) {
            Ok(archive) => return entries(archive, stamps, ledger, each),
            Err(error) if error.is_eof() => Refusal::CutShort,
            Err(_) => Refusal::Json,
        },
    };
    let mut ledger = ledger.lock();
    ledger.lines += 1;
    ledger.refuse(why, &bytes);
    Outcome::More
}

fn entries(
    archive: Archive,
    stamps: Stamps,
    ledger: &SharedLedger,
    each: &mut dyn FnMut(&Entry<'_>, &[u8]) -> Outcome,
) -> Outcome {
    for value in archive.log.entries {
        ledger.lock().lines += 1;
        let text = value.to_string();
        let item = serde_json::from_value::<Item>(value);
        let Some((item, at)) =
            item.ok().and_then(|item| Some((stamp_of(&item.started_date_time)?, item)).map(|(a, i)| (i, a)))
        else {
            ledger.lock().refuse(Refusal::Part, text.as_bytes());
            continue;
        };
        let entry = Entry {
            at: at.begun(Some(item.time / 1e3), stamps.ends(false)),
            method: item.request.method.into(),
            target: path_of(&item.request.url).split('#').next().unwrap_or_default().to_owned().into(),
            // Names that begin with a colon are HTTP/2's request line.
            headers: item
                .request
                .headers
                .into_iter()
                .filter(|h| !h.name.starts_with(':'))
                .map(|h| (h.name.to_ascii_lowercase().into(), h.value.into()))
                .collect(),
            body: item.request.post_data.map(|data| data.text.into_bytes()).unwrap_or_default().into(),
            ..Entry::default()
        };
        if each(&entry, text.as_bytes()) == Outcome::Enough {
            return Outcome::Enough;
        }
    }
    Outcome::More
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_requests() {
        let text = r#"{ "log": {"version":"1.2","entries":[
            {"startedDateTime":"2015-05-17T10:05:03.000Z","time":12.5,"request":{"method":"POST","url":"https://x.org/a?b=1#c","headers":[{"name":":method","value":"POST"},{"name":"Cookie","value":"uid=7"}],"postData":{"mimeType":"x","text":"hi"}}},
            {"startedDateTime":"never","request":{"method":"GET","url":"/"}}, 7]}}"#;
        assert!(is_har(text.as_bytes()) && !is_har(br#"{"method":"GET"}"#));
        let (ledger, mut seen) = (SharedLedger::default(), 0);
        read(&mut text.as_bytes(), Stamps::Auto, &ledger, &mut |e, _| {
            assert_eq!(
                (&*e.method, &*e.target, &*e.body, e.at.ns),
                ("POST", "/a?b=1", &b"hi"[..], 1_431_857_103_000_000_000)
            );
            assert_eq!(e.headers, [("cookie".into(), "uid=7".into())]);
            seen += 1;
            Outcome::More
        });
        let counted = ledger.lock().clone();
        assert_eq!((seen, counted.refused[&Refusal::Part].count, counted.lines), (1, 2, 3));
        read(&mut &text.as_bytes()[..200], Stamps::Auto, &ledger, &mut |_, _| Outcome::More);
        assert_eq!(ledger.lock().refused[&Refusal::CutShort].count, 1);
    }
}
