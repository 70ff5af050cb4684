//! Group commit: one thread writes; what arrives while it waits for the disk goes with the next group.

use super::{Room, write_out_large};
use crate::assignments::{Durable, Group, Put};
use crate::error::Unwritten;
use crate::{Result, StoreError};
use bandit::{Assignment, AssignmentKey};
use fjall::{Database, Keyspace, PersistMode};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Most writes that may wait; beyond it callers are told to come back.
const MOST_WAITING: usize = 100_000;
/// A group of more writes than these shows that many are on their way: the next then gathers for a while, since each
/// synchronisation costs the processor some 100 µs however much it carries, and a fast disk would be asked for thousands.
const FEW: usize = 4;
/// Least time from the start of such a group to the start of the next.
const GATHER: Duration = Duration::from_millis(1);

/// Most bytes of values that may wait, likewise; what is added at once may be more where nothing waits.
const MOST_BYTES: usize = 128 << 20;

/// One value to write, or to remove.
#[derive(Clone)]
pub(crate) struct Op {
    keyspace: Keyspace,
    key: Vec<u8>,
    /// None removes it.
    value: Option<Vec<u8>>,
}

impl Op {
    pub(crate) fn put(keyspace: &Keyspace, key: impl Into<Vec<u8>>, value: Vec<u8>) -> Self {
        Self { keyspace: keyspace.clone(), key: key.into(), value: Some(value) }
    }

    pub(crate) fn remove(keyspace: &Keyspace, key: impl Into<Vec<u8>>) -> Self {
        Self { keyspace: keyspace.clone(), key: key.into(), value: None }
    }
}

/// The group that is being collected, and the assignments that are not in the database yet.
#[derive(Default)]
pub(crate) struct Pending {
    room: Room,
    ops: Vec<Op>,
    /// Notes of changes to catalogs. They become visible after all else of the group.
    notes: Vec<Op>,
    /// Number of the last change among them.
    noted: u64,
    /// Whether there is more in the group than marks.
    grows: bool,
    /// Bytes of values.
    bytes: usize,
    group: Arc<Group>,
    /// Keys put in this group.
    keys: Vec<AssignmentKey>,
    /// Keys of the group that was written last.
    written: Vec<AssignmentKey>,
    /// All that are on their way, the group at the disk included, and those of the group that was written last.
    assignments: HashMap<AssignmentKey, (Assignment, Arc<Group>)>,
    /// Grows with every group that came to an end.
    ended: u64,
    /// Why the last group was not written.
    failure: Option<Unwritten>,
    stop: bool,
}

impl Pending {
    /// Adds changes to the group; they are written together or not at all.
    pub(crate) fn add(&mut self, ops: impl IntoIterator<Item = Op>) -> Result<Durable> {
        if let Some(Unwritten::NoRoom(_)) = self.failure {
            self.room.check(0)?;
        }
        self.grows = true;
        self.add_mark(ops)
    }

    /// The same of a mark that only moves, and lets go of more than it takes: in what is kept free as well.
    pub(crate) fn add_mark(&mut self, ops: impl IntoIterator<Item = Op>) -> Result<Durable> {
        if self.stop || self.ops.len() >= MOST_WAITING || self.bytes >= MOST_BYTES {
            return Err(StoreError::Busy);
        }
        let before = self.ops.len();
        self.ops.extend(ops);
        self.bytes += self.ops[before..].iter().map(|op| op.value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        Ok(Durable::with(self.group.clone()))
    }

    /// Adds changes of catalogs, at least one, and the notes of them, whose last has the number `last`.
    pub(crate) fn add_noted(
        &mut self,
        ops: impl IntoIterator<Item = Op>,
        notes: impl IntoIterator<Item = Op>,
        last: u64,
    ) -> Result<Durable> {
        let durable = self.add(ops)?;
        self.notes.extend(notes);
        self.noted = last;
        Ok(durable)
    }

    /// Forgets what was written last, so that only the database is asked for it; whoever has read it must read it again.
    pub(crate) fn forget_written(&mut self) {
        for key in std::mem::take(&mut self.written) {
            self.assignments.remove(&key);
        }
        self.ended += 2;
    }

    /// Who stands, if that is not or only just in the database; else how many groups have ended, for [`Self::put`].
    pub(crate) fn standing(&self, key: &AssignmentKey) -> std::result::Result<Put, u64> {
        let (standing, group) = self.assignments.get(key).ok_or(self.ended)?;
        Ok(Put { standing: standing.clone(), won: false, durable: Durable::with(group.clone()) })
    }

    /// Puts an assignment that the database did not have when it was read after `ended` groups had ended; if that is too
    /// long ago to know, how many have ended now, to read again.
    pub(crate) fn put(&mut self, new: &Assignment, op: Op, ended: u64) -> Result<std::result::Result<Put, u64>> {
        let standing = self.standing(&new.key);
        // Whoever put the key meanwhile did so in a group that had not ended; its keys stay until the next has ended too.
        if standing.is_ok() || self.ended > ended + 1 {
            return Ok(standing);
        }
        let durable = self.add([op])?;
        self.keys.push(new.key);
        self.assignments.insert(new.key, (new.clone(), self.group.clone()));
        Ok(Ok(Put { standing: new.clone(), won: true, durable }))
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
    /// `noted` learns the number of each change to catalogs that has become safe.
    pub(crate) fn start(db: Database, mode: PersistMode, room: Room, noted: watch::Sender<u64>) -> Result<Self> {
        let disk = room.clone();
        let shared =
            Arc::new(Shared { pending: Mutex::new(Pending { room, ..Pending::default() }), wake: Condvar::new() });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(&theirs, &db, mode, &disk, &noted))
            .map_err(|e| StoreError::Embedded(format!("the writer thread cannot start: {e}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// # Errors
    /// Why nothing can be written: [`StoreError::Unwritable`] as long as the disk takes nothing, [`StoreError::Closed`] once it
    /// would, but the store has closed itself meanwhile.
    pub(crate) fn check(&self) -> Result<()> {
        let (failure, room) = {
            let pending = lock(&self.shared);
            (pending.failure.clone(), pending.room.clone())
        };
        match failure {
            None => Ok(()),
            // Whoever stays away as long as this fails would never see a write succeed.
            Some(Unwritten::NoRoom(_)) => room.check(0),
            Some(Unwritten::ClosedForRoom(why)) => room.check(0).and_then(|()| room.try_it()).and_then(|()| {
                let why = format!(
                    "the disk takes writes again, but the store has closed itself ({why}): start the process again"
                );
                Err(StoreError::Closed(why))
            }),
            Some(Unwritten::Closed(why)) => Err(StoreError::Embedded(why)),
        }
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

fn run(shared: &Shared, db: &Database, mode: PersistMode, room: &Room, noted: &watch::Sender<u64>) {
    let (mut gather_until, mut well, mut lacked_room) = (Instant::now(), true, false);
    loop {
        std::thread::sleep(gather_until.saturating_duration_since(Instant::now()));
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
        let (notes, last_noted) = (std::mem::take(&mut pending.notes), std::mem::take(&mut pending.noted));
        pending.bytes = 0;
        let grows = std::mem::take(&mut pending.grows);
        drop(pending);

        let began = Instant::now();
        gather_until = if ops.len() > FEW { began + GATHER } else { began };
        let ops = if notes.is_empty() { ops } else { last_of_each_key(ops) };
        let result = match if grows { room.check(0) } else { room.check_for_mark() } {
            Ok(()) => commit(db, mode, ops.into_iter().chain(notes)).map_err(|e| Unwritten::of(e, lacked_room)),
            Err(full) => Err(Unwritten::NoRoom(full.to_string())),
        };
        match &result {
            Ok(()) if last_noted > 0 => {
                noted.send_replace(last_noted);
            }
            Ok(()) => {}
            // Once: a full disk must not be filled with lines of it.
            Err(why) if well => tracing::error!("nothing can be kept: {}", StoreError::from(why.clone())),
            Err(_) => {}
        }
        // That a mark was moved does not say that there is room.
        let judged = grows || result.is_err();
        if judged && result.is_ok() && !well {
            tracing::info!("what comes is kept again");
        }
        well = if judged { result.is_ok() } else { well };
        lacked_room |= matches!(result, Err(Unwritten::NoRoom(_) | Unwritten::ClosedForRoom(_)));
        let mut pending = lock(shared);
        // What was written is in the database; what was not must not seem to stand.
        let gone = if result.is_ok() { std::mem::replace(&mut pending.written, keys) } else { keys };
        for key in gone {
            pending.assignments.remove(&key);
        }
        pending.ended += 1;
        if judged {
            pending.failure = result.as_ref().err().cloned();
        }
        drop(pending);
        group.finish(result);
    }
}

fn commit(db: &Database, mode: PersistMode, ops: impl Iterator<Item = Op>) -> fjall::Result<()> {
    let mut batch = db.batch().durability(Some(mode));
    let mut keyspaces = HashMap::new();
    for op in ops {
        keyspaces.entry(op.keyspace.id()).or_insert_with(|| op.keyspace.clone());
        match op.value {
            Some(value) => batch.insert(&op.keyspace, op.key, value),
            None => batch.remove(&op.keyspace, op.key),
        }
    }
    batch.commit()?;
    // What was written stands; a database that cannot do this refuses the next group.
    if let Err(e) = write_out_large(keyspaces.values()) {
        tracing::error!("a table cannot be written out: {e}");
    }
    Ok(())
}

/// The last change of each key. A batch is one point in time, at which a key cannot change twice: what is written over
/// within one would be gone for a moment.
fn last_of_each_key(ops: Vec<Op>) -> Vec<Op> {
    let mut seen = HashSet::with_capacity(ops.len());
    let last: Vec<bool> = ops.iter().rev().map(|op| seen.insert((&**op.keyspace.name(), &op.key[..]))).collect();
    drop(seen);
    ops.into_iter().zip(last.into_iter().rev()).filter_map(|(op, last)| last.then_some(op)).collect()
}
