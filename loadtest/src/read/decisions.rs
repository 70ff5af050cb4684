//! Decision logs: our own, and what imports read.

use super::clock::Clock;
use super::json::{Members, text};
use super::{Decided, Entry, Refusal, Reward, Stamp};
use std::borrow::Cow;

/// A record of our own log, or a row of an import.
pub(super) fn entry<'a>(members: &Members<'a>, clock: &mut Clock) -> Result<Entry<'a>, Refusal> {
    let owned = |name: &str| members.text(name).map(Cow::into_owned);
    let at = members.text("at").and_then(|text| clock.any(&text)).ok_or(Refusal::NoTime)?;
    let kind = members.text("kind");
    let mut context: Vec<(String, String)> = Vec::new();
    let segment = members.text("segment").unwrap_or_default();
    context
        .extend(segment.split(',').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())));
    for part in ["features", "context"].iter().filter_map(|name| members.object(name)) {
        context.extend(part.0.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?.into_owned()))));
    }
    context.extend(
        members
            .0
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("context.")?.to_owned(), text(value)?.into_owned()))),
    );
    context.reverse();
    context.sort_by(|a, b| a.0.cmp(&b.0));
    context.dedup_by(|a, b| a.0 == b.0);
    let is_event = kind.is_some();
    let reward = match kind.as_deref() {
        Some("reward") => {
            Some(Reward { name: owned("name"), value: members.number("value").unwrap_or(1.0), at: Some(at) })
        }
        Some(_) => None,
        None => members.number("reward").filter(|value| *value > 0.0).map(|value| {
            let at = members.text("reward_at").and_then(|text| clock.any(&text));
            Reward { name: owned("name"), value, at }
        }),
    };
    let decided = Decided {
        experiment: owned("experiment"),
        user: owned("user"),
        item: owned("item"),
        context,
        is_event,
        reward,
    };
    let method = if is_event { "POST" } else { "GET" };
    let at = Stamp { ns: at.ns, coarse: at.coarse };
    Ok(Entry { at, method: method.into(), decided: Some(Box::new(decided)), ..Entry::default() })
}

#[cfg(test)]
mod tests {
    use crate::read::{Parser, Stamps};

    #[test]
    fn decision_logs_say_what_was_asked() {
        let line = r#"{"record":"decision","decision_id":"00","experiment":"page","user":"u1","item":"i","day":"2015-05-17","segment":"device=mobile","features":{"age":3},"arm":"a","propensity":0.5,"at":"2015-05-17T10:05:03.5Z"}"#;
        let got = Parser::new(Stamps::Auto).line(line).unwrap().decided.unwrap();
        assert_eq!((got.experiment.as_deref(), got.user.as_deref(), got.is_event), (Some("page"), Some("u1"), false));
        assert_eq!(got.context, [("age".to_owned(), "3".to_owned()), ("device".to_owned(), "mobile".to_owned())]);
        let line = r#"{"record":"user","id":"e","kind":"reward","name":"purchase","user":"u1","value":2,"at":"2015-05-17T10:05:09Z"}"#;
        let got = Parser::new(Stamps::Auto).line(line).unwrap().decided.unwrap();
        assert!(
            got.is_event
                && got.reward.as_ref().is_some_and(|r| r.value == 2.0 && r.name.as_deref() == Some("purchase"))
        );
        let line = r#"{"user":"u1","arm":"a","at":"2015-05-17T10:05:03Z","reward":1,"reward_at":"2015-05-17T10:06:03Z","context.device":"tv"}"#;
        let got = Parser::new(Stamps::Auto).line(line).unwrap().decided.unwrap();
        assert_eq!(got.context, [("device".to_owned(), "tv".to_owned())]);
        assert_eq!(got.reward.unwrap().at.map(|at| at.ns), Some(1_431_857_163_000_000_000));
    }
}
