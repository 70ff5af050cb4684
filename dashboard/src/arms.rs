//! Arms beside each other: a table that the whole experiment and each segment share.

use crate::format::Num;
use crate::lang::{Lang, Phrase};
use crate::plots::Style;
use askama::Template;
use askama::filters::HtmlSafe;
use bandit::{ArmResult, Experiment};
use store::{OneForAll, Results};

/// The arm most likely to be the best; none before the first trial.
pub(crate) fn leader(arms: &[ArmResult]) -> Option<(usize, &ArmResult)> {
    let tried = arms.iter().any(|a| a.trials > 0);
    let best = arms.iter().enumerate().max_by(|a, b| a.1.p_best.total_cmp(&b.1.p_best));
    best.filter(|_| tried)
}

/// Where each arm is dealt to visitors of its own, so that rates over all visitors do not say which is the best for all: what is
/// known of the arms dealt to everyone. None where arms can be compared as they stand.
pub(crate) fn apart<'a>(e: &Experiment, r: &'a Results) -> Option<&'a [OneForAll]> {
    match r.one_for_all.as_deref() {
        // One of them is the best in every segment.
        Some(all) if all.iter().any(|one| one.loss == 0.0) => None,
        None if e.features.is_empty() => None,
        all => Some(all.unwrap_or_default()),
    }
}

/// The arm that would lose least if it alone were dealt.
pub(crate) fn least_lost(apart: &[OneForAll]) -> Option<&OneForAll> {
    apart.iter().min_by(|a, b| a.loss.total_cmp(&b.loss))
}

/// One table of arms.
#[derive(Template)]
#[template(path = "arms_table.html")]
pub(crate) struct ArmsTable {
    lang: Lang,
    /// What the table is about.
    label: String,
    caption: Phrase,
    rows: Vec<ArmRow>,
}

/// The template escapes.
impl HtmlSafe for ArmsTable {}

struct ArmRow {
    id: String,
    style: Style,
    control: bool,
    enabled: bool,
    leads: bool,
    trials: Num,
    pending: Num,
    rewards: Num,
    rate: Num,
    interval: [Num; 2],
    whisker: Whisker,
    p_best: Num,
    loss: Num,
    allocation: Num,
    uplift: Option<(Num, [Num; 2])>,
}

/// An interval and its mean on a scale from 0 to 100 that the rows of a table share.
struct Whisker {
    low: f64,
    mean: f64,
    high: f64,
}

impl ArmsTable {
    /// The arms over all visitors. None leads where each is dealt to visitors of its own.
    pub(crate) fn whole(lang: Lang, e: &Experiment, r: &Results) -> Self {
        let table = Self::new(lang, None, e, &r.arms);
        let leads = apart(e, r).is_none();
        Self { rows: table.rows.into_iter().map(|row| ArmRow { leads: row.leads && leads, ..row }).collect(), ..table }
    }

    /// The arms in a segment.
    pub(crate) fn within(lang: Lang, segment: &str, e: &Experiment, arms: &[ArmResult]) -> Self {
        Self::new(lang, Some(segment), e, arms)
    }

    fn new(lang: Lang, segment: Option<&str>, e: &Experiment, arms: &[ArmResult]) -> Self {
        let caption = match segment {
            Some(segment) => lang.say("Arms in segment {segment}", &[("segment", segment.into())]),
            None => lang.say("Arms over all visitors", &[]),
        };
        let label = segment.unwrap_or(lang.t("Arms")).to_owned();
        let leads = leader(arms).map(|(i, _)| i);
        let from = arms.iter().map(|a| a.interval[0]).fold(1.0, f64::min);
        let to = arms.iter().map(|a| a.interval[1]).fold(0.0, f64::max);
        let place = |x: f64| 100.0 * (x - from) / (to - from).max(f64::MIN_POSITIVE);
        let row = |(i, a): (usize, &ArmResult)| ArmRow {
            id: a.id.clone(),
            style: Style::of(i),
            control: i == e.control(),
            enabled: e.arms.get(i).is_some_and(|arm| arm.enabled),
            leads: leads == Some(i),
            trials: Num::count(a.trials),
            pending: Num::count(a.pending),
            rewards: Num::count(a.rewards),
            rate: Num::maybe_rate(a.rate),
            interval: Num::range(a.interval),
            whisker: Whisker {
                low: place(a.interval[0]),
                // A mean may lie outside the interval of a very skewed posterior, and then of the scale.
                mean: place(a.posterior.mean()).clamp(0.0, 100.0),
                high: place(a.interval[1]),
            },
            p_best: Num::share(a.p_best),
            loss: Num::points(a.expected_loss),
            allocation: Num::share(a.allocation),
            uplift: a
                .uplift
                .as_ref()
                .map(|u| (u.mean.map_or_else(Num::none, Num::change), u.interval.map(Num::change))),
        };
        Self { lang, label, caption, rows: arms.iter().enumerate().map(row).collect() }
    }
}
