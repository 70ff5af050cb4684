//! A decision in words: who chose and what that means, and what became of it.

use crate::audit;
use crate::format::Num;
use crate::lang::{Lang, Phrase, Thing};
use crate::moment::Moment;
use crate::wording::span;
use bandit::{DecisionRecord, Experiment, Exposure, Replay, Source, Step};
use jiff::Timestamp;
use store::{AuditEntry, ClaimStanding, DecisionStory};

/// What was decided, in a sentence.
pub(crate) fn verdict(lang: Lang, record: &DecisionRecord) -> Phrase {
    let p = Num::share(record.propensity);
    let things: [(&str, Thing<'_>); 4] = [
        ("user", record.user.as_str().into()),
        ("arm", record.arm.as_str().into()),
        ("segment", record.segment.as_str().into()),
        ("p", (&p).into()),
    ];
    if let Some(position) = record.position {
        return placed(lang, record, position);
    }
    match record.source {
        Source::Policy => {
            lang.say("The policy dealt {user} the arm {arm} in segment {segment}, with probability {p}.", &things)
        }
        Source::Holdout => {
            lang.say("The holdout’s uniform draw dealt {user} the arm {arm}, in segment {segment}.", &things)
        }
        Source::NotEnrolled => {
            lang.say("{user} is outside the experiment’s traffic, and got the control, {arm}.", &things)
        }
        Source::Paused => {
            lang.say("{user} got the control, {arm}, for the experiment was dealing nothing else.", &things)
        }
        Source::Fallback => lang.say("{user} was told {arm} while a store did not answer in time.", &things),
    }
}

/// The same of an item of a list.
fn placed(lang: Lang, record: &DecisionRecord, position: u32) -> Phrase {
    let (p, n) = (Num::share(record.propensity), Num::count(u64::from(position) + 1));
    let things: [(&str, Thing<'_>); 4] = [
        ("user", record.user.as_str().into()),
        ("item", record.arm.as_str().into()),
        ("n", (&n).into()),
        ("p", (&p).into()),
    ];
    match record.source {
        Source::Holdout => {
            lang.say("{user} is in the holdout, whose lists are left as they are: {item} was at place {n}.", &things)
        }
        _ => lang
            .say("The policy put {item} at place {n} of a list for {user}; with probability {p} it is there.", &things),
    }
}

/// What its source means for it.
pub(crate) fn source(
    lang: Lang,
    e: &Experiment,
    record: &DecisionRecord,
    replay: Option<&Replay>,
    status: Option<&AuditEntry>,
    now: Timestamp,
) -> Vec<Phrase> {
    let numbers = replay.and_then(|r| match r.steps.first() {
        Some(Step::Participates { enrolment, holdout }) => Some((Num::number(*enrolment), Num::number(*holdout))),
        _ => None,
    });
    let (traffic, held_out) = (Num::share(e.traffic), Num::share(e.holdout));
    let mut said = Vec::new();
    match record.source {
        Source::Policy => {
            said.push(lang.say("The experiment’s policy chose. Such decisions are evidence about their arms, if they are exposed.", &[]));
            said.extend(numbers.filter(|_| e.traffic < 1.0 || e.holdout > 0.0).map(|(enrolment, holdout)| lang.say(
                "A hash of the participant gives two numbers that last: {enrolment} is below the traffic of {traffic}, and {holdout} is not below the holdout of {share}.",
                &[("enrolment", (&enrolment).into()), ("traffic", (&traffic).into()), ("holdout", (&holdout).into()), ("share", (&held_out).into())],
            )));
        }
        Source::Holdout => {
            said.push(if record.position.is_some() { lang.say("Lists of the holdout are left as they are, so that the policy can be measured against them. Such decisions are evidence too.", &[]) } else { lang.say("The holdout is dealt every enabled arm alike, so that the policy can be measured against it. Such decisions are evidence too.", &[]) });
            said.extend(numbers.map(|(_, holdout)| lang.say(
                "A hash of the participant gives a number that lasts: {holdout} is below the holdout of {share}.",
                &[("holdout", (&holdout).into()), ("share", (&held_out).into())],
            )));
        }
        Source::NotEnrolled => said.extend(numbers.map(|(enrolment, _)| lang.say(
            "A hash of the participant gives a number that lasts: {enrolment} is not below the traffic of {traffic}. Who is outside gets the control, and counts for nothing.",
            &[("enrolment", (&enrolment).into()), ("traffic", (&traffic).into())],
        ))),
        Source::Paused => said.push(paused(lang, status, now)),
        Source::Fallback => {
            said.push(lang.say("A fallback is told when the store of assignments or the log fails or is too slow: what stands for the key if that is known, else the policy’s draw, on which all replicas agree. It is not counted, since nobody knows whether it was kept. Which store it was is not in the record; the server’s log of that moment says so.", &[]));
        }
    }
    said
}

/// Why everybody new got the control.
fn paused(lang: Lang, status: Option<&AuditEntry>, now: Timestamp) -> Phrase {
    let Some(entry) = status else {
        return lang.say(
            "The experiment was not running, or frozen by a guardrail; the audit log no longer tells which.",
            &[],
        );
    };
    let at = Moment::full(lang, entry.at, now);
    let things = [("who", audit::who(lang, &entry.who).into()), ("moment", (&at).into())];
    match entry.action.as_str() {
        "create" => lang.say("The experiment had not been started: {who} created it {moment}.", &things),
        "paused" => lang.say("The experiment was paused: {who} did so {moment}.", &things),
        "stopped" => lang.say("The experiment was stopped: {who} did so {moment}.", &things),
        "freeze" => lang.say("A breached guardrail had frozen the experiment: {who} did so {moment}.", &things),
        _ => lang.say("The audit log says that it was running: {who} started it {moment}. A replica may have learnt of that a moment later.", &things),
    }
}

/// Whether it is a trial, whether it was rewarded, and what may still come.
pub(crate) fn outcome(lang: Lang, story: &DecisionStory, end: Option<Timestamp>, now: Timestamp) -> Vec<Phrase> {
    let (e, d) = (&story.definition, &story.decision);
    let mut said = Vec::new();
    let exposed = story.events.iter().find(|event| event.standing == ClaimStanding::Exposes);
    said.push(match (d.trial, e.exposure, exposed) {
        _ if !d.record.source.is_trial() => {
            lang.say("It is no trial: only what the policy or the holdout dealt is evidence.", &[])
        }
        (true, Exposure::Decide, _) => lang.say("It is a trial: here a decision counts as seen.", &[]),
        (true, Exposure::Event, Some(event)) => {
            let at = Moment::full(lang, event.at, now);
            lang.say(
                "It is a trial, since an exposure event says that the arm was seen: {moment}.",
                &[("moment", (&at).into())],
            )
        }
        (true, Exposure::Event, None) => lang.say("It is a trial.", &[]),
        (false, ..) => lang.say("It is no trial yet: no exposure event says that the arm was seen.", &[]),
    });
    if !d.trial {
        return said;
    }
    let (event, hours) = (e.reward.event.as_str(), Num::count(e.reward.window_hours.into()));
    let at = end.map(|end| Moment::full(lang, end, now));
    match (d.rewarded, d.delay_ms, &at) {
        (true, Some(ms), _) => said.push(lang.say(
            "It was rewarded: the first {event} came after {time}, inside the window of {hours} h. More of them count for nothing more.",
            &[("event", event.into()), ("time", (&span(lang, ms)).into()), ("hours", (&hours).into())],
        )),
        (true, None, _) => said.push(lang.say("It was rewarded.", &[])),
        (false, _, Some(at)) if end.is_some_and(|end| end > now) => said.push(lang.say(
            "It is waiting: a {event} until {moment} counts. Meanwhile it is a failure only as far as rewards would have come by now.",
            &[("event", event.into()), ("moment", at.into())],
        )),
        (false, _, Some(at)) => said.push(lang.say(
            "No {event} came before the window of {hours} h closed, {moment}: it counts as a failure.",
            &[("event", event.into()), ("hours", (&hours).into()), ("moment", at.into())],
        )),
        (false, _, None) => {}
    }
    said
}

/// What an event is for it.
pub(crate) fn standing(lang: Lang, exposure: Exposure, standing: ClaimStanding) -> &'static str {
    match standing {
        ClaimStanding::Rewards => lang.t("a reward inside the window"),
        ClaimStanding::Exposes if exposure == Exposure::Event => lang.t("shows that the arm was seen"),
        ClaimStanding::Exposes => lang.t("not needed: a decision counts as seen"),
        ClaimStanding::OtherExperiment => lang.t("for another experiment only"),
        ClaimStanding::OtherEvent => lang.t("not the experiment’s reward"),
        ClaimStanding::Worthless => lang.t("a reward of 0"),
        ClaimStanding::Early => lang.t("from before the decision"),
        ClaimStanding::Late => lang.t("after the window closed"),
    }
}
