//! What an analyst wants to know first.

use crate::arms::{apart, leader, least_lost};
use crate::audit;
use crate::format::Num;
use crate::lang::{Lang, Phrase};
use bandit::{Experiment, Status};
use store::{ExperimentRecord, Results, Segments, VersionEntry};

/// A question, its answer, and where it is looked into.
pub(super) struct Answer {
    pub(super) question: &'static str,
    pub(super) answer: Phrase,
    /// Whether somebody should look.
    pub(super) look: bool,
    pub(super) anchor: &'static str,
}

pub(super) fn answers(
    lang: Lang,
    record: &ExperimentRecord,
    r: &Results,
    segments: &Segments,
    newest: Option<&VersionEntry>,
) -> Vec<Answer> {
    // Of a catalog's items none is the winner, and what lists have earned is not weighed.
    if record.definition.candidates.is_some() {
        return vec![health(lang, record, r), ahead(lang, &record.definition, r)];
    }
    let mut all = vec![
        health(lang, record, r),
        ahead(lang, &record.definition, r),
        earned(lang, newest),
        stopping(lang, &record.definition, r, newest),
    ];
    all.extend(differs(lang, r, segments));
    all
}

fn health(lang: Lang, record: &ExperimentRecord, r: &Results) -> Answer {
    let question = lang.t("Is it healthy?");
    let bad: Vec<String> = r.health.iter().filter(|h| !h.ok).map(|h| audit::check(lang, &h.check)).collect();
    let checks = Num::count(r.health.len() as u64);
    let answer = if record.status == Status::Draft || r.health.is_empty() {
        lang.say("Nothing to check yet.", &[])
    } else if bad.is_empty() {
        lang.say("Yes: {n} checks find nothing.", &[("n", (&checks).into())])
    } else {
        lang.say("Look at: {checks}.", &[("checks", bad.join(", ").as_str().into())])
    };
    Answer { question, answer, look: !bad.is_empty(), anchor: "health" }
}

fn ahead(lang: Lang, e: &Experiment, r: &Results) -> Answer {
    let question = lang.t("Who leads, and how sure is it?");
    let answer = match leader(&r.arms) {
        None => lang.say("Nobody yet.", &[]),
        Some((_, arm)) => {
            let p = Num::share(arm.p_best);
            let things = [("arm", arm.id.as_str().into()), ("p", (&p).into())];
            if apart(e, r).is_some() {
                lang.say("It differs. {arm} has the highest rate among those dealt it, with probability {p}.", &things)
            } else {
                lang.say("{arm}: the best with probability {p}.", &things)
            }
        }
    };
    Answer { question, answer, look: false, anchor: "arms" }
}

fn earned(lang: Lang, newest: Option<&VersionEntry>) -> Answer {
    let question = lang.t("What has it earned beyond an A/B test?");
    let gain = newest.and_then(|v| Some((v.gain?, v.version)));
    let answer = match &gain {
        None => lang.say("Not known before the first update with trials.", &[]),
        Some((g, version)) => {
            let (total, [low, high]) = (Num::signed(g.total), g.interval.map(Num::signed));
            lang.say(
                "{total} rewards ({low} to {high}), by the log as of version {n}.",
                &[
                    ("total", (&total).into()),
                    ("low", (&low).into()),
                    ("high", (&high).into()),
                    ("n", (&Num::count(*version)).into()),
                ],
            )
        }
    };
    Answer { question, answer, look: gain.is_some_and(|(g, _)| g.interval[1] < 0.0), anchor: "gain" }
}

fn stopping(lang: Lang, e: &Experiment, r: &Results, newest: Option<&VersionEntry>) -> Answer {
    let question = lang.t("What would stopping now cost?");
    let apart = apart(e, r);
    let answer = match (newest.and_then(|v| Some((v.value_remaining?, v.version))), leader(&r.arms)) {
        (_, Some(_)) if apart.is_some() => match apart.and_then(least_lost) {
            Some(one) => lang.say(
                "About {loss} of rate per trial, with {arm} for everyone.",
                &[("arm", one.arm.as_str().into()), ("loss", (&Num::points(one.loss)).into())],
            ),
            None => lang.say("Not known yet: arms are dealt by segment or features.", &[]),
        },
        (Some((v, version)), Some(_)) => {
            let (most, level) = (Num::rate(v.remaining), Num::level(v.confidence(e)));
            lang.say(
                "At most {share} of the leader’s rate, with {level} probability, as of version {n}.",
                &[("share", (&most).into()), ("level", (&level).into()), ("n", (&Num::count(version)).into())],
            )
        }
        (None, Some((_, arm))) => {
            let loss = Num::points(arm.expected_loss);
            lang.say("{loss} of rate per trial is expected to be lost.", &[("loss", (&loss).into())])
        }
        (_, None) => lang.say("All that there is to learn.", &[]),
    };
    Answer { question, answer, look: false, anchor: "remaining" }
}

/// None where there is one segment.
fn differs(lang: Lang, r: &Results, segments: &Segments) -> Option<Answer> {
    if segments.all < 2 {
        return None;
    }
    let whole = leader(&r.arms).map(|(i, _)| i)?;
    let most = |list: &[f64]| (0..list.len()).rev().max_by(|&a, &b| list[a].total_cmp(&list[b]));
    let other = segments.largest.iter().filter(|s| s.trials() > 0 && most(&s.allocation) != Some(whole)).count();
    let (other, shown) = (Num::count(other as u64), Num::count(segments.largest.len() as u64));
    let things = [("n", (&other).into()), ("all", (&shown).into())];
    let answer = lang.say("In {n} of the {all} largest segments another arm is dealt most.", &things);
    Some(Answer { question: lang.t("Where does it differ?"), answer, look: false, anchor: "segments" })
}
