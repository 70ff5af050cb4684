use super::*;
use bandit::Experiment;
use serde_json::json;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// What a browser would send of the form.
fn pairs(form: &Form) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = vec![("rest".into(), form.rest())];
    for (name, text) in &form.texts {
        match name.as_str() {
            "sticky.by" => pairs.extend(text.lines().map(|part| (name.clone(), part.to_owned()))),
            _ => pairs.push((name.clone(), text.replace('\n', "\r\n"))),
        }
    }
    pairs
}

fn everything() -> Value {
    json!({"id": "e", "name": "A \"name\" <b>", "arms": [
        {"id": "a", "payload": {"x": [1, 2.5, null, "é"]}, "prior": {"alpha": 0.1, "beta": 1e9}, "weight": 0.30000000000000004},
        {"id": "b", "control": true, "payload": "text", "enabled": true}, {"id": "c", "enabled": false}],
     "policy": {"kind": "top_two_thompson", "floor": 0.01, "half_life_hours": 168.5, "window_hours": 240, "pooling": "hierarchical",
        "on_change": "forget", "posterior_scale": 0.8, "optimism": 1.5, "pace_rewards": 100, "leader_share": 0.25},
     "segment_by": ["country, region", "device"], "sticky": {"by": ["day", "user"], "time_zone": "Asia/Tokyo"},
     "reward": {"event": "purchase", "kind": "binary", "window_hours": 48},
     "guardrails": [{"event": "error", "max_rate": 0.05, "freeze": true}, {"event": "slow", "max_rate": 1}],
     "traffic": 0.9, "holdout": 0.05, "exposure": "event",
     "stopping": {"automatic": false, "value_remaining": 0.02, "confidence": 0.9, "min_hours": 24}})
}

#[test]
fn what_is_not_touched_stays_as_it_is() {
    let lists = json!({"id": "e", "candidates": {"catalog": "shop", "pool": 12, "strength": 7.5, "similarity_weight": 0,
        "sticky": true}, "reward": {"event": "x"}});
    let usual = json!({"id": "e", "candidates": {"catalog": "shop"}, "reward": {"event": "x"}});
    let plain = json!({"id": "e", "arms": [{"id": "a"}, {"id": "b"}], "reward": {"event": "x"}});
    for definition in [everything(), lists, usual, plain] {
        let e: Experiment = serde_json::from_value(definition).unwrap();
        let whole = object(serde_json::to_value(&e).unwrap());
        let mut again = Form::sent(pairs(&Form::of(whole)));
        let back: Experiment = serde_json::from_value(again.document().into()).unwrap();
        assert_eq!(back, e);
        assert!(again.is_well());
    }
}

#[test]
fn fields_without_an_input_survive_wherever_they_are() {
    let mut definition = object(everything());
    put(&mut definition, "later", json!({"deep": [1]}));
    put(&mut definition, "policy.later", json!(true));
    definition["arms"][1]["later"] = json!("of b");
    definition["arms"][2]["prior"] = json!({"alpha": 2.0, "gamma": 3});
    definition["guardrails"][1]["later"] = json!(7);
    let mut form = Form::of(definition);
    assert!(form.change_rows("remove-arms-0") && form.change_rows("add-arms"));
    let document = Value::from(Form::sent(pairs(&form)).document());
    assert_eq!((&document["later"]["deep"][0], &document["policy"]["later"]), (&json!(1), &json!(true)));
    assert_eq!((&document["arms"][0]["id"], &document["arms"][0]["later"]), (&json!("b"), &json!("of b")));
    assert_eq!(document["arms"][1]["prior"], json!({"alpha": 2, "beta": 1, "gamma": 3}));
    assert_eq!(document["arms"][2], json!({"id": ""}), "the new one");
    assert_eq!(document["guardrails"][1], json!({"event": "slow", "max_rate": 1, "later": 7}));
}

#[test]
fn what_cannot_be_read_is_told_beside_what_is_wrong() {
    let mut form = Form::of(object(everything()));
    for (name, text) in [("traffic", "half"), ("arms[1].payload", "{"), ("holdout", ".5"), ("policy.window_hours", " ")]
    {
        form.set(name, text);
    }
    let document = form.document();
    assert_eq!((document["holdout"].as_f64(), document["policy"].get("window_hours")), (Some(0.5), None));
    let error = |field: &str, why: &str| FieldError { field: field.into(), why: why.into() };
    form.refuse(vec![
        error("traffic", "is missing"),
        error("segment_by[1]", "no"),
        error("arms[0].prior.alpha", "low"),
        error("arms[7].id", "must stay"),
        error("candidates.pool", "few"),
        error("candidates.later", "new"),
        error("nowhere", "lost"),
    ]);
    let wrong: Vec<_> = form.wrong().collect();
    assert_eq!(wrong[0], ("arms", "must stay"));
    assert_eq!(wrong[1], ("arms[0].prior.alpha", "low"));
    assert!(wrong[2].0 == "arms[1].payload" && wrong[2].1.starts_with("is not JSON: "));
    let rest = [
        ("candidates.pool", "few"),
        ("segment_by", "no"),
        ("traffic", "must be a number"),
        ("candidates", "new"),
        ("body", "lost"),
    ];
    assert_eq!(wrong[3..], rest);
}

#[test]
fn rows_are_bounded_whatever_is_sent() {
    let names =
        ["arms[99999999999].id", "arms[5000].id", "arms[-1].id", "arms[x].id", "arms[", "arms[0]", "other[0].id"];
    let mut form = Form::sent(names.map(|n| (n.to_owned(), "a".to_owned())).to_vec());
    assert_eq!(form.document()["arms"], json!([]));
    for wish in
        ["remove-arms-0", "remove-arms-99999999999999999999999", "remove-other-0", "remove-arms", "add-", "add-x"]
    {
        form.change_rows(wish);
    }
    for _ in 0..300 {
        form.change_rows("add-arms");
    }
    assert_eq!(form.rows("arms").len(), bandit::MAX_ARMS + 1);
    assert!(!form.takes_more("arms"));
}
