//! A backup becomes stores again, in places where nothing is yet.

use super::frames::{About, Counts, Frame, Reader};
use super::{beside, blocking, remove};
use crate::embedded::{DirectoryLock, Embedded, RESTORING};
use crate::locations::{DatabaseAt, EventsAt, StateAt, same};
use crate::{Durability, Locations, Result, StoreError};
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

/// What a backup is of, once all of it was read and found whole.
///
/// # Errors
/// When it cannot be read, is damaged, or was cut off.
pub fn read_about(file: &Path) -> Result<(About, Counts)> {
    let mut reader = open(file)?;
    let Some(Frame::About(about)) = reader.next()? else {
        return Err(StoreError::Backup("the backup cannot be used: it does not say what it is of".into()));
    };
    let mut counts = Counts::default();
    while let Some(frame) = reader.next()? {
        if let Frame::End(told) = frame {
            counts = told;
        }
    }
    Ok((about, counts))
}

fn open(file: &Path) -> Result<Reader<BufReader<File>>> {
    let opened = File::open(file).map_err(|e| StoreError::Backup(format!("{} cannot be read: {e}", file.display())))?;
    Reader::begin(BufReader::new(opened))
}

/// Makes the stores that `locations` names from a backup. Nothing is in its place before all of it is there.
///
/// # Errors
/// [`StoreError::Setting`] when a place is not of this machine or has something in it, [`StoreError::Backup`] when the
/// backup is not whole or the disk refuses; nothing is kept then.
pub async fn restore(locations: &Locations, file: &Path) -> Result<(About, Counts)> {
    let (directory, database) = places(locations)?;
    let file = file.to_owned();
    blocking(move || {
        let found = read_about(&file)?;
        vacant(&directory, &database)?;
        let _lock = DirectoryLock::take("state", &directory)?;
        let restored = fill(&directory, &database, &file);
        if restored.is_err() {
            // What failed is told; that its remains stay is said by the next attempt.
            let _ = std::fs::remove_dir_all(directory.join(RESTORING));
            let _ = remove(&beside(&database, RESTORING));
        }
        restored.map(|()| found)
    })
    .await
}

/// The directory of state and events, and the file of the database.
pub(crate) fn places(locations: &Locations) -> Result<(PathBuf, PathBuf)> {
    let elsewhere = |setting, value: &str| {
        let reason = "backups are of stores on this machine's disk; Bigtable and PostgreSQL have their own".into();
        StoreError::Setting { setting, value: crate::locations::public(value), reason }
    };
    let StateAt::Dir(directory) = StateAt::parse(&locations.state)? else {
        return Err(elsewhere("state", &locations.state));
    };
    match EventsAt::parse(&locations.events)? {
        EventsAt::Dir(events) if same(&directory, &events) => {}
        _ => return Err(elsewhere("events", &locations.events)),
    }
    match DatabaseAt::parse(&locations.database)? {
        DatabaseAt::Sqlite(file) => Ok((directory, file)),
        DatabaseAt::Postgres(_) => Err(elsewhere("database", &locations.database)),
    }
}

/// How the stores that a backup would be of are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There are none.
    Nothing,
    /// No process has them open.
    AtRest,
    /// A process has.
    InUse,
}

/// Looks at the stores that `locations` names, without opening them; and where they are.
///
/// # Errors
/// [`StoreError::Setting`] when they are not on this machine's disk.
pub fn standing(locations: &Locations) -> Result<(Standing, PathBuf)> {
    let (directory, _) = places(locations)?;
    let standing = if !directory.join("state").exists() {
        Standing::Nothing
    } else if DirectoryLock::is_held(&directory) {
        Standing::InUse
    } else {
        Standing::AtRest
    };
    Ok((standing, std::fs::canonicalize(&directory).unwrap_or(directory)))
}

/// Whether nothing is there that a restore would mix with.
fn vacant(directory: &Path, database: &Path) -> Result<()> {
    let occupied = |setting, place: &Path, what: String| StoreError::Setting {
        setting,
        value: place.display().to_string(),
        reason: format!("{what}: restore into an empty directory, and put it in this one's place then"),
    };
    let entries = match std::fs::read_dir(directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|e| occupied("state", directory, format!("it cannot be read ({e})")))?,
    };
    for entry in entries {
        let name = entry.map_err(|e| occupied("state", directory, e.to_string()))?.file_name();
        if name != "lock" && name != "lost+found" {
            return Err(occupied("state", directory, format!("'{}' is in it", name.display())));
        }
    }
    if database.exists() {
        return Err(occupied("database", database, "it is there already".into()));
    }
    Ok(())
}

fn fill(directory: &Path, database: &Path, file: &Path) -> Result<()> {
    let failed = |e: std::io::Error| StoreError::Backup(format!("the backup cannot be put in its place: {e}"));
    let (scratch, copy) = (directory.join(RESTORING), beside(database, RESTORING));
    if let Some(parent) = database.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut rows = File::create(&copy).map_err(failed)?;
    let state = Embedded::open("state", &scratch, Durability::Os)?;
    let mut reader = open(file)?;
    let mut keyspace = String::new();
    while let Some(frame) = reader.next()? {
        match frame {
            Frame::Keyspace(name) => keyspace = name,
            Frame::Pairs(pairs) => state.put_back(&keyspace, pairs)?,
            Frame::Database(piece) => rows.write_all(&piece).map_err(failed)?,
            Frame::About(_) | Frame::End(_) => {}
        }
    }
    state.settle()?;
    drop(state);
    rows.sync_all().map_err(failed)?;
    std::fs::rename(&copy, database).map_err(failed)?;
    std::fs::rename(scratch.join("state"), directory.join("state")).map_err(failed)?;
    // Last: while it is there, nobody opens the directory.
    std::fs::remove_dir_all(&scratch).map_err(failed)?;
    File::open(directory).and_then(|d| d.sync_all()).map_err(failed)
}
