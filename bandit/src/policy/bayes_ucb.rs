//! Bayes-UCB (Kaufmann, Cappé & Garivier 2012, "On Bayesian upper confidence bounds for bandit problems", algorithm 1).
//!
//! The arm with the highest posterior quantile of order 1 − 1/(t (ln T)^c). A service has no horizon T, and the paper's
//! own experiments have c = 0; so has this.

use crate::beta::Beta;
use crate::shape::Shape;

/// Least tail that is resolved.
const LEAST: f64 = 1e-14;

/// Each arm's quantile of order 1 − 1/t, as log-odds, that rates near 1 do not tie. t = 2 + `evidence`, the trials that
/// the posteriors hold: the first arm is chosen by medians. Under discounting and windows t is what still counts.
pub(super) fn indices(live: &[Beta], evidence: f64) -> Vec<f64> {
    let tail = (2.0 + evidence).recip().max(LEAST);
    live.iter().map(|&b| Shape::new(b).upper_point(tail)).collect()
}
