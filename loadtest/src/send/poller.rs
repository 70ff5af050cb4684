//! Waiting for sockets and deadlines at once, to the microsecond.

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

/// Events taken from the system at once.
const EVENTS: usize = 256;
/// What the waker's events are called.
const WAKE: u64 = u64::MAX;

/// Wakes the thread that waits, from another.
#[derive(Debug, Clone)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(crate) fn wake(&self) {
        // It fails only when 2^64 wakes are unread, which wakes as well.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

/// An epoll instance.
pub(crate) struct Poller {
    epoll: OwnedFd,
    waker: Waker,
    events: Vec<epoll::Event>,
}

impl Poller {
    /// A poller for the calling thread, whose waits become exact: the system may round them by 50 µs otherwise.
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = Waker(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?));
        // Edges alone are of interest: the number of wakes is never read.
        epoll::add(&epoll, &*waker.0, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        Ok(Self { epoll, waker, events: Vec::with_capacity(EVENTS) })
    }

    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Tells of every change of `source` under the name `token`.
    pub(crate) fn add(&self, source: impl AsFd, token: u64) -> io::Result<()> {
        use epoll::EventFlags as On;
        let on = On::IN | On::OUT | On::RDHUP | On::ET;
        Ok(epoll::add(&self.epoll, source, epoll::EventData::new_u64(token), on)?)
    }

    /// Waits at most so long; the tokens of what changed.
    pub(crate) fn wait(&mut self, at_most: Duration) -> io::Result<impl Iterator<Item = u64> + '_> {
        let timeout = Timespec {
            tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: at_most.subsec_nanos().into(),
        };
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.iter().map(|event| event.data.u64()).filter(|token| *token != WAKE))
    }
}
