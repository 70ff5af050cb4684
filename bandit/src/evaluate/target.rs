//! Policies to evaluate, as people write them.

use super::{Choices, Trials, count, learnt};
use crate::policy::PolicySpec;
use crate::validate::FieldError;

/// A policy to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Every arm alike.
    Uniform,
    /// Constant shares of arms, by name.
    Fixed(Vec<(String, f64)>),
    /// A rule that learns, from the log itself.
    Learnt(Box<PolicySpec>),
}

/// Why there is no such policy for a log.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TargetError {
    /// It is written in no way that is known.
    #[error(
        "must be uniform, arm:NAME, fixed:NAME=SHARE,…, recommended, or a policy of experiments: its kind, as thompson, or \
         JSON, as {{\"kind\":\"thompson\",\"floor\":0.01}}"
    )]
    Unknown,
    /// JSON that is no policy.
    #[error("not a policy: {0}")]
    NotAPolicy(String),
    /// Shares that cannot be read.
    #[error("must be fixed:NAME=SHARE,… with shares from 0 to 1")]
    Shares,
    /// Shares that are not the whole.
    #[error("shares add up to {0}, and must to 1")]
    Sum(f64),
    /// An arm twice.
    #[error("'{0}' is there twice")]
    Twice(String),
    /// An arm that the log does not have.
    #[error("the log has no arm '{arm}'; it has {there}")]
    NoArm {
        /// Which.
        arm: String,
        /// Some that there are.
        there: String,
    },
    /// A rule that learns, and a log that does not say when.
    #[error("learns by the hour: say which column is the time with --map at=COLUMN")]
    NoTimes,
    /// A rule that an experiment with the log's arms and segments could not have.
    #[error("{}", listed(.0))]
    Rules(Vec<FieldError>),
}

fn listed(errors: &[FieldError]) -> String {
    errors.iter().map(|e| format!("{}: {}", e.field, e.why)).collect::<Vec<_>>().join("; ")
}

impl Target {
    /// Reads `uniform`, `arm:NAME`, `fixed:NAME=SHARE,…`, or what [`PolicySpec::named`] does.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(given: &str) -> Result<Self, TargetError> {
        match given.split_once(':') {
            _ if given == "uniform" => Ok(Self::Uniform),
            // JSON has colons of its own.
            Some(("arm", arm)) if !arm.is_empty() => Ok(Self::Fixed(vec![(arm.to_owned(), 1.0)])),
            Some(("fixed", list)) => fixed(list).map(Self::Fixed),
            _ => PolicySpec::named(given)
                .map_err(TargetError::NotAPolicy)?
                .map_or(Err(TargetError::Unknown), |spec| Ok(Self::Learnt(Box::new(spec)))),
        }
    }

    /// What it would have dealt.
    ///
    /// # Errors
    /// When it cannot be of this log.
    pub fn choices(&self, trials: &Trials) -> Result<Choices, TargetError> {
        let constant = |list| Choices::Lists { lists: vec![list], of_row: vec![0; trials.len()], beyond: 0.0 };
        match self {
            Self::Uniform => Ok(constant(vec![1.0 / count(trials.arms.len()); trials.arms.len()])),
            Self::Fixed(shares) => {
                let mut list = vec![0.0; trials.arms.len()];
                for (arm, share) in shares {
                    let Some(place) = trials.arms.iter().position(|a| a == arm) else {
                        return Err(TargetError::NoArm { arm: arm.clone(), there: some(&trials.arms) });
                    };
                    list[place] += share;
                }
                Ok(constant(list))
            }
            Self::Learnt(spec) => learnt::choices(spec, trials),
        }
    }
}

/// Constant shares, which add up to 1.
fn fixed(list: &str) -> Result<Vec<(String, f64)>, TargetError> {
    let mut shares: Vec<(String, f64)> = Vec::new();
    for part in list.split(',') {
        let pair = part.rsplit_once('=').and_then(|(arm, share)| Some((arm, share.trim().parse().ok()?)));
        let Some((arm, share)) = pair.filter(|(arm, share)| !arm.is_empty() && (0.0..=1.0).contains(share)) else {
            return Err(TargetError::Shares);
        };
        if shares.iter().any(|(other, _)| other == arm) {
            return Err(TargetError::Twice(arm.to_owned()));
        }
        shares.push((arm.to_owned(), share));
    }
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    if (sum - 1.0).abs() > 1e-6 { Err(TargetError::Sum(sum)) } else { Ok(shares) }
}

/// The first few of some names.
#[must_use]
pub fn some(names: &[String]) -> String {
    let shown = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{shown} and {} more", names.len() - 5) } else { shown }
}
