//! Why nothing is simulated.

use crate::import::Shown;
use crate::rule::RuleError;
use bandit::FieldError;
use std::io;
use std::path::PathBuf;

/// Why nothing is simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The environment's file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The environment cannot be used.
    #[error("{}: {why}", path.display())]
    Environment {
        /// The file.
        path: PathBuf,
        /// Field and reason.
        why: String,
    },
    /// A policy cannot be had.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A policy cannot be used, here or anywhere.
    #[error("--policy {given}: {why}")]
    Policy {
        /// As it was given.
        given: Shown,
        /// Fields and reasons.
        why: String,
    },
    /// The plot cannot be written.
    #[error("--plot {}: cannot be written: {why}", path.display())]
    Plot {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl SimulateError {
    pub(super) fn policy(given: &str, errors: &[FieldError]) -> Self {
        let why = errors.iter().map(|e| format!("{}: {}", e.field, e.why)).collect::<Vec<_>>().join("; ");
        Self::Policy { given: Shown::new(given), why }
    }

    /// Whether what was given is to blame rather than the machine.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Environment { .. } | Self::Policy { .. } => true,
            Self::Rule(e) => e.is_usage(),
            Self::Unread { .. } | Self::Plot { .. } => false,
        }
    }
}
