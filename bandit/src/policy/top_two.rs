//! Top-two Thompson sampling (Russo 2016, "Simple Bayesian algorithms for best-arm identification", §3.3).
//!
//! A leader is drawn by Thompson sampling; it is dealt with probability β, else the challenger: the first other arm to
//! win when the draw is repeated. With πᵢ = P(arm i is best) arm i is dealt with probability
//! ψᵢ = πᵢ (β + (1 − β) Σ_{j≠i} πⱼ / (1 − πⱼ)).
//! Arms are drawn from ψ itself: repeating the draw would take 1/(1 − πⱼ) turns.

use crate::beta::Beta;
use crate::compare::{p_best, small_p_best};

/// Above this probability of a leader its challengers' are resolved relative to their size, not absolutely.
const CLEAR: f64 = 0.9;
/// Below this sum the challengers' probabilities are not resolved.
const NIL: f64 = 1e-200;

/// ψ for `live` arms. Where a leader is so certain that nothing is resolved of the others, its challenger is drawn by
/// who is best among these.
pub(super) fn shares(live: &[Beta], leader_share: f64) -> Vec<f64> {
    let k = live.len();
    if k < 2 {
        return vec![1.0; k];
    }
    let mut best = p_best(live);
    if best.iter().any(|p| *p > CLEAR) {
        best = small_p_best(live);
    }
    let mut shares: Vec<f64> = best.iter().map(|p| leader_share * p).collect();
    for j in 0..k {
        // Not 1 − πⱼ, which cancels.
        let others: f64 = best.iter().enumerate().filter(|(i, _)| *i != j).map(|(_, p)| p).sum();
        let challenge = (1.0 - leader_share) * best[j];
        if others > NIL {
            (0..k).filter(|&i| i != j).for_each(|i| shares[i] += challenge * (best[i] / others));
        } else {
            let rest: Vec<usize> = (0..k).filter(|&i| i != j).collect();
            let among = p_best(&rest.iter().map(|&i| live[i]).collect::<Vec<_>>());
            rest.iter().zip(among).for_each(|(&i, p)| shares[i] += challenge * p);
        }
    }
    let total: f64 = shares.iter().sum();
    shares.iter().map(|s| s / total).collect()
}
