//! Sample ratio: whether arms are logged as often as their propensities say. A log that loses one arm's records more
//! than another's biases everything learnt from it.

use super::bets::{Bet, Dealt, Sets, Shares, Wealth, in_order, real};
use serde::{Deserialize, Serialize};

/// Natural logarithm of the evidence at which the alarm is raised: ln 100, which a sound log reaches with probability 0.01
/// at most.
pub const SAMPLE_RATIO_ALARM: f64 = 4.605_170_185_988_092;

/// What is bet on each arm. Most of the stake is on the loss that is hardest to find: of the two percent that a bet of
/// 0.02 finds as fast as can be; larger deviations are found soon by any bet.
const BETS: [Bet; 6] = [
    Bet { more: false, size: 0.02, stake: 0.66 },
    Bet { more: false, size: 0.1, stake: 0.08 },
    Bet { more: false, size: 0.5, stake: 0.06 },
    Bet { more: true, size: 0.02, stake: 0.1 },
    Bet { more: true, size: 0.1, stake: 0.06 },
    Bet { more: true, size: 0.5, stake: 0.04 },
];

/// A running check of one experiment, hour by hour; what it keeps does not grow.
///
/// A sound log raises the alarm with probability at most 0.01, however long and often one looks and however the
/// propensities change: see the martingale of `bets`. A loss of two percent of an arm with share s gains about
/// 0.0002 s(1 − s) nats a decision, and ln 100 = 4.6 are needed beside what the choice among the bets costs, about
/// ln(arms) + 0.7: so no test at this level finds it for sure within 200,000 decisions unless s is around one half.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRatio {
    wealth: Wealth,
    shares: Shares,
    /// Per arm: decisions, and the sum of 1/propensity over them.
    arms: Vec<(u64, f64)>,
    /// Decisions with an impossible propensity or arm.
    impossible: u64,
    /// The hour that raised the alarm.
    found: Option<i64>,
}

/// What the check says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRatioFinding {
    /// Natural logarithm of the largest evidence so far; the alarm is at ln 100.
    pub evidence: f64,
    /// Whether the log is to be believed.
    pub ok: bool,
    /// The hour that raised the alarm.
    pub found: Option<i64>,
    /// The arm whose records deviate most plausibly, and whether there are too many.
    pub suspect: Option<(usize, bool)>,
    /// Per arm: decisions logged / decisions that propensities make expected; none before there are any.
    pub ratios: Vec<Option<f64>>,
    /// Decisions whose logged propensity is no probability above 0, or whose arm does not exist.
    pub impossible: u64,
    /// Decisions looked at.
    pub decisions: u64,
}

impl SampleRatio {
    /// A check that has seen nothing.
    #[must_use]
    pub fn new(arms: usize) -> Self {
        Self {
            wealth: Wealth::new(arms, &BETS),
            shares: Shares::new(arms),
            arms: vec![(0, 0.0); arms],
            impossible: 0,
            found: None,
        }
    }

    /// Makes room for arms that the definition has gained.
    pub fn grow(&mut self, arms: usize) {
        self.wealth.grow(arms, &BETS);
        self.shares.grow(arms);
        self.arms.resize(arms.max(self.arms.len()), (0, 0.0));
    }

    /// Takes in whole hours, each once and after those before it.
    pub fn observe(&mut self, dealt: &[Dealt]) {
        let (sound, impossible) = in_order(dealt, self.arms.len());
        self.impossible += impossible;
        for hour in sound.chunk_by(|a, b| a.hour == b.hour) {
            let one_each = |s: &[f64]| Sets { masses: s.to_vec(), of_arm: (0..s.len()).collect() };
            self.wealth.observe(hour, &self.shares.expected(), &BETS, one_each);
            self.shares.observe(hour);
            for d in hour {
                let (decisions, inverse) = &mut self.arms[d.arm];
                *decisions += d.decisions;
                // Finite, whatever was logged.
                *inverse += real(d.decisions) / d.propensity.max(1e-200);
            }
            if self.found.is_none() && self.wealth.peak() >= SAMPLE_RATIO_ALARM {
                self.found = Some(hour[0].hour);
            }
        }
    }

    /// What it says now.
    #[must_use]
    pub fn finding(&self) -> SampleRatioFinding {
        let decisions: u64 = self.arms.iter().map(|a| a.0).sum();
        let (arm, bet) = self.wealth.best(BETS.len());
        SampleRatioFinding {
            evidence: self.wealth.peak(),
            ok: self.found.is_none() && self.impossible == 0,
            found: self.found,
            suspect: self.found.map(|_| (arm, BETS[bet].more)),
            // E[Σ 1/p] over an arm's decisions is the number of all decisions.
            ratios: self.arms.iter().map(|a| (decisions > 0).then(|| a.1 / real(decisions))).collect(),
            impossible: self.impossible,
            decisions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Binomial, Distribution};
    use std::sync::Arc;

    fn runs(default: u32) -> u32 {
        std::env::var("RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
    }

    /// One hour's decisions by `shares`; of arm 0's, the share `lost` never arrives.
    fn hour(hour: i64, decisions: u64, shares: &[f64], known: bool, lost: f64, rng: &mut ChaCha8Rng) -> Vec<Dealt> {
        let weights: Option<Arc<[f64]>> = known.then(|| shares.into());
        let (mut left, mut mass, mut out) = (decisions, 1.0, Vec::new());
        for (arm, &propensity) in shares.iter().enumerate() {
            let dealt = Binomial::new(left, (propensity / mass).min(1.0)).unwrap().sample(rng);
            left -= dealt;
            mass = (mass - propensity).max(1e-12);
            let gone = if arm == 0 { Binomial::new(dealt, lost).unwrap().sample(rng) } else { 0 };
            if dealt > gone {
                out.push(Dealt { hour, arm, propensity, decisions: dealt - gone, weights: weights.clone() });
            }
        }
        out
    }

    fn simplex(arms: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let raw: Vec<f64> = (0..arms).map(|_| 0.02 + rng.random::<f64>().powi(3)).collect();
        raw.iter().map(|x| x / raw.iter().sum::<f64>()).collect()
    }

    /// Share of runs with an alarm among `runs`; weights change each hour if `moving`.
    fn alarms(runs: u32, shares: &[f64], moving: bool, known: bool, lost: f64) -> f64 {
        let one = |seed: u32| {
            let mut rng = ChaCha8Rng::seed_from_u64(u64::from(seed));
            let mut check = SampleRatio::new(shares.len());
            for h in 0..200 {
                let now = if moving { simplex(shares.len(), &mut rng) } else { shares.to_vec() };
                check.observe(&hour(h, 1000, &now, known, lost, &mut rng));
                if check.finding().found.is_some() {
                    return 1_u32;
                }
            }
            0
        };
        f64::from((0..runs).map(one).sum::<u32>()) / f64::from(runs)
    }

    #[test]
    fn a_sound_log_with_hourly_weights_raises_at_most_one_alarm_in_a_hundred() {
        for arms in [2, 4, 10] {
            let n = runs(300);
            for known in [false, true] {
                let share = alarms(n, &vec![0.0; arms], true, known, 0.0);
                println!("{arms} arms, weights changed each hour, known {known}: {share} of {n} runs alarmed");
                // Three standard errors of a true 1 %.
                assert!(share <= 0.01 + 3.0 * (0.0099 / f64::from(n)).sqrt(), "{share}");
            }
        }
    }

    #[test]
    fn two_percent_lost_are_found_within_200_000_decisions() {
        let n = runs(60);
        let cases: [(&[f64], f64); 8] = [
            (&[0.5, 0.5], 0.8),
            (&[0.4, 0.6], 0.8),
            (&[0.6, 0.2, 0.2], 0.75),
            (&[0.34, 0.33, 0.33], 0.55),
            (&[0.5, 0.2, 0.2, 0.1], 0.7),
            (&[0.25; 4], 0.4),
            (&[0.5, 0.1, 0.1, 0.1, 0.1, 0.1], 0.7),
            (&[0.1, 0.9], 0.1),
        ];
        for (shares, least) in cases {
            for known in [false, true] {
                let power = alarms(n, shares, false, known, 0.02);
                println!("2 % of arm 0 lost, shares {shares:?}, known {known}: found in {power}");
                assert!(power >= least, "{shares:?}: {power}");
            }
        }
        for arms in [2, 3] {
            let power = alarms(n, &vec![0.0; arms], true, true, 0.02);
            println!("2 % of arm 0 of {arms} lost, known weights that change each hour: found in {power}");
        }
        let power = alarms(n.min(100), &[0.1; 10], false, false, 0.2);
        println!("20 % of one of ten arms lost: found in {power}");
        assert!(power >= 0.99);
    }

    #[test]
    fn a_log_that_breaks_late_is_found_soon() {
        let (n, mut hours) = (runs(100), Vec::new());
        for seed in 0..n {
            let mut rng = ChaCha8Rng::seed_from_u64(u64::from(seed));
            let mut check = SampleRatio::new(2);
            for h in 0..2000 {
                check.observe(&hour(h, 1000, &[0.5, 0.5], true, 0.0, &mut rng));
            }
            if !check.finding().ok {
                continue;
            }
            let broken = (2000..2400).find(|&h| {
                check.observe(&hour(h, 1000, &[0.5, 0.5], true, 0.1, &mut rng));
                !check.finding().ok
            });
            hours.push(broken.unwrap() - 1999);
        }
        let alarms = f64::from(n) - f64::from(u32::try_from(hours.len()).unwrap());
        println!("2,000 sound hours: {alarms} of {n} runs alarmed");
        assert!(alarms <= f64::from(n) * 0.01 + 3.0 * (f64::from(n) * 0.0099).sqrt());
        hours.sort_unstable();
        println!(
            "10 % lost after 2,000 sound hours: found after {} hours in the median, {} at worst",
            hours[10], hours[19]
        );
        assert!(hours[19] <= 40, "{hours:?}");
    }

    #[test]
    fn impossible_propensities_are_counted_and_change_nothing_else() {
        let mut check = SampleRatio::new(2);
        let good = Dealt { hour: 1, arm: 0, propensity: f64::from_bits(1), decisions: 1, weights: None };
        for propensity in [0.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
            check.observe(&[Dealt { propensity, ..good.clone() }]);
        }
        check.observe(&[Dealt { arm: 2, propensity: 0.5, ..good.clone() }]);
        assert_eq!((check.finding().impossible, check.finding().decisions, check.finding().ok), (6, 0, false));
        check.observe(std::slice::from_ref(&good));
        let finding = check.finding();
        assert!(finding.evidence > 100.0 && finding.evidence.is_finite(), "{finding:?}");
        let bytes = serde_json::to_string(&check).unwrap();
        assert_eq!(serde_json::from_str::<SampleRatio>(&bytes).unwrap(), check);
    }

    #[test]
    fn an_added_arm_moves_no_evidence() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut check = SampleRatio::new(2);
        for h in 0..50 {
            check.observe(&hour(h, 1000, &[0.5, 0.5], false, 0.05, &mut rng));
        }
        let before = check.finding();
        check.grow(3);
        check.observe(&[]);
        assert_eq!(check.finding().evidence, before.evidence);
        assert_eq!(check.finding().suspect, before.suspect);
    }
}
