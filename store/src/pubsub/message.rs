//! Format 1 of messages.
//!
//! One message is one event. Its data is one flat JSON object, so that a BigQuery subscription with the schema of
//! `deploy/bigquery/events.json` writes it into a table as it is. Fields that an event does not have are left out.
//!
//! | field | decision | reward, exposure, view |
//! | --- | --- | --- |
//! | `kind` | `decision`, or `offer` for one that counts once it was seen | `reward`, `exposure`, `view` |
//! | `at` | when, RFC 3339 in UTC, to the microsecond, since BigQuery's clock has no more | same |
//! | `at_nanos` | nanoseconds to add to `at`, if any | same |
//! | `decision_id` | hash of the assignment's key, 32 hexadecimal digits | the decision that it names, if any |
//! | `experiment`, `user`, `item` | `item` if any | each if any |
//! | `id`, `value` | none | idempotency key; size |
//! | `name` | none | name of a reward |
//! | `features` | values of the declared features, a JSON object as text, under a contextual policy | none |
//! | `position`, `list` | of an item of a list: its place, from 0, and the list's name | none |
//! | `day`, `segment`, `arm`, `propensity`, `posterior_version`, `revision`, `source` | as in `DecisionRecord` | none |
//!
//! Attributes: `format` is `1`; `kind` is that of the data, for filters of other subscriptions; `traceparent` that of the
//! request, where its trace is collected. Fields may be added
//! within a format; a reader passes over those that it does not know. A change that a reader must know makes a new format.
//!
//! The ordering key is one of [`KEYS`] by the hash of the user, or without one of the decision, or else of the event's id.
//! The order of a user's events holds as if each user had a key; the client keeps a task for each key for good, so that a
//! key for each user would grow with the number of users, and few keys also share requests.

use crate::events::Poison;
use bandit::{DecisionId, DecisionRecord, Event, Source, UserEvent, UserEventKind};
use google_cloud_pubsub::model::Message;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Format written by this release.
const FORMAT: &str = "1";
/// Ordering keys: enough that some wait for an answer while others are sent, few enough that a request carries several
/// events under load. The service takes 1 MB/s of each.
const KEYS: u64 = 128;
/// Values of `kind` for decisions; other events have that of their own kind.
const DECISION: &str = "decision";
const OFFER: &str = "offer";

/// Every field of every kind.
#[derive(Serialize, Deserialize)]
struct Flat<'a> {
    kind: Cow<'a, str>,
    at: Timestamp,
    #[serde(skip_serializing_if = "is_zero", default)]
    at_nanos: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<DecisionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    experiment: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arm: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    propensity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<DecisionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    posterior_version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(n: &i32) -> bool {
    *n == 0
}

impl<'a> Flat<'a> {
    fn at(kind: &'a str, at: Timestamp) -> Self {
        let beyond = at.subsec_nanosecond() % 1_000;
        let (at_nanos, at) = (beyond, at.checked_sub(SignedDuration::from_nanos(beyond.into())));
        // Only the lowest end of what a timestamp holds is below its microsecond; no clock shows it.
        let at = at.unwrap_or(Timestamp::MIN);
        Self {
            kind: kind.into(),
            at,
            at_nanos,
            decision_id: None,
            experiment: None,
            user: None,
            item: None,
            id: None,
            name: None,
            value: None,
            day: None,
            segment: None,
            features: None,
            arm: None,
            propensity: None,
            position: None,
            list: None,
            posterior_version: None,
            revision: None,
            source: None,
        }
    }

    fn of(event: &'a Event) -> Self {
        match event {
            Event::Decision(d) | Event::Offer(d) => Self {
                decision_id: Some(d.decision_id),
                experiment: Some((&*d.experiment).into()),
                user: Some((&*d.user).into()),
                item: d.item.as_deref().map(Cow::from),
                day: Some(d.day),
                segment: Some((&*d.segment).into()),
                features: d.features.as_ref().and_then(|f| serde_json::to_string(f).ok()).map(Cow::from),
                arm: Some((&*d.arm).into()),
                propensity: Some(d.propensity),
                position: d.position,
                list: d.list,
                posterior_version: Some(d.posterior_version),
                revision: Some(d.revision),
                source: Some(d.source),
                ..Self::at(if matches!(event, Event::Offer(_)) { OFFER } else { DECISION }, d.at)
            },
            Event::User(e) => Self {
                decision_id: e.decision_id,
                experiment: e.experiment.as_deref().map(Cow::from),
                user: e.user.as_deref().map(Cow::from),
                item: e.item.as_deref().map(Cow::from),
                id: Some((&*e.id).into()),
                name: (!e.name.is_empty()).then(|| (&*e.name).into()),
                value: Some(e.value),
                ..Self::at(e.kind.as_str(), e.at)
            },
        }
    }

    fn event(self) -> Result<Event, String> {
        let at = self.at.checked_add(SignedDuration::from_nanos(self.at_nanos.into())).map_err(|e| e.to_string())?;
        let kind = match &*self.kind {
            kind @ (DECISION | OFFER) => {
                let offer = kind == OFFER;
                let record = DecisionRecord {
                    decision_id: need("decision_id", self.decision_id)?,
                    experiment: need("experiment", self.experiment)?.into_owned(),
                    user: need("user", self.user)?.into_owned(),
                    item: self.item.map(Cow::into_owned),
                    day: need("day", self.day)?,
                    segment: need("segment", self.segment)?.into_owned(),
                    features: self
                        .features
                        .map(|text| serde_json::from_str(&text).map_err(|e| format!("field 'features': {e}")))
                        .transpose()?,
                    arm: need("arm", self.arm)?.into_owned(),
                    position: self.position,
                    list: self.list,
                    propensity: need("propensity", self.propensity)?,
                    posterior_version: need("posterior_version", self.posterior_version)?,
                    revision: need("revision", self.revision)?,
                    source: need("source", self.source)?,
                    at,
                };
                return Ok(if offer { Event::Offer(record) } else { Event::Decision(record) });
            }
            "reward" => UserEventKind::Reward,
            "exposure" => UserEventKind::Exposure,
            "view" => UserEventKind::View,
            other => return Err(format!("kind '{}' is unknown", other.escape_debug())),
        };
        Ok(Event::User(UserEvent {
            id: need("id", self.id)?.into_owned(),
            kind,
            name: self.name.unwrap_or_default().into_owned(),
            user: self.user.map(Cow::into_owned),
            item: self.item.map(Cow::into_owned),
            decision_id: self.decision_id,
            experiment: self.experiment.map(Cow::into_owned),
            value: need("value", self.value)?,
            at,
        }))
    }
}

fn need<T>(field: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("field '{field}' is missing"))
}

/// The message of an event.
pub(super) fn encode(event: &Event) -> crate::Result<Message> {
    let flat = Flat::of(event);
    let json = serde_json::to_vec(&flat).map_err(|e| crate::StoreError::Damaged(e.to_string()))?;
    let attributes = [("format", FORMAT), ("kind", &*flat.kind)];
    Ok(Message::new().set_data(json).set_attributes(attributes).set_ordering_key(key(event)))
}

/// The attribute with the W3C `traceparent` of the request that an event came with; few have it.
const TRACE: &str = "traceparent";

/// A message with its trace.
pub(super) fn traced(mut message: Message, trace: Option<&str>) -> Message {
    if let Some(trace) = trace {
        message.attributes.insert(TRACE.into(), trace.into());
    }
    message
}

/// The trace of a message.
pub(super) fn trace_of(message: &Message) -> Option<String> {
    message.attributes.get(TRACE).cloned()
}

/// The event of a message.
pub(super) fn decode(message: &Message) -> Result<Event, Poison> {
    let event = match message.attributes.get("format").map(String::as_str) {
        Some(FORMAT) => serde_json::from_slice::<Flat<'_>>(&message.data).map_err(|e| e.to_string()),
        Some(other) => Err(format!(
            "the message has format '{}', this release reads up to {FORMAT}: upgrade",
            other.escape_debug()
        )),
        None => Err("the message has no attribute 'format': something else published it".into()),
    };
    event
        .and_then(Flat::event)
        .map_err(|reason| Poison { reason, body: String::from_utf8_lossy(&message.data).into_owned() })
}

/// Reads `data` as that of a message: an event that can be sent and is the same again, or it is set aside.
#[cfg(any(test, feature = "conformance"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
pub(crate) fn again(data: &[u8]) {
    let message = Message::new().set_data(data.to_vec()).set_attributes([("format", FORMAT)]);
    match decode(&message) {
        Ok(event) => assert_eq!(decode(&encode(&event).unwrap()).unwrap(), event),
        Err(poison) => assert!(!poison.reason.is_empty()),
    }
}

fn key(event: &Event) -> String {
    let (user, decision, id) = match event {
        Event::Decision(d) | Event::Offer(d) => (Some(&d.user), Some(d.decision_id), None),
        Event::User(e) => (e.user.as_ref(), e.decision_id, Some(&e.id)),
    };
    let hash = match (user, decision) {
        (Some(user), _) => fnv(user.as_bytes()),
        (None, Some(decision)) => fnv(&decision.0),
        (None, None) => fnv(id.map_or(&[], |id| id.as_bytes())),
    };
    (hash % KEYS).to_string()
}

/// FNV-1a: replicas and releases must agree on it.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}
