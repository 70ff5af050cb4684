//! Bytes of stored values: one byte of version, then JSON. An event whose trace is collected has version 2: the length of the
//! trace's name in one byte and that name come before the JSON.

use crate::{Result, StoreError};
use bandit::{Assignment, AssignmentKey, Event, Source};
use jiff::Timestamp;

/// Version written by this release.
const VERSION: u8 = 1;
/// Version of an event with the `traceparent` of its request.
const TRACED: u8 = 2;

/// An assignment in version 1: arm, segment, propensity, posterior version, revision, source, milliseconds.
type AssignmentV1<'a> = (std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>, f64, u64, u64, Source, i64);

pub(crate) fn encode_assignment(a: &Assignment) -> Result<Vec<u8>> {
    let fields: AssignmentV1<'_> = (
        (&*a.arm).into(),
        (&*a.segment).into(),
        a.propensity,
        a.posterior_version,
        a.revision,
        a.source,
        a.at.as_millisecond(),
    );
    encode(&fields)
}

pub(crate) fn decode_assignment(key: AssignmentKey, bytes: &[u8]) -> Result<Assignment> {
    let (arm, segment, propensity, posterior_version, revision, source, at): AssignmentV1<'_> =
        decode("assignment", bytes)?;
    let at = Timestamp::from_millisecond(at).map_err(|e| StoreError::Damaged(format!("assignment {}: {e}", key.id)))?;
    Ok(Assignment {
        key,
        arm: (&*arm).into(),
        segment: (&*segment).into(),
        propensity,
        posterior_version,
        revision,
        source,
        at,
    })
}

pub(crate) fn encode_event(event: &Event, trace: Option<&str>) -> Result<Vec<u8>> {
    let mut bytes = encode(event)?;
    // What is too long to be a trace's name is none.
    if let Some((trace, length)) = trace.and_then(|t| Some((t, u8::try_from(t.len()).ok()?))) {
        let head = [TRACED, length].into_iter().chain(trace.bytes());
        bytes.splice(..1, head);
    }
    Ok(bytes)
}

/// An event, and the `traceparent` that it was kept with.
pub(crate) fn decode_event(bytes: &[u8]) -> Result<(Event, Option<String>)> {
    let [TRACED, length, rest @ ..] = bytes else { return Ok((decode("event", bytes)?, None)) };
    let cut = || StoreError::Damaged("event: its trace is cut off".into());
    let (trace, json) = rest.split_at_checked(usize::from(*length)).ok_or_else(cut)?;
    let event = serde_json::from_slice(json).map_err(|e| StoreError::Damaged(format!("event: {e}")))?;
    Ok((event, String::from_utf8(trace.to_vec()).ok()))
}

pub(crate) fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(128);
    out.push(VERSION);
    serde_json::to_writer(&mut out, value).map_err(|e| StoreError::Damaged(e.to_string()))?;
    Ok(out)
}

pub(crate) fn decode<'a, T: serde::Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&VERSION, json)) => serde_json::from_slice(json).map_err(|e| StoreError::Damaged(format!("{what}: {e}"))),
        Some((other, _)) => {
            Err(StoreError::Damaged(format!("{what} has format {other}, this release reads up to {VERSION}: upgrade")))
        }
        None => Err(StoreError::Damaged(format!("{what} is empty"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bandit::DecisionId;

    /// Data of old releases must still be read.
    #[test]
    fn version_1_is_read_and_written() {
        let key = AssignmentKey { id: DecisionId([7; 16]), day: None };
        let bytes = include_bytes!("../fixtures/assignment.v1");
        let a = decode_assignment(key, bytes.trim_ascii_end()).unwrap();
        assert_eq!((&*a.arm, &*a.segment, a.propensity, a.source), ("b", "device=mobile", 0.3712, Source::Policy));
        assert_eq!(encode_assignment(&a).unwrap(), bytes.trim_ascii_end());
        for name in ["decision", "reward"] {
            let path = format!("{}/fixtures/event-{name}.v1", env!("CARGO_MANIFEST_DIR"));
            let bytes = std::fs::read(path).unwrap();
            let (event, trace) = decode_event(bytes.trim_ascii_end()).unwrap();
            assert_eq!((encode_event(&event, None).unwrap().as_slice(), trace), (bytes.trim_ascii_end(), None));
        }
    }

    #[test]
    fn an_event_with_a_trace_is_version_2_and_read() {
        let bytes = include_bytes!("../fixtures/event-traced.v2").trim_ascii_end();
        let (event, trace) = decode_event(bytes).unwrap();
        assert_eq!(trace.as_deref(), Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        assert_eq!(encode_event(&event, trace.as_deref()).unwrap(), bytes);
        for end in 0..bytes.len() {
            assert!(decode_event(&bytes[..end]).is_err(), "cut off after {end}");
        }
    }

    #[test]
    fn other_versions_and_rubbish_are_refused() {
        for bytes in [&b""[..], b"\x02[]", b"\x03[]", b"\x01", b"\x01[]", b"\x01{\"record\":\"x\"}"] {
            assert!(decode_event(bytes).is_err());
        }
    }
}
