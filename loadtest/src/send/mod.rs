//! Sends jobs when they are due, on one thread that waits for deadlines and answers alike.
//!
//! No runtime: its timers tick in milliseconds, and a task for each request costs more than the request. Here a
//! request costs a write, a read and the two waits before them.

mod connection;
mod engine;
mod inbox;
mod incoming;
mod poller;
mod pool;
mod stats;

pub(crate) use engine::{End, Engine, Observer, Settings};
pub(crate) use inbox::{Inbox, Outbox, channel};
pub(crate) use pool::Target;
pub(crate) use stats::{Point, Stats};

/// What a request is, as far as its answer is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any; its answer is counted.
    Plain,
    /// As before, and the answer has no body whatever its head says.
    Head,
    /// A decide request: its answer is checked.
    Decide,
    /// An event.
    Event,
}

/// A request and when it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// Nanoseconds after the run's beginning.
    pub(crate) due_ns: u64,
    /// Hash of the user; requests of one user go one after the other. Zero: of nobody.
    pub(crate) user: u64,
    /// Hash of experiment, user and item; zero for what is no decide request.
    pub(crate) key: u64,
    /// What its answer is.
    pub(crate) kind: Kind,
    /// The bytes that go over the wire.
    pub(crate) bytes: Box<[u8]>,
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lost {
    /// The connection ended before the answer did.
    Closed,
    /// No whole answer within the timeout of its sending.
    TimedOut,
    /// What came is not HTTP/1.1.
    NotHttp,
    /// No connection was free within the timeout of its deadline.
    NeverSent,
    /// More were waiting than are kept.
    Dropped,
    /// The run ended before it was sent or answered.
    CutOff,
}

impl Lost {
    /// For people and for JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Closed => "connection closed before the answer",
            Self::TimedOut => "no answer in time",
            Self::NotHttp => "answer is not HTTP/1.1",
            Self::NeverSent => "no free connection in time",
            Self::Dropped => "too many waiting",
            Self::CutOff => "run ended before the answer",
        }
    }
}
