//! Policies as the command line names them: those that any log can be asked about, and those that come from a file.

use super::{EvaluateError, shares};
use crate::import::Shown;
use crate::rule::rule;
use bandit::evaluate::{Choices, Target, TargetError, Trials};
use std::path::PathBuf;

/// A policy to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Policy {
    /// One that says itself what it deals.
    Target(Target),
    /// A column of the log with the probability of the logged arm.
    Column(String),
    /// A file with the probability of each arm.
    File(PathBuf),
}

/// What `--policy` takes, for who wrote something else.
const TAKEN: &str = "must be uniform, arm:NAME, fixed:NAME=SHARE,…, column:NAME, file:PATH, or a policy of experiments: \
                     its kind, as thompson, or JSON, as {\"kind\":\"thompson\",\"floor\":0.01}, or @FILE with such JSON";

fn unusable(given: &str, why: impl Into<String>) -> EvaluateError {
    EvaluateError::Policy { given: Shown::new(given), why: why.into() }
}

impl Policy {
    pub(super) fn parse(given: &str) -> Result<Self, EvaluateError> {
        let named = |rest: &str| if rest.is_empty() { Err(unusable(given, TAKEN)) } else { Ok(rest.to_owned()) };
        // JSON has colons of its own, and a path may.
        if given.starts_with('@') {
            let spec = rule(given)?.ok_or_else(|| unusable(given, TAKEN))?;
            return Ok(Self::Target(Target::Learnt(Box::new(spec))));
        }
        match given.split_once(':') {
            Some(("column", name)) => Ok(Self::Column(named(name)?)),
            Some(("file", path)) => Ok(Self::File(named(path)?.into())),
            _ => Target::parse(given).map(Self::Target).map_err(|e| match e {
                TargetError::Unknown => unusable(given, TAKEN),
                other => unusable(given, other.to_string()),
            }),
        }
    }

    /// The column of the log that it needs.
    pub(super) fn column(&self) -> Option<String> {
        if let Self::Column(name) = self { Some(name.clone()) } else { None }
    }

    /// What it would have dealt; `given` is how it was written.
    pub(super) fn choices(&self, given: &str, trials: &Trials) -> Result<Choices, EvaluateError> {
        match self {
            Self::Target(target) => target.choices(trials).map_err(|e| unusable(given, e.to_string())),
            Self::Column(name) => Ok(Choices::Column(trials.columns.get(name).cloned().ok_or_else(|| {
                EvaluateError::NoColumn { column: name.clone(), there: "those of the platform's own log alone".into() }
            })?)),
            Self::File(path) => shares::choices(path, trials),
        }
    }
}
