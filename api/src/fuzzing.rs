//! The parsers of requests, as a fuzzer calls them.

use crate::body::{json, split};
use crate::catalogs::{items, lists};
use crate::decide::{BatchRequest, asked};
use crate::ofrep::Asked;
use crate::problem::Problem;
use axum::http::Uri;
use bandit::{ContextValue, DecideRequest, Decider, Experiment, NewEvent, Status};
use jiff::Timestamp;
use recommend::{Candidates, CatalogDefinition};
use std::fmt::Write;
use std::sync::LazyLock;

static DECIDER: LazyLock<Option<Decider>> = LazyLock::new(|| {
    let json = r#"{"id":"e","arms":[{"id":"a"},{"id":"b"}],"segment_by":["device","x"],"holdout":0.1,"traffic":0.9,"reward":{"event":"buy"}}"#;
    let experiment: Experiment = serde_json::from_str(json).ok()?;
    Decider::new(experiment, Status::Running, None, 1, None).ok()
});

static CATALOG: LazyLock<Option<Candidates>> = LazyLock::new(|| {
    let definition: CatalogDefinition = serde_json::from_str(r#"{"dimension":2}"#).ok()?;
    Some(Candidates::new(definition))
});

fn told(problem: &Problem) {
    assert!((400..500).contains(&problem.status) && !problem.detail.is_empty(), "{problem:?}");
}

/// Reads a query as one of decide and as one of lists: a request or a refusal. A request, written as a query, is read as the same.
///
/// # Panics
/// If it is not.
pub fn query(text: &[u8]) {
    let Ok(uri) = Uri::try_from([b"/v1/decide?", text].concat()) else { return };
    match asked(&uri) {
        Err(problem) => told(&problem),
        Ok(request) => {
            if let Ok(again) = Uri::try_from(written(&request)) {
                assert_eq!(asked(&again).ok().as_ref(), Some(&request), "{uri}, written as {again}");
            }
            dealt(&request);
        }
    }
    let limits = lists::Limits::read(&uri);
    if let Err(problem) = limits.and_then(|(limits, _)| limits.wanted(Timestamp::UNIX_EPOCH).map(drop)) {
        told(&problem);
    }
}

fn written(request: &DecideRequest) -> String {
    let mut uri = String::from("/v1/decide?");
    let mut pair = |name: &str, value: &str| {
        for (text, end) in [(name, '='), (value, '&')] {
            for byte in text.bytes() {
                let _ = write!(uri, "%{byte:02X}");
            }
            uri.push(end);
        }
    };
    pair("experiment", &request.experiment);
    pair("user", &request.user);
    if let Some(item) = &request.item {
        pair("item", item);
    }
    for (name, value) in &request.context {
        if let ContextValue::Text(value) = value {
            pair(&format!("context.{name}"), value);
        }
    }
    uri
}

fn dealt(request: &DecideRequest) {
    let Some(decider) = DECIDER.as_ref().filter(|_| request.check().is_ok()) else { return };
    let dealt = decider.deal(request, Timestamp::UNIX_EPOCH).assignment;
    assert!(dealt.propensity > 0.0 && dealt.propensity <= 1.0, "{dealt:?}");
}

/// Reads what a provider of flags sends: a request or a refusal of the protocol.
///
/// # Panics
/// If a refusal says nothing.
pub fn flags(body: &[u8]) {
    let Some(decider) = DECIDER.as_ref() else { return };
    match Asked::read(body).and_then(|asked| asked.request(decider)) {
        Ok(request) => dealt(&request),
        Err(failure) => assert!(!failure.error_details.is_empty() && failure.status == 400, "{failure:?}"),
    }
}

/// Reads items: each is taken, as one that the catalog can have, or refused.
///
/// # Panics
/// If one is neither or both, or a vector was taken that lists cannot be made from.
pub fn items(body: &[u8]) {
    let Some(catalog) = CATALOG.as_ref() else { return };
    match items::check(body, catalog, Timestamp::UNIX_EPOCH) {
        Err(problem) => told(&problem),
        Ok((items, rejected)) => {
            assert_eq!(
                split::<serde::de::IgnoredAny>(body, "", usize::MAX).ok().map(|all| all.len()),
                Some(items.len() + rejected.len())
            );
            for item in items {
                assert!(item.vector.len() == 2 && item.vector.iter().all(|x| x.is_finite()), "{item:?}");
            }
        }
    }
}

/// Reads the other bodies of many parts: events, a batch of decisions, and what is looked for.
///
/// # Panics
/// If a refusal says nothing.
pub fn bodies(body: &[u8]) {
    match split::<NewEvent>(body, "an event", 1_000) {
        Err(problem) => told(&problem),
        Ok(events) => assert!(events.iter().all(|event| event.as_ref().err() != Some(&String::new()))),
    }
    for problem in [json::<BatchRequest>(body).err(), json::<lists::SearchRequest>(body).err()].into_iter().flatten() {
        told(&problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUERIES: [&str; 3] = [
        "experiment=page&user=u1&item=sku-9&context.device=mobile",
        "experiment=%E4%BE%8B&user=a+b%26c&context.x=&key=k",
        "user=u&k=10&diversity=0.5&tag=a,b&tag=c&exclude=x&max_per_tag=2",
    ];
    const BODIES: [&str; 6] = [
        r#"{"context":{"targetingKey":"u1","item":"sku-9","device":"mobile","x":1.5}}"#,
        r#"{"id":"hat","vector":[0.5,-1e3],"tags":["shop-3"],"expires_at":"2026-11-21T10:00:00Z","payload":{"a":[1]}}"#,
        "{\"id\":\"hat\",\"vector\":[0,1]}\n\n{\"id\":\"cap\",\"vector\":[1,0]}\r\n",
        r#"[{"id":"hat","vector":[0,1]},{"id":"hat","vector":[1,0]},{"id":"\u00e9","text":"t"}]"#,
        r#"[{"id":"3f","type":"reward","name":"purchase","user":"u1","value":1.0,"at":"2026-11-21T10:00:00Z"}]"#,
        r#"{"user":"u","context":{"a":true},"requests":[{"experiment":"e","item":"i"}]}"#,
    ];

    fn damaged(seeds: &'static [&'static str], changes: &'static str) -> impl Strategy<Value = Vec<u8>> {
        let changes = proptest::collection::vec((any::<prop::sample::Index>(), changes), 0..4);
        (proptest::sample::select(seeds), changes).prop_map(|(seed, changes)| {
            let mut text: Vec<String> = seed.chars().map(String::from).collect();
            for (place, change) in changes {
                let place = place.index(text.len());
                text[place] = change;
            }
            text.concat().into_bytes()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_damaged_query_is_a_request_or_a_refusal(text in damaged(&QUERIES, "[ -~]|%[0-9A-Fa-f]{2}|&|=|user=|context\\.")) {
            query(&text);
        }

        #[test]
        fn a_damaged_body_is_a_request_or_a_refusal(body in damaged(&BODIES, "[ -~é\n]|null|1e39|-0|99999999999999999999|[\\[{]{40}")) {
            flags(&body);
            items(&body);
            bodies(&body);
        }
    }
}
