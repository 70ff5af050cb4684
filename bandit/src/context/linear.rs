//! Bayesian linear regression of one arm (Bishop 2006, §3.3; Agrawal & Goyal 2013, "Thompson sampling for contextual
//! bandits with linear payoffs"): with noise variance σ² known, the posterior of the coefficients is exactly
//! N(H⁻¹(Λμ + Xᵀy/σ²), H⁻¹) with H = Λ + XᵀX/σ².
//!
//! σ² is one for all arms and plugged in (see [`super::hierarchy`]): an arm of its own without a reward would be given
//! next to no noise, and would never be tried again.

use super::cells::Count;
use super::cholesky::Lower;
use super::features::Row;
use super::hierarchy::{Fit, Prior};
use super::logistic::dot;

/// All that the regression needs to know of an arm's evidence; those of two parts of it add up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moments {
    /// Σ n.
    pub(crate) trials: f64,
    /// XᵀX.
    pub(crate) gram: Lower,
    /// Xᵀy.
    pub(crate) cross: Vec<f64>,
    /// yᵀy: rewards are 0 or 1.
    pub(crate) squares: f64,
}

impl Moments {
    /// Of `counts`, added in their order.
    pub(crate) fn of(columns: usize, rows: &[Row], counts: &[Count]) -> Self {
        let mut m = Self { trials: 0.0, gram: Lower::zeros(columns), cross: vec![0.0; columns], squares: 0.0 };
        for c in counts {
            m.trials += c.trials;
            m.squares += c.rewards;
            m.gram.add_outer(c.trials, &rows[c.row]);
            for &(j, x) in &rows[c.row] {
                m.cross[j as usize] += x * c.rewards;
            }
        }
        m
    }

    /// The posterior under noise of this variance.
    pub(crate) fn fit(&self, prior: &Prior, noise: f64) -> Fit {
        let factor = self.gram.scaled_plus_diagonal(noise.recip(), &prior.precision).cholesky();
        let right: Vec<f64> =
            (0..self.cross.len()).map(|j| self.cross[j] / noise + prior.precision[j] * prior.mean[j]).collect();
        Fit { mean: factor.solve(&right), factor }
    }
}

/// E‖y − Xβ‖² under the posterior `fit`: the residuals at its mean, and tr(XᵀX H⁻¹) = σ² (d − tr(Λ H⁻¹)).
pub(crate) fn expected_squares(rows: &[Row], counts: &[Count], fit: &Fit, prior: &Prior, noise: f64) -> f64 {
    let residuals: f64 = counts
        .iter()
        .map(|c| {
            let y = dot(&rows[c.row], &fit.mean);
            c.rewards * (1.0 - y).powi(2) + (c.trials - c.rewards) * y * y
        })
        .sum();
    let variances = fit.variances();
    let explained: f64 = variances.iter().zip(&prior.precision).map(|(v, p)| 1.0 - v * p).sum();
    residuals + noise * explained.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows() -> Vec<Row> {
        vec![vec![(0, 1.0), (1, -1.5)], vec![(0, 1.0), (1, 0.5), (2, 1.0)], vec![(0, 1.0), (2, 1.0)], vec![(0, 1.0)]]
    }

    fn counts(list: &[(u32, u32)]) -> Vec<Count> {
        let count =
            |(row, &(n, r)): (usize, &(u32, u32))| Count { row, trials: f64::from(n.max(r)), rewards: f64::from(r) };
        list.iter().enumerate().map(count).collect()
    }

    /// Conditioning on one observation after another, y = xᵀβ + N(0, σ²), by the gain of a Kalman filter, gives the
    /// same posterior without a matrix being factored.
    #[test]
    fn posterior_is_that_of_one_observation_after_another() {
        let (rows, counts) = (rows(), counts(&[(40, 3), (25, 10), (7, 0), (60, 2)]));
        let prior = Prior { mean: vec![0.1, 0.0, -0.05], precision: vec![4.0, 20.0, 10.0] };
        let noise = 0.07;
        let (mut m, mut s) = (prior.mean.clone(), [[0.0; 3]; 3]);
        for (j, row) in s.iter_mut().enumerate() {
            row[j] = prior.precision[j].recip();
        }
        for c in &counts {
            let mut x = [0.0; 3];
            for &(j, v) in &rows[c.row] {
                x[j as usize] = v;
            }
            let mut left = c.trials;
            while left > 0.0 {
                let y = f64::from(u8::from(left <= c.rewards));
                let sx: Vec<f64> = s.iter().map(|row| row.iter().zip(&x).map(|(a, b)| a * b).sum()).collect();
                let variance: f64 = noise + sx.iter().zip(&x).map(|(a, b)| a * b).sum::<f64>();
                let error = y - m.iter().zip(&x).map(|(a, b)| a * b).sum::<f64>();
                for i in 0..3 {
                    m[i] += sx[i] * error / variance;
                    for j in 0..3 {
                        s[i][j] -= sx[i] * sx[j] / variance;
                    }
                }
                left -= 1.0;
            }
        }
        let fitted = Moments::of(3, &rows, &counts).fit(&prior, noise);
        for j in 0..3 {
            assert!((fitted.mean[j] - m[j]).abs() < 1e-10, "{:?} {m:?}", fitted.mean);
            assert!((fitted.variances()[j] - s[j][j]).abs() < 1e-12, "{:?} {s:?}", fitted.variances());
        }
    }

    #[test]
    fn expected_squares_are_those_of_draws() {
        let (rows, counts) = (rows(), counts(&[(40, 3), (25, 10), (7, 0), (60, 2)]));
        let prior = Prior { mean: vec![0.1, 0.0, -0.05], precision: vec![4.0, 20.0, 10.0] };
        let fitted = Moments::of(3, &rows, &counts).fit(&prior, 0.07);
        // E‖y − Xβ‖² = ‖y − Xm‖² + Σ n xᵀ H⁻¹ x.
        let inverse = fitted.factor.inverse();
        let want: f64 = counts
            .iter()
            .map(|c| {
                let y = dot(&rows[c.row], &fitted.mean);
                let residual = c.rewards * (1.0 - y).powi(2) + (c.trials - c.rewards) * y * y;
                residual + c.trials * inverse.norm2(&rows[c.row], &mut [0.0; 3])
            })
            .sum();
        let got = expected_squares(&rows, &counts, &fitted, &prior, 0.07);
        assert!((got / want - 1.0).abs() < 1e-12, "{got} {want}");
    }

    proptest! {
        /// Moments of counts are those of their parts: exactly, where the columns' values are sums of powers of two.
        #[test]
        fn moments_add_up(all in proptest::collection::vec((0..5_000u32, 0..50u32), 4), cut in 0..5usize) {
            let (rows, counts) = (rows(), counts(&all));
            let [whole, first, second] = [&counts[..], &counts[..cut.min(4)], &counts[cut.min(4)..]]
                .map(|part| Moments::of(3, &rows, part));
            for (a, (b, c)) in whole.gram.values().iter().zip(first.gram.values().iter().zip(second.gram.values())) {
                prop_assert_eq!(*a, b + c);
            }
            prop_assert_eq!(whole.trials, first.trials + second.trials);
            prop_assert_eq!(whole.squares, first.squares + second.squares);
            prop_assert_eq!(whole.cross[1], first.cross[1] + second.cross[1]);
        }
    }
}
