//! Backup and restore of what is kept in directories of this machine: the embedded store and the database's file.
//!
//! A backup is made beside requests. First comes the state and the log, as they were at one moment; then the database, which
//! is later. An event that was consumed between the two is in both, which its id makes harmless; the other way round it
//! would be in neither.

#[cfg(any(test, feature = "conformance"))]
mod again;
mod frames;
mod restore;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "conformance"))]
pub(crate) use again::again;
pub use frames::{About, Counts};
pub(crate) use restore::places;
pub use restore::{Standing, read_about, restore, standing};

use crate::embedded::{Embedded, Room};
use crate::sql::Database;
use crate::{Result, StoreError};
use frames::{FULL, Writer};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Makes backups, one at a time.
pub struct Backup {
    state: Arc<Embedded>,
    database: Arc<Database>,
    /// The database's file.
    file: PathBuf,
    directory: PathBuf,
    turn: Arc<Mutex<()>>,
}

/// The right to make a backup now.
pub struct Turn {
    _guard: OwnedMutexGuard<()>,
}

impl Backup {
    pub(crate) fn new(state: Arc<Embedded>, directory: &Path, database: Arc<Database>, file: &Path) -> Self {
        let directory = std::fs::canonicalize(directory).unwrap_or_else(|_| directory.into());
        Self { state, database, file: file.into(), directory, turn: Arc::default() }
    }

    /// # Errors
    /// [`StoreError::Conflict`] while another backup is being made, [`StoreError::Unwritable`] when there is no room for the copy
    /// that it makes of the database.
    pub fn turn(&self) -> Result<Turn> {
        // What would fill the disk would keep others from writing.
        let bytes = std::fs::metadata(&self.file).map_err(|e| frames::failed(&e))?.len();
        Room::of(self.file.parent().unwrap_or(Path::new("."))).check(bytes)?;
        let busy = |_| StoreError::Conflict("another backup is being made: wait for it to end".into());
        self.turn.clone().try_lock_owned().map(|guard| Turn { _guard: guard }).map_err(busy)
    }

    /// Writes a backup. All that was acknowledged before the call is in it. It takes as much room again as the database's file
    /// has, beside that file, until it ends.
    ///
    /// # Errors
    /// When a store cannot be read, `out` takes no more, or the disk is full. What was written then has no end, and
    /// [`restore`] refuses it.
    pub async fn write(self: Arc<Self>, turn: Turn, out: impl Write + Send + 'static) -> Result<Counts> {
        let about =
            About { release: env!("CARGO_PKG_VERSION").into(), directory: self.directory.display().to_string() };
        let moment = self.state.moment();
        let state = self.state.clone();
        let writer = blocking(move || {
            let mut writer = Writer::begin(out, &about)?;
            state.read_all(&moment, |part| match part {
                (keyspace, None) => writer.keyspace(keyspace),
                (_, Some((key, value))) => writer.pair(key, value),
            })?;
            Ok(writer)
        })
        .await?;
        let copy = beside(&self.file, "backup");
        remove(&copy)?;
        let copied = self.database.copy_into(&copy).await;
        let written = match copied {
            Ok(()) => {
                let copy = copy.clone();
                blocking(move || pieces(&copy, writer)).await
            }
            Err(e) => Err(e),
        };
        let removed = remove(&copy);
        drop(turn);
        removed.and(written)
    }
}

fn pieces(copy: &Path, mut writer: Writer<impl Write>) -> Result<Counts> {
    let mut file = File::open(copy).map_err(|e| frames::failed(&e))?;
    let mut piece = vec![0; FULL];
    loop {
        match file.read(&mut piece).map_err(|e| frames::failed(&e))? {
            0 => return writer.end(),
            n => writer.database(&piece[..n])?,
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Backup(format!("the backup broke off: {e}")))?
}

/// A file's name with more at its end.
fn beside(file: &Path, more: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{more}"));
    file.with_file_name(name)
}

fn remove(file: &Path) -> Result<()> {
    match std::fs::remove_file(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Backup(format!("{} cannot be removed: {e}", file.display())))
        }
        _ => Ok(()),
    }
}
