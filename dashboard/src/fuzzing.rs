//! The parser of forms, as a fuzzer calls it.

use crate::form::{Form, curl, differences, pretty};
use serde_json::Value;
use store::manage::{self, Refusal};

/// Reads what a browser may send of the form of a definition: a definition, or mistakes that are told.
///
/// # Panics
/// If it is neither, or the form of a definition stands for another.
pub fn form(body: &[u8]) {
    let mut form = Form::sent(form_urlencoded::parse(body).into_owned().collect());
    let wish = form.text("do").to_owned();
    form.heed(&wish);
    let document = form.document();
    assert!(!curl("localhost", None, &document, form.text("reason")).is_empty() && !pretty(&document).is_empty());
    match manage::definition(Value::Object(document).to_string().as_bytes()) {
        Err(Refusal::Fields(errors)) => {
            form.refuse(errors);
            assert!(!form.is_well(), "nothing is told");
        }
        Err(_) => {}
        Ok(definition) => {
            let Ok(Value::Object(whole)) = serde_json::to_value(&definition) else { return };
            let again = Form::of(whole.clone()).document();
            let same = manage::definition(Value::Object(again.clone()).to_string().as_bytes());
            assert_eq!(same.ok().as_ref(), Some(&definition));
            assert!(differences(&whole.into(), &Value::Object(again)).len() < 1_000);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::form;
    use proptest::prelude::*;

    const NAMES: [&str; 14] = [
        "id",
        "rest",
        "do",
        "arms[0].id",
        "arms[1].id",
        "arms[1].from",
        "arms[1].payload",
        "arms[0].prior.alpha",
        "arms[0].weight",
        "policy.kind",
        "reward.event",
        "sticky.by",
        "guardrails[0].max_rate",
        "features[3].name",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

        #[test]
        fn whatever_is_sent_is_a_definition_or_told(
            more in proptest::collection::vec((
                prop_oneof![proptest::sample::select(&NAMES[..]).prop_map(str::to_owned), "[a-z.\\[\\]0-9]{0,12}"],
                prop_oneof!["[ -~é\n]{0,8}", "save|recommend|add-arms|remove-arms-[0-9]|fixed|1e400|-0|0\\.5", r#"\{"arms":\[(1|\{\}|null)\]\}"#],
            ), 0..8),
        ) {
            let usual = [("id", "e"), ("arms[0].id", "a"), ("arms[1].id", "b"), ("reward.event", "buy")];
            let mut body = form_urlencoded::Serializer::new(String::new());
            let given = |name: &str| more.iter().any(|(n, _)| n == name);
            body.extend_pairs(usual.iter().filter(|(name, _)| !given(name))).extend_pairs(&more);
            form(body.finish().as_bytes());
        }
    }
}
