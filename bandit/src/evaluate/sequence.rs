//! Bounds on a policy's value that hold at every moment of an adaptively dealt log.
//!
//! A confidence sequence for the running mean of the conditional values vₜ = E[wₜ rₜ | past], after Waudby-Smith, Wu,
//! Ramdas, Karampatziakis & Mineiro 2022, "Anytime-valid off-policy inference for contextual bandits" (theirs for
//! time-varying values): nothing is assumed of how propensities came about but that they were fixed before the draw, nor
//! that values stay the same.
//!
//! For a pseudo-outcome P with conditional mean θₜ, a prediction c made beforehand, y = P − c ≥ −b and λ < 1/b, Fan,
//! Grama & Liu 2015 ("Exponential inequalities for martingales with applications", lemma 4.1) have
//! exp(λ y − g y²) ≤ 1 + λ y with g = (−ln(1 − λb) − λb) / b², so that exp(λ Σ (P − θ) − g Σ y²) is a supermartingale
//! from 1. So is a mixture over a fixed grid of λ, which therefore ever reaches 2/α with probability α/2 at most (Ville).
//! Solved for Σ θ, it bounds the mean from below; the same for reward_max − reward bounds it from above.
//!
//! Pseudo-outcomes are w r, not negative, and if the largest weight is known also w (r − c) + c, of less variance. Without
//! that bound only the upper end suffers: what an arm that is dealt once in a million draws would earn is not seen.

use super::count;

/// Steps of the grid of λ.
const GRID: usize = 20;
/// Its largest λ, for rewards up to 1; halved from step to step.
const TOP: f64 = 32.0;
/// λb where a prediction can be made so small that it fits: g is then 1.09 times the ideal λ²/2.
const FITTED: f64 = 0.125;
/// λb of the first step where b is given.
const STEEPEST: f64 = 0.75;

/// Why a confidence sequence cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SequenceError {
    /// A setting is not what it may be.
    #[error("{name}: must be {must}, and is {value}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What it may be.
        must: &'static str,
        /// What it is.
        value: f64,
    },
    /// A reward outside what was promised.
    #[error("row {row}: the reward {reward} is not from 0 to {most}, as was said of all rewards")]
    Reward {
        /// Number of the row, from 1.
        row: u64,
        /// The reward.
        reward: f64,
        /// What was promised.
        most: f64,
    },
    /// A weight outside what was promised.
    #[error("row {row}: the weight {weight} is not from 0 to {most}, as was said of all weights")]
    Weight {
        /// Number of the row, from 1.
        row: u64,
        /// The weight.
        weight: f64,
        /// What was promised.
        most: f64,
    },
}

/// Bounds on the mean value of a policy over the rows so far.
///
/// With probability of at least `level` the interval holds the mean at every row, whenever one looks or stops. The
/// probability is over the log's draws and rewards; propensities must be those that the draws were made with, and no arm
/// that the policy may deal may be without one.
#[derive(Debug, Clone)]
pub struct ConfidenceSequence {
    reward_max: f64,
    max_weight: f64,
    /// ln 2/α.
    threshold: f64,
    rows: u64,
    /// Of the reward, and of what is missing to the largest.
    sides: [Side; 2],
}

/// A bound from below.
#[derive(Debug, Clone)]
struct Side {
    /// Σ w r and Σ w, whose ratio predicts.
    paid: f64,
    weight: f64,
    mixture: Vec<Process>,
}

/// Supermartingales of one pseudo-outcome, one for each λ.
#[derive(Debug, Clone)]
struct Process {
    /// Whether the pseudo-outcome is w (r − c) + c rather than w r.
    controlled: bool,
    lambda: [f64; GRID],
    /// g of each λ.
    penalty: [f64; GRID],
    /// Largest prediction.
    most: [f64; GRID],
    /// Σ P.
    sum: [f64; GRID],
    /// Σ y².
    squares: [f64; GRID],
}

/// −ln(1 − x) − x.
fn psi(x: f64) -> f64 {
    -(-x).ln_1p() - x
}

impl Process {
    fn new(controlled: bool, lambda: [f64; GRID], penalty: [f64; GRID], most: [f64; GRID]) -> Self {
        Self { controlled, lambda, penalty, most, sum: [0.0; GRID], squares: [0.0; GRID] }
    }

    /// Predictions are made so small that y ≥ −`FITTED`/λ, where y ≥ −`times` c.
    fn fitted(controlled: bool, times: f64) -> Self {
        let lambda = std::array::from_fn(|j| TOP * half_to_the(j));
        let penalty = lambda.map(|l| psi(FITTED) * (l / FITTED) * (l / FITTED));
        Self::new(controlled, lambda, penalty, lambda.map(|l| FITTED / l / times))
    }

    /// λ are made so small that any prediction up to 1 fits y ≥ −`b`.
    fn steep(b: f64) -> Self {
        let slopes: [f64; GRID] = std::array::from_fn(|j| STEEPEST * half_to_the(j));
        Self::new(true, slopes.map(|u| u / b), slopes.map(|u| psi(u) / b / b), [1.0; GRID])
    }

    #[inline]
    fn push(&mut self, weight: f64, paid: f64, prediction: f64) {
        let scale = if self.controlled { weight } else { 1.0 };
        for j in 0..GRID {
            let c = prediction.min(self.most[j]);
            let y = paid - scale * c;
            self.sum[j] += y + c;
            self.squares[j] += y * y;
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "small numbers")]
fn half_to_the(j: usize) -> f64 {
    0.5_f64.powi(j as i32)
}

impl Side {
    fn new(mixture: Vec<Process>) -> Self {
        Self { paid: 0.0, weight: 0.0, mixture }
    }

    #[inline]
    fn push(&mut self, weight: f64, reward: f64) {
        // From earlier rows alone; half a reward in one row to begin with.
        let prediction = (self.paid + 0.5) / (self.weight + 1.0);
        let paid = weight * reward;
        for process in &mut self.mixture {
            process.push(weight, paid, prediction);
        }
        self.paid += paid;
        self.weight += weight;
    }

    /// ln of the mixture of supermartingales, if Σ θ were `sum`.
    fn evidence(&self, sum: f64) -> f64 {
        let exponent = |p: &Process, j: usize| p.lambda[j] * (p.sum[j] - sum) - p.penalty[j] * p.squares[j];
        let parts = || self.mixture.iter().flat_map(|p| (0..GRID).map(move |j| exponent(p, j)));
        let largest = parts().fold(f64::NEG_INFINITY, f64::max);
        largest + parts().map(|e| (e - largest).exp()).sum::<f64>().ln() - self.parts().ln()
    }

    fn parts(&self) -> f64 {
        count(self.mixture.len() * GRID)
    }

    /// The Σ θ at which the mixture is e^`threshold`: smaller ones are excluded.
    fn least_sum(&self, threshold: f64) -> f64 {
        // One part alone excludes up to here; all of them together to where each has a share of the threshold.
        let alone = |goal: f64| {
            let bound = |p: &Process, j: usize| p.sum[j] - (p.penalty[j] * p.squares[j] + goal) / p.lambda[j];
            let bounds = self.mixture.iter().flat_map(|p| (0..GRID).map(move |j| bound(p, j)));
            bounds.fold(f64::NEG_INFINITY, f64::max)
        };
        let (mut low, mut high) = (alone(threshold + self.parts().ln()), alone(threshold));
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            if middle <= low || middle >= high {
                break;
            }
            if self.evidence(middle) >= threshold { low = middle } else { high = middle }
        }
        low
    }
}

impl ConfidenceSequence {
    /// An empty sequence of `level` (as 0.95) for rewards from 0 to `reward_max`. `max_weight`, if given, is a bound on
    /// all weights that was known before the log: the policy's largest probability over the smallest propensity that
    /// could be dealt, not the largest weight that was seen.
    ///
    /// # Errors
    /// When a setting is impossible.
    pub fn new(level: f64, reward_max: f64, max_weight: Option<f64>) -> Result<Self, SequenceError> {
        let setting = |name, must, value| Err(SequenceError::Setting { name, must, value });
        if !(level > 0.0 && level < 1.0) {
            return setting("level", "above 0 and below 1", level);
        }
        if !(reward_max > 0.0 && reward_max <= 1e15) {
            return setting("reward_max", "above 0 and at most 1e15", reward_max);
        }
        // Weights have mean 1, so that their bound cannot be smaller.
        if let Some(most) = max_weight.filter(|w| !(1.0 - 1e-9..=1e100).contains(w)) {
            return setting("max_weight", "at least 1", most);
        }
        let (mut below, mut above) = (vec![Process::fitted(false, 1.0)], vec![Process::fitted(false, 1.0)]);
        if let Some(most) = max_weight {
            below.push(Process::fitted(true, most));
            above.push(Process::steep(most));
        }
        Ok(Self {
            reward_max,
            max_weight: max_weight.unwrap_or(f64::MAX),
            threshold: (2.0 / (1.0 - level)).ln(),
            rows: 0,
            sides: [Side::new(below), Side::new(above)],
        })
    }

    /// Takes the next row, in the order of the log.
    ///
    /// # Errors
    /// When reward or weight are not within what was promised; the sequence then stays as it was.
    #[inline]
    pub fn push(&mut self, reward: f64, weight: f64) -> Result<(), SequenceError> {
        let row = self.rows + 1;
        if !(0.0..=self.reward_max).contains(&reward) {
            return Err(SequenceError::Reward { row, reward, most: self.reward_max });
        }
        // A bound that was computed from shares may be off by rounding.
        if !(0.0..=self.max_weight.min(1e100) * (1.0 + 1e-9)).contains(&weight) {
            return Err(SequenceError::Weight { row, weight, most: self.max_weight });
        }
        self.rows = row;
        let share = reward / self.reward_max;
        self.sides[0].push(weight, share);
        self.sides[1].push(weight, 1.0 - share);
        Ok(())
    }

    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether `mean` may be the policy's mean value over the rows so far: whether it is in the interval, at the price
    /// of one evaluation.
    #[must_use]
    pub fn covers(&self, mean: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "rows stay below 2^53")]
        let rows = self.rows as f64;
        let sum = mean / self.reward_max * rows;
        (0.0..=self.reward_max).contains(&mean)
            && self.sides[0].evidence(sum) < self.threshold
            && self.sides[1].evidence(rows - sum) < self.threshold
    }

    /// Bounds on the policy's mean value over the rows so far; from 0 to the largest reward before the first.
    #[must_use]
    pub fn interval(&self) -> [f64; 2] {
        if self.rows == 0 {
            return [0.0, self.reward_max];
        }
        #[expect(clippy::cast_precision_loss, reason = "rows stay below 2^53")]
        let rows = self.rows as f64;
        let [low, missing] =
            [0, 1].map(|i| (self.sides[i].least_sum(self.threshold) / rows).clamp(0.0, 1.0) * self.reward_max);
        [low, self.reward_max - missing]
    }
}

#[cfg(test)]
mod tests;
