//! Stepping through published versions.

use crate::format::Num;
use crate::lang::Lang;
use crate::moment::Moment;
use jiff::Timestamp;
use store::VersionEntry;

/// Which version the page shows, and where one can step from it.
pub(super) struct Stepper {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) shown: u64,
    pub(super) at: Moment,
    pub(super) number: Num,
    /// Whether it is not the newest.
    pub(super) past: bool,
    /// Whether its counts were made up for afterwards.
    pub(super) made_up: bool,
    /// A version that was asked for and is not kept, or cannot be read.
    pub(super) lost: Option<Num>,
}

impl Stepper {
    /// None before two versions are kept.
    pub(super) fn new(
        lang: Lang,
        ends: &[VersionEntry],
        past: Option<&VersionEntry>,
        lost: Option<u64>,
        now: Timestamp,
    ) -> Option<Self> {
        let (first, last) = (ends.first()?, ends.last()?);
        let shown = past.unwrap_or(last);
        (first.version < last.version || lost.is_some()).then(|| Self {
            first: first.version,
            last: last.version,
            shown: shown.version,
            at: Moment::full(lang, shown.as_of, now),
            number: Num::count(shown.version),
            past: past.is_some(),
            made_up: shown.made_up,
            lost: lost.map(Num::count),
        })
    }

    pub(super) fn previous(&self) -> Option<String> {
        (self.shown > self.first).then(|| (self.shown - 1).to_string())
    }

    /// The newest is shown without a version in its address.
    pub(super) fn next(&self) -> Option<String> {
        let next = self.shown + 1;
        (self.past && next <= self.last).then(|| if next == self.last { String::new() } else { next.to_string() })
    }
}
