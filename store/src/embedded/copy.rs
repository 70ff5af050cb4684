//! Everything read at one moment, and put back.

use super::{Embedded, options, write_out_large};
use crate::Result;
use fjall::{AbstractTree, PersistMode, Readable, Snapshot};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use xxhash_rust::xxh3::Xxh3Default;

/// A keyspace's name, then each of its pairs.
pub(crate) type Part<'a> = (&'a str, Option<(&'a [u8], &'a [u8])>);

impl Embedded {
    /// All that is safe now, whatever is written later.
    pub(crate) fn moment(&self) -> Snapshot {
        self.db.snapshot()
    }

    /// Tells all of it, keyspace by keyspace.
    pub(crate) fn read_all(&self, moment: &Snapshot, mut tell: impl FnMut(Part<'_>) -> Result<()>) -> Result<()> {
        for name in self.db.list_keyspace_names() {
            let keyspace = self.db.keyspace(&name, options)?;
            tell((&name, None))?;
            for guard in moment.iter(&keyspace) {
                let (key, value) = guard.into_inner()?;
                tell((&name, Some((&key, &value))))?;
            }
        }
        Ok(())
    }

    /// Reads every file of every keyspace: whether it is what the manifest says. A file that goes meanwhile, merged with others, is
    /// none.
    pub(crate) fn tables(&self) -> Result<Vec<(PathBuf, bool)>> {
        let mut found = Vec::new();
        for name in self.db.list_keyspace_names() {
            let keyspace = self.db.keyspace(&name, options)?;
            for table in keyspace.tree.current_version().iter_tables() {
                let mut sum = Summed(Xxh3Default::new());
                let read = File::open(&**table.path).and_then(|mut file| io::copy(&mut file, &mut sum));
                match read {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    read => found.push((
                        table.path.to_path_buf(),
                        read.is_ok() && sum.0.digest128() == table.checksum().into_u128(),
                    )),
                }
            }
        }
        Ok(found)
    }

    /// Writes pairs that were read from a store like this one. What this store knows of itself is out of date then: it must be
    /// opened anew.
    pub(crate) fn put_back(&self, keyspace: &str, pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Result<()> {
        let keyspace = self.db.keyspace(keyspace, options)?;
        let mut batch = self.db.batch();
        for (key, value) in pairs {
            batch.insert(&keyspace, key, value);
        }
        batch.commit()?;
        Ok(write_out_large([&keyspace])?)
    }

    /// Writes what is in memory and the journal alone into tables.
    #[cfg(test)]
    pub(crate) fn flush(&self) -> Result<()> {
        for name in self.db.list_keyspace_names() {
            self.db.keyspace(&name, options)?.rotate_memtable_and_wait()?;
        }
        Ok(())
    }

    /// Waits until all of it is safe.
    pub(crate) fn settle(&self) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }
}

/// Takes in what is written.
struct Summed(Xxh3Default);

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
