//! Rules that learn, as `--policy` of `evaluate` and `simulate` names them.

use crate::import::Shown;
use bandit::{PolicySpec, from_json};
use std::fs::File;
use std::io::{self, Read};

/// Most bytes of a policy's file: beyond, it is none.
const MOST_BYTES: u64 = 1 << 20;

/// Why a rule cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// It is no policy.
    #[error("--policy {given}: not a policy: {why}")]
    NotAPolicy {
        /// As it was given.
        given: Shown,
        /// Field and reason.
        why: String,
    },
    /// Its file cannot be read.
    #[error("--policy {given}: cannot be read: {source}")]
    Unread {
        /// As it was given.
        given: Shown,
        /// Why.
        source: io::Error,
    },
}

impl RuleError {
    /// Whether what was given is to blame rather than the machine.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::NotAPolicy { .. })
    }
}

/// The rule that `given` is: JSON as in an experiment, @FILE with such JSON, or a kind's name. None if it is something else.
pub(crate) fn rule(given: &str) -> Result<Option<PolicySpec>, RuleError> {
    let unread = |source| RuleError::Unread { given: Shown::new(given), source };
    let wrong = |why| RuleError::NotAPolicy { given: Shown::new(given), why };
    if let Some(path) = given.strip_prefix('@') {
        let mut text = String::new();
        File::open(path).map_err(unread)?.take(MOST_BYTES).read_to_string(&mut text).map_err(unread)?;
        return from_json(&text).map(Some).map_err(wrong);
    }
    PolicySpec::named(given).map_err(wrong)
}
