use super::*;
use crate::context::MAX_FEATURES;
use crate::policy::PolicyKind;

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
