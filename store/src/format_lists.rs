//! Bytes of a list made ahead: a byte of version, the moment that it was made of in milliseconds, highest byte first, so
//! that its age is known without the rest; then JSON.

use crate::{Result, StoreError, StoredList};
use jiff::Timestamp;
use recommend::MadeAhead;
use std::borrow::Cow;

/// Version written by this release.
const VERSION: u8 = 1;

/// Version 1: stamp, change, views, floor (none: below everything), items.
type ListV1<'a> = (u64, u64, usize, Option<f32>, Vec<(Cow<'a, str>, f32)>);

pub(crate) fn encode_list(list: &StoredList) -> Result<Vec<u8>> {
    let MadeAhead { items, history, floor } = &list.made;
    let items = items.iter().map(|(id, score)| ((&**id).into(), *score)).collect();
    let fields: ListV1<'_> = (list.stamp, list.change, *history, Some(*floor).filter(|f| f.is_finite()), items);
    let mut out = vec![VERSION];
    out.extend(list.made_at.as_millisecond().to_be_bytes());
    serde_json::to_writer(&mut out, &fields).map_err(|e| StoreError::Damaged(e.to_string()))?;
    Ok(out)
}

/// When a list was made, in milliseconds.
pub(crate) fn list_made(bytes: &[u8]) -> Option<i64> {
    bytes.strip_prefix(&[VERSION])?.first_chunk().map(|ms| i64::from_be_bytes(*ms))
}

/// The list in these bytes. One that cannot be read, as of a later release, is as good as none: it is made again.
pub(crate) fn decode_list(bytes: &[u8]) -> Option<StoredList> {
    let made_at = Timestamp::from_millisecond(list_made(bytes)?).ok()?;
    let (stamp, change, history, floor, items): ListV1<'_> = serde_json::from_slice(&bytes[9..]).ok()?;
    let items = items.into_iter().map(|(id, score)| (id.into(), score)).collect();
    let made = MadeAhead { items, history, floor: floor.unwrap_or(f32::NEG_INFINITY) };
    Some(StoredList { made_at, stamp, change, made })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Data of this release must be read by later ones.
    #[test]
    fn version_1_is_read_and_written() {
        let bytes = include_bytes!("../fixtures/list.v1");
        let list = decode_list(bytes).unwrap();
        assert_eq!((list.made_at.as_millisecond(), list.stamp, list.change), (1_795_255_200_000, u64::MAX, 42));
        assert_eq!((list.made.history, list.made.floor, &*list.made.items[1].0), (3, 0.1, "靴"));
        assert_eq!(encode_list(&list).unwrap(), bytes);
    }

    proptest! {
        #[test]
        fn every_list_comes_back(
            ms in -1_000_000_000_000_i64..4_000_000_000_000, stamp in any::<u64>(), change in any::<u64>(),
            history in 0_usize..200, floor in prop_oneof![Just(f32::NEG_INFINITY), -2.0_f32..2.0],
            items in proptest::collection::vec((".{0,8}", -1e30_f32..1e30), 0..5),
        ) {
            let items = items.into_iter().map(|(id, score)| (id.into(), score)).collect();
            let made_at = Timestamp::from_millisecond(ms).unwrap();
            let list = StoredList { made_at, stamp, change, made: MadeAhead { items, history, floor } };
            prop_assert_eq!(decode_list(&encode_list(&list).unwrap()), Some(list));
        }

        #[test]
        fn any_bytes_are_read_or_none(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode_list(&bytes);
            bytes.insert(0, VERSION);
            let _ = decode_list(&bytes);
        }
    }
}
