//! The answer to a decide request, as the contract has it.

use serde::Deserialize;
use std::borrow::Cow;

const SOURCES: [&str; 5] = ["policy", "holdout", "not_enrolled", "paused", "fallback"];

/// The members that every answer has.
#[derive(Debug, Deserialize)]
pub(super) struct Decision<'a> {
    #[serde(borrow)]
    pub(super) decision_id: Cow<'a, str>,
    #[serde(rename = "experiment")]
    _experiment: Cow<'a, str>,
    pub(super) arm: Cow<'a, str>,
    #[serde(rename = "payload", borrow)]
    _payload: &'a serde_json::value::RawValue,
    pub(super) first: bool,
    pub(super) day: Cow<'a, str>,
    propensity: f64,
    #[serde(rename = "posterior_version")]
    _posterior_version: u64,
    pub(super) source: Cow<'a, str>,
}

impl<'a> Decision<'a> {
    /// Reads an answer; says what is wrong with it.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, String> {
        let decision: Self = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        if decision.decision_id.is_empty() || decision.arm.is_empty() {
            return Err("an id is empty".to_owned());
        }
        if !(0.0..=1.0).contains(&decision.propensity) {
            return Err(format!("propensity {} is no probability", decision.propensity));
        }
        if !SOURCES.contains(&&*decision.source) {
            return Err(format!("source '{}' is not known", decision.source));
        }
        if decision.day.parse::<jiff::civil::Date>().is_err() {
            return Err(format!("day '{}' is no date", decision.day));
        }
        Ok(decision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"decision_id":"ab","experiment":"page","arm":"b","payload":{"layout":"b"},"first":true,"day":"2026-11-21","segment":"device=mobile","propensity":0.3712,"posterior_version":42,"source":"policy"}"#;

    #[test]
    fn the_contracts_example_is_good_and_others_are_not() {
        let good = Decision::read(GOOD.as_bytes()).unwrap();
        assert_eq!((&*good.arm, &*good.day, &*good.source), ("b", "2026-11-21", "policy"));
        for (from, to, why) in [
            (r#""arm":"b","#, "", "missing field `arm`"),
            ("0.3712", "1.5", "no probability"),
            ("policy\"", "magic\"", "not known"),
            ("2026-11-21", "2026-13-21", "no date"),
            ("true", "1", "invalid type"),
            ("\"ab\"", "\"\"", "an id is empty"),
        ] {
            let text = GOOD.replace(from, to);
            let got = Decision::read(text.as_bytes()).unwrap_err();
            assert!(got.contains(why), "{text}: {got}");
        }
    }
}
