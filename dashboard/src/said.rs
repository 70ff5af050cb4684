//! What off-policy evaluation has to say, in the reader's language.

use crate::estimates::Unknown;
use crate::format::Num;
use crate::lang::{Lang, Phrase};
use bandit::evaluate::{TargetError, Warning};

/// What to know before reading an estimate.
pub(crate) fn warning(lang: Lang, warning: &Warning) -> Phrase {
    match warning {
        Warning::NoOverlap => lang.say("It would never have dealt what the log dealt.", &[]),
        Warning::FewEffectiveRows { effective, rows } => {
            let (effective, rows) = (Num::amount(*effective), Num::count(*rows as u64));
            let least = Num::amount(bandit::evaluate::ENOUGH_ROWS);
            lang.say(
                "Of {rows} trials only {effective} count in effect; {least} are needed.",
                &[("rows", (&rows).into()), ("effective", (&effective).into()), ("least", (&least).into())],
            )
        }
        Warning::MeanWeight { mean, .. } => {
            let mean = Num::share(*mean);
            lang.say(
                "The mean weight is {mean} where it should be 100%: logged propensities are wrong, or arms that it wants were hardly ever dealt.",
                &[("mean", (&mean).into())],
            )
        }
        Warning::Unsupported { share } => {
            let share = Num::share(*share);
            lang.say(
                "{share} of its choices are arms that the log never dealt in the same segment: nothing is known of them.",
                &[("share", (&share).into())],
            )
        }
        Warning::HeavyRows { share } => {
            let share = Num::share(*share);
            lang.say("The heaviest 1% of trials hold {share} of the weight.", &[("share", (&share).into())])
        }
        Warning::NoRewards => lang.say("No trial was rewarded: the interval is empty and means nothing.", &[]),
        Warning::FewRewards { effective } => {
            let effective = Num::amount(*effective);
            lang.say(
                "Rewards weigh like {effective} rewarded trials: the interval is crude.",
                &[("effective", (&effective).into())],
            )
        }
        Warning::TinyPropensity { min } => {
            let min = format!("{min:.1e}");
            lang.say(
                "Propensities go down to {min}: such weights are only as good as the last digits in the log.",
                &[("min", min.as_str().into())],
            )
        }
    }
}

/// Why there is no estimate.
pub(crate) fn unknown(lang: Lang, why: &Unknown) -> Phrase {
    match why {
        Unknown::NoTrials => {
            lang.say("There are no two trials whose rewards are all in. Choose other days, or wait.", &[])
        }
        Unknown::TooLong => lang.say(
            "A policy that learns takes too long to follow over so many hours, segments and arms. Choose fewer days, or run croupier evaluate.",
            &[],
        ),
        Unknown::Target(TargetError::NoArm { arm, there }) => lang.say(
            "There is no arm {arm}; there are {there}.",
            &[("arm", arm.as_str().into()), ("there", there.as_str().into())],
        ),
        Unknown::Target(TargetError::Sum(sum)) => {
            let sum = sum.to_string();
            lang.say("Shares add up to {sum}, and must to 1.", &[("sum", sum.as_str().into())])
        }
        Unknown::Target(TargetError::Twice(arm)) => {
            lang.say("{arm} is there twice.", &[("arm", arm.as_str().into())])
        }
        Unknown::Target(TargetError::Shares) => lang.say("Write shares from 0 to 1 as {example}.", &[("example", "fixed:a=0.7,b=0.3".into())]),
        Unknown::Target(TargetError::Unknown) => lang.say(
            "This is no policy: write {uniform}, {arm}, {fixed}, {kind} or JSON as in an experiment’s policy.",
            &[
                ("uniform", "uniform".into()),
                ("arm", "arm:a".into()),
                ("fixed", "fixed:a=0.7,b=0.3".into()),
                ("kind", "thompson".into()),
            ],
        ),
        Unknown::Target(TargetError::NotAPolicy(why)) => {
            lang.say("This is not a policy: {why}", &[("why", why.as_str().into())])
        }
        Unknown::Target(other @ (TargetError::Rules(_) | TargetError::NoTimes)) => {
            let why = other.to_string();
            lang.say("This experiment could not have such a policy: {why}", &[("why", why.as_str().into())])
        }
    }
}
