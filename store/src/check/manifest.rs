//! Manifests of the embedded store's keyspaces, as lsm-tree 3.1 writes them (its `version/persist.rs`): `current` holds the
//! number of a version, the XXH3 of that version's file and one byte, 0. lsm-tree does not compare them when it opens a
//! keyspace, and removes tables that the version does not name: with a number changed, sound ones.

use super::{RESTORE, damaged, entries, unreadable};
use crate::Result;
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

/// Compares each keyspace's manifest with its checksum; how many there are.
///
/// # Errors
/// When one is not what was written.
pub(super) fn check_all(dir: &Path) -> Result<usize> {
    let keyspaces = entries(&dir.join("keyspaces"))?;
    for keyspace in &keyspaces {
        check(keyspace)?;
    }
    Ok(keyspaces.len())
}

fn check(keyspace: &Path) -> Result<()> {
    let current = keyspace.join("current");
    let bytes = match std::fs::read(&current) {
        // It was being made when the process ended, and is made again.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        bytes => bytes.map_err(unreadable(&current))?,
    };
    let wrong = |file: &PathBuf, what| Err(damaged(file, what, RESTORE));
    let Some((number, sum)) = pointer(&bytes) else {
        return wrong(&current, "the pointer to the manifest is damaged");
    };
    let version = keyspace.join(format!("v{number}"));
    match std::fs::read(&version) {
        Ok(bytes) if xxh3_128(&bytes) == sum => Ok(()),
        Ok(_) => wrong(&version, "the manifest is not the one that was written: its checksum differs"),
        Err(e) if e.kind() == io::ErrorKind::NotFound => wrong(&current, "it names a manifest that is not there"),
        Err(e) => Err(unreadable(&version)(e)),
    }
}

/// Number and checksum of the version that is in use.
fn pointer(bytes: &[u8]) -> Option<(u64, u128)> {
    let (number, rest) = bytes.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    (rest == [0]).then(|| (u64::from_le_bytes(*number), u128::from_le_bytes(*sum)))
}
