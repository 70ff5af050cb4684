//! A shelf as a file: what a restart begins with, so that it reads only what changed since.

use super::{SAVE, Shelf};
use crate::Catalogs;
use recommend::{Candidates, CatalogDefinition};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

/// Version of the file's form.
const FORM: u32 = 3;
/// Longest first line that is believed.
const LONGEST_LINE: u64 = 4 << 20;

/// The first line; after it the catalogs follow in this order.
#[derive(Serialize, Deserialize)]
struct Contents {
    form: u32,
    /// Of which log of changes, see [`crate::Catalogs::log_id`]: another's numbers mean something else.
    log: String,
    /// Number of the last change that is in it.
    number: u64,
    catalogs: Vec<Saved>,
}

/// What every form's first line has.
#[derive(Deserialize)]
struct Form {
    form: u32,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    id: String,
    definition: CatalogDefinition,
    /// Items that could not be read, and may be by whoever reads this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<String>,
}

/// Catalogs that were saved, each with the ids of items that could not be read.
type Known = HashMap<String, (Arc<Candidates>, Vec<String>)>;

impl Shelf {
    pub(super) async fn save_at_times(&self, store: &dyn Catalogs) {
        loop {
            tokio::time::sleep(SAVE).await;
            self.save(store).await;
        }
    }

    /// Saves what is known, if that changed since it was saved last. Only for a quicker start: a failure is logged.
    pub async fn save(&self, store: &dyn Catalogs) {
        if self.saves {
            self.save_now(store).await;
        }
    }

    /// Saves what is known also where it begins with a file that others save: for the one that saves it for all.
    pub async fn save_now(&self, store: &dyn Catalogs) {
        let Some(file) = self.file.clone() else { return };
        let mut saved = self.saved.lock().await;
        // The number first: what changes while it is written is read again.
        let Some(number) = *self.at.lock().await else { return };
        if *saved == Some(number) {
            return;
        }
        let log = match store.log_id().await {
            Ok(log) => log,
            Err(e) => return tracing::warn!("catalogs are not saved for a quicker start: {e}"),
        };
        let catalogs = self.all();
        let written = tokio::task::spawn_blocking(move || {
            // What was put and ended again is not worth a file that did not exist.
            if catalogs.is_empty() && !file.exists() { Ok(()) } else { write(&file, log, number, &catalogs) }
        });
        match written.await.map_err(io::Error::other).flatten() {
            Ok(()) => *saved = Some(number),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => tracing::warn!("catalogs are not saved for a quicker start: {e}"),
        }
    }

    pub(super) async fn read_saved(&self, log: &str) -> Option<(u64, Known)> {
        let file = self.file.clone()?;
        let (path, log) = (file.display().to_string(), log.to_owned());
        match tokio::task::spawn_blocking(move || read(&file, &log)).await.map_err(io::Error::other).flatten() {
            Ok(saved) => Some(saved),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => {
                tracing::warn!("'{path}' is no use, all items are read from the store: {e}");
                None
            }
        }
    }
}

/// Writes beside the file, then puts it in its place: there is a whole one at any moment.
fn write<'a>(
    file: &Path,
    log: String,
    number: u64,
    catalogs: impl IntoIterator<Item = (&'a String, &'a Arc<Candidates>)>,
) -> io::Result<()> {
    let catalogs: Vec<_> = catalogs.into_iter().collect();
    let saved = |(id, c): &(&String, &Arc<Candidates>)| Saved {
        id: (*id).clone(),
        definition: c.definition().clone(),
        unreadable: c.unreadable(usize::MAX).1.into_iter().map(|(id, _)| id).collect(),
    };
    let contents = Contents { form: FORM, log, number, catalogs: catalogs.iter().map(saved).collect() };
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let new = file.with_extension("new");
    let written = write_new(&new, &contents, catalogs.into_iter().map(|(_, candidates)| &**candidates));
    if written.is_err() {
        // What went wrong is told; on a full disk a part of it would be in the way.
        let _ = std::fs::remove_file(&new);
    }
    written.and_then(|()| std::fs::rename(&new, file))
}

fn write_new<'a>(file: &Path, contents: &Contents, catalogs: impl Iterator<Item = &'a Candidates>) -> io::Result<()> {
    let mut line = serde_json::to_vec(contents)?;
    line.push(b'\n');
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    out.write_all(&line)?;
    // What follows has checksums of its own.
    out.write_all(&crc32fast::hash(&line).to_le_bytes())?;
    for candidates in catalogs {
        candidates.write_snapshot(&mut out)?;
    }
    out.into_inner()?.sync_all()
}

fn read(file: &Path, log: &str) -> io::Result<(u64, Known)> {
    let mut input = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut line = Vec::new();
    input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    let Form { form } = serde_json::from_slice(&line)?;
    if form != FORM {
        return Err(io::Error::other(format!("it has form {form}, this release reads {FORM}")));
    }
    let mut sum = [0; 4];
    input.read_exact(&mut sum)?;
    if crc32fast::hash(&line) != u32::from_le_bytes(sum) {
        return Err(io::Error::other("its first line was changed"));
    }
    let contents: Contents = serde_json::from_slice(&line)?;
    if contents.log != log {
        return Err(io::Error::other("it is of another store"));
    }
    let mut catalogs = HashMap::new();
    for Saved { id, definition, unreadable } in contents.catalogs {
        catalogs.insert(id, (Arc::new(Candidates::read_snapshot(definition, &mut input)?), unreadable));
    }
    if input.read(&mut [0])? != 0 {
        return Err(io::Error::other("it goes on after its end"));
    }
    Ok((contents.number, catalogs))
}
