//! Moments as people read them: how long ago.

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
    pub(crate) fn ago(at: Timestamp, now: Timestamp) -> Self {
        Self { at, ago: age(now.duration_since(at)), full: false }
    }

    /// Shown as date and time and age.
    pub(crate) fn full(at: Timestamp, now: Timestamp) -> Self {
        Self { full: true, ..Self::ago(at, now) }
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

fn age(age: SignedDuration) -> String {
    let seconds = age.as_secs();
    let (n, unit) = match seconds {
        ..1 => return "just now".into(),
        1..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "min"),
        3600..172_800 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{n} {unit} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_use_the_unit_that_fits() {
        let of = |s| age(SignedDuration::from_secs(s));
        assert_eq!((of(-5), of(59), of(60)), ("just now".into(), "59 s ago".into(), "1 min ago".into()));
        assert_eq!((of(7200), of(172_800)), ("2 h ago".into(), "2 days ago".into()));
    }
}
