//! What the bounds rest on, checked without chance.

use super::*;

/// exp(λ y − g y²) ≤ 1 + λ y from −b on, for every λ and the predictions that it admits.
#[test]
fn each_step_is_dominated() {
    for (process, times) in [
        (Process::fitted(false, 1.0), 1.0),
        (Process::fitted(true, 1.0), 1.0),
        (Process::fitted(true, 37.0), 37.0),
        (Process::steep(1.0), 1.0),
        (Process::steep(37.0), 37.0),
    ] {
        for j in 0..GRID {
            let (lambda, g) = (process.lambda[j], process.penalty[j]);
            // A prediction is at most `most`, and never above 1.
            let b = process.most[j].min(1.0) * times;
            assert!(lambda * b < 1.0);
            let steps = (0..=2_000).map(|i| -b + b * f64::from(i) / 500.0);
            for y in steps.chain([10.0, 1e3, 1e6].map(|far| far / lambda)) {
                let (left, right) = ((lambda * y - g * y * y).exp(), 1.0 + lambda * y);
                assert!(left <= right * (1.0 + 1e-12), "λ {lambda} y {y}: {left} is above {right}");
            }
            // Not dominated from much further below: the bound is used.
            let beyond = -0.999_999 / lambda;
            assert!((lambda * beyond - g * beyond * beyond).exp() > 1.0 + lambda * beyond);
        }
    }
}

struct Tree {
    rates: [f64; 2],
    policy: [f64; 2],
    /// Probability of the first arm, given rewards so far and the last arm.
    deal: fn(u32, usize) -> f64,
    /// Σ over histories of their probability times the mixture at the truth, by side.
    expected: [f64; 2],
}

impl Tree {
    fn grow(&mut self, sequence: &ConfidenceSequence, depth: u32, likely: f64, rewards: u32, last: usize) {
        if depth == 0 {
            let value = self.rates[0] * self.policy[0] + self.rates[1] * self.policy[1];
            for (i, mean) in [value, 1.0 - value].into_iter().enumerate() {
                let sum = mean * f64::from(u32::try_from(sequence.rows()).unwrap());
                self.expected[i] += likely * sequence.sides[i].evidence(sum).exp();
            }
            return;
        }
        let first = (self.deal)(rewards, last);
        for (arm, p) in [first, 1.0 - first].into_iter().enumerate() {
            for (reward, q) in [(0_u32, 1.0 - self.rates[arm]), (1, self.rates[arm])] {
                let mut next = sequence.clone();
                next.push(f64::from(reward), self.policy[arm] / p).unwrap();
                self.grow(&next, depth - 1, likely * p * q, rewards + reward, arm);
            }
        }
    }
}

/// The expectation of the mixture at the true value, summed over every history of six rows of an adaptive log, is at
/// most 1: Ville's inequality does the rest.
#[test]
fn the_mixture_is_a_supermartingale_whatever_deals() {
    let adaptive: fn(u32, usize) -> f64 = |rewards, last| if rewards > 1 { 0.1 } else { 0.3 + 0.6 * [0.0, 1.0][last] };
    for (rates, policy) in
        [([0.5, 0.5], [0.5, 0.5]), ([0.02, 0.3], [0.9, 0.1]), ([0.9, 0.05], [0.2, 0.8]), ([1.0, 0.0], [0.5, 0.5])]
    {
        for bound in [None, Some(10.0)] {
            let mut tree = Tree { rates, policy, deal: adaptive, expected: [0.0; 2] };
            let sequence = ConfidenceSequence::new(0.95, 1.0, bound).unwrap();
            tree.grow(&sequence, 6, 1.0, 0, 0);
            for expected in tree.expected {
                assert!(expected <= 1.0 + 1e-9, "{rates:?} {policy:?} {bound:?}: {expected}");
                assert!(expected > 0.3, "{rates:?} {policy:?} {bound:?}: {expected} gives nearly everything away");
            }
        }
    }
}
