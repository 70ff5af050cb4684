//! Under what a view is kept: everything that is known of it is in its key.

use crate::{Result, Seen, StoreError, VIEWS_KEPT, View};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

/// How long a view is kept after it was written or made, at least.
pub(crate) const VIEW_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// What a view's value says: the version of the form that its key has.
pub(crate) const VIEW_FORMAT: &[u8] = &[1];

/// A visitor: the first half of a hash, of one length and spread evenly whatever ids look like.
pub(crate) fn user_key(user: &str) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(user.as_bytes())[..16]);
    key
}

/// Newest first, then in order of item: milliseconds, with the sign turned so that bytes are in order, inverted; then the
/// item's id.
pub(crate) fn seen_key(view: &View) -> Vec<u8> {
    let ms = view.at.as_millisecond().cast_unsigned() ^ SIGN;
    [&(!ms).to_be_bytes(), view.item.as_bytes()].concat()
}

const SIGN: u64 = 1 << 63;

/// The moment in a key, in milliseconds.
pub(crate) fn moment(seen_key: &[u8]) -> Option<i64> {
    seen_key.first_chunk().map(|ms| (!u64::from_be_bytes(*ms) ^ SIGN).cast_signed())
}

pub(crate) fn decode_seen(seen_key: &[u8]) -> Result<Seen> {
    let damaged = || StoreError::Damaged("a key of a view".into());
    let ms = moment(seen_key).ok_or_else(damaged)?;
    let item = std::str::from_utf8(&seen_key[8..]).map_err(|_| damaged())?.to_owned();
    Ok(Seen { item, at: Timestamp::from_millisecond(ms).map_err(|_| damaged())? })
}

/// Whether this view is one of those upon which its visitor's oldest go: one in a quarter of what is kept, always the same.
pub(crate) fn trims(user: &[u8; 16], seen_key: &[u8]) -> bool {
    let mut hasher = DefaultHasher::new();
    hasher.write(user);
    hasher.write(seen_key);
    hasher.finish().is_multiple_of(VIEWS_KEPT as u64 / 4)
}

/// Of views newest first, each item's newest, at most `limit` of the first [`VIEWS_KEPT`].
pub(crate) fn newest_of_each(views: impl Iterator<Item = Result<Seen>>, limit: usize) -> Result<Vec<Seen>> {
    let mut known = std::collections::HashSet::new();
    let mut newest = Vec::new();
    for seen in views.take(VIEWS_KEPT) {
        if newest.len() >= limit {
            break;
        }
        let seen = seen?;
        if known.insert(seen.item.clone()) {
            newest.push(seen);
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_newest_first_and_read_back() {
        let key = |ms, item: &str| {
            let at = Timestamp::from_millisecond(ms).unwrap();
            seen_key(&View { user: "u".into(), item: item.into(), at })
        };
        let ordered = [(1_795_255_200_001, "a"), (1_795_255_200_000, "a"), (1, "z"), (0, "a"), (0, "b"), (-1, "a")];
        assert!(ordered.map(|(ms, item)| key(ms, item)).is_sorted());
        for (ms, item) in ordered {
            let seen = decode_seen(&key(ms, item)).unwrap();
            assert_eq!((seen.at.as_millisecond(), &*seen.item), (ms, item));
        }
        let endless = [&(!(i64::MAX.cast_unsigned() ^ SIGN)).to_be_bytes()[..], b"a"].concat();
        for odd in [&b""[..], b"short", &endless, b"\x80\0\0\0\0\0\0\0\xff"] {
            assert!(matches!(decode_seen(odd), Err(StoreError::Damaged(_))), "{odd:?}");
        }
    }

    /// Bytes of this release's keys: another release must find them.
    #[test]
    fn version_1_of_the_keys() {
        let at = Timestamp::from_millisecond(1_795_255_200_000).unwrap();
        let key = seen_key(&View { user: "u".into(), item: "靴".into(), at });
        assert_eq!(key, [&(!(1_795_255_200_000_u64 ^ SIGN)).to_be_bytes()[..], "靴".as_bytes()].concat());
        assert_eq!(user_key("u")[..4], [0x0b, 0xfe, 0x93, 0x5e]);
    }
}
