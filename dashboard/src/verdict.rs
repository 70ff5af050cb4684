//! Where an experiment stands, in a sentence or two.

use crate::arms::leader;
use crate::format::Num;
use askama::Template;
use askama::filters::HtmlSafe;
use bandit::Status;
use store::{ExperimentRecord, Results};

#[derive(Template)]
#[template(path = "verdict.html")]
pub(crate) struct Verdict {
    status: Status,
    control: String,
    winner: Option<String>,
    standing: Option<Standing>,
}

/// The template escapes.
impl HtmlSafe for Verdict {}

struct Standing {
    arm: String,
    p_best: Num,
    loss: Num,
    /// 95 % or more.
    clear: bool,
    /// As likely the best as not.
    ahead: bool,
}

impl Verdict {
    pub(crate) fn new(record: &ExperimentRecord, results: &Results) -> Self {
        let e = &record.definition;
        let standing = leader(&results.arms).map(|(_, a)| Standing {
            arm: a.id.clone(),
            p_best: Num::share(a.p_best),
            loss: Num::points(a.expected_loss),
            clear: a.p_best >= 0.95,
            ahead: a.p_best >= 0.5,
        });
        let control = e.arms.get(e.control()).map_or_else(String::new, |a| a.id.clone());
        Self { status: record.status, control, winner: record.winner.clone(), standing }
    }
}
