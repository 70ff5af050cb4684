//! Tables, families and row keys.
//!
//! | table | row key | family | cells |
//! | --- | --- | --- | --- |
//! | `croupier-assignments` | decision id, 16 bytes | `day`, gone after [`DAY_KEPT`] | `a`: the assignment |
//! | | | `lasting`, kept | `a`: the assignment |
//! | `croupier-posteriors` | hash of experiment, its id, 0, inverted version | `head`, kept | `h`: length, publisher |
//! | | | `parts`, kept | 0, 1, 2 …: the set's bytes, cut |
//! | `croupier-catalogs` | `catalogs`, one row | `catalog`, kept | `r`: revision, writer; `d` and an id: a catalog; `x` and a number: the id of one that is being removed |
//! | | `log` | `catalog`, kept | `r`: the id of the log of changes |
//! | | `p` and a number | `popular`, kept | `p`: what is popular |
//! | `croupier-items` | hash of a number, the number, item id | `item`, kept | `i`: the item |
//! | `croupier-changes` | `c`, inverted number | `number`, kept | `n`: its writer |
//! | | | `what`, gone after [`CHANGE_KEPT`] | `w`: the change |
//! | `croupier-views` | hash of the visitor, 16 bytes | `view`, gone after 90 days | inverted moment, item id: a version |
//! | | | `list`, the newest, gone after 90 days | catalog: a list made ahead |
//!
//! **Load.** Bigtable keeps rows in order and splits the order among servers, so keys that grow with time, or that
//! begin with an experiment, send all writes of the moment to one server. A decision id is the first half of a SHA-256
//! over experiment, user, item and day (`bandit/src/key.rs`): uniform already, so it is the key as it is. Posterior
//! sets are few; the hash before the id spreads experiments, and the versions of one lie together because they are read
//! together.
//!
//! **Expiry.** A daily assignment is asked for on its day only: rewards find decisions by recomputing ids, not by
//! reading assignments. The cell is stamped by the server when it is written, which is within that day, so a day of 25
//! hours and any clock's error fit into [`DAY_KEPT`] twice over. Collection is lazy, for days: reads need no filter by
//! time all the same, because the day is part of the id, and what is left of a past day answers for that day alone.
//!
//! **Versions** are stored inverted, so that the newest comes first and reading it is a scan that ends at one row.
//! Versions are consecutive and never removed, so "after v, at most n" is a range of keys.
//!
//! **A set is one row**, written by one conditional mutation: Bigtable changes a row whole or not at all, so there is
//! nothing half-published to hide and nothing abandoned to clean up. Cells are recommended to stay below 10 MB, rows
//! below 100 MB; hence parts of [`PART_BYTES`], at most [`SET_BYTES`] together. The `head` is a family of its own,
//! because polling for a version must not touch the parts.
//!
//! **Catalogs are one row,** of a hundred definitions at most: so their number is bounded, and one that is removed is gone
//! with all that it means, by one conditional mutation, which the revision makes one after the other. A catalog's items
//! are kept under the revision that made it, not under its name: what is left of a removal, or written by whoever had not
//! heard of it, is under a number that nothing leads to any more. Items of one catalog lie together because all are read
//! together; the hash spreads catalogs, and Bigtable splits where one grows.
//!
//! **Changes** have one sequence, and each is one row, written if it is not there: of two writers one takes the number, and
//! the other the next. So there is no gap, and whether anything is new is one row to read, the first. All writers meet in
//! one place here, as they must; each process has one write on its way and joins what waits. What a change was goes after
//! [`CHANGE_KEPT`], by which a replica that was away for longer knows that it must read everything; the number's own cell
//! stays, or numbers would begin anew after a quiet week, until [`CHANGES_COUNTED`] follow it.
//!
//! **Views** of a visitor are one row, newest first by their qualifiers, so that the newest are read with a limit of cells.
//! A family's collection can keep the newest versions of a column, but not the first columns of a row: older views are
//! removed by some of those who append. **Lists** made ahead are in the same rows: one read gives both. Their cells are
//! stamped with the moment that their views were read, so that a later list stands whichever is written last.

use super::rows::Row;
use crate::format_views::VIEW_KEPT;
use crate::{Result, StoreError};
use bandit::AssignmentKey;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How long an assignment of a day is kept after it was written, at least.
pub(super) const DAY_KEPT: Duration = Duration::from_secs(3 * 24 * 3600);

/// Most bytes of a posterior set in one cell.
pub(super) const PART_BYTES: usize = 4 << 20;

/// Most bytes of a posterior set.
pub(super) const SET_BYTES: usize = 64 << 20;

/// How long what a change was is kept: longer than any replica is away and comes back as it was.
pub(super) const CHANGE_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Changes after which the number of an older one goes.
pub(super) const CHANGES_COUNTED: u64 = 100_000;

/// A table and its families.
pub(super) struct TableSpec {
    pub(super) id: &'static str,
    pub(super) families: &'static [FamilySpec],
}

/// A family, with a qualifier that its cells may have, and when its cells go.
#[derive(Clone, Copy)]
pub(super) struct FamilySpec {
    pub(super) id: &'static str,
    pub(super) qualifier: &'static [u8],
    pub(super) kept: Kept,
}

/// When cells are collected. But for lists none is written twice, so "one version" is no more than tidy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// Never.
    LastVersion,
    /// Some time after this age.
    For(Duration),
    /// Until a newer version is there, and some time after this age.
    LastFor(Duration),
}

/// Assignments whose key has a day.
pub(super) const DAY: FamilySpec = FamilySpec { id: "day", qualifier: b"a", kept: Kept::For(DAY_KEPT) };
/// Assignments that last.
pub(super) const LASTING: FamilySpec = FamilySpec { id: "lasting", qualifier: b"a", kept: Kept::LastVersion };
/// That a posterior set was published.
pub(super) const HEAD: FamilySpec = FamilySpec { id: "head", qualifier: b"h", kept: Kept::LastVersion };
/// Its bytes.
pub(super) const PARTS: FamilySpec = FamilySpec { id: "parts", qualifier: &[0, 0, 0, 0], kept: Kept::LastVersion };

/// Which catalogs there are.
pub(super) const CATALOG: FamilySpec = FamilySpec { id: "catalog", qualifier: b"r", kept: Kept::LastVersion };
/// What is popular in one.
pub(super) const POPULAR: FamilySpec = FamilySpec { id: "popular", qualifier: b"p", kept: Kept::LastVersion };
/// An item.
pub(super) const ITEM: FamilySpec = FamilySpec { id: "item", qualifier: b"i", kept: Kept::LastVersion };
/// That there was a change of a number.
pub(super) const NUMBER: FamilySpec = FamilySpec { id: "number", qualifier: b"n", kept: Kept::LastVersion };
/// What it was.
pub(super) const WHAT: FamilySpec = FamilySpec { id: "what", qualifier: b"w", kept: Kept::For(CHANGE_KEPT) };
/// Views; each has a qualifier of its own.
pub(super) const VIEW: FamilySpec = FamilySpec { id: "view", qualifier: b"probe", kept: Kept::For(VIEW_KEPT) };
/// Lists made ahead; each has its catalog as qualifier.
pub(super) const LIST: FamilySpec = FamilySpec { id: "list", qualifier: b"probe", kept: Kept::LastFor(VIEW_KEPT) };

pub(super) const ASSIGNMENTS: TableSpec = TableSpec { id: "croupier-assignments", families: &[DAY, LASTING] };
pub(super) const POSTERIORS: TableSpec = TableSpec { id: "croupier-posteriors", families: &[HEAD, PARTS] };

pub(super) const CATALOGS: TableSpec = TableSpec { id: "croupier-catalogs", families: &[CATALOG, POPULAR] };
pub(super) const ITEMS: TableSpec = TableSpec { id: "croupier-items", families: &[ITEM] };
pub(super) const CHANGES: TableSpec = TableSpec { id: "croupier-changes", families: &[NUMBER, WHAT] };
pub(super) const VIEWS: TableSpec = TableSpec { id: "croupier-views", families: &[VIEW, LIST] };

/// All of them.
pub(super) const TABLES: [&TableSpec; 6] = [&ASSIGNMENTS, &POSTERIORS, &CATALOGS, &ITEMS, &CHANGES, &VIEWS];

/// Where assignments of this kind are.
pub(super) fn family(key: &AssignmentKey) -> FamilySpec {
    if key.day.is_some() { DAY } else { LASTING }
}

/// Row of one version of an experiment's posteriors; a later version has a smaller key. Ids have no NUL, so that
/// experiments do not mix even where hashes meet.
pub(super) fn posterior_key(experiment: &str, version: u64) -> Vec<u8> {
    let hash = Sha256::digest(experiment.as_bytes());
    [&hash[..8], experiment.as_bytes(), &[0], &(!version).to_be_bytes()].concat()
}

/// The version in a posterior set's key.
pub(super) fn version(key: &[u8]) -> Result<u64> {
    let last = key.last_chunk::<8>().ok_or_else(|| StoreError::Damaged("a key of a posterior set".into()))?;
    Ok(!u64::from_be_bytes(*last))
}

/// Row of the catalogs.
pub(super) const CATALOGS_ROW: &[u8] = b"catalogs";

/// Row of the id that the log of changes has.
pub(super) const LOG_ROW: &[u8] = b"log";

/// Row of what is popular among the items kept under a number.
pub(super) fn popular_key(kept_under: u64) -> Vec<u8> {
    [&b"p"[..], &kept_under.to_be_bytes()].concat()
}

/// Bytes of an item's key before its id.
pub(super) const ITEM_PREFIX: usize = 12;

/// Row of an item. Ids are UTF-8, which has no byte 255: what ends in that is behind all items of the number.
pub(super) fn item_key(kept_under: u64, id: &[u8]) -> Vec<u8> {
    let number = kept_under.to_be_bytes();
    [&Sha256::digest(number)[..ITEM_PREFIX - 8], &number, id].concat()
}

/// Row of a change; a later one has a smaller key.
pub(super) fn change_key(number: u64) -> Vec<u8> {
    [&b"c"[..], &(!number).to_be_bytes()].concat()
}

/// The number in a change's key.
pub(super) fn change_number(key: &[u8]) -> Result<u64> {
    let number = key.strip_prefix(b"c").and_then(|n| n.try_into().ok());
    number.map(|n| !u64::from_be_bytes(n)).ok_or_else(|| StoreError::Damaged("a key of a change".into()))
}

/// Version of the head's form.
const HEAD_FORMAT: u8 = 1;

/// What a head says: how many bytes the parts have, and whose they are, which tells a publisher that asks twice its own
/// row from a rival's.
pub(super) fn encode_head(bytes: usize, publisher: u64) -> Vec<u8> {
    [&[HEAD_FORMAT][..], &(bytes as u64).to_be_bytes(), &publisher.to_be_bytes()].concat()
}

/// The bytes of a posterior set, from its row.
pub(super) fn join_parts(row: Row) -> Result<Vec<u8>> {
    let damaged = |what: &str| StoreError::Damaged(format!("posterior set: {what}"));
    let mut length = None;
    let mut bytes = Vec::new();
    // Cells come in order of family and qualifier.
    for cell in row.cells {
        match cell.family.as_str() {
            family if family == HEAD.id => match cell.value.split_first() {
                Some((&HEAD_FORMAT, rest)) => length = rest.first_chunk::<8>().map(|n| u64::from_be_bytes(*n)),
                Some((other, _)) => {
                    return Err(damaged(&format!(
                        "its row has format {other}, this release reads up to {HEAD_FORMAT}: upgrade"
                    )));
                }
                None => return Err(damaged("its head is empty")),
            },
            family if family == PARTS.id && bytes.is_empty() => bytes = cell.value,
            family if family == PARTS.id => bytes.extend_from_slice(&cell.value),
            _ => {}
        }
    }
    match length {
        Some(length) if length == bytes.len() as u64 => Ok(bytes),
        _ => Err(damaged(&format!("{} bytes where its head says {length:?}", bytes.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_come_first_and_are_read_back() {
        for (older, newer) in [(0, 1), (255, 256), (u64::MAX - 1, u64::MAX)] {
            assert!(posterior_key("e", newer) < posterior_key("e", older));
            assert_eq!(version(&posterior_key("e", newer)).unwrap(), newer);
        }
        assert!(version(b"short").is_err());
    }

    #[test]
    fn later_changes_come_first_and_items_stay_together() {
        for (older, newer) in [(0, 1), (255, 256), (u64::MAX - 1, u64::MAX)] {
            assert!(change_key(newer) < change_key(older));
            assert_eq!(change_number(&change_key(newer)).unwrap(), newer);
        }
        assert!(change_number(b"cshort").is_err() && change_number(b"x12345678").is_err());
        for number in 0..300 {
            let (first, last) = (item_key(number, b""), item_key(number, &[255]));
            assert!((first..last).contains(&item_key(number, "\u{10ffff}靴".as_bytes())));
        }
        let heads: std::collections::BTreeSet<u8> = (0..100).map(|n| item_key(n, b"")[0]).collect();
        assert!(heads.len() > 50, "{heads:?}");
    }

    #[test]
    fn experiments_with_like_names_are_far_apart() {
        let first: std::collections::BTreeSet<u8> = (0..100).map(|n| posterior_key(&format!("e{n}"), 1)[0]).collect();
        assert!(first.len() > 50, "{first:?}");
    }

    #[test]
    fn a_row_that_is_not_whole_is_refused() {
        let cell = |family: FamilySpec, value: &[u8]| super::super::rows::Cell {
            family: family.id.into(),
            qualifier: family.qualifier.into(),
            value: value.into(),
        };
        let row = |cells| join_parts(Row { key: b"k".into(), cells });
        let head = encode_head(4, 9);
        assert_eq!(row(vec![cell(HEAD, &head), cell(PARTS, b"ab"), cell(PARTS, b"cd")]).unwrap(), b"abcd");
        assert!(row(vec![cell(HEAD, &head), cell(PARTS, b"ab")]).is_err());
        assert!(row(vec![cell(PARTS, b"abcd")]).is_err());
        assert!(row(vec![cell(HEAD, b"")]).is_err());
        assert!(row(vec![cell(HEAD, b"\x02")]).is_err());
    }
}
