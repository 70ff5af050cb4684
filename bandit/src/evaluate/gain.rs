//! What a policy has earned beyond an even split, by its own log.
//!
//! With w = e/p the weight of a trial, where p is the probability its arm was dealt with and e = 1/K that of dealing the K
//! enabled arms evenly, V = Σ w r / Σ w is what a trial earns under the even split (self-normalised, Swaminathan & Joachims
//! 2015), and Σ r − n V what was earned beyond it. Everything needed is in a few sums for each arm, so that a log is read
//! once however long it is. Propensities contain the holdout, whose trials count like all others.

use serde::{Deserialize, Serialize};

/// Upper edges of all bins of propensities but the last, which ends at 1.
pub const PROPENSITY_EDGES: [f64; 12] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
/// Half the width of a normal interval of 95 %, in standard errors.
const NORMAL_95: f64 = 1.959_963_984_540_054;

/// Sums over an arm's trials; p is a trial's propensity, r its reward, 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct WeightSums {
    /// Trials.
    pub trials: u64,
    /// Σ r.
    pub rewards: u64,
    /// Σ 1/p.
    pub inverse: f64,
    /// Σ r/p.
    pub rewarded_inverse: f64,
    /// Σ 1/p².
    pub inverse_square: f64,
    /// Σ r/p².
    pub rewarded_inverse_square: f64,
}

impl WeightSums {
    /// Adds other trials.
    pub fn add(&mut self, other: &Self) {
        self.trials += other.trials;
        self.rewards += other.rewards;
        self.inverse += other.inverse;
        self.rewarded_inverse += other.rewarded_inverse;
        self.inverse_square += other.inverse_square;
        self.rewarded_inverse_square += other.rewarded_inverse_square;
    }
}

/// A policy's rewards beside those of an even split of the same trials.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// Trials behind the numbers.
    pub trials: u64,
    /// Rewards that came.
    pub rewards: u64,
    /// Reward per trial that an even split would have had.
    pub uniform: f64,
    /// Rewards beyond an even split.
    pub total: f64,
    /// Its normal 95 % interval, by the delta method.
    pub interval: [f64; 2],
    /// Kish's effective sample size (Σ w)² / Σ w²: how many trials dealt evenly would say as much about the split.
    pub effective_trials: f64,
}

/// The gain of what was dealt over dealing the enabled arms evenly; none before there are two trials of them.
///
/// The interval is for a moment chosen beforehand. The deviation of a trial is (r − R) − w (r − V) / W, with R and W the
/// means of r and w; its square sums to what the sums hold, as r² = r.
#[must_use]
pub fn gain_over_uniform(arms: &[WeightSums], enabled: &[bool]) -> Option<Gain> {
    let mut all = WeightSums::default();
    let mut dealt = WeightSums::default();
    for (i, sums) in arms.iter().enumerate() {
        all.add(sums);
        if enabled.get(i).copied().unwrap_or(false) {
            dealt.add(sums);
        }
    }
    let e = 1.0 / real(enabled.iter().filter(|on| **on).count() as u64);
    let (n, rewards) = (real(all.trials), real(all.rewards));
    let (w, wr) = (e * dealt.inverse, e * dealt.rewarded_inverse);
    let (ww, wwr) = (e * e * dealt.inverse_square, e * e * dealt.rewarded_inverse_square);
    if dealt.trials < 2 || !(w > 0.0 && ww > 0.0 && ww.is_finite()) {
        return None;
    }
    let (uniform, rate, mean) = (wr / w, rewards / n, w / n);
    let own = rewards * (1.0 - rate);
    let both = wr * (1.0 - uniform - rate) + rate * uniform * w;
    let other = wwr * (1.0 - 2.0 * uniform) + ww * uniform * uniform;
    let squares = (own - 2.0 * both / mean + other / (mean * mean)).max(0.0);
    let total = rewards - n * uniform;
    let half = NORMAL_95 * (squares * n / (n - 1.0)).sqrt();
    Some(Gain {
        trials: all.trials,
        rewards: all.rewards,
        uniform,
        total,
        interval: [total - half, total + half],
        effective_trials: w * w / ww,
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn real(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::super::{Estimator, Log, Tuning, evaluate};
    use super::*;

    fn sums(rows: &[(usize, f64, bool)], arms: usize) -> Vec<WeightSums> {
        let mut all = vec![WeightSums::default(); arms];
        for &(arm, p, rewarded) in rows {
            let r = f64::from(u8::from(rewarded));
            all[arm].add(&WeightSums {
                trials: 1,
                rewards: u64::from(rewarded),
                inverse: 1.0 / p,
                rewarded_inverse: r / p,
                inverse_square: 1.0 / (p * p),
                rewarded_inverse_square: r / (p * p),
            });
        }
        all
    }

    /// Two arms at 0.8 and 0.2; four trials of the first, two rewarded, one of the second without.
    #[test]
    fn a_log_of_five_by_hand() {
        let rows = [(0, 0.8, true), (0, 0.8, true), (0, 0.8, false), (0, 0.8, false), (1, 0.2, false)];
        let gain = gain_over_uniform(&sums(&rows, 2), &[true, true]).unwrap();
        // Weights 0.625 four times and 2.5: Σ w = 5, Σ w r = 1.25, so V = 0.25; 2 − 5 · 0.25 = 0.75.
        assert!((gain.uniform - 0.25).abs() < 1e-12 && (gain.total - 0.75).abs() < 1e-12, "{gain:?}");
        // Deviations: rewarded 0.6 − 0.46875, not −0.4 + 0.15625, the second arm −0.4 + 0.625; squares sum to 0.203906.
        let squares: f64 = 2.0 * 0.13125_f64.powi(2) + 2.0 * 0.24375_f64.powi(2) + 0.225_f64.powi(2);
        assert!((gain.interval[1] - 0.75 - 1.959_964 * (squares * 1.25).sqrt()).abs() < 1e-6, "{gain:?}");
        // 5² / (4 · 0.390625 + 6.25)
        assert!((gain.effective_trials - 25.0 / 7.8125).abs() < 1e-12);
    }

    #[test]
    fn the_even_split_is_worth_what_evaluation_says() {
        let rows: Vec<(usize, f64, bool)> = (0..400)
            .map(|i: usize| {
                let p = [0.7, 0.2, 0.1][i * i % 3];
                (i * i % 3, p, (i * 7 + i / 3).is_multiple_of(5))
            })
            .collect();
        let gain = gain_over_uniform(&sums(&rows, 3), &[true, true, true]).unwrap();
        let rewards: Vec<f64> = rows.iter().map(|r| f64::from(u8::from(r.2))).collect();
        let propensities: Vec<f64> = rows.iter().map(|r| r.1).collect();
        let evaluated = vec![1.0 / 3.0; rows.len()];
        let log = Log {
            rewards: &rewards,
            propensities: &propensities,
            evaluated: &evaluated,
            model: None,
            unsupported: None,
        };
        let evaluation = evaluate(&log, Tuning::default(), None).unwrap();
        assert!((evaluation.estimate(Estimator::Snips).unwrap().value - gain.uniform).abs() < 1e-12);
        assert!((evaluation.support.effective_rows - gain.effective_trials).abs() < 1e-9);
    }

    #[test]
    fn an_even_split_has_gained_nothing_over_itself() {
        let rows: Vec<_> = (0..100).map(|i| (i % 2, 0.5, i % 3 == 0)).collect();
        let gain = gain_over_uniform(&sums(&rows, 2), &[true, true]).unwrap();
        assert!(gain.total.abs() < 1e-9 && gain.interval[1] < 1e-6, "{gain:?}");
        assert_eq!(gain_over_uniform(&sums(&rows[..1], 2), &[true, true]), None);
        assert_eq!(gain_over_uniform(&sums(&rows, 2), &[false, false]), None);
    }
}
