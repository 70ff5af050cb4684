//! Context and the segment it falls into.

use crate::id::{IdError, MAX_ID_BYTES, check_id};
use crate::key::{DecisionId, event_key};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What a request says of its circumstances: attribute → value.
pub type Context = BTreeMap<String, ContextValue>;

/// Most attributes of one request's context.
const MAX_ATTRIBUTES: usize = 64;

/// Segment of every request of an experiment without `segment_by`.
pub const WHOLE: &str = "all";

/// One attribute's value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ContextValue {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text, 1 to 256 bytes without control characters.
    Text(String),
}

/// By hand, since an untagged enum is tried variant by variant, and each that does not fit makes an error: a tenth of
/// what reading a request takes.
impl<'de> Deserialize<'de> for ContextValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl Reader {
    const EXPECTED: &str = "must be text, a number, true or false";
}

impl<'de> Visitor<'de> for Reader {
    type Value = ContextValue;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("text, a number, true or false")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ContextValue, E> {
        Ok(ContextValue::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<ContextValue, E> {
        Ok(ContextValue::Text(text))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<ContextValue, E> {
        Ok(ContextValue::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<ContextValue, E> {
        Ok(ContextValue::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<ContextValue, E> {
        Ok(ContextValue::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<ContextValue, E> {
        Number::from_f64(value).map(ContextValue::Number).ok_or_else(|| E::custom(Self::EXPECTED))
    }

    fn visit_unit<E: Error>(self) -> Result<ContextValue, E> {
        Err(E::custom(Self::EXPECTED))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<ContextValue, A::Error> {
        Err(Error::custom(Self::EXPECTED))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<ContextValue, A::Error> {
        Err(Error::custom(Self::EXPECTED))
    }
}

/// Checks a context from outside.
///
/// # Errors
/// Names the attribute, and says why it cannot be taken.
pub(crate) fn check_context(context: &Context) -> Result<(), (String, String)> {
    if context.len() > MAX_ATTRIBUTES {
        return Err(("context".into(), format!("must have at most {MAX_ATTRIBUTES} attributes")));
    }
    for (name, value) in context {
        let at = |why: IdError| (format!("context.{}", name.escape_debug()), why.to_string());
        check_id(name).map_err(at)?;
        if let ContextValue::Text(text) = value
            && !text.is_empty()
        {
            check_id(text).map_err(at)?;
        }
    }
    Ok(())
}

/// The segment of a context: `device=mobile,country=jp` in the order of `by`, with an empty value for
/// an attribute that is absent. `%`, `,` and `=` inside names and values are percent-encoded, so that
/// two contexts share a segment only if they agree on every attribute. One that would be longer than an id may be is
/// named by its hash.
#[must_use]
pub fn segment_of(by: &[String], context: &Context) -> String {
    if by.is_empty() {
        return WHOLE.into();
    }
    let mut out = String::new();
    for name in by {
        if !out.is_empty() {
            out.push(',');
        }
        escape(&mut out, name);
        out.push('=');
        match context.get(name) {
            None => {}
            Some(ContextValue::Text(text)) => escape(&mut out, text),
            // Writing to a string cannot fail.
            Some(ContextValue::Bool(b)) => drop(write!(out, "{b}")),
            Some(ContextValue::Number(n)) => drop(write!(out, "{n}")),
        }
    }
    if out.len() > MAX_ID_BYTES { format!("hash={}", DecisionId(event_key(&out))) } else { out }
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '%' => out.push_str("%25"),
            ',' => out.push_str("%2C"),
            '=' => out.push_str("%3D"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn context(json: &str) -> Context {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn segments_read_as_people_write_them() {
        let by = ["device".to_owned(), "vip".to_owned()];
        assert_eq!(segment_of(&[], &context(r#"{"device":"x"}"#)), "all");
        assert_eq!(segment_of(&by[..1], &context(r#"{"device":"mobile","n":1}"#)), "device=mobile");
        assert_eq!(segment_of(&by, &context(r#"{"vip":true,"device":"a=b,c"}"#)), "device=a%3Db%2Cc,vip=true");
        assert_eq!(segment_of(&by, &context("{}")), "device=,vip=");
        let long = |end: &str| segment_of(&by[..1], &context(&format!(r#"{{"device":"{}{end}"}}"#, "=".repeat(200))));
        assert!(long("a").len() == 37 && long("a") != long("b"), "{}", long("a"));
    }

    #[test]
    fn hostile_contexts_are_refused() {
        assert!(check_context(&context(r#"{"a":"x\ny"}"#)).is_err());
        assert!(check_context(&context(r#"{"":"x"}"#)).is_err());
        assert!(check_context(&(0..65).map(|i| (i.to_string(), ContextValue::Bool(true))).collect()).is_err());
    }

    proptest! {
        #[test]
        fn distinct_values_make_distinct_segments(a in "[a%,=]{0,4}", b in "[a%,=]{0,4}", c in "[a%,=]{0,4}", d in "[a%,=]{0,4}") {
            let by = ["x".to_owned(), "y".to_owned()];
            let of = |x: &str, y: &str| segment_of(&by, &[
                ("x".to_owned(), ContextValue::Text(x.into())), ("y".to_owned(), ContextValue::Text(y.into())),
            ].into());
            prop_assert_eq!((&a, &b) == (&c, &d), of(&a, &b) == of(&c, &d));
        }
    }
}
