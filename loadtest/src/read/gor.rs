//! GoReplay's files: a line `1 ID NANOSECONDS …`, the request as it was on the wire, and a line of three monkeys.

use super::ledger::{Note, Refusal, SharedLedger};
use super::lines::Outcome;
use super::{Entry, Stamp};
use httparse::{EMPTY_HEADER, Status};
use std::io::{BufRead, Read};

const END: &str = "\n🐵🙈🙉\n";
/// Longest record that is kept.
const LONGEST: usize = 4 << 20;

pub(super) fn is_gor(start: &[u8]) -> bool {
    let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).is_ok_and(|line| head(line).is_some())
}

/// Kind and nanoseconds since 1970.
fn head(line: &str) -> Option<(u8, i64)> {
    let mut words = line.split_ascii_whitespace();
    let kind = words.next().filter(|kind| matches!(*kind, "1" | "2" | "3"))?.parse().ok()?;
    let id = words.next()?;
    let at: i64 = words.next()?.parse().ok()?;
    (id.len() >= 8 && at > 1_000_000_000_000_000_000).then_some((kind, at))
}

pub(super) fn read(
    input: &mut dyn BufRead,
    ledger: &SharedLedger,
    each: &mut dyn FnMut(&Entry<'_>, &[u8]) -> Outcome,
) -> Outcome {
    let mut record = Vec::new();
    loop {
        record.clear();
        let mut cut = false;
        // A record ends with its monkeys; whatever line feeds it has inside.
        let whole = loop {
            // No more at once than is kept: a line may have no end.
            match Read::take(&mut *input, LONGEST as u64 + 1).read_until(b'\n', &mut record) {
                Ok(0) => break false,
                Ok(_) if record.ends_with(END.as_bytes()) => break true,
                Ok(_) if record.len() > LONGEST => {
                    cut = true;
                    let from = record.len() - END.len();
                    record.drain(..from);
                }
                Ok(_) => {}
                Err(_) => {
                    ledger.lock().refuse(Refusal::Packed, &record);
                    return Outcome::More;
                }
            }
        };
        let empty = record.trim_ascii().is_empty();
        if empty && !whole {
            return Outcome::More;
        }
        {
            let mut ledger = ledger.lock();
            ledger.lines += 1;
            match (whole, cut) {
                (false, _) => ledger.refuse(Refusal::CutShort, &record),
                (true, true) => ledger.refuse(Refusal::TooLong, &record),
                (true, false) => {}
            }
        }
        if !whole {
            return Outcome::More;
        }
        if cut {
            continue;
        }
        let text = &record[..record.len() - END.len()];
        match entry(text) {
            Ok(Some(entry)) => {
                if each(&entry, text) == Outcome::Enough {
                    return Outcome::Enough;
                }
            }
            Ok(None) => ledger.lock().note(Note::AnswerLeft, text),
            Err(why) => ledger.lock().refuse(why, text),
        }
    }
}

fn entry(record: &[u8]) -> Result<Option<Entry<'_>>, Refusal> {
    let at = memchr::memchr(b'\n', record).ok_or(Refusal::Part)?;
    let line = std::str::from_utf8(&record[..at]).map_err(|_| Refusal::Part)?;
    let (kind, ns) = head(line).ok_or(Refusal::Part)?;
    if kind != 1 {
        return Ok(None);
    }
    request(&record[at + 1..], Stamp { ns, coarse: false }).map(Some)
}

/// A request as it was on the wire.
pub(super) fn request(bytes: &[u8], at: Stamp) -> Result<Entry<'_>, Refusal> {
    let mut headers = [EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(Status::Complete(used)) = request.parse(bytes) else { return Err(Refusal::NoRequest) };
    let (Some(method), Some(target)) = (request.method, request.path) else { return Err(Refusal::NoRequest) };
    let text = |h: &httparse::Header<'_>| {
        (h.name.to_ascii_lowercase().into(), String::from_utf8_lossy(h.value).into_owned().into())
    };
    let headers: Vec<_> = request.headers.iter().map(text).collect();
    let forwarded = headers.iter().find(|(name, _)| name == "x-forwarded-for").map(
        |(_, value): &(_, std::borrow::Cow<'_, str>)| value.split(',').next().unwrap_or_default().trim().to_owned(),
    );
    let client = forwarded.unwrap_or_default().into();
    Ok(Entry {
        at,
        method: method.into(),
        target: target.into(),
        client,
        headers,
        body: bytes[used..].into(),
        ..Entry::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> (Vec<String>, SharedLedger) {
        let (ledger, mut seen) = (SharedLedger::default(), Vec::new());
        read(&mut text.as_bytes(), &ledger, &mut |e, _| {
            seen.push(format!("{} {} {} {}", e.method, e.target, e.at.ns, String::from_utf8_lossy(&e.body)));
            Outcome::More
        });
        (seen, ledger)
    }

    #[test]
    fn records_end_with_monkeys() {
        let one = "1 932079936fa4306fc308d67588178d17d823647c 1439818823587396305\nPOST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na\nb\n🐵🙈🙉\n";
        let answer =
            "2 932079936fa4306fc308d67588178d17d823647c 1439818823587396305 2231017\nHTTP/1.1 200 OK\r\n\r\n\n🐵🙈🙉\n";
        let cut = "1 932079936fa4306fc308d67588178d17d823647c 1439818823587396305\nGET /";
        assert!(is_gor(one.as_bytes()) && !is_gor(b"198.18.0.0 - - [17"));
        let (seen, ledger) = all(&format!("{one}{answer}{one}1 0 0\nx\n🐵🙈🙉\n{cut}"));
        assert_eq!(seen, vec!["POST /a 1439818823587396305 a\nb"; 2]);
        let ledger = ledger.lock();
        assert_eq!(
            (ledger.lines, ledger.refused[&Refusal::CutShort].count, ledger.refused[&Refusal::Part].count),
            (5, 1, 1)
        );
        assert_eq!(ledger.noted[&Note::AnswerLeft].count, 1);
    }
}
