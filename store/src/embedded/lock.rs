//! One process for one data directory.

use crate::{Result, StoreError};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// What to do about a directory that refuses.
const WRITABLE: &str = "it must be a directory with room that this user may write";

/// Held while the directory is in use; the system releases it when the process ends, however it ends.
pub(crate) struct DirectoryLock {
    file: File,
}

impl Drop for DirectoryLock {
    /// Said aloud: a child that is being started holds a copy of the file for a moment, and with it the lock.
    fn drop(&mut self) {
        // There is nobody to tell, and closing the file releases it as well.
        let _ = self.file.unlock();
    }
}

impl DirectoryLock {
    /// Whether a process has the directory in use.
    pub(crate) fn is_held(dir: &Path) -> bool {
        let file = File::open(dir.join("lock"));
        // Closing the file gives back what trying has taken.
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    pub(crate) fn take(setting: &'static str, dir: &Path) -> Result<Self> {
        let value = format!("file:{}", dir.display());
        let unusable = |reason: String| StoreError::Setting { setting, value: value.clone(), reason };
        std::fs::create_dir_all(dir).map_err(|e| unusable(format!("the directory cannot be made: {e}; {WRITABLE}")))?;
        let path = dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| unusable(format!("{} cannot be opened: {e}; {WRITABLE}", path.display())))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Only the message suffers if it cannot be read.
                let _ = file.read_to_string(&mut owner);
                return Err(unusable(format!(
                    "the directory is in use by process {}: end it, or name another directory",
                    if owner.is_empty() { "unknown" } else { owner.trim() }
                )));
            }
            Err(TryLockError::Error(e)) => return Err(unusable(format!("{} cannot be locked: {e}", path.display()))),
        }
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|e| unusable(format!("{} cannot be written: {e}; {WRITABLE}", path.display())))?;
        Ok(Self { file })
    }
}
