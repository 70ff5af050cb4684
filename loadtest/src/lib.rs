//! Drives load against any HTTP/1.1 target and says how it answered.
//!
//! Two drivers. [`closed`]: every connection sends its next request as soon as the answer came, which finds
//! what a target can do. [`open`]: requests are due at a rate, whether answers come or not, and latency counts
//! from the moment a request was due, which finds what visitors see: a target that freezes cannot hide it by
//! not being asked meanwhile.
//!
//! The generator often shares its cores with the target, so a request costs it little: rendered bytes in,
//! status and time out, bodies read and dropped.

mod closed;
mod connection;
mod error;
mod open;
mod pace;
mod report;
mod request;
mod run;

pub use closed::closed;
pub use error::Error;
pub use hyper::http::uri::PathAndQuery;
pub use open::open;
pub use report::{ClassReport, Latencies, Report};
pub use request::{Request, get, post};
pub use run::{Extent, Load};
