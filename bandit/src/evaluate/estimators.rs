//! The estimators, their standard errors and normal intervals.
//!
//! With w = π(a)/p the weight of a row, r its reward, q the model's prediction for its arm and q̄ that for the evaluated
//! policy, all are functions of a few sums over rows: see [`Terms`].

use super::{EvaluateError, Log, count};
use std::fmt;

/// Half the width of a normal interval of 95 %, in standard errors.
const NORMAL_95: f64 = 1.959_963_984_540_054;

/// The ways to estimate a policy's value from another policy's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Estimator {
    /// Inverse propensity scoring, mean(w r): unbiased (Horvitz & Thompson 1952).
    Ips,
    /// mean(min(w, clip) r): biased towards 0, less variance (Strehl et al. 2010, "Learning from logged implicit
    /// exploration data").
    ClippedIps,
    /// Self-normalised, Σ w r / Σ w (Swaminathan & Joachims 2015, "The self-normalized estimator for counterfactual
    /// learning").
    Snips,
    /// The direct method, mean(q̄): as good as the model.
    Dm,
    /// Doubly robust, mean(q̄ + w (r − q)) (Dudík, Langford & Li 2011, "Doubly robust policy evaluation and learning").
    Dr,
    /// Self-normalised doubly robust, mean(q̄) + Σ w (r − q) / Σ w.
    Sndr,
    /// The model alone where w > switch, doubly robust elsewhere (Wang, Agarwal & Dudík 2017, "Optimal and adaptive
    /// off-policy evaluation in contextual bandits").
    SwitchDr,
    /// Doubly robust with weights shrunk to λw / (w² + λ) (Su, Dimakopoulou, Krishnamurthy & Dudík 2020, "Doubly robust
    /// off-policy evaluation with shrinkage", optimistic shrinkage, eq. 5).
    DrOptimistic,
}

impl Estimator {
    /// Every one, in the order of their names above.
    pub const ALL: [Self; 8] =
        [Self::Ips, Self::ClippedIps, Self::Snips, Self::Dm, Self::Dr, Self::Sndr, Self::SwitchDr, Self::DrOptimistic];

    /// Its name in JSON and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ips => "ips",
            Self::ClippedIps => "clipped_ips",
            Self::Snips => "snips",
            Self::Dm => "dm",
            Self::Dr => "dr",
            Self::Sndr => "sndr",
            Self::SwitchDr => "switch_dr",
            Self::DrOptimistic => "dr_os",
        }
    }

    /// Whether it needs a model of rewards.
    #[must_use]
    pub fn needs_model(self) -> bool {
        !matches!(self, Self::Ips | Self::ClippedIps | Self::Snips)
    }

    /// What its intervals do not know, if anything.
    #[must_use]
    pub fn caveat(self) -> Option<&'static str> {
        match self {
            Self::Dm => Some("the interval ignores the error of the reward model, which is all there is to this value"),
            Self::ClippedIps => Some("the interval ignores the bias of clipping, which is towards 0"),
            Self::SwitchDr | Self::DrOptimistic => {
                Some("the interval ignores the bias towards the reward model where weights are large")
            }
            Self::Ips | Self::Snips | Self::Dr | Self::Sndr => None,
        }
    }
}

impl fmt::Display for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where estimators trade bias for variance. Constants, not fitted to the log: a threshold chosen by looking at the
/// rewards would make every interval too narrow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// Largest weight of [`Estimator::ClippedIps`].
    pub clip: f64,
    /// Weight above which [`Estimator::SwitchDr`] takes the model's word.
    pub switch: f64,
    /// λ of [`Estimator::DrOptimistic`]: weights of √λ are halved, no weight exceeds √λ / 2.
    pub shrinkage: f64,
}

impl Default for Tuning {
    /// 5 for each: a row then stands for at most five.
    fn default() -> Self {
        Self { clip: 5.0, switch: 5.0, shrinkage: 5.0 }
    }
}

impl Tuning {
    pub(super) fn check(self) -> Result<(), EvaluateError> {
        for (name, value) in [("clip", self.clip), ("switch", self.switch), ("shrinkage", self.shrinkage)] {
            if !(value > 0.0 && value <= 1e15) {
                return Err(EvaluateError::Setting { name, must: "above 0 and at most 1e15", value });
            }
        }
        Ok(())
    }
}

/// One estimator's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Which.
    pub estimator: Estimator,
    /// Reward per trial under the evaluated policy.
    pub value: f64,
    /// Its standard error; by the delta method for self-normalised estimators.
    pub se: f64,
    /// Normal 95 % interval, `value` ± 1.96 `se`; for a log of fixed length.
    pub normal: [f64; 2],
    /// Percentile bootstrap 95 % interval of the whole estimator, if it was asked for.
    pub bootstrap: Option<[f64; 2]>,
}

/// What one row adds to the sums, or their sum, or its mean.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Terms(pub(super) [f64; TERMS]);

pub(super) const TERMS: usize = 7;
const WEIGHT: usize = 0;
const IPS: usize = 1;
const CLIPPED: usize = 2;
const EXPECTED: usize = 3;
const RESIDUAL: usize = 4;
const SWITCHED: usize = 5;
const SHRUNK: usize = 6;

impl Terms {
    #[inline]
    pub(super) fn new(w: f64, reward: f64, (logged, expected): (f64, f64), tuning: Tuning) -> Self {
        let residual = reward - logged;
        let switched = if w <= tuning.switch { w * residual } else { 0.0 };
        // λw / (w² + λ), without squaring what may be large.
        let shrunk = if w > 0.0 { 1.0 / (w / tuning.shrinkage + 1.0 / w) } else { 0.0 };
        Self([w, w * reward, w.min(tuning.clip) * reward, expected, w * residual, switched, shrunk * residual])
    }

    #[inline]
    pub(super) fn add(&mut self, times: f64, other: &Self) {
        for (sum, term) in self.0.iter_mut().zip(other.0) {
            *sum += times * term;
        }
    }

    /// The estimate that these means or sums over `rows` give; none where it is not defined.
    pub(super) fn estimate(&self, estimator: Estimator, rows: f64) -> Option<f64> {
        let t = &self.0;
        let ratio = |above: f64| (t[WEIGHT] > 0.0).then(|| above / t[WEIGHT]);
        Some(match estimator {
            Estimator::Ips => t[IPS] / rows,
            Estimator::ClippedIps => t[CLIPPED] / rows,
            Estimator::Snips => ratio(t[IPS])?,
            Estimator::Dm => t[EXPECTED] / rows,
            Estimator::Dr => (t[EXPECTED] + t[RESIDUAL]) / rows,
            Estimator::Sndr => t[EXPECTED] / rows + ratio(t[RESIDUAL])?,
            Estimator::SwitchDr => (t[EXPECTED] + t[SWITCHED]) / rows,
            Estimator::DrOptimistic => (t[EXPECTED] + t[SHRUNK]) / rows,
        })
    }

    /// What a row adds to the estimate's deviation, to first order, given the means of all rows.
    #[inline]
    fn deviations(&self, mean: &Self) -> [f64; 8] {
        let (t, m) = (&self.0, &mean.0);
        let centred = |i: usize| t[i] - m[i];
        let share = t[WEIGHT] / m[WEIGHT];
        let ratio = |i: usize| t[i] / m[WEIGHT] - m[i] / m[WEIGHT] * share;
        [
            centred(IPS),
            centred(CLIPPED),
            ratio(IPS),
            centred(EXPECTED),
            centred(EXPECTED) + centred(RESIDUAL),
            centred(EXPECTED) + ratio(RESIDUAL),
            centred(EXPECTED) + centred(SWITCHED),
            centred(EXPECTED) + centred(SHRUNK),
        ]
    }
}

/// Every estimator that is defined, without bootstrap. Standard errors are those of means, with n − 1.
pub(super) fn estimates(log: &Log<'_>, tuning: Tuning) -> Vec<Estimate> {
    let rows = count(log.rewards.len());
    let mut mean = Terms::default();
    log.terms(tuning).for_each(|t| mean.add(1.0, &t));
    mean.0.iter_mut().for_each(|sum| *sum /= rows);
    // Two passes: squares of deviations, not differences of squares.
    let mut squares = [0.0; 8];
    for t in log.terms(tuning) {
        for (sum, d) in squares.iter_mut().zip(t.deviations(&mean)) {
            *sum += d * d;
        }
    }
    let answers = Estimator::ALL.into_iter().zip(squares);
    answers
        .filter(|(estimator, _)| log.model.is_some() || !estimator.needs_model())
        .filter_map(|(estimator, squares)| {
            let value = mean.estimate(estimator, 1.0)?;
            let se = (squares / (rows - 1.0) / rows).sqrt();
            let normal = [value - NORMAL_95 * se, value + NORMAL_95 * se];
            Some(Estimate { estimator, value, se, normal, bootstrap: None })
        })
        .collect()
}
