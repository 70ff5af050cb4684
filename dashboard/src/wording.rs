//! Words of the log in the reader's language.

use crate::format::Num;
use crate::lang::{Lang, Phrase};
use bandit::Source;

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
