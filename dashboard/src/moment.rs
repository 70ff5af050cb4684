//! Moments as people read them: how long ago.

use crate::lang::Lang;
use askama::filters::HtmlSafe;
use jiff::{SignedDuration, Timestamp};
use std::fmt::{Display, Formatter, Result};

/// A moment, with how long ago it was.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    at: Timestamp,
    ago: String,
    full: bool,
}

impl Moment {
    /// Shown as its age.
    pub(crate) fn ago(lang: Lang, at: Timestamp, now: Timestamp) -> Self {
        Self { at, ago: age(lang, now.duration_since(at)), full: false }
    }

    /// Shown as date and time and age.
    pub(crate) fn full(lang: Lang, at: Timestamp, now: Timestamp) -> Self {
        Self { full: true, ..Self::ago(lang, at, now) }
    }
}

/// Digits and fixed words only.
impl HtmlSafe for Moment {}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (at, text) = (self.at, self.at.strftime("%Y-%m-%d %H:%M:%S"));
        if self.full {
            write!(f, r#"<time datetime="{at}">{text}</time> <span class="quiet">{}</span>"#, self.ago)
        } else {
            write!(f, r#"<time datetime="{at}" title="{text} UTC">{}</time>"#, self.ago)
        }
    }
}

fn age(lang: Lang, age: SignedDuration) -> String {
    let seconds = age.as_secs();
    let (n, text) = match seconds {
        ..1 => (0, lang.t("just now")),
        1..60 => (seconds, lang.t("{n} s ago")),
        60..3600 => (seconds / 60, lang.t("{n} min ago")),
        3600..172_800 => (seconds / 3600, lang.t("{n} h ago")),
        _ => (seconds / 86_400, lang.t("{n} days ago")),
    };
    text.replace("{n}", &n.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_use_the_unit_that_fits() {
        let of = |s| age(Lang::English, SignedDuration::from_secs(s));
        assert_eq!((of(-5), of(59), of(60)), ("just now".into(), "59 s ago".into(), "1 min ago".into()));
        assert_eq!((of(7200), of(172_800)), ("2 h ago".into(), "2 days ago".into()));
        assert_eq!(age(Lang::Japanese, SignedDuration::from_secs(60)), "1 分前");
    }
}
