//! Calibration: whether arms whose propensity is about p are dealt a share of about p, for every p; and how much
//! evidence the propensities leave.

use super::bets::{Bet, Dealt, Sets, Shares, Wealth, in_order, real};
use serde::{Deserialize, Serialize};

/// Probability that calibrated propensities ever raise the alarm.
const LEVEL: f64 = 0.01;
/// Upper ends of the bins of propensity; the last is 1.
const ENDS: [f64; 6] = [0.02, 0.1, 0.3, 0.5, 0.8, 1.0];
/// A bin is bet to be dealt 5 %, 20 % or 50 % more or less often than it says.
const BETS: [Bet; 6] = [
    Bet { more: false, size: 0.05, stake: 0.2 },
    Bet { more: false, size: 0.2, stake: 0.2 },
    Bet { more: false, size: 0.5, stake: 0.1 },
    Bet { more: true, size: 0.05, stake: 0.2 },
    Bet { more: true, size: 0.2, stake: 0.2 },
    Bet { more: true, size: 0.5, stake: 0.1 },
];

/// A running check of one experiment, hour by hour; what it keeps does not grow. Calibrated propensities raise the alarm
/// with probability at most 0.01, however long and often one looks. An arm is in the bin of the share it was expected to
/// get before its hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    wealth: Wealth,
    shares: Shares,
    bins: Vec<Sum>,
    arms: Vec<Sum>,
    found: Option<i64>,
}

/// Sums over decisions of a bin or an arm.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Sum {
    decisions: u64,
    /// Σ 1/p.
    weight: f64,
    /// Σ 1/p².
    square: f64,
}

impl Sum {
    fn add(&mut self, d: &Dealt) {
        self.decisions += d.decisions;
        // Squares of tiny propensities must stay finite: that they leave hardly any evidence shows long before.
        let inverse = d.propensity.max(1e-100).recip();
        self.weight += real(d.decisions) * inverse;
        self.square += real(d.decisions) * inverse * inverse;
    }
}

/// What the check says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationFinding {
    /// Natural logarithm of the largest evidence so far; the alarm is at ln 100.
    pub evidence: f64,
    /// Whether propensities are to be believed.
    pub ok: bool,
    /// The hour that raised the alarm.
    pub found: Option<i64>,
    /// The bin that deviates most plausibly, and whether it is dealt more often than it says.
    pub suspect: Option<(usize, bool)>,
    /// Decisions by logged propensity.
    pub bins: Vec<PropensityBin>,
    /// Per arm, the effective sample size (Σ 1/p)² / Σ 1/p² of its decisions (Kish 1965): how many decisions at one
    /// propensity say as much about the arm; none before there are any.
    pub effective: Vec<Option<f64>>,
}

/// Decisions with a propensity in (from, to].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PropensityBin {
    /// Excluded lower end.
    pub from: f64,
    /// Included upper end.
    pub to: f64,
    /// How many.
    pub decisions: u64,
    /// Σ 1/p over them.
    pub weight: f64,
}

impl Calibration {
    /// A check that has seen nothing.
    #[must_use]
    pub fn new(arms: usize) -> Self {
        Self {
            wealth: Wealth::new(ENDS.len(), &BETS),
            shares: Shares::new(arms),
            bins: vec![Sum::default(); ENDS.len()],
            arms: vec![Sum::default(); arms],
            found: None,
        }
    }

    /// Makes room for arms that the definition has gained.
    pub fn grow(&mut self, arms: usize) {
        self.shares.grow(arms);
        self.arms.resize(arms.max(self.arms.len()), Sum::default());
    }

    /// Takes in whole hours, each once and after those before it. Impossible propensities are left out: the sample-ratio
    /// check counts them.
    pub fn observe(&mut self, dealt: &[Dealt]) {
        let (sound, _) = in_order(dealt, self.arms.len());
        for hour in sound.chunk_by(|a, b| a.hour == b.hour) {
            self.wealth.observe(hour, &self.shares.expected(), &BETS, by_share);
            self.shares.observe(hour);
            for d in hour {
                self.bins[bin(d.propensity)].add(d);
                self.arms[d.arm].add(d);
            }
            if self.found.is_none() && self.wealth.peak() >= -LEVEL.ln() {
                self.found = Some(hour[0].hour);
            }
        }
    }

    /// What it says now.
    #[must_use]
    pub fn finding(&self) -> CalibrationFinding {
        let (set, bet) = self.wealth.best(BETS.len());
        let bins = self.bins.iter().enumerate().map(|(i, sum)| PropensityBin {
            from: if i == 0 { 0.0 } else { ENDS[i - 1] },
            to: ENDS[i],
            decisions: sum.decisions,
            weight: sum.weight,
        });
        CalibrationFinding {
            evidence: self.wealth.peak(),
            ok: self.found.is_none(),
            found: self.found,
            suspect: self.found.map(|_| (set, BETS[bet].more)),
            bins: bins.collect(),
            effective: self.arms.iter().map(|a| (a.square > 0.0).then(|| a.weight / a.square * a.weight)).collect(),
        }
    }
}

fn bin(share: f64) -> usize {
    ENDS.partition_point(|&end| end < share).min(ENDS.len() - 1)
}

fn by_share(shares: &[f64]) -> Sets {
    let of_arm: Vec<usize> = shares.iter().map(|&s| bin(s)).collect();
    let mut masses = vec![0.0; ENDS.len()];
    for (&bin, share) in of_arm.iter().zip(shares) {
        masses[bin] += share;
    }
    Sets { masses, of_arm }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Runs of 100 hours × 300 decisions dealt by `truth` of the logged share; the share of runs that alarm.
    fn alarms(runs: u64, truth: impl Fn(f64) -> f64) -> f64 {
        let mut found = 0_u32;
        for seed in 0..runs {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut check = Calibration::new(3);
            for hour in 0..100 {
                let raw: [f64; 3] = std::array::from_fn(|_| 0.01 + rng.random::<f64>().powi(4));
                let logged = raw.map(|x| x / raw.iter().sum::<f64>());
                let real = logged.map(&truth);
                let mut decisions = [0_u64; 3];
                for _ in 0..300 {
                    let u = rng.random::<f64>() * real.iter().sum::<f64>();
                    decisions[usize::from(u > real[0]) + usize::from(u > real[0] + real[1])] += 1;
                }
                let row = |arm: usize| Dealt {
                    hour,
                    arm,
                    propensity: logged[arm],
                    decisions: decisions[arm],
                    weights: Some(logged.into()),
                };
                check.observe(&[row(0), row(1), row(2)]);
            }
            found += u32::from(!check.finding().ok);
        }
        f64::from(found) / f64::from(u32::try_from(runs).unwrap())
    }

    #[test]
    fn overconfident_propensities_are_found_and_true_ones_are_not() {
        let still = alarms(500, |p| p);
        println!("calibrated: {still} alarmed");
        assert!(still <= 0.01 + 3.0 * (0.0099_f64 / 500.0).sqrt());
        // Dealt closer to uniform than it is logged, as by a policy that rounds its probabilities.
        let tempered = alarms(100, |p| p.powf(0.9));
        println!("dealt by p^0.9: {tempered} alarmed");
        assert!(tempered >= 0.95);
    }

    #[test]
    fn effective_sizes_are_kishs() {
        let mut check = Calibration::new(2);
        let row = |arm, propensity, decisions| Dealt { hour: 0, arm, propensity, decisions, weights: None };
        check.observe(&[row(0, 0.5, 100), row(1, 0.5, 10), row(1, 0.1, 10), row(1, f64::NAN, 3)]);
        let finding = check.finding();
        assert!((finding.effective[0].unwrap() - 100.0).abs() < 1e-9);
        assert!((finding.effective[1].unwrap() - 120.0_f64.powi(2) / 1040.0).abs() < 1e-9);
        assert_eq!(finding.bins.iter().map(|b| b.decisions).sum::<u64>(), 120);
        check.observe(&[row(0, 1e-300, 2)]);
        assert!(check.finding().effective.iter().flatten().all(|e| e.is_finite()));
    }
}
