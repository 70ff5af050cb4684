//! Assignments' keys: what must agree for two requests to get one answer.

use crate::event::DecisionRecord;
use crate::experiment::{Sticky, StickyBy};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// 128 bits that name an assignment: a hash of experiment, user, item and day, as far as the experiment
/// is sticky by them. Repeating a request gives the same id on every replica.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DecisionId(pub [u8; 16]);

/// Separates this use of SHA-256 from others.
const DOMAIN: &[u8] = b"croupier/assignment/1";
const LISTS: &[u8] = b"croupier/list/1";
const CONTENTS: &[u8] = b"croupier/list-contents/1";

/// What an assignment is stored under. `day` is part of `id`; it stands beside it so that a store can
/// let whole days go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AssignmentKey {
    /// The hash.
    pub id: DecisionId,
    /// The day after which the key is never asked for again; none if assignments last.
    pub day: Option<Date>,
}

impl AssignmentKey {
    /// The key of `user` and `item` on `day` (counted in the experiment's time zone).
    #[must_use]
    pub fn new(experiment: &str, sticky: &Sticky, user: &str, item: Option<&str>, day: Date) -> Self {
        let has = |part| sticky.by.contains(&part);
        let day = has(StickyBy::Day).then_some(day);
        let mut hash = Sha256::new_with_prefix(DOMAIN);
        part(&mut hash, Some(experiment.as_bytes()));
        part(&mut hash, has(StickyBy::User).then_some(user.as_bytes()));
        part(&mut hash, if has(StickyBy::Item) { item.map(str::as_bytes) } else { None });
        part(&mut hash, day.map(ymd).as_ref().map(<[u8; 4]>::as_slice));
        Self { id: DecisionId(first_half(hash)), day }
    }

    /// The keys that a logged decision may have been kept under: what its experiment is sticky by may be unknown by now.
    #[must_use]
    pub fn of_record(record: &DecisionRecord) -> [Self; 2] {
        [Some(record.day), None].map(|day| Self { id: record.decision_id, day })
    }

    /// The key of a list that `user` is shown on `day`; `place` tells apart lists beside each other.
    #[must_use]
    pub(crate) fn of_list(experiment: &str, user: &str, place: &[&str], day: Date) -> Self {
        let mut hash = Sha256::new_with_prefix(LISTS);
        part(&mut hash, Some(experiment.as_bytes()));
        part(&mut hash, Some(user.as_bytes()));
        part(&mut hash, Some(&ymd(day)));
        place.iter().for_each(|name| part(&mut hash, Some(name.as_bytes())));
        Self { id: DecisionId(first_half(hash)), day: Some(day) }
    }
}

impl DecisionId {
    /// 32 lower-case hexadecimal digits.
    fn digits(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        std::array::from_fn(|i| {
            let byte = self.0[i / 2];
            DIGITS[usize::from(if i % 2 == 0 { byte >> 4 } else { byte & 15 })]
        })
    }

    /// Names a list by its key, the posterior version that dealt it and what it shows.
    pub(crate) fn of_list<'a>(key: &AssignmentKey, version: u64, ids: impl Iterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new_with_prefix(CONTENTS);
        part(&mut hash, Some(&key.id.0));
        part(&mut hash, Some(&version.to_le_bytes()));
        ids.for_each(|id| part(&mut hash, Some(id.as_bytes())));
        Self(first_half(hash))
    }
}

/// A day's year, month and day.
fn ymd(day: Date) -> [u8; 4] {
    let [y0, y1] = day.year().to_be_bytes();
    [y0, y1, day.month().unsigned_abs(), day.day().unsigned_abs()]
}

/// Hashes one component so that neighbours cannot run into each other: presence, length, bytes.
fn part(hash: &mut Sha256, bytes: Option<&[u8]>) {
    match bytes {
        None => hash.update([0]),
        Some(bytes) => {
            hash.update([1]);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
    }
}

fn first_half(hash: Sha256) -> [u8; 16] {
    let digest = hash.finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

/// Two independent uniforms in [0, 1) for a participant of an experiment: the first decides on traffic,
/// the second on holdout. They do not depend on the day, so that nobody moves in and out.
pub(crate) fn participation(experiment: &str, participant: &str) -> (f64, f64) {
    let mut hash = Sha256::new_with_prefix(b"croupier/participation/1");
    part(&mut hash, Some(experiment.as_bytes()));
    part(&mut hash, Some(participant.as_bytes()));
    let bits = u128::from_le_bytes(first_half(hash));
    #[expect(clippy::cast_possible_truncation, reason = "each takes its own half")]
    let (low, high) = (bits as u64, (bits >> 64) as u64);
    (unit(low), unit(high))
}

/// The upper 53 bits as a double in [0, 1).
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / 9_007_199_254_740_992.0
}

/// A short, fixed-size name for an event's id, by which redelivery is recognised.
pub(crate) fn event_key(id: &str) -> [u8; 16] {
    let mut hash = Sha256::new_with_prefix(b"croupier/event/1");
    hash.update(id.as_bytes());
    first_half(hash)
}

impl std::fmt::Display for DecisionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl std::fmt::Debug for DecisionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for DecisionId {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let hex = s.len() == 32 && s.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
        if !hex {
            return Err("must be 32 lower-case hexadecimal digits, as decide returned it");
        }
        u128::from_str_radix(s, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| "must be hexadecimal")
    }
}

impl Serialize for DecisionId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        // Not by `Display`, whose machinery takes as long as the rest of an answer's numbers.
        let digits = self.digits();
        s.serialize_str(std::str::from_utf8(&digits).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for DecisionId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn key(by: &[StickyBy], user: &str, item: Option<&str>, day: Date) -> DecisionId {
        let sticky = Sticky { by: by.to_vec(), time_zone: "UTC".into() };
        AssignmentKey::new("e", &sticky, user, item, day).id
    }

    #[test]
    fn the_id_depends_on_what_is_sticky_and_nothing_else() {
        use StickyBy::{Day, Item, User};
        let (d1, d2) = (date(2026, 11, 21), date(2026, 11, 22));
        let all = [User, Item, Day];
        assert_ne!(key(&all, "u", Some("i"), d1), key(&all, "u", Some("i"), d2));
        assert_ne!(key(&all, "u", Some("i"), d1), key(&all, "u", None, d1));
        assert_ne!(key(&all, "ab", Some("c"), d1), key(&all, "a", Some("bc"), d1));
        assert_eq!(key(&[User], "u", Some("i"), d1), key(&[User], "u", None, d2));
        assert_ne!(key(&[User], "x", None, d1), key(&[Item], "u", Some("x"), d1));
    }

    /// Ids are in logs, warehouses and stores of every release: they must never change.
    #[test]
    fn ids_are_stable_across_releases() {
        use StickyBy::{Day, Item, User};
        let id = key(&[User, Item, Day], "u1", Some("sku-9"), date(2026, 11, 21));
        assert_eq!(id.to_string(), include_str!("../fixtures/decision_id.txt").trim());
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::to_value(id).unwrap(), id.to_string());
    }

    #[test]
    fn hexadecimal_is_strict() {
        for bad in ["", "0", "+0000000000000000000000000000000", &"G".repeat(32), &"A".repeat(32)] {
            assert!(bad.parse::<DecisionId>().is_err(), "{bad}");
        }
    }
}
