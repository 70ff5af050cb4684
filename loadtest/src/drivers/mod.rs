//! Load from inside a program: the benches and soak tests of this workspace make their requests themselves.
//!
//! [`closed`]: every connection sends its next request as soon as the answer came, which finds what a target can
//! do. [`open`]: requests are due at a rate, whether answers come or not.

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
