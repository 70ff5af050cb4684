//! The parsers of files, as a fuzzer calls them.

use crate::import::{Format, read_log};
use crate::settings::{DEFAULTS, Settings, read_into, table};
use std::path::Path;

/// Reads a file of settings: they can be used, or the first that cannot is told in one line.
///
/// # Panics
/// If that is more lines.
pub fn settings(text: &str) {
    let checked = table(DEFAULTS, "the defaults").and_then(|mut values| {
        read_into(&mut values, text, "croupier.toml")?;
        Settings::check(&values)
    });
    if let Err(why) = checked {
        let line = why.to_string();
        assert!(!line.is_empty() && !line.contains('\n'), "{line:?}");
    }
}

/// Reads a log in the file at `path`: each row is taken or refused, the same each time.
///
/// # Panics
/// If a second reading differs, or what is wrong is not told in one line.
pub fn log(path: &Path, format: Format) {
    let (one, other) = (read_log(path, format), read_log(path, format));
    if let Err(why) = &one {
        assert!(!why.is_empty() && !why.contains('\n'), "{why:?}");
    }
    assert_eq!(one, other);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

        #[test]
        fn damaged_settings_are_used_or_told_in_one_line(
            changes in proptest::collection::vec(
                (any::<prop::sample::Index>(), "[ -~é\n\r]|\"\"\"|99999999999999999999|-1|'a\nb'|1979-05-27"), 0..5),
            own in "(data|listen|log|[a-z]{1,3})( = )?(\"[ -~é]{0,5}\"|\\[[0-9,]{0,5}\\]|\"\"\"\n\n\"\"\"|[0-9.]{1,4})",
        ) {
            let mut text: Vec<String> = DEFAULTS.chars().map(String::from).collect();
            for (place, change) in changes {
                let place = place.index(text.len());
                text[place] = change;
            }
            settings(&text.concat());
            settings(&own);
        }
    }
}
