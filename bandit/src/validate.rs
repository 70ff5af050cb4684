//! The rules of an experiment's definition, all checked at once so that its owner sees every mistake.

use crate::context::{MAX_FEATURES, link_of};
use crate::experiment::{Experiment, StickyBy};
use crate::id::{check_id, check_slug};
use crate::policy::{OnChange, PolicyKind};
use jiff::tz::TimeZone;
use std::collections::HashSet;

/// Most arms of one experiment.
pub const MAX_ARMS: usize = 100;
const MAX_SEGMENT_ATTRIBUTES: usize = 8;
const MAX_GUARDRAILS: usize = 20;
const MAX_PAYLOAD_BYTES: usize = 65_536;
/// Ninety days: each day of a window is looked up for every reward that names no decision.
const MAX_WINDOW_HOURS: u32 = 2_160;

/// One mistake: where, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path in the JSON, as `arms[1].prior.alpha`.
    pub field: String,
    /// What it may be.
    pub why: String,
}

struct Findings(Vec<FieldError>);

impl Findings {
    fn add(&mut self, field: impl Into<String>, why: impl Into<String>) {
        self.0.push(FieldError { field: field.into(), why: why.into() });
    }

    fn check(&mut self, ok: bool, field: impl Into<String>, why: impl Into<String>) {
        if !ok {
            self.add(field, why);
        }
    }

    fn done(self) -> Result<(), Vec<FieldError>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// Checks a definition by itself.
///
/// # Errors
/// Every mistake found.
pub fn validate(e: &Experiment) -> Result<(), Vec<FieldError>> {
    let mut f = Findings(Vec::new());
    if let Err(why) = check_slug(&e.id) {
        f.add("id", why.to_string());
    }
    if !e.name.is_empty()
        && let Err(why) = check_id(&e.name)
    {
        f.add("name", why.to_string());
    }
    match &e.candidates {
        None => {
            arms(e, &mut f);
            floor(e, &mut f);
        }
        Some(candidates) => candidates.check(e, |ok, field, why| f.check(ok, field, why)),
    }
    policy(e, &mut f);
    sticky(e, &mut f);
    if let Err(why) = check_id(&e.reward.event) {
        f.add("reward.event", why.to_string());
    }
    f.check(
        (1..=MAX_WINDOW_HOURS).contains(&e.reward.window_hours),
        "reward.window_hours",
        format!("must be 1 to {MAX_WINDOW_HOURS}"),
    );
    segments(e, &mut f);
    guardrails(e, &mut f);
    stopping(e, &mut f);
    f.check(share(e.traffic), "traffic", "must be 0 to 1");
    f.check(share(e.holdout), "holdout", "must be 0 to 1");
    f.done()
}

fn guardrails(e: &Experiment, f: &mut Findings) {
    f.check(
        e.guardrails.len() <= MAX_GUARDRAILS,
        "guardrails",
        format!("must be at most {MAX_GUARDRAILS}, are {}", e.guardrails.len()),
    );
    let mut seen = HashSet::new();
    for (i, g) in e.guardrails.iter().enumerate() {
        let at = |part: &str| format!("guardrails[{i}].{part}");
        if let Err(why) = check_id(&g.event) {
            f.add(at("event"), why.to_string());
        }
        // An event has one rate: of two limits one would say nothing.
        f.check(seen.insert(&g.event), at("event"), format!("'{}' has a guardrail already", g.event));
        f.check(share(g.max_rate), at("max_rate"), "must be 0 to 1");
    }
}

fn share(x: f64) -> bool {
    (0.0..=1.0).contains(&x)
}

fn arms(e: &Experiment, f: &mut Findings) {
    f.check(
        (2..=MAX_ARMS).contains(&e.arms.len()),
        "arms",
        format!("must have 2 to {MAX_ARMS} arms, has {}", e.arms.len()),
    );
    let mut seen = HashSet::new();
    for (i, arm) in e.arms.iter().enumerate() {
        let at = |part: &str| format!("arms[{i}].{part}");
        if let Err(why) = check_slug(&arm.id) {
            f.add(at("id"), why.to_string());
        }
        f.check(seen.insert(&arm.id), at("id"), format!("'{}' is used twice", arm.id));
        for (part, value) in [("prior.alpha", arm.prior.alpha), ("prior.beta", arm.prior.beta)] {
            f.check((1e-3..=1e9).contains(&value), at(part), "must be 0.001 to 1e9");
        }
        f.check((0.0..=1e6).contains(&arm.weight), at("weight"), "must be 0 to 1e6");
        f.check(!holds_nul(&arm.payload), at("payload"), "must not hold the character U+0000");
        let bytes = arm.payload.to_string().len();
        f.check(
            bytes <= MAX_PAYLOAD_BYTES,
            at("payload"),
            format!("must be at most {MAX_PAYLOAD_BYTES} bytes of JSON"),
        );
    }
    f.check(e.arms.iter().filter(|a| a.control).count() <= 1, "arms", "only one arm may be the control");
    let control = e.control();
    f.check(
        e.arms.get(control).is_none_or(|a| a.enabled),
        format!("arms[{control}].enabled"),
        "must be true: the control is what everyone outside the experiment gets",
    );
}

fn floor(e: &Experiment, f: &mut Findings) {
    #[expect(clippy::cast_precision_loss, reason = "at most 100 arms")]
    let most = 1.0 / e.arms.len().max(1) as f64;
    let fits = (0.0..=most).contains(&e.policy.floor);
    f.check(fits, "policy.floor", format!("must be 0 to {most:.4} (1 / number of arms)"));
}

fn policy(e: &Experiment, f: &mut Findings) {
    let p = &e.policy;
    if let Some(epsilon) = p.epsilon {
        f.check(share(epsilon), "policy.epsilon", "must be 0 to 1");
        f.check(p.kind == PolicyKind::EpsilonGreedy, "policy.epsilon", "belongs to the kind 'epsilon_greedy' only");
    }
    if let Some(hours) = p.half_life_hours {
        f.check((1.0..=1e6).contains(&hours), "policy.half_life_hours", "must be 1 to 1000000");
    }
    if let Some(hours) = p.window_hours {
        f.check((1..=1_000_000).contains(&hours), "policy.window_hours", "must be 1 to 1000000");
    }
    if let Some(scale) = p.posterior_scale {
        f.check((0.01..=10.0).contains(&scale), "policy.posterior_scale", "must be 0.01 to 10");
        f.check(
            !matches!(p.kind, PolicyKind::EpsilonGreedy | PolicyKind::BayesUcb | PolicyKind::Fixed),
            "policy.posterior_scale",
            format!("belongs to kinds that draw from posteriors, as 'thompson': '{}' does not", policy_name(p.kind)),
        );
    }
    if let Some(optimism) = p.optimism {
        f.check((0.0..=10.0).contains(&optimism), "policy.optimism", "must be 0 to 10");
        f.check(
            p.kind.is_contextual(),
            "policy.optimism",
            "belongs to the kinds 'logistic_thompson' and 'linear_thompson'",
        );
    }
    f.check(
        !(p.on_change == OnChange::Forget && p.kind.is_contextual()),
        "policy.on_change",
        "must be 'keep' for contextual kinds: their arms' rates move with whom they are dealt to",
    );
    if let Some(pace) = p.pace_rewards {
        f.check((0.0..=1e6).contains(&pace), "policy.pace_rewards", "must be 0 to 1000000");
        f.check(
            matches!(p.kind, PolicyKind::Thompson | PolicyKind::TopTwoThompson),
            "policy.pace_rewards",
            "belongs to the kinds 'thompson' and 'top_two_thompson'",
        );
    }
    if let Some(leader) = p.leader_share {
        f.check(share(leader), "policy.leader_share", "must be 0 to 1");
        f.check(
            p.kind == PolicyKind::TopTwoThompson,
            "policy.leader_share",
            "belongs to the kind 'top_two_thompson' only",
        );
    }
    f.check(
        p.kind != PolicyKind::Fixed || e.candidates.is_some() || e.arms.iter().any(|a| a.enabled && a.weight > 0.0),
        "arms",
        "the policy 'fixed' needs an enabled arm with a positive weight",
    );
    features(e, f);
}

fn features(e: &Experiment, f: &mut Findings) {
    let kind = policy_name(e.policy.kind);
    if link_of(e.policy.kind).is_none() {
        f.check(e.features.is_empty(), "features", format!("must be empty: the policy '{kind}' does not use features"));
        return;
    }
    f.check(
        (1..=MAX_FEATURES).contains(&e.features.len()),
        "features",
        format!("must name 1 to {MAX_FEATURES} context attributes, which the policy '{kind}' learns from"),
    );
    for (i, feature) in e.features.iter().enumerate() {
        let at = format!("features[{i}].name");
        if let Err(why) = check_id(&feature.name) {
            f.add(&at, why.to_string());
        }
        let twice = e.features[..i].iter().any(|other| other.name == feature.name);
        f.check(!twice, at, format!("'{}' is named twice", feature.name.escape_debug()));
    }
}

fn policy_name(kind: PolicyKind) -> &'static str {
    match kind {
        PolicyKind::Thompson => "thompson",
        PolicyKind::TopTwoThompson => "top_two_thompson",
        PolicyKind::EpsilonGreedy => "epsilon_greedy",
        PolicyKind::BayesUcb => "bayes_ucb",
        PolicyKind::Fixed => "fixed",
        PolicyKind::LogisticThompson => "logistic_thompson",
        PolicyKind::LinearThompson => "linear_thompson",
    }
}

fn sticky(e: &Experiment, f: &mut Findings) {
    let by = &e.sticky.by;
    f.check(by.contains(&StickyBy::User) || by.contains(&StickyBy::Item), "sticky.by", "must contain 'user' or 'item'");
    let twice = by.iter().enumerate().any(|(i, part)| by[..i].contains(part));
    f.check(!twice, "sticky.by", "must not repeat a part");
    f.check(
        TimeZone::get(&e.sticky.time_zone).is_ok(),
        "sticky.time_zone",
        format!("'{}' is not an IANA time zone such as 'Asia/Tokyo'", e.sticky.time_zone.escape_debug()),
    );
}

fn stopping(e: &Experiment, f: &mut Findings) {
    let Some(rule) = &e.stopping else { return };
    f.check((1e-4..=1.0).contains(&rule.value_remaining), "stopping.value_remaining", "must be 0.0001 to 1");
    f.check((0.5..=0.9999).contains(&rule.confidence), "stopping.confidence", "must be 0.5 to 0.9999");
    f.check(
        !rule.automatic || (e.segment_by.is_empty() && e.features.is_empty()),
        "stopping.automatic",
        "must be false with segments or features: the best arm may differ between them",
    );
}

fn segments(e: &Experiment, f: &mut Findings) {
    f.check(
        e.segment_by.len() <= MAX_SEGMENT_ATTRIBUTES,
        "segment_by",
        format!("must have at most {MAX_SEGMENT_ATTRIBUTES} attributes"),
    );
    for (i, name) in e.segment_by.iter().enumerate() {
        if let Err(why) = check_id(name) {
            f.add(format!("segment_by[{i}]"), why.to_string());
        }
        f.check(!e.segment_by[..i].contains(name), format!("segment_by[{i}]"), "is named twice");
    }
}

/// Checks that a started experiment may change from `old` to `new`: nobody is re-randomised and no
/// logged outcome changes its meaning.
///
/// # Errors
/// Every forbidden change.
pub fn validate_change(old: &Experiment, new: &Experiment) -> Result<(), Vec<FieldError>> {
    let mut f = Findings(Vec::new());
    let fixed = "cannot change once the experiment has started";
    f.check(old.id == new.id, "id", fixed);
    for (i, arm) in old.arms.iter().enumerate() {
        f.check(
            new.arms.get(i).is_some_and(|a| a.id == arm.id),
            format!("arms[{i}].id"),
            format!("must stay '{}': disable an arm instead of removing it, and add new ones last", arm.id),
        );
    }
    f.check(
        old.candidates.as_ref().map(|c| &c.catalog) == new.candidates.as_ref().map(|c| &c.catalog),
        "candidates.catalog",
        fixed,
    );
    f.check(old.control() == new.control(), "arms", "the control cannot change once the experiment has started");
    f.check(old.segment_by == new.segment_by, "segment_by", fixed);
    f.check(old.features == new.features, "features", fixed);
    f.check(old.sticky == new.sticky, "sticky", fixed);
    f.check(old.reward == new.reward, "reward", fixed);
    f.check(old.exposure == new.exposure, "exposure", fixed);
    f.done()
}

/// Whether a text within holds U+0000, which PostgreSQL's JSON cannot.
fn holds_nul(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(all) => all.iter().any(holds_nul),
        Value::Object(all) => all.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Experiment {
        serde_json::from_str(
            r#"{"id":"product-page","name":"Product page","arms":[
               {"id":"control","control":true,"payload":{"layout":"a"},"prior":{"alpha":1,"beta":1}},
               {"id":"b","payload":{"layout":"b"}}],
             "policy":{"kind":"thompson","floor":0.01,"half_life_hours":168,"pooling":"hierarchical"},
             "segment_by":["device"],"features":[],
             "sticky":{"by":["user","item","day"],"time_zone":"Asia/Tokyo"},
             "reward":{"event":"purchase","kind":"binary","window_hours":24},
             "guardrails":[{"event":"error","max_rate":0.05}],
             "traffic":1.0,"holdout":0.05,"exposure":"decide"}"#,
        )
        .unwrap()
    }

    fn fields(r: Result<(), Vec<FieldError>>) -> Vec<String> {
        r.err().unwrap_or_default().into_iter().map(|e| e.field).collect()
    }

    #[test]
    fn the_documented_example_is_valid() {
        assert_eq!(validate(&example()), Ok(()));
    }

    #[test]
    fn every_mistake_is_named() {
        let mut e = example();
        e.id = "Bad Id".into();
        e.arms[1].id = "control".into();
        e.arms[0].prior.alpha = -1.0;
        e.policy.floor = 0.6;
        e.policy.half_life_hours = Some(f64::NAN);
        e.policy.epsilon = Some(0.5);
        e.sticky.by = vec![StickyBy::Day];
        e.sticky.time_zone = "Mars/Olympus".into();
        e.reward.window_hours = 0;
        e.reward.event = String::new();
        e.segment_by = vec!["device".into(), "device".into()];
        e.guardrails[0].max_rate = 1.5;
        e.guardrails = vec![e.guardrails[0].clone(); MAX_GUARDRAILS + 1];
        e.traffic = f64::NAN;
        e.holdout = -0.1;
        let found = fields(validate(&e));
        for field in [
            "id",
            "arms[1].id",
            "arms[0].prior.alpha",
            "policy.floor",
            "policy.half_life_hours",
            "policy.epsilon",
            "sticky.by",
            "sticky.time_zone",
            "reward.window_hours",
            "reward.event",
            "segment_by[1]",
            "guardrails",
            "guardrails[0].max_rate",
            "guardrails[1].event",
            "traffic",
            "holdout",
        ] {
            assert!(found.iter().any(|f| f == field), "{field} not in {found:?}");
        }
    }

    #[test]
    fn settings_belong_to_kinds() {
        let takes = |kind: &str, setting: &str| {
            let mut e = example();
            e.policy = serde_json::from_str(&format!(r#"{{"kind":"{kind}",{setting}}}"#)).unwrap();
            validate(&e).is_ok()
        };
        let kinds = ["thompson", "top_two_thompson", "epsilon_greedy", "bayes_ucb", "fixed"];
        assert_eq!(kinds.map(|k| takes(k, r#""posterior_scale":0.5"#)), [true, true, false, false, false]);
        assert_eq!(kinds.map(|k| takes(k, r#""leader_share":0.5"#)), [false, true, false, false, false]);
        assert_eq!(kinds.map(|k| takes(k, r#""epsilon":0.5"#)), [false, false, true, false, false]);
        assert_eq!(kinds.map(|k| takes(k, r#""floor":0.5"#)), [true; 5]);
        assert_eq!(kinds.map(|k| takes(k, r#""optimism":0.5"#)), [false; 5]);
        let contextual = |optimism: f64| {
            use crate::{Feature, FeatureKind};
            let mut e = example();
            e.policy = crate::PolicySpec { optimism: Some(optimism), ..crate::PolicySpec::recommended(true) };
            e.features = vec![Feature { name: "x".into(), kind: FeatureKind::Numeric }];
            validate(&e).is_ok()
        };
        assert_eq!([0.0, 1.2, 10.0, -0.1, 10.1, f64::NAN].map(contextual), [true, true, true, false, false, false]);
        assert!(!takes("thompson", r#""posterior_scale":0.0"#) && !takes("top_two_thompson", r#""leader_share":1.5"#));
    }

    #[test]
    fn a_name_that_shows_nothing_is_no_title() {
        let mut e = example();
        for (name, title) in [("", "product-page"), ("\u{200b} \u{feff}", "product-page"), (" a\u{200b}", " a\u{200b}")]
        {
            e.name = name.into();
            assert_eq!(e.title(), title);
        }
    }

    #[test]
    fn a_payload_holds_no_nul() {
        let mut e = example();
        for (payload, fine) in [
            (serde_json::json!({"a": [{"b\0": 1}]}), false),
            (serde_json::json!(["\0"]), false),
            (serde_json::json!("\\u0000"), true),
        ] {
            e.arms[1].payload = payload;
            let said = validate(&e).err().unwrap_or_default();
            assert_eq!(said.is_empty(), fine, "{said:?}");
        }
    }

    #[test]
    fn contextual_policies_need_features_and_others_refuse_them() {
        use crate::{Feature, FeatureKind};
        let feature = |name: &str| Feature { name: name.into(), kind: FeatureKind::Numeric };
        for kind in [PolicyKind::LogisticThompson, PolicyKind::LinearThompson] {
            let mut e = example();
            e.policy.kind = kind;
            assert_eq!(fields(validate(&e)), ["features"]);
            e.features = vec![feature("age"), feature("basket")];
            assert_eq!(validate(&e), Ok(()));
            e.features = vec![feature("age"), feature(""), feature("age")];
            assert_eq!(fields(validate(&e)), ["features[1].name", "features[2].name"]);
            e.features = (0..=MAX_FEATURES).map(|i| feature(&i.to_string())).collect();
            assert_eq!(fields(validate(&e)), ["features"]);
            e.policy.kind = PolicyKind::Thompson;
            assert_eq!(fields(validate(&e)), ["features"]);
        }
    }

    #[test]
    fn a_started_experiment_keeps_its_meaning() {
        let old = example();
        let mut new = old.clone();
        new.traffic = 0.5;
        new.arms[1].enabled = false;
        new.arms.push(crate::Arm { id: "c".into(), control: false, ..old.arms[1].clone() });
        assert_eq!(validate_change(&old, &new), Ok(()));
        new.arms.remove(0);
        new.reward.window_hours = 48;
        new.sticky.time_zone = "UTC".into();
        let found = fields(validate_change(&old, &new));
        assert_eq!(found, ["arms[0].id", "arms[1].id", "sticky", "reward"]);
        new = old.clone();
        (new.arms[0].control, new.arms[1].control) = (false, true);
        assert_eq!(fields(validate_change(&old, &new)), ["arms"]);
    }
}
