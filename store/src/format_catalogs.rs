//! Bytes of what catalogs keep: one byte of version, then JSON; vectors as they are in memory, which JSON would make four times
//! as long and forty times as slow to read.

use crate::format::{decode, encode};
use crate::{CatalogChange, Changed, Kept, Popular, Result, StoreError, Unreadable};
use jiff::Timestamp;
use recommend::{CatalogDefinition, Item, Text, TextVector};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// Version written by this release.
const VERSION: u8 = 1;

/// Version of items that have a text: older releases know none.
const WITH_TEXT: u8 = 2;

/// Bytes of an item before its header: version, numbers in its vectors, bytes of the header.
const LENGTHS: usize = 9;

/// Bytes of the SHA-256 of what follows that stand before the header in version 2. Bigtable compares no longer values
/// than 20 KB, and so it compares these.
const DIGEST: usize = 16;

/// The header of an item in version 1: tags, when it expires, whether a payload follows the vector, when it was first put.
type HeaderV1<'a> = (Cow<'a, [String]>, Option<Timestamp>, bool, Option<Timestamp>);

/// The header in version 2: that of version 1, the text, and of each vector its model, what it is of, and its numbers' count.
type HeaderV2<'a> = (HeaderV1<'a>, Cow<'a, str>, Vec<MadeV2<'a>>);
type MadeV2<'a> = (Cow<'a, str>, u64, u32);

/// An item without its id, which is in its key: lengths, in version 2 the digest, header, vectors (32-bit floats, the lowest
/// byte first), payload.
pub(crate) fn encode_item(item: &Item) -> Result<Vec<u8>> {
    let unwritable = |e: serde_json::Error| StoreError::Damaged(e.to_string());
    let head: HeaderV1<'_> = ((&item.tags[..]).into(), item.expires_at, item.payload.is_some(), item.added_at);
    let (version, header, vectors) = match &item.text {
        None => (VERSION, serde_json::to_vec(&head).map_err(unwritable)?, vec![&item.vector]),
        Some(text) => {
            let length = |v: &[f32]| u32::try_from(v.len()).unwrap_or(u32::MAX);
            let made = text.vectors.iter().map(|made| (made.model[..].into(), made.of, length(&made.vector)));
            let header: HeaderV2<'_> = (head, text.text[..].into(), made.collect());
            let vectors = text.vectors.iter().map(|made| &made.vector).collect();
            (WITH_TEXT, serde_json::to_vec(&header).map_err(unwritable)?, vectors)
        }
    };
    let payload = item.payload.as_ref().map_or("", |p| p.get());
    let numbers = vectors.iter().map(|v| v.len()).sum::<usize>();
    let mut out = Vec::with_capacity(LENGTHS + header.len() + 4 * numbers + payload.len());
    out.push(version);
    for length in [numbers, header.len()] {
        let length = u32::try_from(length).map_err(|_| StoreError::Damaged("an item too large to keep".into()))?;
        out.extend_from_slice(&length.to_le_bytes());
    }
    if version == WITH_TEXT {
        out.extend_from_slice(&[0; DIGEST]);
    }
    out.extend_from_slice(&header);
    out.extend(vectors.into_iter().flatten().flat_map(|v| v.to_le_bytes()));
    out.extend_from_slice(payload.as_bytes());
    if version == WITH_TEXT {
        let digest = Sha256::digest(&out[LENGTHS + DIGEST..]);
        out[LENGTHS..LENGTHS + DIGEST].copy_from_slice(&digest[..DIGEST]);
    }
    Ok(out)
}

/// The first bytes of an item that tell it from every other of its id: with a text its lengths and digest, else all.
pub(crate) fn identity(bytes: &[u8]) -> &[u8] {
    match bytes.split_at_checked(LENGTHS + DIGEST) {
        Some((first, _)) if first[0] == WITH_TEXT => first,
        _ => bytes,
    }
}

/// What comes before an item's vectors.
struct Head {
    /// Numbers in all of its vectors.
    numbers: usize,
    own: HeaderV1<'static>,
    text: Option<(Cow<'static, str>, Vec<MadeV2<'static>>)>,
}

/// An item's head, and what follows that; or what is wrong.
fn parts(bytes: &[u8]) -> std::result::Result<(Head, &[u8]), String> {
    let (version, rest) = match bytes.split_first() {
        Some((&version @ (VERSION | WITH_TEXT), rest)) => (version, rest),
        Some((other, _)) => {
            return Err(format!("it has format {other}, this release reads up to {WITH_TEXT}: upgrade"));
        }
        None => return Err("it is empty".into()),
    };
    let (numbers, rest) = rest.split_first_chunk().ok_or(CUT)?;
    let (header, rest) = rest.split_first_chunk().ok_or(CUT)?;
    let length = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).map_err(|_| CUT);
    let (numbers, header) = (length(numbers)?, length(header)?);
    let rest = if version == WITH_TEXT { rest.get(DIGEST..).ok_or(CUT)? } else { rest };
    let (header, rest) = rest.split_at_checked(header).ok_or(CUT)?;
    let (own, text) = if version == VERSION {
        (serde_json::from_slice(header).map_err(|e| e.to_string())?, None)
    } else {
        let (own, text, made): HeaderV2<'static> = serde_json::from_slice(header).map_err(|e| e.to_string())?;
        (own, Some((text, made)))
    };
    Ok((Head { numbers, own, text }, rest))
}

const CUT: &str = "it is cut off";

/// If an item expired before a moment, its bytes up to the vector: whatever begins with the same expired then, too. None
/// for what cannot be read.
pub(crate) fn expired_head(bytes: &[u8], before: Timestamp) -> Option<&[u8]> {
    let (Head { own: (_, expires_at, ..), .. }, rest) = parts(bytes).ok()?;
    let head = bytes.get(..bytes.len() - rest.len());
    head.filter(|_| expires_at.is_some_and(|at| at < before))
}

/// The item of an id from its bytes.
pub(crate) fn decode_item(id: String, bytes: &[u8]) -> Kept {
    let damaged = |why: &str| Unreadable { id: id.clone(), why: why.into() };
    let (Head { numbers, own, text }, rest) = parts(bytes).map_err(|what| damaged(&what))?;
    let (tags, expires_at, has_payload, added_at) = own;
    let vectors = numbers.checked_mul(4).and_then(|bytes| rest.split_at_checked(bytes));
    let (vectors, payload) = vectors.ok_or_else(|| damaged(CUT))?;
    let payload = match (has_payload, payload) {
        (false, []) => None,
        (false, _) => return Err(damaged("it is too long")),
        (true, text) => {
            let text = String::from_utf8(text.to_vec()).map_err(|e| damaged(&e.to_string()))?;
            Some(RawValue::from_string(text).map_err(|e| damaged(&e.to_string()))?)
        }
    };
    let mut numbers = vectors.as_chunks().0.iter().map(|v| f32::from_le_bytes(*v));
    let text = text.map(|(text, made)| {
        let made = made.into_iter().map(|(model, of, length)| {
            let vector: Vec<f32> = numbers.by_ref().take(length as usize).collect();
            let whole = vector.len() == length as usize;
            whole.then_some(TextVector { model: model.into_owned(), of, vector })
        });
        made.collect::<Option<_>>().map(|vectors| Box::new(Text { text: text.into_owned(), vectors }))
    });
    let text = text.map(|text| text.ok_or_else(|| damaged(CUT))).transpose()?;
    let vector: Vec<f32> = numbers.collect();
    if text.is_some() && !vector.is_empty() {
        return Err(damaged("it is too long"));
    }
    Ok(Item { vector, tags: tags.into_owned(), expires_at, payload, added_at, text, id })
}

/// A catalog: under which number its items are kept, and its definition.
pub(crate) fn encode_definition(kept_under: u64, definition: &CatalogDefinition) -> Result<Vec<u8>> {
    encode(&(kept_under, definition))
}

pub(crate) fn decode_definition(bytes: &[u8]) -> Result<(u64, CatalogDefinition)> {
    decode("catalog", bytes)
}

/// A change in version 1, without its number.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChangedV1 {
    Definition,
    Items(Vec<String>),
    Popular,
}

pub(crate) fn encode_change(catalog: &str, what: &Changed) -> Result<Vec<u8>> {
    let what = match what {
        Changed::Definition => ChangedV1::Definition,
        Changed::Items(ids) => ChangedV1::Items(ids.clone()),
        Changed::Popular => ChangedV1::Popular,
    };
    encode(&(catalog, what))
}

pub(crate) fn decode_change(number: u64, bytes: &[u8]) -> Result<CatalogChange> {
    let (catalog, what): (String, ChangedV1) = decode("change of a catalog", bytes)?;
    let what = match what {
        ChangedV1::Definition => Changed::Definition,
        ChangedV1::Items(ids) => Changed::Items(ids),
        ChangedV1::Popular => Changed::Popular,
    };
    Ok(CatalogChange { number, catalog: catalog.into(), what })
}

pub(crate) fn encode_popular(popular: &[Popular]) -> Result<Vec<u8>> {
    if let Some(odd) = popular.iter().find(|p| !p.score.is_finite()) {
        return Err(StoreError::Damaged(format!("the score of '{}' is not finite", odd.id.escape_debug())));
    }
    encode(&popular.iter().map(|p| (&p.id, p.score)).collect::<Vec<_>>())
}

pub(crate) fn decode_popular(bytes: &[u8]) -> Result<Vec<Popular>> {
    let listed: Vec<(String, f64)> = decode("what is popular", bytes)?;
    Ok(listed.into_iter().map(|(id, score)| Popular { id, score }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item() -> Item {
        Item {
            id: "sku-9".into(),
            vector: vec![0.1, -0.0, f32::MIN_POSITIVE, f32::MAX, 1e-45],
            tags: vec!["shop-3".into(), "靴".into()],
            expires_at: Some("2026-11-21T10:00:00.123456789Z".parse().unwrap()),
            payload: Some(RawValue::from_string(r#"{ "β" : 1.50,"b":1.50 }"#.into()).unwrap()),
            added_at: Some("2026-11-20T09:00:00Z".parse().unwrap()),
            text: None,
        }
    }

    /// One with a text, of which two models made vectors.
    fn texted() -> Item {
        let made = |model: &str, of, vector| TextVector { model: model.into(), of, vector };
        let vectors = vec![made("static:1f", 7, vec![0.5, -0.25]), made("β", u64::MAX, vec![1e-45])];
        let text = Text { text: "Boots \"é\" 靴".into(), vectors };
        Item { vector: vec![], text: Some(Box::new(text)), ..item() }
    }

    /// Data of old releases must still be read.
    #[test]
    fn what_was_written_is_read_and_written_again() {
        let bytes = include_bytes!("../fixtures/item.v1");
        assert_eq!(decode_item("sku-9".into(), bytes).unwrap(), item());
        assert_eq!(encode_item(&item()).unwrap(), bytes);
        let bytes = include_bytes!("../fixtures/item.v2");
        assert_eq!(decode_item("sku-9".into(), bytes).unwrap(), texted());
        assert_eq!(encode_item(&texted()).unwrap(), bytes);
        let bytes = include_bytes!("../fixtures/catalog.v1").trim_ascii_end();
        let (kept_under, definition) = decode_definition(bytes).unwrap();
        assert_eq!((kept_under, definition.dimension, definition.max_per_tag), (42, 5, Some(3)));
        // Definitions gain fields, which are written from then on.
        let again = encode_definition(kept_under, &definition).unwrap();
        assert_eq!(decode_definition(&again).unwrap(), (kept_under, definition));
        let bytes = include_bytes!("../fixtures/change.v1").trim_ascii_end();
        let change = decode_change(7, bytes).unwrap();
        assert_eq!((change.number, &*change.catalog), (7, "shoes"));
        assert_eq!(change.what, Changed::Items(vec!["sku-9".into(), "靴".into()]));
        assert_eq!(encode_change(&change.catalog, &change.what).unwrap(), bytes);
        let bytes = include_bytes!("../fixtures/popular.v1").trim_ascii_end();
        let popular = decode_popular(bytes).unwrap();
        assert_eq!((popular.len(), popular[0].score), (2, 0.1 + 0.2));
        assert_eq!(encode_popular(&popular).unwrap(), bytes);
    }

    #[test]
    fn damaged_items_are_refused() {
        for bytes in [item(), texted()].map(|item| encode_item(&item).unwrap()) {
            for length in 0..bytes.len() {
                let refused = decode_item("i".into(), &bytes[..length]);
                assert!(matches!(refused, Err(Unreadable { .. })), "{length} of {} bytes: {refused:?}", bytes.len());
            }
            assert!(decode_item("i".into(), &[&bytes[..], b" x"].concat()).is_err(), "too long");
            let later = decode_item("i".into(), &[&[3], &bytes[1..]].concat()).unwrap_err();
            assert!(later.why.contains("format 3"), "{later:?}");
        }
        let odd = [Popular { id: "i".into(), score: f64::NAN }];
        assert!(encode_popular(&odd).is_err(), "JSON has no such number, and could not be read back");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), version in 0..4_u8) {
            if let (1.., Some(first)) = (version, bytes.first_mut()) {
                *first = version;
            }
            let _ = expired_head(&bytes, Timestamp::MAX);
            let _ = (decode_item("i".into(), &bytes), decode_definition(&bytes), decode_change(1, &bytes));
            let _ = decode_popular(&bytes);
        }

        /// One changed byte is noticed, or gives another item, and never a panic.
        #[test]
        fn a_changed_byte_never_panics(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            for item in [item(), texted()] {
                let mut bytes = encode_item(&item).unwrap();
                let at = at.index(bytes.len());
                bytes[at] = to;
                let _ = decode_item("sku-9".into(), &bytes);
            }
        }

        #[test]
        fn every_item_comes_back(
            vector in proptest::collection::vec(any::<f32>(), 0..64),
            tags in proptest::collection::vec(".{0,8}", 0..4),
            ms in proptest::option::of(-1_000_000_000_000_i64..4_000_000_000_000),
            payload in proptest::option::of("[\"a-z0-9 ]{0,3}"),
            text in proptest::option::of((".{0,9}", proptest::collection::vec((".{0,3}", any::<u64>()), 0..3))),
        ) {
            let payload = payload.and_then(|text| RawValue::from_string(text).ok());
            let expires_at = ms.map(|ms| Timestamp::from_millisecond(ms).unwrap());
            let added_at = expires_at;
            // Each of the text's vectors is of another length.
            let text = text.map(|(text, made)| {
                let numbers = |n: usize| vector.iter().copied().take(n).collect();
                let made = made.into_iter().enumerate();
                let vectors = made.map(|(n, (model, of))| TextVector { model, of, vector: numbers(3 * n) }).collect();
                Box::new(Text { text, vectors })
            });
            let vector = if text.is_some() { vec![] } else { vector };
            let item = Item { id: "i".into(), vector, tags, expires_at, payload, added_at, text };
            let found = decode_item("i".into(), &encode_item(&item).unwrap()).unwrap();
            let bits = |item: &Item| item.vector.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&found), bits(&item));
            prop_assert_eq!(encode_item(&found).unwrap(), encode_item(&item).unwrap());
            let found = Item { text: item.text.clone(), ..found };
            prop_assert_eq!(Item { vector: vec![], ..found }, Item { vector: vec![], ..item });
        }

        /// What begins as an expired item did is expired, whatever follows; and nothing else is.
        #[test]
        fn a_head_says_when_an_item_expires(
            marks in proptest::collection::vec(any::<f32>(), 0..5), tag in ".{0,4}",
            ms in proptest::option::of(0_i64..4), before in 0_i64..4,
        ) {
            let moment = |ms| Timestamp::from_millisecond(ms).unwrap();
            let vector = marks.iter().map(|_| 1.0).collect();
            let expires_at = ms.map(moment);
            let item = Item { id: "i".into(), vector, tags: vec![tag], expires_at, payload: None, added_at: None, text: None };
            let again = Item { vector: marks, ..item.clone() };
            let (bytes, again) = (encode_item(&item).unwrap(), encode_item(&again).unwrap());
            let head = expired_head(&bytes, moment(before));
            prop_assert_eq!(head.is_some(), ms.is_some_and(|ms| ms < before));
            prop_assert_eq!(expired_head(&again, moment(before)), head);
            if let Some(head) = head {
                let later = Item { expires_at: Some(moment(before)), ..item.clone() };
                let never = Item { expires_at: None, ..item };
                for stays in [later, never] {
                    prop_assert!(!encode_item(&stays).unwrap().starts_with(head));
                }
            }
        }
    }
}
