//! Everything read at one moment, and put back.

use super::{Embedded, options};
use crate::Result;
use fjall::{PersistMode, Readable, Snapshot};

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

    /// Writes pairs that were read from a store like this one. What this store knows of itself is out of date then: it must be
    /// opened anew.
    pub(crate) fn put_back(&self, keyspace: &str, pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Result<()> {
        let keyspace = self.db.keyspace(keyspace, options)?;
        let mut batch = self.db.batch();
        for (key, value) in pairs {
            batch.insert(&keyspace, key, value);
        }
        Ok(batch.commit()?)
    }

    /// Waits until all of it is safe.
    pub(crate) fn settle(&self) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }
}
