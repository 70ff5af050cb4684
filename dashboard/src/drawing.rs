//! A draw in words: what happened on the way, and whether it is what the log says.

use crate::format::Num;
use crate::lang::{Lang, Phrase};
use crate::past::Unknown;
use bandit::{DecisionRecord, Difference, Experiment, Replay, Step};

/// Whether anything was drawn at all.
pub(crate) fn draws(replay: &Replay) -> bool {
    replay.steps.iter().any(|step| !matches!(step, Step::Participates { .. })) && replay.source.is_trial()
}

/// Whether a replay agrees with the log, and what else there is to say of that.
pub(crate) fn comparison(
    lang: Lang,
    e: &Experiment,
    record: &DecisionRecord,
    replay: Result<&Replay, &Unknown>,
) -> (bool, Vec<Phrase>) {
    let (version, revision) = (Num::count(record.posterior_version), Num::count(record.revision));
    let numbers = [("version", (&version).into()), ("revision", (&revision).into())];
    let replay = match replay {
        Ok(replay) => replay,
        Err(Unknown::Definition) => {
            return (
                false,
                vec![lang.say(
                    "It cannot be dealt once more: the audit log does not have revision {revision} of the definition.",
                    &numbers,
                )],
            );
        }
        Err(Unknown::Set) => {
            return (
                false,
                vec![lang.say("It cannot be dealt once more: posterior version {version} has been removed.", &numbers)],
            );
        }
        Err(Unknown::List) => {
            return (
                false,
                vec![lang.say(
                    "It is one of a list, dealt from a pool that depends on what the visitor looked at and what was there at that moment. The log does not have the pool, so that the list cannot be dealt once more; its probability was computed when it was dealt.",
                    &[],
                )],
            );
        }
        Err(Unknown::Unusable) => {
            return (
                false,
                vec![lang.say(
                    "It cannot be dealt once more: the definition of revision {revision} cannot be used.",
                    &numbers,
                )],
            );
        }
    };
    let differences = replay.differences(e, record);
    if differences.is_empty() {
        return (true, vec![lang.say("Dealt once more from posterior version {version} and revision {revision}, the key gets the same arm with the same probability.", &numbers)]);
    }
    let (logged, again) = (Num::number(record.propensity), Num::number(replay.propensity));
    let arm = e.arms.get(replay.arm).map_or("", |a| a.id.as_str());
    let mut said = vec![lang.say(
        "Dealt once more from posterior version {version} and revision {revision}, it is not what the log says.",
        &numbers,
    )];
    said.extend(differences.into_iter().map(|difference| match difference {
        Difference::Key => lang.say("User, item and day have another key: the decision was loaded from elsewhere, or what names it has changed.", &[]),
        Difference::Source => lang.say("Another source would have chosen.", &[]),
        Difference::Arm => lang.say("The arm would be {arm}.", &[("arm", arm.into())]),
        Difference::Propensity => lang.say("The probability would be {again}, not {logged}.", &[("again", (&again).into()), ("logged", (&logged).into())]),
    }));
    said.push(lang.say("A replica may have dealt by a definition or a set other than it logged, or somebody has changed what is stored.", &[]));
    (false, said)
}

/// The draw, step by step.
pub(crate) fn steps(lang: Lang, e: &Experiment, replay: &Replay) -> Vec<Phrase> {
    let name = |arm: usize| e.arms.get(arm).map_or("", |a| a.id.as_str());
    let winner = name(replay.arm);
    let mut said = Vec::new();
    for step in &replay.steps {
        match step {
            Step::Participates { .. } => {}
            Step::Holdout => said.push(
                lang.say("The holdout’s draw picks any enabled arm, all alike: {arm}.", &[("arm", winner.into())]),
            ),
            Step::Floor { drawn, below } => {
                let (u, sum) = (Num::number(*drawn), Num::number(*below));
                let things = [("drawn", (&u).into()), ("sum", (&sum).into()), ("arm", winner.into())];
                said.push(if drawn < below {
                    lang.say("The floors add up to {sum}; the number {drawn} is below that, so any enabled arm is picked, all alike: {arm}.", &things)
                } else {
                    lang.say("The floors add up to {sum}; the number {drawn} is not below that, so the posteriors decide.", &things)
                });
            }
            Step::Value { .. } => {}
            Step::Share { drawn } => {
                let u = Num::number(*drawn);
                said.push(lang.say("The policy’s shares stand side by side in the order of the arms; the number {drawn} falls into that of {arm}.", &[("drawn", (&u).into()), ("arm", winner.into())]));
            }
        }
    }
    if replay.steps.iter().any(|s| matches!(s, Step::Value { .. })) {
        said.push(
            lang.say("A value is drawn for each enabled arm; the highest is that of {arm}.", &[("arm", winner.into())]),
        );
    }
    said
}
