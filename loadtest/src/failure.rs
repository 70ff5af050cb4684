//! Why a command did not do what it was asked to.

/// One line for whoever typed the command: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An argument that makes no sense.
    #[error("{argument}: {why}")]
    Argument { argument: &'static str, why: String },
    /// A log that cannot be read.
    #[error("cannot read the log {log}: {why}")]
    Log { log: String, why: String },
    /// A report that cannot be read or written.
    #[error("report {file}: {why}")]
    Report { file: String, why: String },
    /// A target that is not this machine, and was not allowed by name.
    #[error("{host} is not this machine: if this load may go there, add --allow-host {host}")]
    Host { host: String },
    /// Nobody listens.
    #[error("cannot connect to {target}: {why}; is it running there?")]
    Connect { target: String, why: String },
    /// The target answered nothing for too long.
    #[error("{target} has answered nothing for {seconds:.0} s{why}; the run was ended")]
    Silent { target: String, seconds: f64, why: String },
    /// Nothing in the log became a request.
    #[error("nothing to send: {why}")]
    Nothing { why: String },
    /// The operating system refused something.
    #[error("cannot {what}: {error}")]
    System { what: &'static str, error: std::io::Error },
}

impl Failure {
    /// 2 for what better arguments avoid, else 1.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Argument { .. } | Self::Host { .. } => 2,
            _ => 1,
        }
    }
}
