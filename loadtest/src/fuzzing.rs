//! The parsers of logs, as a fuzzer calls them.

use crate::read::{Parser, Stamps};

/// Reads each line as the reader of logs does: an entry or a refusal, the same each time.
///
/// # Panics
/// If an entry cannot be sent, or reading again gives something else.
pub fn log(text: &str) {
    for stamps in [Stamps::Auto, Stamps::Start, Stamps::End] {
        let (mut one, mut other) = (Parser::new(stamps), Parser::new(stamps));
        for line in text.lines() {
            let entry = one.line(line);
            if let Ok(entry) = &entry {
                assert!(entry.decided.is_some() || !entry.target.is_empty() && !entry.method.is_empty(), "{entry:?}");
            }
            assert_eq!(entry.ok(), other.line(line).ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::log;
    use proptest::prelude::*;

    const LINES: [&str; 5] = [
        r#"203.0.113.9 - - [21/Nov/2026:10:00:00 +0900] "GET /p/1?a=%20b HTTP/1.1" 200 512 "-" "Mozilla/5.0" 0.123"#,
        r#"{"ts":1763719200.25,"request":{"method":"GET","uri":"/p","host":"h","headers":{"User-Agent":["x"]}},"duration":0.1}"#,
        r#"[2026-11-21T10:00:00.000Z] "GET /p HTTP/1.1" 200 - 0 5 12 11 "203.0.113.9" "curl" "id" "host" "10.0.0.1:80""#,
        r#"https 2026-11-21T10:00:00.123456Z app/lb/1 203.0.113.9:1234 10.0.0.1:80 0.001 0.2 0.0 200 200 1 2 "GET https://h:443/p HTTP/1.1" "x" - -"#,
        r#"{"experiment":"e","user":"u","item":"i","context":{"a":"b"},"at":"2026-11-21T10:00:00Z","reward":1.5}"#,
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_damaged_line_is_an_entry_or_a_refusal(
            line in proptest::sample::select(&LINES[..]),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), "[ -~é]|99999999999999999999|-1e308"), 0..4),
        ) {
            let mut line: Vec<String> = line.chars().map(String::from).collect();
            for (place, text) in changes {
                let place = place.index(line.len());
                line[place] = text;
            }
            log(&line.concat());
        }
    }
}
