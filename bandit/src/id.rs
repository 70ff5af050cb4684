//! What may be an identifier.

/// Longest user, item, event or segment identifier, in bytes of UTF-8.
pub(crate) const MAX_ID_BYTES: usize = 256;

/// Why a string is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It has no characters.
    #[error("must not be empty")]
    Empty,
    /// It is longer than [`MAX_ID_BYTES`].
    #[error("must be at most {MAX_ID_BYTES} bytes")]
    TooLong,
    /// It has a control character.
    #[error("must not contain control characters")]
    Control,
    /// It is not of the form of experiment and arm ids.
    #[error("must be 1 to 64 of a-z, 0-9, _ and -, and start with a letter or digit")]
    Slug,
}

/// Checks an id from outside: 1 to 256 bytes without control characters.
///
/// # Errors
/// Says which rule is broken.
pub fn check_id(id: &str) -> Result<(), IdError> {
    if id.is_empty() {
        return Err(IdError::Empty);
    }
    if id.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong);
    }
    if id.chars().any(char::is_control) {
        return Err(IdError::Control);
    }
    Ok(())
}

/// Checks an experiment or arm id: `[a-z0-9][a-z0-9_-]{0,63}`.
///
/// # Errors
/// [`IdError::Slug`] when it has another form.
pub fn check_slug(id: &str) -> Result<(), IdError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = id.as_bytes();
    let ok =
        (1..=64).contains(&bytes.len()) && plain(bytes[0]) && bytes.iter().all(|&b| plain(b) || b == b'_' || b == b'-');
    if ok { Ok(()) } else { Err(IdError::Slug) }
}

/// Whether a text, however long, would be seen as nothing.
#[must_use]
pub fn shows_nothing(text: &str) -> bool {
    text.chars().all(draws_nothing)
}

/// Blanks, and what Unicode calls ignorable by default (Unicode Standard 16, §5.21).
fn draws_nothing(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_and_printable() {
        assert_eq!(check_id(""), Err(IdError::Empty));
        assert_eq!(check_id("a\nb"), Err(IdError::Control));
        assert_eq!(check_id("a\u{85}b"), Err(IdError::Control));
        assert_eq!(check_id(&"é".repeat(128)), Ok(()));
        assert_eq!(check_id(&"é".repeat(129)), Err(IdError::TooLong));
    }

    #[test]
    fn slugs_are_plain() {
        for good in ["a", "0", "product-page", "a_b", &"a".repeat(64)] {
            assert_eq!(check_slug(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "_a", "A", "a b", "é", &"a".repeat(65)] {
            assert_eq!(check_slug(bad), Err(IdError::Slug), "{bad}");
        }
    }

    #[test]
    fn blanks_and_what_is_ignored_show_nothing() {
        for (text, nothing) in [("", true), ("\u{200b} \u{feff}", true), (" a\u{200b}", false), ("\u{3000}", true)] {
            assert_eq!(shows_nothing(text), nothing, "{text:?}");
        }
    }
}
