//! Group commit: one thread writes; what arrives while it waits for the disk goes with the next group.

use crate::assignments::{Durable, Group};
use crate::{Result, StoreError};
use bandit::{Assignment, DecisionId};
use fjall::{Database, Keyspace, PersistMode};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Most writes that may wait; beyond it callers are told to come back.
const MOST_WAITING: usize = 100_000;

/// One value to write.
pub(crate) struct Op {
    pub(crate) keyspace: Keyspace,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// The group that is being collected, and the assignments that are not in the database yet.
#[derive(Default)]
pub(crate) struct Pending {
    ops: Vec<Op>,
    group: Arc<Group>,
    /// Keys put in this group.
    keys: Vec<DecisionId>,
    /// All that are on their way, the group at the disk included.
    pub(crate) assignments: HashMap<DecisionId, (Assignment, Arc<Group>)>,
    /// Why the last group was not written.
    pub(crate) failure: Option<String>,
    stop: bool,
}

impl Pending {
    /// Adds changes to the group; they are written together or not at all.
    pub(crate) fn add(&mut self, ops: impl IntoIterator<Item = Op>) -> Result<Durable> {
        if self.stop || self.ops.len() >= MOST_WAITING {
            return Err(StoreError::Busy);
        }
        self.ops.extend(ops);
        Ok(Durable::with(self.group.clone()))
    }

    /// Adds an assignment that is not there yet.
    pub(crate) fn add_assignment(&mut self, new: &Assignment, op: Op) -> Result<Durable> {
        let durable = self.add([op])?;
        self.keys.push(new.key.id);
        self.assignments.insert(new.key.id, (new.clone(), self.group.clone()));
        Ok(durable)
    }
}

struct Shared {
    pending: Mutex<Pending>,
    wake: Condvar,
}

/// Handle of the writer thread; dropping it writes what waits and ends the thread.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(db: Database, mode: PersistMode) -> Result<Self> {
        let shared = Arc::new(Shared { pending: Mutex::default(), wake: Condvar::new() });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(&theirs, &db, mode))
            .map_err(|e| StoreError::Embedded(format!("the writer thread cannot start: {e}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Looks at and adds to what waits, atomically.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Pending) -> Result<T>) -> Result<T> {
        let mut pending = lock(&self.shared);
        let idle = pending.ops.is_empty();
        let result = f(&mut pending);
        let wake = idle && !pending.ops.is_empty();
        drop(pending);
        if wake {
            self.shared.wake.notify_one();
        }
        result
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.shared).stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, Pending> {
    shared.pending.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(shared: &Shared, db: &Database, mode: PersistMode) {
    loop {
        let mut pending = lock(shared);
        while pending.ops.is_empty() {
            if pending.stop {
                return;
            }
            pending = shared.wake.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        let ops = std::mem::take(&mut pending.ops);
        let keys = std::mem::take(&mut pending.keys);
        let group = std::mem::take(&mut pending.group);
        drop(pending);

        let mut batch = db.batch().durability(Some(mode));
        for op in ops {
            batch.insert(&op.keyspace, op.key, op.value);
        }
        let result = batch.commit().map_err(|e| e.to_string());
        if let Err(why) = &result {
            tracing::error!("cannot write to the embedded store: {why}");
        }
        let mut pending = lock(shared);
        for key in keys {
            pending.assignments.remove(&key);
        }
        pending.failure = result.as_ref().err().cloned();
        drop(pending);
        group.finish(result);
    }
}
