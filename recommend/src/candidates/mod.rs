//! The live items of one catalog, as a replica serves them.
//!
//! Searches share a read lock from the first look to the last, so that what they return was all there at one moment;
//! a put or removal takes the write lock for one item, microseconds. Whether an item has expired is asked when a list
//! is made, of every item in it: nothing that was prepared earlier can show one that ended.

mod ahead;
mod browse;
mod ended;
mod entries;
mod explain;
mod lists;
mod measure;
mod noted;
mod snapshot;
#[cfg(test)]
mod tests;

use crate::index::Index;
use crate::{CatalogDefinition, Item};
pub use ahead::{LISTED_AHEAD, MadeAhead};
pub use browse::{Browse, Found, Placed, Shown};
use ended::Ended;
use entries::Entries;
pub use explain::{Explanation, Near, Seen, Standing};
use jiff::Timestamp;
pub use lists::{Candidate, List, Source, Wanted};
pub use measure::Measured;
use noted::Noted;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Expired items that one sweep takes out while it holds the lock.
const SWEPT_AT_ONCE: usize = 64;

/// Live items of a catalog.
#[derive(Debug)]
pub struct Candidates {
    definition: CatalogDefinition,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    index: Index,
    entries: Entries,
    ended: Ended,
    /// What is popular, best first.
    popular: Vec<(Arc<str>, f64)>,
    /// What was put of late.
    noted: Noted,
    /// Puts and removals so far.
    edits: u64,
    /// What the catalog has and cannot be read: why, by id.
    unreadable: BTreeMap<String, String>,
}

impl Candidates {
    /// None yet.
    #[must_use]
    pub fn new(definition: CatalogDefinition) -> Self {
        let index = Index::new(definition.indexed_dimension(), definition.metric);
        let (entries, ended) = (Entries::default(), Ended::default());
        let (popular, noted) = (Vec::new(), Noted::default());
        let (edits, unreadable) = (0, BTreeMap::new());
        Self { definition, state: RwLock::new(State { index, entries, ended, popular, noted, edits, unreadable }) }
    }

    /// What the catalog is.
    pub fn definition(&self) -> &CatalogDefinition {
        &self.definition
    }

    /// How many there are, expired ones that were not swept yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in memory, about: of the index to the byte, of names, tags and payloads by their lengths.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let state = self.read();
        state.index.memory().total() + state.entries.bytes() + state.ended.bytes()
    }

    /// Puts an item, in place of the one of its id; one that expired by `now` only takes that one's place away. Its
    /// vector passed [`crate::check_vector`]: one of another length, as after a mistake in the store, is left out, and so is
    /// an item that has none of the model that lists go by.
    pub fn put(&self, item: &Item, now: Timestamp) {
        let vector = item.vector_in(&self.definition);
        if vector.len() != self.definition.indexed_dimension() || item.has_ended(now) {
            self.remove(&item.id);
            return;
        }
        let mut state = self.write();
        let slot = state.entries.put(item);
        state.edits += 1;
        state.index.insert(slot, vector);
        state.ended.forget(&item.id);
        state.unreadable.remove(&item.id);
    }

    /// Leaves an item out that is there and cannot be read, until it is put again or removed; whether that is news.
    pub fn leave_out(&self, id: &str, why: &str) -> bool {
        let mut state = self.write();
        let known = state.unreadable.contains_key(id);
        state.remove(id);
        state.unreadable.insert(id.into(), why.into());
        !known
    }

    /// How many items cannot be read, and the first of them in order of id, each with what is wrong.
    #[must_use]
    pub fn unreadable(&self, most: usize) -> (usize, Vec<(String, String)>) {
        let state = self.read();
        let some = state.unreadable.iter().take(most).map(|(id, why)| (id.clone(), why.clone()));
        (state.unreadable.len(), some.collect())
    }

    /// Whether there is such an item, expired ones that were not swept yet included.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.read().entries.slot(id).is_some()
    }

    /// Whether there is such an item, and it has not expired by `now`.
    #[must_use]
    pub fn is_live(&self, id: &str, now: Timestamp) -> bool {
        let state = self.read();
        let entry = state.entries.slot(id).and_then(|slot| state.entries.get(slot));
        entry.is_some_and(|entry| entry.expires_at.is_none_or(|at| at > now))
    }

    /// Takes an item out; false if it is not there.
    pub fn remove(&self, id: &str) -> bool {
        self.write().remove(id)
    }

    /// Takes out what expired by `now`. Lists show none of it anyway; this gives its memory back.
    pub fn sweep(&self, now: Timestamp) -> usize {
        let mut swept = 0;
        loop {
            let mut state = self.write();
            let due = state.entries.expired(now, SWEPT_AT_ONCE);
            for id in &due {
                state.remove(id);
            }
            swept += due.len();
            if due.len() < SWEPT_AT_ONCE {
                return swept;
            }
        }
    }

    /// Makes the lists that searches of a large index go by, if that is due: seconds to minutes of work for a thread of its
    /// own, in steps for which others wait milliseconds. Ends early once `go_on` says no.
    pub fn train(&self, go_on: impl Fn() -> bool) {
        if !self.training_due() {
            return;
        }
        let mut training = self.write().index.begin_training();
        while training.step(&self.read().index) {
            if !go_on() {
                return;
            }
        }
        // What it replaces is let go of without the lock.
        let replaced = self.write().index.finish_training(training);
        drop(replaced);
    }

    /// Whether [`Self::train`] has something to do.
    #[must_use]
    pub fn training_due(&self) -> bool {
        self.read().index.training_due()
    }

    /// Sets what is popular, best first.
    pub fn set_popular(&self, popular: Vec<(Arc<str>, f64)>) {
        self.write().popular = popular;
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write()
    }
}

impl State {
    fn remove(&mut self, id: &str) -> bool {
        self.unreadable.remove(id);
        let Some(slot) = self.entries.remove(id) else { return false };
        self.edits += 1;
        if let Some(vector) = self.index.vector(slot) {
            self.ended.remember(id, vector, self.entries.len());
        }
        self.index.remove(slot)
    }
}
