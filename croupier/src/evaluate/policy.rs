//! Policies as the command line names them, and what they would have dealt.

use super::trials::Trials;
use super::{EvaluateError, learnt, shares};
use crate::import::Shown;
use crate::rule::rule;
use bandit::PolicySpec;
use bandit::evaluate::ArmRates;
use std::path::PathBuf;

/// A policy to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Policy {
    /// Every arm alike.
    Uniform,
    /// Constant shares of arms, by name.
    Fixed(Vec<(String, f64)>),
    /// A rule that learns, from the log itself.
    Learnt(Box<PolicySpec>),
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
        Ok(match given.split_once(':') {
            _ if given == "uniform" => Self::Uniform,
            // JSON has colons of its own, and a path may.
            _ if given.starts_with(['{', '@']) => Self::learnt(given)?,
            Some(("arm", arm)) => Self::Fixed(vec![(named(arm)?, 1.0)]),
            Some(("fixed", list)) => Self::Fixed(fixed(given, list)?),
            Some(("column", name)) => Self::Column(named(name)?),
            Some(("file", path)) => Self::File(named(path)?.into()),
            _ => Self::learnt(given)?,
        })
    }

    fn learnt(given: &str) -> Result<Self, EvaluateError> {
        Ok(Self::Learnt(Box::new(rule(given)?.ok_or_else(|| unusable(given, TAKEN))?)))
    }

    /// The column of the log that it needs.
    pub(super) fn column(&self) -> Option<String> {
        if let Self::Column(name) = self { Some(name.clone()) } else { None }
    }

    /// What it would have dealt.
    pub(super) fn choices(&self, trials: &Trials) -> Result<Choices, EvaluateError> {
        let constant = |list| Choices::Lists { lists: vec![list], of_row: vec![0; trials.len()], beyond: 0.0 };
        match self {
            #[expect(clippy::cast_precision_loss, reason = "at most 10,000 arms")]
            Self::Uniform => Ok(constant(vec![1.0 / trials.arms.len() as f64; trials.arms.len()])),
            Self::Fixed(shares) => {
                let mut list = vec![0.0; trials.arms.len()];
                for (arm, share) in shares {
                    let Some(place) = trials.arms.iter().position(|a| a == arm) else {
                        let why = format!("the log has no arm '{arm}'; it has {}", some(&trials.arms));
                        return Err(unusable(arm, why));
                    };
                    list[place] += share;
                }
                Ok(constant(list))
            }
            Self::Learnt(spec) => learnt::choices(spec, trials),
            Self::Column(name) => Ok(Choices::Column(trials.columns.get(name).cloned().ok_or_else(|| {
                EvaluateError::NoColumn { column: name.clone(), there: "those of the platform's own log alone".into() }
            })?)),
            Self::File(path) => shares::choices(path, trials),
        }
    }
}

/// Constant shares, which add up to 1.
fn fixed(given: &str, list: &str) -> Result<Vec<(String, f64)>, EvaluateError> {
    let mut shares: Vec<(String, f64)> = Vec::new();
    for part in list.split(',') {
        let pair = part.rsplit_once('=').and_then(|(arm, share)| Some((arm, share.trim().parse().ok()?)));
        let Some((arm, share)) = pair.filter(|(arm, share)| !arm.is_empty() && (0.0..=1.0).contains(share)) else {
            return Err(unusable(given, "must be fixed:NAME=SHARE,… with shares from 0 to 1"));
        };
        if shares.iter().any(|(other, _)| other == arm) {
            return Err(unusable(given, format!("'{arm}' is there twice")));
        }
        shares.push((arm.to_owned(), share));
    }
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    if (sum - 1.0).abs() > 1e-6 {
        return Err(unusable(given, format!("shares add up to {sum}, and must to 1")));
    }
    Ok(shares)
}

/// The first few of some names.
pub(super) fn some(names: &[String]) -> String {
    let shown = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{shown} and {} more", names.len() - 5) } else { shown }
}

/// What a policy would have dealt to each trial.
pub(super) enum Choices {
    /// The probability of the logged arm, and nothing of the others.
    Column(Vec<f64>),
    /// Lists of probabilities by arm, and which is each trial's.
    Lists {
        /// Each has a place for each arm.
        lists: Vec<Vec<f64>>,
        /// By trial.
        of_row: Vec<usize>,
        /// Share of choices, over all trials, that are arms of which the log has none.
        beyond: f64,
    },
}

impl Choices {
    /// Probabilities of the logged arms.
    pub(super) fn of_logged(&self, trials: &Trials) -> Vec<f64> {
        match self {
            Self::Column(column) => column.clone(),
            Self::Lists { lists, of_row, .. } => {
                of_row.iter().zip(&trials.arm).map(|(&list, &arm)| lists[list][arm]).collect()
            }
        }
    }

    /// Rewards that `rates` expect under the policy.
    pub(super) fn expected(&self, trials: &Trials, rates: &ArmRates) -> Option<Vec<f64>> {
        let Self::Lists { lists, of_row, .. } = self else { return None };
        let folds = rates.folds();
        // Each list with each fold once, not for each trial.
        let known: Vec<f64> = lists.iter().flat_map(|list| (0..folds).map(|fold| rates.expected(fold, list))).collect();
        Some((0..trials.len()).map(|row| known[of_row[row] * folds + row % folds]).collect())
    }

    /// Share of choices that fall on arms that were never dealt in the trial's segment.
    pub(super) fn unsupported(&self, trials: &Trials) -> Option<f64> {
        let Self::Lists { lists, of_row, beyond } = self else { return None };
        let dealt = trials.dealt();
        let mut pairs = std::collections::BTreeMap::<(usize, usize), f64>::new();
        for pair in of_row.iter().copied().zip(trials.segment.iter().copied()) {
            *pairs.entry(pair).or_default() += 1.0;
        }
        let missing = |list: usize, segment: usize| -> f64 {
            lists[list].iter().zip(&dealt[segment]).filter(|(_, n)| **n == 0).map(|(p, _)| p).sum()
        };
        let sum: f64 = pairs.iter().map(|((list, segment), rows)| rows * missing(*list, *segment)).sum();
        let rows: f64 = pairs.values().sum();
        Some(beyond + sum / rows)
    }

    /// The policy's largest probability of any arm.
    pub(super) fn largest(&self) -> f64 {
        match self {
            Self::Column(_) => 1.0,
            Self::Lists { lists, .. } => lists.iter().flatten().copied().fold(0.0, f64::max),
        }
    }
}
