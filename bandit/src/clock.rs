//! Time as an argument: only the binary's edge reads the wall clock.

use jiff::Timestamp;

/// Tells the time. The system's in production, an accelerated one in the demo, a set one in tests.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}
