//! Work that may wait stands behind requests: posteriors may be a second late, pages not a millisecond.

use crate::{Result, StoreError};

/// Steps of priority below requests: where the processor is short, a third of what a request's thread gets, so that the log is
/// still consumed.
const BACKGROUND: i32 = 5;
/// As far behind others as a priority can be.
const LAST: i32 = 19;

/// Puts this thread, and those that it starts from now on, behind those that answer requests. It stays there.
pub fn yield_to_requests() {
    if let Err(e) = rustix::process::nice(BACKGROUND) {
        tracing::warn!("background work keeps the priority of requests: {e}");
    }
}

/// Puts this thread behind all others of this machine: it runs where a processor would rest. It stays there.
///
/// On Linux by its class for that, `SCHED_IDLE`, which any thread may choose. The lowest priority alone lets even such a
/// thread end its turn of some milliseconds before whoever wakes: beside a pass over lists the p99 of decisions was 1.7 times
/// what it is without one, and with this 1.0 and 1.2 times.
pub fn yield_to_all() {
    // Refused only to whoever is further behind already.
    let _ = rustix::process::setpriority_process(None, LAST);
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{NormalThreadSchedulePolicy::Idle, ThreadPriority, ThreadSchedulePolicy::Normal};
        let this = thread_priority::thread_native_id();
        // After the class it sets the priority as well, to a better one: only root may, and within this class it says nothing.
        // Where the class is refused, the lowest priority stands.
        let _ = thread_priority::set_thread_priority_and_policy(this, ThreadPriority::Min, Normal(Idle));
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use thread_priority::{NormalThreadSchedulePolicy::Idle, ThreadSchedulePolicy, thread_schedule_policy};

    #[test]
    fn a_thread_can_stand_behind_all_others() {
        let of = |work: fn()| {
            let thread = std::thread::spawn(move || {
                work();
                thread_schedule_policy().ok()
            });
            thread.join().ok().flatten()
        };
        assert_eq!(of(super::yield_to_all), Some(ThreadSchedulePolicy::Normal(Idle)));
        assert_ne!(of(super::yield_to_requests), Some(ThreadSchedulePolicy::Normal(Idle)));
    }
}
