//! Words of the log in the reader's language.

use crate::format::Num;
use crate::lang::{Lang, Phrase};
use bandit::Source;
use std::borrow::Cow;

/// Who chose an arm.
pub(crate) fn source(lang: Lang, source: Source) -> &'static str {
    match source {
        Source::Policy => lang.t("policy"),
        Source::Holdout => lang.t("holdout"),
        Source::NotEnrolled => lang.t("not enrolled"),
        Source::Paused => lang.t("paused"),
        Source::Fallback => lang.t("fallback"),
    }
}

/// Somebody's text as it is; one that would show nothing, and could not be clicked, by its code points.
pub(crate) fn seen(text: &str) -> Cow<'_, str> {
    if !bandit::shows_nothing(text) {
        return text.into();
    }
    text.chars().map(|c| format!("U+{:04X}", u32::from(c))).collect::<Vec<_>>().join(" ").into()
}

/// A time between two moments, in the unit that fits.
pub(crate) fn span(lang: Lang, ms: i64) -> Phrase {
    let (sign, ms) = (if ms < 0 { -1.0 } else { 1.0 }, ms.unsigned_abs());
    let number = |n: u64| Num::number(sign * f64::from(u32::try_from(n).unwrap_or(u32::MAX)));
    match ms {
        0..1_000 => lang.say("{n} ms", &[("n", (&number(ms)).into())]),
        1_000..60_000 => lang.say("{n} s", &[("n", (&number(ms / 1_000)).into())]),
        60_000..3_600_000 => lang.say("{n} min", &[("n", (&number(ms / 60_000)).into())]),
        3_600_000..172_800_000 => lang.say("{n} h", &[("n", (&number(ms / 3_600_000)).into())]),
        _ => lang.say("{n} days", &[("n", (&number(ms / 86_400_000)).into())]),
    }
}

#[cfg(test)]
mod tests {
    use super::seen;

    #[test]
    fn what_would_not_be_seen_is_told_by_its_code_points() {
        for (text, shown) in
            [("u 1", "u 1"), (" ", "U+0020"), ("\u{200b}\u{3000}", "U+200B U+3000"), ("\u{200b}a", "\u{200b}a")]
        {
            assert_eq!(seen(text), shown);
        }
    }
}
