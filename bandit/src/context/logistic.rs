//! Bayesian logistic regression of one arm by Laplace's approximation (Bishop 2006, "Pattern Recognition and Machine
//! Learning", §4.5; Chapelle & Li 2011, "An empirical evaluation of Thompson sampling", algorithm 3).
//!
//! The posterior of the coefficients β is taken as N(m, H⁻¹) with m its mode and H = Λ + Σ n σ(xᵀm) σ(−xᵀm) x xᵀ the
//! negative second derivative of its logarithm there, Λ the prior's precision. The log posterior is strictly concave, as
//! the prior is proper: the mode exists and is unique, separated data or none included.

use super::cells::Count;
use super::cholesky::Lower;
use super::features::Row;
use super::hierarchy::{Fit, Prior};
use crate::beta::sigmoid;

/// Steps of Newton's method; from anywhere, halved steps need a few dozen at most.
const MOST_STEPS: usize = 100;
/// Half the squared Newton decrement, in nats of log posterior, at which the mode is reached.
const REACHED: f64 = 1e-14;
/// Halvings of one step.
const MOST_HALVINGS: usize = 50;

/// xᵀβ.
pub(crate) fn dot(row: &Row, beta: &[f64]) -> f64 {
    row.iter().map(|&(j, x)| x * beta[j as usize]).sum()
}

/// ln(1 + e^t).
fn softplus(t: f64) -> f64 {
    t.max(0.0) + (-t.abs()).exp().ln_1p()
}

/// Log posterior but for a constant.
fn log_posterior(rows: &[Row], counts: &[Count], prior: &Prior, beta: &[f64]) -> f64 {
    let likelihood: f64 = counts
        .iter()
        .map(|c| {
            let t = dot(&rows[c.row], beta);
            -(c.trials - c.rewards) * softplus(t) - c.rewards * softplus(-t)
        })
        .sum();
    let squares: f64 = (0..beta.len()).map(|j| prior.precision[j] * (beta[j] - prior.mean[j]).powi(2)).sum();
    likelihood - squares / 2.0
}

/// The mode from `start` by Newton's method with step halving, and the Cholesky factor of H there. Finite whatever
/// the counts.
pub(crate) fn fit(rows: &[Row], counts: &[Count], prior: &Prior, start: &[f64]) -> Fit {
    let mut beta = start.to_vec();
    let mut value = log_posterior(rows, counts, prior, &beta);
    for step in 0.. {
        let mut hessian = Lower::zeros(beta.len());
        let mut gradient: Vec<f64> = (0..beta.len()).map(|j| prior.precision[j] * (prior.mean[j] - beta[j])).collect();
        for c in counts {
            let row = &rows[c.row];
            let t = dot(row, &beta);
            // r − n p, without the cancellation of 1 − p.
            let excess = c.rewards * sigmoid(-t) - (c.trials - c.rewards) * sigmoid(t);
            hessian.add_outer(c.trials * sigmoid(t) * sigmoid(-t), row);
            for &(j, x) in row {
                gradient[j as usize] += x * excess;
            }
        }
        let factor = hessian.scaled_plus_diagonal(1.0, &prior.precision).cholesky();
        let delta = factor.solve(&gradient);
        let decrement: f64 = delta.iter().zip(&gradient).map(|(d, g)| d * g).sum();
        let reached = decrement.is_nan() || decrement / 2.0 <= REACHED || step == MOST_STEPS;
        // Armijo's rule; where rounding lets no step rise any more, the mode is reached too.
        let next = (0..MOST_HALVINGS).filter(|_| !reached).find_map(|k| {
            let t = 0.5f64.powi(i32::try_from(k).unwrap_or(i32::MAX));
            let to: Vec<f64> = beta.iter().zip(&delta).map(|(b, d)| b + t * d).collect();
            let there = log_posterior(rows, counts, prior, &to);
            (there > value + 1e-4 * t * decrement).then_some((to, there))
        });
        match next {
            Some(to) => (beta, value) = to,
            None => return Fit { mean: beta, factor },
        }
    }
    unreachable!("the last step returns")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    fn count(row: usize, trials: f64, rewards: f64) -> Count {
        Count { row, trials, rewards }
    }

    /// Rows of an intercept, a standardised number and a category, with counts.
    fn example() -> (Vec<Row>, Vec<Count>, Prior) {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let rows: Vec<Row> = (0..20)
            .map(|i| {
                let mut row = vec![(0, 1.0), (1, rng.random_range(-2.0..2.0))];
                if i % 3 == 0 {
                    row.push((2, 1.0));
                }
                row
            })
            .collect();
        let counts = (0..20)
            .map(|i| {
                let trials = f64::from(rng.random_range(1..200u32)) / 3.0;
                count(i, trials, trials * rng.random_range(0.0..0.3))
            })
            .collect();
        (rows, counts, Prior { mean: vec![-2.0, 0.1, 0.0], precision: vec![0.5, 3.0, 4.0] })
    }

    #[test]
    fn mode_and_covariance_agree_with_finite_differences() {
        let (rows, counts, prior) = example();
        let fitted = fit(&rows, &counts, &prior, &[0.0; 3]);
        let f = |b: &[f64]| log_posterior(&rows, &counts, &prior, b);
        let at = |moves: &[(usize, f64)]| {
            let mut b = fitted.mean.clone();
            for (j, by) in moves {
                b[*j] += by;
            }
            f(&b)
        };
        let h = 1e-3;
        let precision: Vec<Vec<f64>> = (0..3)
            .map(|i| {
                let slope = (at(&[(i, 1e-4)]) - at(&[(i, -1e-4)])) / 2e-4;
                assert!(slope.abs() < 1e-4, "the slope along {i} is {slope}");
                let second = |j| {
                    -(at(&[(i, h), (j, h)]) - at(&[(i, h), (j, -h)]) - at(&[(i, -h), (j, h)]) + at(&[(i, -h), (j, -h)]))
                        / (4.0 * h * h)
                };
                (0..3).map(second).collect()
            })
            .collect();
        // H⁻¹ H = 1.
        for i in 0..3 {
            let column: Vec<f64> = precision.iter().map(|row| row[i]).collect();
            for (j, v) in fitted.factor.solve(&column).into_iter().enumerate() {
                assert!((v - f64::from(u8::from(i == j))).abs() < 1e-4, "{i} {j}: {v}");
            }
        }
    }

    /// An intercept alone: the approximation beside the posterior itself, integrated numerically.
    #[test]
    fn one_dimension_agrees_with_integration() {
        let prior = Prior { mean: vec![-2.0], precision: vec![1.0] };
        let (rows, counts) = (vec![vec![(0, 1.0)]], vec![count(0, 4_000.0, 230.0)]);
        let fitted = fit(&rows, &counts, &prior, &[3.0]);
        let peak = log_posterior(&rows, &counts, &prior, &fitted.mean);
        let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
        for k in -20_000..=20_000 {
            let by = f64::from(k) * 5e-5;
            let w = (log_posterior(&rows, &counts, &prior, &[fitted.mean[0] + by]) - peak).exp();
            (mass, first, second) = (mass + w, first + w * by, second + w * by * by);
        }
        let (mean, variance) = (first / mass, second / mass - (first / mass).powi(2));
        // Skewness moves the mean by half a deviation over √rewards; the variance is off by one part in as many.
        assert!(mean.abs() < 0.5 * variance.sqrt() / 230f64.sqrt() * 1.5, "{mean}");
        assert!((fitted.variances()[0] / variance - 1.0).abs() < 1.5 / 230.0, "{} {variance}", fitted.variances()[0]);
    }

    #[test]
    fn hostile_counts_have_finite_modes() {
        let prior = Prior { mean: vec![-3.0, 0.0], precision: vec![0.2, 4.0] };
        let rows: Vec<Row> = vec![vec![(0, 1.0), (1, -10.0)], vec![(0, 1.0), (1, 10.0)], vec![(0, 1.0)]];
        let cases: [&[Count]; 7] = [
            &[],
            &[count(0, 1e9, 0.0), count(1, 1e9, 1e9)],
            &[count(2, 1e9, 0.0)],
            &[count(2, 1e9, 1e9)],
            &[count(0, 1e15, 5e14), count(1, 1e-300, 0.0)],
            &[count(0, 1e-12, 1e-12), count(1, 1e18, 1.0)],
            &[count(0, 1e300, 1e299), count(1, 1e300, 0.0)],
        ];
        for counts in cases {
            for start in [[0.0, 0.0], [40.0, -9.0]] {
                let fitted = fit(&rows, counts, &prior, &start);
                let sound = fitted.mean.iter().chain(&fitted.variances()).all(|v| v.is_finite());
                assert!(sound && fitted.variances().iter().all(|v| *v > 0.0), "{counts:?}: {fitted:?}");
                // Separated data stay where the prior lets them.
                assert!(fitted.mean.iter().all(|m| m.abs() < 60.0), "{counts:?}: {:?}", fitted.mean);
            }
        }
        // Nothing seen: the prior itself.
        let fitted = fit(&rows, &[], &prior, &[7.0, 7.0]);
        assert!((fitted.mean[0] + 3.0).abs() < 1e-9 && (fitted.variances()[1] - 0.25).abs() < 1e-12);
    }
}
