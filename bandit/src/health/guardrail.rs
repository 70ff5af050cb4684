//! Guardrails: whether the rate of an unwanted event is above its limit.

use crate::beta::{Beta, Interval};
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

/// Probability that a guardrail whose limit holds for every arm is ever called breached.
const LEVEL: f64 = 0.01;
/// Posterior probability of a rate above the limit from which an arm is at risk.
const RISK: f64 = 0.9;

/// How an arm stands to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing speaks for a rate above the limit.
    Fine,
    /// Probably above, but one who looks often sees this without cause.
    AtRisk,
    /// Above, at a level that holds at every look.
    Breached,
}

/// One arm under one guardrail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardrailFinding {
    /// Index of the arm.
    pub arm: usize,
    /// Trials of the arm.
    pub trials: u64,
    /// Those with the event.
    pub events: u64,
    /// `events / trials`; none without trials.
    pub rate: Option<f64>,
    /// P(rate > limit) under a uniform prior.
    pub p_above: f64,
    /// Natural logarithm of the evidence against the limit.
    pub evidence: f64,
    /// What follows.
    pub standing: Standing,
}

impl GuardrailFinding {
    /// 95 % credible interval of the rate under a uniform prior, equal-tailed.
    #[must_use]
    pub fn interval(&self) -> Interval {
        let (n, x) = (real(self.trials), real(self.events.min(self.trials)));
        Beta { alpha: 1.0 + x, beta: 1.0 + n - x }.interval(crate::INTERVAL_LEVEL)
    }
}

/// Judges each arm's (trials, events) against `limit`.
///
/// The evidence is ∫_{p > limit} L(p) dp / (1 − limit) over max_{p ≤ limit} L(p): below a martingale that starts at 1
/// whenever the rate is within its limit (universal inference, Wasserman, Ramdas & Balakrishnan 2020), so that over all
/// arms and looks it exceeds arms/0.01 with probability at most 0.01. Events that are still to come only delay it.
#[must_use]
pub fn guardrail(arms: &[(u64, u64)], limit: f64) -> Vec<GuardrailFinding> {
    let threshold = (real(arms.len() as u64).max(1.0) / LEVEL).ln();
    let judge = |(arm, &(trials, events)): (usize, &(u64, u64))| {
        let events = events.min(trials);
        let (n, x) = (real(trials), real(events));
        let posterior = Beta { alpha: 1.0 + x, beta: 1.0 + n - x };
        let p_above = if limit >= 1.0 {
            0.0
        } else if limit <= 0.0 {
            1.0
        } else {
            posterior.survival(limit)
        };
        let evidence = evidence(n, x, limit, p_above);
        let standing = if evidence >= threshold {
            Standing::Breached
        } else if p_above >= RISK && events > 0 {
            Standing::AtRisk
        } else {
            Standing::Fine
        };
        GuardrailFinding { arm, trials, events, rate: (trials > 0).then(|| x / n), p_above, evidence, standing }
    };
    arms.iter().enumerate().map(judge).collect()
}

/// More would say no more, and infinity is no JSON.
const MOST: f64 = 1e9;

fn evidence(n: f64, x: f64, limit: f64, p_above: f64) -> f64 {
    if limit >= 1.0 || p_above <= 0.0 {
        return 0.0;
    }
    let mixture = ln_gamma(x + 1.0) + ln_gamma(n - x + 1.0) - ln_gamma(n + 2.0) + p_above.ln() - (-limit).ln_1p();
    let p = if n > 0.0 { limit.min(x / n) } else { limit };
    let likelihood = times_ln(x, p) + times_ln(n - x, 1.0 - p);
    (mixture - likelihood).clamp(-MOST, MOST)
}

fn times_ln(n: f64, p: f64) -> f64 {
    if n > 0.0 { n * p.ln() } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn real(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Binomial, Distribution};

    /// Looks after every ten trials for 3,000 trials: the trials at the first breach.
    fn first_breach(seed: u64, rate: f64, limit: f64) -> Option<u64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut counts = [(0, 0); 1];
        (0..300).find_map(|_| {
            counts[0].0 += 10;
            counts[0].1 += Binomial::new(10, rate).unwrap().sample(&mut rng);
            (guardrail(&counts, limit)[0].standing == Standing::Breached).then_some(counts[0].0)
        })
    }

    #[test]
    fn a_limit_that_holds_is_hardly_ever_called_breached_and_a_broken_one_is() {
        let runs = 1000;
        let false_alarms = (0..runs).filter(|&s| first_breach(s, 0.05, 0.05).is_some()).count();
        println!("rate at the limit: {false_alarms} of {runs} called breached");
        assert!(false_alarms <= 20);
        let mut found: Vec<u64> = (0..100).map(|s| first_breach(s, 0.1, 0.05).unwrap_or(u64::MAX)).collect();
        found.sort_unstable();
        println!("rate twice the limit: found after {} trials in the median, {} in 95 %", found[50], found[95]);
        assert!(found[50] <= 400 && found[95] <= 1200);
    }

    #[test]
    fn hostile_limits_and_counts_have_answers() {
        for limit in [0.0, 1e-12, 0.5, 1.0] {
            for counts in [(0, 0), (1, 0), (1, 1), (5, 9), (1_000_000_000, 0), (1_000_000_000, 1_000_000_000)] {
                let found = &guardrail(&[counts, (0, 0)], limit)[0];
                assert!(found.evidence.is_finite() && (0.0..=1.0).contains(&found.p_above), "{found:?}");
                assert!(counts.1 > 0 || found.standing == Standing::Fine, "{found:?}");
                assert!(limit < 1.0 || found.standing == Standing::Fine, "{found:?}");
            }
        }
        assert_eq!(guardrail(&[(10, 1)], 0.0)[0].standing, Standing::Breached, "never means never");
    }
}
