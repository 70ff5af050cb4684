//! Lines of bounded length, and what they become.

use super::ledger::{Note, Refusal, SharedLedger};
use super::{Entry, Parser, Stamps};
use std::borrow::Cow;
use std::io::{self, BufRead};

/// Longest line that is kept; of longer ones nothing is.
const LONGEST: usize = 256 << 10;

/// What a reader's caller wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// To go on.
    More,
    /// To end: nobody needs more.
    Enough,
}

/// Feeds every entry of `input` to `each`, which gets the raw line too; `idle` is called before a read that may wait.
pub(super) fn read(
    input: &mut dyn BufRead,
    stamps: Stamps,
    ledger: &SharedLedger,
    each: &mut dyn FnMut(&Entry<'_>, &[u8]) -> Outcome,
    idle: &mut dyn FnMut() -> Outcome,
) -> Outcome {
    let mut parser = Parser::new(stamps);
    let mut line = Vec::new();
    loop {
        match next(input, &mut line, idle) {
            Ok(Next::Line) => {}
            Ok(Next::TooLong) => {
                let mut ledger = ledger.lock();
                ledger.lines += 1;
                ledger.refuse(Refusal::TooLong, &line);
                continue;
            }
            Ok(Next::End) => return Outcome::More,
            Ok(Next::Enough) => return Outcome::Enough,
            Err(_) => {
                ledger.lock().refuse(Refusal::Packed, &line);
                return Outcome::More;
            }
        }
        ledger.lock().lines += 1;
        // Checked at once first: looking for what to replace is slower.
        let text = std::str::from_utf8(&line).map_or_else(|_| String::from_utf8_lossy(&line), Cow::Borrowed);
        if text.trim_ascii().is_empty() || (text.starts_with('#') && !text.contains('"')) {
            continue;
        }
        match parser.line(&text) {
            Ok(entry) => {
                if matches!(text, Cow::Owned(_)) {
                    ledger.lock().note(Note::NotUtf8, &line);
                }
                if entry.cut {
                    ledger.lock().note(Note::Tail, &line);
                }
                if each(&entry, &line) == Outcome::Enough {
                    return Outcome::Enough;
                }
            }
            Err(_) if line.contains(&0) => ledger.lock().refuse(Refusal::Utf16, &line),
            Err(why) => ledger.lock().refuse(why, &line),
        }
    }
}

enum Next {
    Line,
    TooLong,
    End,
    Enough,
}

/// The next line without its end.
fn next(input: &mut dyn BufRead, line: &mut Vec<u8>, idle: &mut dyn FnMut() -> Outcome) -> io::Result<Next> {
    line.clear();
    let mut too_long = false;
    let mut begun = false;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if available.is_empty() {
            return Ok(if too_long {
                Next::TooLong
            } else if begun {
                Next::Line
            } else {
                Next::End
            });
        }
        begun = true;
        let end = memchr::memchr(b'\n', available);
        let part = &available[..end.unwrap_or(available.len())];
        if line.len() + part.len() > LONGEST {
            too_long = true;
            line.truncate(LONGEST.min(1_000));
        } else if !too_long {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        let drained = used == available.len();
        input.consume(used);
        // What comes next may be a while: what was read so far should not wait for it.
        if drained && idle() == Outcome::Enough {
            return Ok(Next::Enough);
        }
        if end.is_some() {
            return Ok(if too_long { Next::TooLong } else { Next::Line });
        }
    }
}
