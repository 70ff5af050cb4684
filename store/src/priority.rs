//! Work that may wait stands behind requests: posteriors may be a second late, pages not a millisecond.

use crate::{Result, StoreError};

/// Steps of priority below requests: where the processor is short, a third of what a request's thread gets, so that the log is
/// still consumed.
const BACKGROUND: i32 = 5;

/// Puts this thread, and those that it starts from now on, behind those that answer requests. It stays there.
pub fn yield_to_requests() {
    if let Err(e) = rustix::process::nice(BACKGROUND) {
        tracing::warn!("background work keeps the priority of requests: {e}");
    }
}

/// Runs `open` on a thread behind requests: threads that a database starts for itself have the priority of who opens it.
pub(crate) fn open_behind_requests<T: Send>(open: impl FnOnce() -> T + Send) -> Result<T> {
    let work = || {
        yield_to_requests();
        open()
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("opening".into()).spawn_scoped(scope, work);
        let thread = thread.map_err(|e| StoreError::Embedded(format!("a thread cannot start: {e}")))?;
        thread.join().map_err(|_| StoreError::Embedded("opening it broke off".into()))
    })
}
