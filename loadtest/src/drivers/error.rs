//! Why a run could not be made or finished.

use std::net::SocketAddr;
use std::time::Duration;

/// What ended a run without a report.
#[derive(Debug)]
pub enum Error {
    /// Nobody listens at the target.
    Connect {
        /// The target.
        target: SocketAddr,
        /// What the system said.
        why: String,
    },
    /// The target answered nothing for longer than the run's patience.
    Silent {
        /// The target.
        target: SocketAddr,
        /// How long there was no answer.
        silence: Duration,
        /// How the last request failed.
        last: String,
    },
    /// A setting of the run makes no sense.
    Setting(&'static str),
    /// The generator itself broke.
    Generator(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect { target, why } => write!(f, "cannot connect to {target}: {why}"),
            Self::Silent { target, silence, last } => {
                write!(f, "{target} has answered nothing for {:.1} s: {last}", silence.as_secs_f64())
            }
            Self::Setting(why) => f.write_str(why),
            Self::Generator(why) => write!(f, "the load generator failed: {why}"),
        }
    }
}

impl std::error::Error for Error {}
