//! What a data directory must be before it is opened, and what an operator is told of it while the server is down.
//!
//! The parts that are kept here check most of what they read: blocks of tables, the manifest's parts, frames of the
//! write-ahead log have checksums. What they do with what is damaged is another matter: both logs simply end at the first
//! place that cannot be read, as after a power cut, and what was acknowledged behind it would be gone without a word. So
//! both are looked at before they are opened: an end that was cut off is let go, damage in the middle is told.

mod journal;
mod manifest;
mod report;
#[cfg(test)]
mod tests;
mod wal;

pub use report::check_files;

use crate::{Result, StoreError};
use std::io;
use std::path::{Path, PathBuf};

/// Looks at the embedded store of `dir` before it is opened. Ends of journals that were cut off are let go, and told in the
/// log.
///
/// # Errors
/// [`StoreError::Damaged`] with the file and what to do.
pub(crate) fn before_opening(dir: &Path) -> Result<()> {
    let journals = journal::all(dir)?;
    if manifest::was_never_made(dir)? && journals.iter().all(journal::Journal::is_empty) {
        // fjall would not go on with it. Of what nothing was ever in, nothing is lost.
        tracing::info!("the first start of '{}' was cut off, and is made again", dir.display());
        return std::fs::remove_dir_all(dir).map_err(unreadable(dir));
    }
    for journal in journals {
        journal.refuse_damage()?;
        journal.let_torn_end_go()?;
    }
    manifest::check_all(dir).map(|_| ())
}

/// Looks at the write-ahead log of the database in `file` before that is opened: SQLite would let go of what is behind damage.
///
/// # Errors
/// [`StoreError::Damaged`] with the file and what to do.
pub(crate) fn before_opening_database(file: &Path) -> Result<()> {
    wal::survey(&wal::of(file))?.map_or(Ok(()), |found| found.refuse_damage())
}

/// Damage of a file: what, and what to do.
fn damaged(file: &Path, what: &str, todo: &str) -> StoreError {
    StoreError::Damaged(format!("{}: {what}; {todo}", file.display()))
}

/// What to do about a file that nothing but a copy can replace.
const RESTORE: &str =
    "restore a backup into an empty directory ('croupier restore'), and keep this one until that is well";

/// What to do about a log that is whole before and behind the damage.
const MEND: &str = "keep a copy of the directory, then 'croupier check --mend' takes out what is damaged and says what that \
                    was; or restore a backup";

fn unreadable(file: &Path) -> impl Fn(io::Error) -> StoreError {
    let file = file.display().to_string();
    move |e| StoreError::Embedded(format!("{file} cannot be read or written: {e}"))
}

/// The entries of a directory; none if there is none.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let found = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(unreadable(dir))?,
    };
    found.map(|entry| Ok(entry.map_err(unreadable(dir))?.path())).collect()
}

/// Puts `bytes` in the place of a file, and what was there beside it under a name that nobody reads.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let with = |more: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(more);
        PathBuf::from(name)
    };
    let new = with(".new");
    std::fs::write(&new, bytes)?;
    std::fs::File::open(&new)?.sync_all()?;
    std::fs::copy(file, with(".damaged"))?;
    std::fs::rename(&new, file)?;
    std::fs::File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
}
