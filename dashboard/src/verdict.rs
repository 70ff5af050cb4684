//! Where an experiment stands, in a sentence or two.

use crate::arms::{apart, leader, least_lost};
use crate::format::Num;
use crate::lang::{Lang, Phrase};
use bandit::Status;
use store::{ExperimentRecord, Results};

/// Sentences, one after the other.
pub(crate) fn verdict(lang: Lang, record: &ExperimentRecord, results: &Results) -> Vec<Phrase> {
    let e = &record.definition;
    let control = e.arms.get(e.control()).map_or("", |a| a.id.as_str());
    let mut said = Vec::new();
    if let Some(candidates) = &e.candidates {
        return of_lists(lang, record, results, &candidates.catalog);
    }
    match (record.status, &record.winner) {
        (Status::Draft, _) => {
            return vec![
                lang.say("Not started: everyone gets the control, {control}.", &[("control", control.into())]),
            ];
        }
        (Status::Stopped, Some(winner)) => {
            let winner = winner.as_str().into();
            said.push(lang.say("Stopped: everyone gets the winner, {winner}.", &[("winner", winner)]));
        }
        (Status::Stopped, None) => {
            said.push(lang.say(
                "Stopped without a winner: new visitors get the control, {control}.",
                &[("control", control.into())],
            ))
        }
        (Status::Paused, _) => said.push(lang.say(
            "Paused: new visitors get the control, {control}; rewards still count.",
            &[("control", control.into())],
        )),
        (Status::Running, _) => {}
    }
    let Some((_, best)) = leader(&results.arms) else {
        said.push(lang.say("No trial has been counted yet.", &[]));
        return said;
    };
    let (p, loss) = (Num::share(best.p_best), Num::points(best.expected_loss));
    let things = [("arm", best.id.as_str().into()), ("p", (&p).into())];
    if let Some(apart) = apart(e, results) {
        said.push(lang.say("No arm need be the best for all: each is dealt to other visitors, by segment or features. Over those {arm} has the highest rate with probability {p}.", &things));
        if let Some(one) = least_lost(apart) {
            said.push(lang.say(
                "If one arm were shown to everyone from now on, {arm} would lose least: about {loss} of rate per trial.",
                &[("arm", one.arm.as_str().into()), ("loss", (&Num::points(one.loss)).into())],
            ));
        }
        return said;
    }
    said.push(if best.p_best >= 0.95 {
        lang.say("{arm} is the best arm with probability {p}.", &things)
    } else if best.p_best >= 0.5 {
        lang.say("{arm} leads: it is the best arm with probability {p}.", &things)
    } else {
        lang.say("{arm} is ahead, but no arm stands out: it is the best with probability {p}.", &things)
    });
    said.push(lang.say(
        "If nothing else were shown from now on, the expected loss is {loss} of rate per trial.",
        &[("loss", (&loss).into())],
    ));
    said
}

/// Where an experiment stands whose arms are a catalog's items.
fn of_lists(lang: Lang, record: &ExperimentRecord, results: &Results, catalog: &str) -> Vec<Phrase> {
    let things = [("catalog", catalog.into())];
    let mut said = vec![match record.status {
        Status::Draft => lang.say("Not started: the lists of catalog {catalog} are as they are without it.", &things),
        Status::Running => lang.say("It orders the lists of catalog {catalog}.", &things),
        Status::Paused => {
            lang.say("Paused: the lists of catalog {catalog} are as they are without it; rewards still count.", &things)
        }
        Status::Stopped => lang.say("Stopped: the lists of catalog {catalog} are as they are without it.", &things),
    }];
    match leader(&results.arms) {
        None => said.push(lang.say("No trial has been counted yet.", &[])),
        Some((_, best)) => {
            let p = Num::share(best.p_best);
            let things = [("arm", best.id.as_str().into()), ("p", (&p).into())];
            said.push(lang.say("Of the items shown here {arm} has the highest rate with probability {p}.", &things));
        }
    }
    said
}
