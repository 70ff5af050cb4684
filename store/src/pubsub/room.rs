//! How much waits in the spool, and so where the next events go.

use super::metrics;
use crate::{Result, StoreError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A full spool is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The way of a batch that was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To Pub/Sub; there is room in the spool should it not answer.
    Service,
    /// To the spool: older events wait there, and those of one user must not overtake each other.
    Spool,
}

/// Events and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

impl Load {
    /// With an event of so many bytes.
    pub(super) fn with(self, bytes: usize) -> Self {
        Self { events: self.events + 1, bytes: self.bytes + bytes as u64 }
    }
}

#[derive(Default)]
struct State {
    /// In the spool, or on their way into it.
    waiting: Load,
    /// Bytes for which there must be room if Pub/Sub does not answer.
    reserved: u64,
    /// Since when and why Pub/Sub is away.
    away: Option<String>,
    /// When a full spool was logged.
    logged: Option<Instant>,
}

/// The spool's room.
pub(super) struct Room {
    most: u64,
    state: Mutex<State>,
}

impl Room {
    pub(super) fn new(most: u64, waiting: Load) -> Self {
        metrics::waiting(waiting);
        Self { most, state: Mutex::new(State { waiting, ..State::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a batch in, if all of it finds room whatever becomes of Pub/Sub.
    pub(super) fn admit(&self, load: Load) -> Result<Way> {
        let mut state = self.state();
        if state.waiting.bytes + state.reserved + load.bytes > self.most {
            metrics::refused(load);
            if state.logged.is_none_or(|at| at.elapsed() > LOG_EVERY) {
                state.logged = Some(Instant::now());
                tracing::error!(
                    waiting_bytes = state.waiting.bytes,
                    reserved_bytes = state.reserved,
                    most_bytes = self.most,
                    "events are refused: the spool has no room; Pub/Sub must answer, or the spool be larger"
                );
            }
            return Err(StoreError::Busy);
        }
        if state.waiting.events > 0 {
            state.add(load);
            return Ok(Way::Spool);
        }
        state.reserved += load.bytes;
        Ok(Way::Service)
    }

    /// A batch on its way to Pub/Sub arrived.
    pub(super) fn arrived(&self, bytes: u64) {
        let mut state = self.state();
        state.reserved -= bytes;
        // Whoever was told of an outage is told of its end once the spool is empty.
        if state.waiting.events == 0 {
            state.back();
        }
    }

    /// Of a batch on its way to Pub/Sub, for which `reserved` bytes were kept, `load` goes into the spool, because of `why`.
    pub(super) fn turn(&self, reserved: u64, load: Load, why: &str) {
        let mut state = self.state();
        state.reserved -= reserved;
        state.add(load);
        state.gone(why);
    }

    /// A batch is not in the spool: it could not be written.
    pub(super) fn lost(&self, load: Load) {
        self.state().remove(load);
    }

    /// Events of the spool arrived.
    pub(super) fn replayed(&self, load: Load) {
        let mut state = self.state();
        state.remove(load);
        if state.waiting.events == 0 {
            state.back();
        }
    }

    /// Pub/Sub does not answer.
    pub(super) fn gone(&self, why: &str) {
        self.state().gone(why);
    }

    /// What is in the spool, or on its way into it.
    pub(super) fn waiting(&self) -> Load {
        self.state().waiting
    }

    /// Why Pub/Sub is away, if it is.
    pub(super) fn away(&self) -> Option<String> {
        self.state().away.clone()
    }
}

impl State {
    fn add(&mut self, load: Load) {
        self.waiting.events += load.events;
        self.waiting.bytes += load.bytes;
        metrics::waiting(self.waiting);
    }

    fn remove(&mut self, load: Load) {
        self.waiting.events = self.waiting.events.saturating_sub(load.events);
        self.waiting.bytes = self.waiting.bytes.saturating_sub(load.bytes);
        if self.waiting.events == 0 {
            // Bytes of a spool that an earlier process left are counted in its own format.
            self.waiting.bytes = 0;
        }
        metrics::waiting(self.waiting);
    }

    fn gone(&mut self, why: &str) {
        if self.away.is_none() {
            tracing::warn!("Pub/Sub does not take events, they wait in the spool: {why}");
        }
        self.away = Some(why.to_owned());
    }

    fn back(&mut self) {
        if self.away.take().is_some() {
            tracing::info!("Pub/Sub takes events again; the spool is empty");
        }
    }
}
