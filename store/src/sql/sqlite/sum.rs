//! A checksum of the file at rest, left beside it by who closes it and taken away by who opens it: SQLite has none of its own, and
//! a bit that changed in between would be read as it is.

use crate::{Result, StoreError};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Most bytes of a file that has one: reading it takes a fraction of a second.
const MOST: u64 = 256 << 20;

#[derive(Serialize, Deserialize)]
struct Sum {
    bytes: u64,
    /// When the file was written last. If that is another, somebody else wrote it since, and this is of the past.
    modified_ns: u64,
    crc32: u32,
    /// Of the other three, one after the other as text.
    check: u32,
}

impl Sum {
    fn of(file: &Path) -> io::Result<Self> {
        let mut open = File::open(file)?;
        let about = open.metadata()?;
        let modified = about.modified()?.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        let (mut crc, mut piece) = (crc32fast::Hasher::new(), vec![0; 1 << 20]);
        loop {
            match open.read(&mut piece)? {
                0 => break,
                n => crc.update(&piece[..n]),
            }
        }
        let modified_ns = u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX);
        let sum = Self { bytes: about.len(), modified_ns, crc32: crc.finalize(), check: 0 };
        Ok(Self { check: sum.checked(), ..sum })
    }

    fn checked(&self) -> u32 {
        crc32fast::hash(format!("{} {} {}", self.bytes, self.modified_ns, self.crc32).as_bytes())
    }
}

pub(super) fn beside(file: &Path, more: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(more);
    name.into()
}

/// Leaves the checksum of a file that nobody has open any more. Without one less is found, and nothing fails.
pub(super) fn leave(file: &Path) -> io::Result<()> {
    let busy = beside(file, "-wal").exists();
    if busy || std::fs::metadata(file)?.len() > MOST {
        return Ok(());
    }
    std::fs::write(beside(file, ".sum"), serde_json::to_vec(&Sum::of(file)?)?)
}

/// Compares a file with the checksum that was left, which is of the past from then on.
///
/// # Errors
/// [`StoreError::Damaged`] when it is another.
pub(super) fn compare(file: &Path) -> Result<()> {
    let left = beside(file, ".sum");
    let Ok(bytes) = std::fs::read(&left) else { return Ok(()) };
    let noted = serde_json::from_slice::<Sum>(&bytes).ok().filter(|sum| sum.check == sum.checked());
    if let Some(noted) = noted
        && let Ok(now) = Sum::of(file)
        && (now.bytes, now.modified_ns) == (noted.bytes, noted.modified_ns)
        && now.crc32 != noted.crc32
    {
        let what = "it has changed since it was closed, though nobody wrote it: the disk returns other bytes";
        return Err(StoreError::Damaged(format!("{}: {what}; restore a backup", file.display())));
    }
    std::fs::remove_file(&left).map_err(|e| StoreError::Embedded(format!("{} cannot be removed: {e}", left.display())))
}
