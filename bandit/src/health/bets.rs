//! Test martingales from logged propensities alone.
//!
//! Where arm a is dealt with probability p_a, the chances λ_a ≥ 0 with Λ = Σ λ_a < 1 make
//! 1 + λ_A / p_A − Λ a nonnegative factor of mean 1, whatever the arms' probabilities are and however they change, and it
//! needs the propensity of the dealt arm only. Products of such factors, with λ chosen before the hour, and mixtures of
//! them are test martingales: one that starts at 1 ever reaches 1/α with probability at most α (Ville 1939; Waudby-Smith
//! & Ramdas 2024, Estimating means of bounded random variables by betting; Lindon & Malek 2022, Anytime-valid inference
//! for multinomial count data, whose test this is where probabilities are constant).
//!
//! With s_a the arm's expected share, λ_a = ε s_a for the arms of a set bets that the set is dealt more often than it
//! says; for the arms outside, that it is dealt less often: with all propensities equal to the shares, such a bet is the
//! likelihood ratio of a loss of the share ε of the set's log.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::sync::Arc;

/// Decisions of one hour that agree in arm and propensity. Only policy and holdout deal: other sources do not belong here.
#[derive(Debug, Clone, PartialEq)]
pub struct Dealt {
    /// Hour of decision, counted from 1970-01-01T00:00Z.
    pub hour: i64,
    /// Index of the arm in the definition.
    pub arm: usize,
    /// The logged probability of that arm.
    pub propensity: f64,
    /// How many.
    pub decisions: u64,
    /// The probabilities of all arms as they were published, where they are known: bets are then as good as can be.
    pub weights: Option<Arc<[f64]>>,
}

impl Dealt {
    /// Whether the propensity is a probability that something dealt can have.
    pub(super) fn is_sound(&self, arms: usize) -> bool {
        self.arm < arms && self.propensity > 0.0 && self.propensity <= 1.0 + 1e-9
    }

    /// What share of such decisions each of `arms` arms is expected to get.
    pub(super) fn shares<'a>(&'a self, expected: &'a [f64]) -> &'a [f64] {
        self.weights.as_deref().filter(|w| are_shares(w, expected.len())).unwrap_or(expected)
    }
}

fn are_shares(weights: &[f64], arms: usize) -> bool {
    weights.len() == arms && weights.iter().all(|w| *w >= 0.0) && weights.iter().sum::<f64>() <= 1.0 + 1e-9
}

/// The sound ones in a fixed order, that the same counts give the same bytes; and how many decisions are not sound.
pub(super) fn in_order(dealt: &[Dealt], arms: usize) -> (Vec<&Dealt>, u64) {
    let (mut sound, unsound): (Vec<_>, Vec<_>) = dealt.iter().partition(|d| d.is_sound(arms));
    sound.sort_by(|a, b| {
        let weights = |d: &Dealt| d.weights.clone();
        let by_weights = || weights(a).partial_cmp(&weights(b)).unwrap_or(Ordering::Equal);
        (a.hour, a.arm).cmp(&(b.hour, b.arm)).then(a.propensity.total_cmp(&b.propensity)).then_with(by_weights)
    });
    (sound, unsound.iter().map(|d| d.decisions).sum())
}

/// Sets of arms to bet on: what share of the decisions each is expected to get, and in which one each arm is.
pub(super) struct Sets {
    pub(super) masses: Vec<f64>,
    pub(super) of_arm: Vec<usize>,
}

/// A bet: on more than stated of a set's arms, or on less; of what size; and its part of the stake at the start.
pub(super) struct Bet {
    pub(super) more: bool,
    pub(super) size: f64,
    pub(super) stake: f64,
}

/// Largest factor: it must stay finite, since what is not is no JSON.
const MOST: f64 = 1e200;

/// A mixture of bets, the same ones on each of several sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Wealth {
    /// Logarithm of what each bet of each set has now, its stake included.
    ln: Vec<f64>,
    /// The largest logarithm that the sum ever reached.
    peak: f64,
    /// Hours seen.
    hours: u64,
}

/// Part of the stake that is bet from the start. The rest is bet afresh hour by hour, or a log that was sound for months
/// would have lost nearly all of it by the day on which it breaks.
const AT_ONCE: f64 = 0.75;
/// Scale, in hours, of how the rest is spread.
const SPREAD: f64 = 168.0;

/// What is bet afresh before hour k = 1, 2, …: telescopes to the rest.
fn afresh(k: u64) -> f64 {
    let tail = |k: u64| 1.0 / (std::f64::consts::E + real(k) / SPREAD).ln();
    (1.0 - AT_ONCE) * (tail(k.saturating_sub(1)) - tail(k))
}

impl Wealth {
    pub(super) fn new(sets: usize, bets: &[Bet]) -> Self {
        let ln = (0..sets).flat_map(|_| bets.iter().map(|b| (AT_ONCE * b.stake / count(sets)).ln())).collect();
        Self { ln, peak: 0.0, hours: 0 }
    }

    /// Sets that are added later get their part of what there is now: the sum does not move, so the test stays one.
    pub(super) fn grow(&mut self, sets: usize, bets: &[Bet]) {
        let old = self.ln.len() / bets.len();
        if sets > old {
            let now = self.sum();
            self.ln.iter_mut().for_each(|w| *w += (count(old) / count(sets)).ln());
            for _ in old..sets {
                self.ln.extend(bets.iter().map(|b| now + (b.stake / count(sets)).ln()));
            }
        }
    }

    /// Takes in the decisions of one hour. `expected` are the shares that were expected before it, for decisions that do
    /// not know better.
    pub(super) fn observe(&mut self, hour: &[&Dealt], expected: &[f64], bets: &[Bet], sets: impl Fn(&[f64]) -> Sets) {
        if self.hours > 0 {
            let (fresh, sets) = (afresh(self.hours), count(self.ln.len() / bets.len()));
            for (wealth, bet) in self.ln.iter_mut().zip(bets.iter().cycle()) {
                *wealth = add(*wealth, (fresh * bet.stake / sets).ln());
            }
        }
        self.hours += 1;
        for d in hour {
            let shares = d.shares(expected);
            let Sets { masses, of_arm } = sets(shares);
            let cells = self.ln.chunks_mut(bets.len()).zip(&masses).enumerate();
            for (set, (wealth, mass)) in cells {
                for (wealth, bet) in wealth.iter_mut().zip(bets) {
                    let all = bet.size * if bet.more { *mass } else { (1.0 - mass).max(0.0) };
                    let stake = if (of_arm[d.arm] == set) == bet.more { bet.size * shares[d.arm] } else { 0.0 };
                    *wealth += real(d.decisions) * ((stake / d.propensity).min(MOST) - all).ln_1p();
                }
            }
        }
        self.peak = self.peak.max(self.sum());
    }

    fn sum(&self) -> f64 {
        let most = self.ln.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if most.is_finite() { most + self.ln.iter().map(|w| (w - most).exp()).sum::<f64>().ln() } else { most }
    }

    /// The largest logarithm of the evidence so far.
    pub(super) fn peak(&self) -> f64 {
        self.peak
    }

    /// The set and the bet that have most.
    pub(super) fn best(&self, bets: usize) -> (usize, usize) {
        let best = self.ln.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
        (best / bets, best % bets)
    }
}

/// ln(e^a + e^b).
fn add(a: f64, b: f64) -> f64 {
    a.max(b) + (-(a - b).abs()).exp().ln_1p()
}

/// What share of the decisions each arm is expected to get: its share of the recent ones, known before the hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Shares(Vec<f64>);

/// What an hour leaves of the weight of those before it.
const MEMORY: f64 = 0.5;

impl Shares {
    pub(super) fn new(arms: usize) -> Self {
        Self(vec![0.0; arms])
    }

    pub(super) fn grow(&mut self, arms: usize) {
        self.0.resize(arms.max(self.0.len()), 0.0);
    }

    /// Sums to 1; no arm has nothing.
    pub(super) fn expected(&self) -> Vec<f64> {
        let all: f64 = self.0.iter().sum::<f64>() + 1.0;
        self.0.iter().map(|n| (n + 1.0 / count(self.0.len())) / all).collect()
    }

    pub(super) fn observe(&mut self, hour: &[&Dealt]) {
        self.0.iter_mut().for_each(|n| *n *= MEMORY);
        for d in hour {
            self.0[d.arm] += real(d.decisions);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "arms are few")]
pub(super) fn count(n: usize) -> f64 {
    n as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
pub(super) fn real(n: u64) -> f64 {
    n as f64
}
