//! Stored bytes, whatever they are, are read or refused; what was read can be written, and is read again as the same.

use crate::{format, format_catalogs, format_lists};
use bandit::{AssignmentKey, DecisionId};

/// Reads `data` as one of the stored forms, of which its first byte says which.
///
/// # Panics
/// If something was read that is not the same once it was written and read again.
pub fn stored(data: &[u8]) {
    let Some((form, bytes)) = data.split_first() else { return };
    let key = AssignmentKey { id: DecisionId([7; 16]), day: None };
    match form % 7 {
        0 => again(
            bytes,
            |b| format::decode_event(b).ok(),
            |(event, trace)| format::encode_event(event, trace.as_deref()).unwrap(),
        ),
        1 => again(
            bytes,
            |b| format::decode_assignment(key, b).ok(),
            |assignment| format::encode_assignment(assignment).unwrap(),
        ),
        2 => again(
            bytes,
            |b| format_catalogs::decode_item("i".into(), b).ok(),
            |item| format_catalogs::encode_item(item).unwrap(),
        ),
        3 => again(
            bytes,
            |b| format_catalogs::decode_definition(b).ok(),
            |(under, definition)| format_catalogs::encode_definition(*under, definition).unwrap(),
        ),
        4 => again(
            bytes,
            |b| format_catalogs::decode_change(1, b).ok(),
            |change| format_catalogs::encode_change(&change.catalog, &change.what).unwrap(),
        ),
        5 => again(
            bytes,
            |b| format_catalogs::decode_popular(b).ok(),
            |popular| format_catalogs::encode_popular(popular).unwrap(),
        ),
        _ => again(bytes, format_lists::decode_list, |list| format_lists::encode_list(list).unwrap()),
    }
}

/// Reads `data` as a backup, and as the frames of one whose checksums are right.
///
/// # Panics
/// If something was read that is not the same once it was written and read again.
pub fn backup(data: &[u8]) {
    crate::backup::again(data);
}

/// Reads `data` as a message of Pub/Sub: what it holds is an event that can be sent and is the same again, or it is set aside.
///
/// # Panics
/// If it is neither.
#[cfg(feature = "cloud")]
pub fn message(data: &[u8]) {
    crate::pubsub::again(data);
}

/// Compares bytes: a number that is none differs from itself.
fn again<T>(bytes: &[u8], read: impl Fn(&[u8]) -> Option<T>, write: impl Fn(&T) -> Vec<u8>) {
    let Some(value) = read(bytes) else { return };
    let written = write(&value);
    let value = read(&written).unwrap();
    assert_eq!(write(&value), written);
}

#[cfg(test)]
mod tests {
    use super::stored;
    use proptest::prelude::*;

    /// Each stored form, as kept by this release or an earlier one.
    fn seeds() -> Vec<Vec<u8>> {
        let forms = [
            (0, "event-decision.v1"),
            (0, "event-reward.v1"),
            (0, "event-traced.v2"),
            (1, "assignment.v1"),
            (2, "item.v1"),
            (2, "item.v2"),
            (3, "catalog.v1"),
            (4, "change.v1"),
            (5, "popular.v1"),
            (6, "list.v1"),
        ];
        let read = |(form, name): (u8, &str)| {
            let bytes = std::fs::read(format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            [&[form], &bytes[..]].concat()
        };
        forms.map(read).to_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn damaged_bytes_are_read_or_refused(
            seed in proptest::sample::select(seeds()),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            end in any::<prop::sample::Index>(),
            cut in proptest::bool::weighted(0.2),
        ) {
            let mut bytes = seed;
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if cut {
                bytes.truncate(end.index(bytes.len()));
            }
            stored(&bytes);
        }
    }
}
