//! Segments: a line for each of the largest, and one of them in full.

use crate::arms::ArmsTable;
use crate::format::Num;
use crate::lang::Lang;
use crate::plots::Style;
use bandit::Experiment;
use store::{SegmentCounts, SegmentResult};

pub(super) struct SegmentRow {
    pub(super) name: String,
    pub(super) trials: Num,
    pub(super) rewards: Num,
    pub(super) rate: Num,
    /// The arm that is dealt most, and its share.
    pub(super) most: Option<(String, Style, Num)>,
}

impl SegmentRow {
    pub(super) fn new(e: &Experiment, s: &SegmentCounts) -> Self {
        let (trials, rewards) = s.arms.iter().fold((0, 0), |(t, r), a| (t + a.0, r + a.1));
        let most = (0..s.allocation.len()).rev().max_by(|&a, &b| s.allocation[a].total_cmp(&s.allocation[b]));
        #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
        let rate = (trials > 0).then(|| rewards as f64 / trials as f64);
        Self {
            name: s.segment.clone(),
            trials: Num::count(trials),
            rewards: Num::count(rewards),
            rate: Num::maybe_rate(rate),
            most: most.and_then(|i| Some((e.arms.get(i)?.id.clone(), Style::of(i), Num::share(s.allocation[i])))),
        }
    }
}

/// The segment that the address names.
pub(super) struct Drilled {
    pub(super) name: String,
    /// None if nobody has seen such a segment.
    pub(super) arms: Option<ArmsTable>,
}

impl Drilled {
    pub(super) fn new(lang: Lang, e: &Experiment, name: &str, found: &[SegmentResult]) -> Self {
        let arms = found.first().map(|s| ArmsTable::within(lang, name, e, &s.arms));
        Self { name: name.into(), arms }
    }
}
