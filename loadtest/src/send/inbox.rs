//! Jobs on their way from the thread that makes them to the one that sends them.

use super::Job;
use super::poller::Waker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// Jobs that are handed over together.
const BATCH: usize = 128;
/// Batches that may wait: with the batches at both ends some 4,000 jobs, 2 MB.
const BATCHES: usize = 32;

/// The end that makes jobs.
pub(crate) struct Outbox {
    batches: Option<SyncSender<Vec<Job>>>,
    batch: Vec<Job>,
    asleep: Arc<AtomicBool>,
    waker: Waker,
}

/// The end that sends them.
pub(crate) struct Inbox {
    batches: Receiver<Vec<Job>>,
    batch: std::vec::IntoIter<Job>,
    asleep: Arc<AtomicBool>,
    ended: bool,
}

/// The sender is gone: nobody wants more jobs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Both ends of a bounded queue; `waker` wakes the end that sends.
pub(crate) fn channel(waker: Waker) -> (Outbox, Inbox) {
    let (sender, receiver) = sync_channel(BATCHES);
    let asleep = Arc::new(AtomicBool::new(false));
    let inbox = Inbox { batches: receiver, batch: Vec::new().into_iter(), asleep: asleep.clone(), ended: false };
    (Outbox { batches: Some(sender), batch: Vec::with_capacity(BATCH), asleep, waker }, inbox)
}

impl Outbox {
    /// Adds a job; waits while the queue is full.
    pub(crate) fn push(&mut self, job: Job) -> Result<(), Gone> {
        self.batch.push(job);
        if self.batch.len() < BATCH { Ok(()) } else { self.flush() }
    }

    /// Hands over what was pushed.
    pub(crate) fn flush(&mut self) -> Result<(), Gone> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let sent = self.batches.as_ref().map(|batches| batches.send(batch));
        if self.asleep.swap(false, Ordering::SeqCst) {
            self.waker.wake();
        }
        if matches!(sent, Some(Ok(()))) { Ok(()) } else { Err(Gone) }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let _ = self.flush();
        self.batches = None;
        self.waker.wake();
    }
}

impl Inbox {
    /// The next job without taking it; none if none is there yet.
    pub(crate) fn peek(&mut self) -> Option<&Job> {
        if self.batch.len() == 0 && !self.ended {
            self.receive();
        }
        self.batch.as_slice().first()
    }

    pub(crate) fn take(&mut self) -> Option<Job> {
        self.batch.next()
    }

    /// Whether no job is there and none will come.
    pub(crate) fn ended(&self) -> bool {
        self.ended && self.batch.len() == 0
    }

    fn receive(&mut self) {
        for last in [false, true] {
            match self.batches.try_recv() {
                Ok(batch) => {
                    self.batch = batch.into_iter();
                    self.asleep.store(false, Ordering::SeqCst);
                    return;
                }
                Err(TryRecvError::Disconnected) => {
                    self.ended = true;
                    return;
                }
                // Looks once more after saying so: a batch that came in between would wake nobody.
                Err(TryRecvError::Empty) if !last => self.asleep.store(true, Ordering::SeqCst),
                Err(TryRecvError::Empty) => {}
            }
        }
    }
}
