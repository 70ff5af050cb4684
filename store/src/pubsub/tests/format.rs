//! The message format, and the table that takes it.

use super::super::message::{again, decode, encode};
use bandit::{DecisionId, DecisionRecord, Event, Source, UserEvent, UserEventKind};
use google_cloud_pubsub::model::Message;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Every kind with every field.
fn samples() -> Vec<Event> {
    let at: Timestamp = "2026-11-21T10:00:00.123456789Z".parse().unwrap();
    let id = DecisionId([0xab; 16]);
    let event = |kind: UserEventKind| {
        let (user, item, experiment) = (Some("u1".into()), Some("sku-9".into()), Some("page".into()));
        let id_of = format!("{kind:?}");
        let name = if kind == UserEventKind::Reward { "purchase".into() } else { String::new() };
        Event::User(UserEvent { id: id_of, kind, name, user, item, decision_id: Some(id), experiment, value: 1.5, at })
    };
    let decision = DecisionRecord {
        decision_id: id,
        experiment: "page".into(),
        user: "u1".into(),
        item: Some("sku-9".into()),
        day: jiff::civil::date(2026, 11, 21),
        segment: "device=mobile".into(),
        features: Some(serde_json::from_str(r#"{"age":41.5,"device":"mobile"}"#).unwrap()),
        arm: "b".into(),
        position: Some(3),
        list: Some(DecisionId([0xcd; 16])),
        propensity: 0.25,
        posterior_version: 42,
        revision: 3,
        source: Source::Policy,
        at,
    };
    let kinds = [UserEventKind::Reward, UserEventKind::Exposure, UserEventKind::View];
    [Event::Decision(decision.clone()), Event::Offer(decision)].into_iter().chain(kinds.map(event)).collect()
}

/// Whether BigQuery takes a JSON value for a column of a type.
fn fits(value: &Value, column: &str) -> bool {
    match (column, value) {
        ("STRING", Value::String(_)) => true,
        ("INT64", Value::Number(n)) => n.is_i64(),
        ("FLOAT64", Value::Number(_)) => true,
        ("DATE", Value::String(s)) => s.parse::<jiff::civil::Date>().is_ok() && s.len() == 10,
        // BigQuery's clock ends at the microsecond, and refuses more digits.
        ("TIMESTAMP", Value::String(s)) => {
            let fraction = s.split_once('.').map_or(0, |(_, rest)| rest.trim_end_matches('Z').len());
            s.parse::<Timestamp>().is_ok() && s.ends_with('Z') && fraction <= 6
        }
        _ => false,
    }
}

#[test]
fn the_table_takes_every_event() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/bigquery/events.json");
    let columns: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |column: &Value, field: &str| column[field].as_str().unwrap().to_owned();
    let types: BTreeMap<String, String> = columns.iter().map(|c| (text(c, "name"), text(c, "type"))).collect();
    let mut used = BTreeSet::new();
    for event in samples() {
        let message = encode(&event).unwrap();
        let fields: serde_json::Map<String, Value> = serde_json::from_slice(&message.data).unwrap();
        for (name, value) in &fields {
            let column = types.get(name).unwrap_or_else(|| panic!("no column for {name}"));
            assert!(fits(value, column), "{name} = {value} in a column of {column}");
            used.insert(name.clone());
        }
        for column in columns.iter().filter(|c| c["mode"] == "REQUIRED") {
            assert!(fields.contains_key(column["name"].as_str().unwrap()), "{column} of {fields:?}");
        }
        assert_eq!(message.attributes["kind"], fields["kind"].as_str().unwrap());
        assert_eq!(decode(&message).unwrap(), event);
    }
    assert_eq!(used, types.keys().cloned().collect(), "every column is used");
}

/// Messages of old releases must still be read, and written as they were.
#[test]
fn format_1_is_read_and_written() {
    let data = r#"{"kind":"reward","at":"2026-11-21T10:00:00.123456Z","at_nanos":789,"decision_id":"abababababababababababababababab","experiment":"page","user":"u1","item":"sku-9","id":"Reward","name":"purchase","value":1.5}"#;
    let reward = &samples()[2];
    let message = encode(reward).unwrap();
    assert_eq!(String::from_utf8_lossy(&message.data), data);
    assert_eq!((&*message.attributes["format"], &*message.ordering_key), ("1", "115"));
    // A field of a later release is passed over.
    let later = data.replace("{\"kind\"", "{\"later\":[1],\"kind\"");
    let later = Message::new().set_data(later).set_attributes([("format", "1")]);
    assert_eq!(decode(&later).unwrap(), *reward);
}

#[test]
fn what_is_no_event_says_why() {
    for (data, reason) in [
        (r#"{"kind":"click","at":"2026-11-21T10:00:00Z"}"#, "kind 'click' is unknown"),
        (r#"{"kind":"decision","at":"2026-11-21T10:00:00Z"}"#, "field 'decision_id' is missing"),
        (r#"{"kind":"view","at":"2026-11-21T10:00:00Z","value":1}"#, "field 'id' is missing"),
        (r#"{"kind":"view"}"#, "missing field `at`"),
        ("[]", "invalid"),
    ] {
        let poison = decode(&Message::new().set_data(data).set_attributes([("format", "1")])).unwrap_err();
        assert!(poison.reason.contains(reason) && poison.body == data, "{poison:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_damaged_message_is_an_event_or_set_aside(
        seed in proptest::sample::select(samples()),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), "[ -~é]|-1|99999999999|1e308|null"), 0..4),
    ) {
        let json = String::from_utf8(encode(&seed).unwrap().data.to_vec()).unwrap();
        let mut text: Vec<String> = json.chars().map(String::from).collect();
        for (place, change) in changes {
            let place = place.index(text.len());
            text[place] = change;
        }
        again(text.concat().as_bytes());
    }
}
