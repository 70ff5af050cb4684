//! What checks found, in plain words.

use super::guardrails::Watched;
use bandit::{
    CalibrationFinding, ChangePoint, Experiment, ExposureFinding, GuardrailFinding, OnChange, SampleRatioFinding,
    Standing, StoppingAdvice, Verdict, WATCHED_SEGMENTS,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use store::Health;

fn health(check: &str, ok: bool, detail: String, numbers: Value) -> Health {
    let numbers = match numbers {
        Value::Object(mut map) => {
            // Said already.
            map.retain(|field, _| !["check", "ok", "detail"].contains(&field.as_str()));
            map
        }
        _ => Map::new(),
    };
    Health { check: check.into(), ok, detail, numbers }
}

fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or(Value::Null)
}

fn moment(hour: i64) -> Timestamp {
    Timestamp::from_second(hour.saturating_mul(3600)).unwrap_or_default()
}

fn arm(e: &Experiment, index: usize) -> &str {
    e.arms.get(index).map_or("?", |a| &a.id)
}

/// Why lists of a catalog's items are not judged.
pub(super) fn of_lists() -> Health {
    let detail = "the arms are a catalog's items, which come and go and are dealt by what each visitor is near to: counts \
                  of all visitors cannot tell whether the log fits its propensities, a rate has changed, or when to stop; \
                  a visitor sees several arms by design";
    health("lists", true, detail.into(), Value::Null)
}

pub(super) fn sample_ratio(e: &Experiment, f: &SampleRatioFinding) -> Health {
    let detail = if f.impossible > 0 {
        format!("{} decisions have a propensity that none can have, or an unknown arm", f.impossible)
    } else if let Some((suspect, more)) = f.suspect {
        let than = if more { "more" } else { "less" };
        let ratio = f.ratios.get(suspect).copied().flatten().unwrap_or(1.0);
        format!(
            "arm '{}' is logged {than} often than its propensities say, {ratio:.3} times as often as expected: records \
             are lost or twice; do not trust results before you know why",
            arm(e, suspect)
        )
    } else {
        format!("arms are logged as often as their propensities say, in {} decisions", f.decisions)
    };
    let mut numbers = value(f);
    let arms: Map<String, Value> = f.ratios.iter().enumerate().map(|(i, r)| (arm(e, i).to_owned(), json!(r))).collect();
    numbers["ratios"] = Value::Object(arms);
    numbers["suspect"] = json!(f.suspect.map(|(i, _)| arm(e, i)));
    numbers["found"] = json!(f.found.map(moment));
    numbers["false_alarms"] = json!(0.01);
    health("sample_ratio", f.ok, detail, numbers)
}

pub(super) fn propensity(f: &CalibrationFinding) -> Health {
    let detail = match f.suspect {
        None => "arms are dealt at their stated propensities".into(),
        Some((bin, more)) => {
            let (from, to) = f.bins.get(bin).map_or((0.0, 1.0), |b| (b.from, b.to));
            let than = if more { "more" } else { "less" };
            format!("arms with a propensity of {from} to {to} are dealt {than} often than it says")
        }
    };
    let mut numbers = value(f);
    numbers["suspect"] = Value::Null;
    numbers["found"] = json!(f.found.map(moment));
    numbers["false_alarms"] = json!(0.01);
    health("propensity", f.ok, detail, numbers)
}

pub(super) fn multiple_exposure(f: &ExposureFinding) -> Health {
    let several = f.share.map_or(String::new(), |share| {
        format!("; {:.1} % of yesterday's {} users saw several arms", share * 100.0, f.counts.users)
    });
    let detail = if f.counts.contradictions > 0 {
        format!("{} assignments were logged with two arms, which must never happen", f.counts.contradictions)
    } else if f.ok {
        format!("no assignment has two arms{several}")
    } else {
        format!("users keep their arm, but {} of yesterday's {} saw several", f.counts.several, f.counts.users)
    };
    let numbers = json!({"contradictions": f.counts.contradictions, "users": f.counts.users,
        "users_of_several_arms": f.counts.several, "share": f.share});
    health("multiple_exposure", f.ok, detail, numbers)
}

/// Whether rates stand still; `segments`: how many there are.
pub(super) fn change(e: &Experiment, found: &BTreeMap<String, Vec<ChangePoint>>, segments: usize) -> Health {
    if e.policy.kind.is_contextual() {
        let detail =
            "not looked for: under a contextual policy arms meet visitors of their own, and rates move with them";
        return health("change", true, detail.into(), json!({"changes": []}));
    }
    let forgotten = e.policy.on_change == OnChange::Forget;
    let all = || found.iter().flat_map(|(segment, list)| list.iter().map(move |c| (segment.as_str(), c)));
    let detail = match all().max_by_key(|(_, c)| c.found) {
        None if segments > WATCHED_SEGMENTS => {
            format!("no change of an arm's rate was found in the {WATCHED_SEGMENTS} largest segments of {segments}")
        }
        None => "no change of an arm's rate was found".to_owned(),
        Some((segment, c)) => {
            let place = if e.segment_by.is_empty() { String::new() } else { format!(" in segment '{segment}'") };
            let what = if forgotten { "what came before is forgotten" } else { "what came before counts on" };
            format!(
                "the rate of '{}'{place} changed around {} from {:.4} to {:.4}: {what}",
                arm(e, c.arm),
                moment(c.hour),
                c.before,
                c.after
            )
        }
    };
    let points = all().map(|(segment, c)| {
        json!({"segment": segment, "arm": arm(e, c.arm), "at": moment(c.hour), "found": moment(c.found),
            "before": c.before, "after": c.after, "evidence": c.evidence, "threshold": c.threshold})
    });
    let numbers = json!({"changes": points.collect::<Vec<_>>(), "false_alarms": 0.01});
    health("change", found.is_empty() || forgotten, detail, numbers)
}

/// The guardrails that are broken, in words.
pub(super) fn breach(e: &Experiment, judged: &[(&Watched, Vec<GuardrailFinding>)]) -> String {
    let of = |(w, list): &(&Watched, Vec<GuardrailFinding>)| {
        let broken = list.iter().filter(|f| f.standing == Standing::Breached);
        broken.map(|f| told(e, w, f)).collect::<Vec<_>>()
    };
    judged.iter().flat_map(of).collect::<Vec<_>>().join("; ")
}

fn told(e: &Experiment, w: &Watched, f: &GuardrailFinding) -> String {
    format!(
        "'{}' follows {:.4} of the trials of '{}', above its limit of {}",
        w.event,
        f.rate.unwrap_or(0.0),
        arm(e, f.arm),
        w.max_rate
    )
}

pub(super) fn guardrails(
    e: &Experiment,
    judged: &[(&Watched, Vec<GuardrailFinding>)],
    frozen: Option<Timestamp>,
) -> Health {
    let worst = judged.iter().flat_map(|(_, list)| list.iter().map(|f| f.standing)).max();
    let mut detail = match worst {
        Some(Standing::Breached) => breach(e, judged),
        Some(Standing::AtRisk) => {
            let risky = judged.iter().flat_map(|(w, list)| list.iter().map(move |f| (w, f)));
            let risky = risky.filter(|(_, f)| f.standing == Standing::AtRisk);
            let told = risky.map(|(w, f)| {
                format!("'{}' of '{}' is above its limit with probability {:.2}", w.event, arm(e, f.arm), f.p_above)
            });
            told.collect::<Vec<_>>().join("; ")
        }
        _ => "all rates are within their limits as far as one can tell".into(),
    };
    if let Some(frozen) = frozen {
        detail += &format!(
            ". Frozen since {frozen}: everyone new gets the control until somebody changes or pauses the experiment"
        );
    }
    let list = judged.iter().flat_map(|(w, list)| {
        list.iter().map(|f| {
            json!({"event": w.event, "max_rate": w.max_rate, "arm": arm(e, f.arm), "trials": f.trials,
                "events": f.events, "rate": f.rate, "interval": f.interval(), "p_above": f.p_above, "standing": f.standing})
        })
    });
    let numbers = json!({"guardrails": list.collect::<Vec<_>>(), "frozen_at": frozen, "false_alarms": 0.01});
    health("guardrails", frozen.is_none() && worst.is_none_or(|w| w == Standing::Fine), detail, numbers)
}

/// That there is no advice where arms are not for everybody.
pub(super) fn not_compared() -> Health {
    let detail = "no advice on the whole: arms are dealt by segment or features, and each may be best for some";
    health("stopping", true, detail.into(), json!({}))
}

/// What the stopping rule advises.
pub(super) fn stopping(e: &Experiment, advice: &StoppingAdvice) -> Health {
    let ok = matches!(advice.verdict, Verdict::TooEarly | Verdict::Continue);
    let mut numbers = value(advice);
    numbers["champion"] = json!(arm(e, advice.champion));
    numbers["advice"] = Value::Null;
    health("stopping", ok, advice.advice.clone(), numbers)
}
