//! Manifests of the embedded store's keyspaces, as lsm-tree 3.1 writes them (its `version/persist.rs`): `current` holds the
//! number of a version, the XXH3 of that version's file and one byte, 0. lsm-tree does not compare them when it opens a
//! keyspace, and removes tables that the version does not name: with a number changed, sound ones.

use super::{RESTORE, damaged, entries, unreadable};
use crate::Result;
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

/// What is in the file that says which release of fjall's format a store has, as fjall 3 writes it last of all.
const FORMAT: &[u8] = b"FJL\x03";

/// Whether the directory's first start was cut off before anything could be in it.
///
/// # Errors
/// When it cannot be read.
pub(super) fn was_never_made(dir: &Path) -> Result<bool> {
    let file = dir.join("version");
    let marked = std::fs::metadata(&file).is_ok_and(|file| file.len() > 0);
    Ok(!marked && dir.exists() && entries(&dir.join("keyspaces"))?.is_empty())
}

/// Compares the format, and each keyspace's manifest with its checksum; how many there are.
///
/// # Errors
/// When one is not what was written.
pub(super) fn check_all(dir: &Path) -> Result<usize> {
    let file = dir.join("version");
    if dir.exists() && std::fs::read(&file).map_err(unreadable(&file))? != FORMAT {
        return Err(damaged(&file, "the format's name is not that of this release", RESTORE));
    }
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
