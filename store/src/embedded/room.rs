//! Whether the disk takes more.
//!
//! fjall closes itself for good when a write fails, so a disk that is nearly full is not tried. What is left free then is for
//! what goes on by itself: the log's records on their way into the database, and merges of files, after which there is more.

use crate::{Result, StoreError};
use rustix::fs::StatVfsMountFlags;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Bytes that stay free, but no more than a tenth of the file system.
const LEAST_FREE: u64 = 256 << 20;
const MIB: u64 = 1 << 20;

/// The file system that a directory is on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room(PathBuf);

impl Room {
    pub(crate) fn of(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// # Errors
    /// [`StoreError::Unwritable`] when less than what is kept free, and `more` bytes, are free, or when the file system may
    /// only be read.
    pub(crate) fn check(&self, more: u64) -> Result<()> {
        self.check_least(|kept_free| kept_free + more)
    }

    /// The same of a few bytes, which may be of what is kept free.
    pub(crate) fn check_for_mark(&self) -> Result<()> {
        self.check_least(|kept_free| kept_free / 8)
    }

    /// Whether a file can be made, which is more than the file system says of itself: ext4 that failed may still call itself
    /// writable.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`] when it cannot.
    pub(crate) fn try_it(&self) -> Result<()> {
        let file = self.0.join("writable");
        File::create(&file).and_then(|_| std::fs::remove_file(&file)).map_err(|e| {
            StoreError::Unwritable(format!("{} cannot be made ({e}): make its file system writable", file.display()))
        })
    }

    fn check_least(&self, least: impl FnOnce(u64) -> u64) -> Result<()> {
        let place = self.0.display();
        // What cannot be asked is found out by writing.
        let Ok(disk) = rustix::fs::statvfs(&self.0) else { return Ok(()) };
        if disk.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Err(StoreError::Unwritable(format!(
                "the file system of '{place}' is read-only: make it writable, it goes on by itself"
            )));
        }
        let (free, all) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
        let least = least(LEAST_FREE.min(all / 10));
        // Some do not say how large they are.
        if all > 0 && free < least {
            return Err(StoreError::Unwritable(format!(
                "the disk of '{place}' is full: {} MiB are free, {} are needed: make room, it goes on by itself",
                free / MIB,
                least.div_ceil(MIB)
            )));
        }
        Ok(())
    }
}
