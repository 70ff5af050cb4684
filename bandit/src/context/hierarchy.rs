//! What arms share: the prior of their coefficients, and the noise of the linear model, by empirical Bayes.
//!
//! Coefficient j of an arm is a draw from N(μⱼ, τ²) with one τ for the columns of a feature. Expectation–maximisation
//! (Dempster, Laird & Rubin 1977; for this model Bishop 2006, §9.3.4) maximises the marginal likelihood times weak
//! hyperpriors, which keep it sane for few arms: μⱼ ~ N(centre, ω²), and τ² as if ν coefficients of variance s² had been
//! seen besides (scaled inverse χ²). Under Laplace's approximation the E-step is approximate, as the posterior is.

use super::cells::Cells;
use super::cholesky::Lower;
use super::linear::{Moments, expected_squares};
use super::logistic;
use crate::beta::logit;

/// Independent normal prior of each coefficient.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prior {
    pub(crate) mean: Vec<f64>,
    pub(crate) precision: Vec<f64>,
}

/// Posterior N(mean, H⁻¹) with `factor` the Cholesky factor of H.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    pub(crate) mean: Vec<f64>,
    pub(crate) factor: Lower,
}

impl Fit {
    /// The diagonal of H⁻¹: squared lengths of the columns of L⁻¹.
    pub(crate) fn variances(&self) -> Vec<f64> {
        let inverse = self.factor.inverse();
        (0..self.mean.len()).map(|j| inverse.column(j).iter().map(|v| v * v).sum()).collect()
    }
}

/// What is believed before anything is seen.
struct Hyper {
    /// Expected μ of the intercept; 0 for all others.
    centre: f64,
    /// ω² of the intercept and of all others.
    wide: [f64; 2],
    /// s² of the intercept and of all others.
    spread: [f64; 2],
}

/// Pseudo-coefficients ν behind s²: as many as a dozen arms and more bring, since a τ² that is too small too early
/// ends exploration for good, while one that is too large costs little.
const NU: f64 = 20.0;
/// Steps of expectation–maximisation, and the relative change of every τ² below which they end.
const STEPS: usize = 30;
const SETTLED: f64 = 0.01;
/// τ² stays within these multiples of s².
const NARROWEST: f64 = 1e-3;
const WIDEST: f64 = 100.0;

/// Posteriors of all arms, the prior that they share, and the noise variance of the linear model.
pub(crate) struct Shared {
    pub(crate) fits: Vec<Fit>,
    pub(crate) prior: Prior,
    pub(crate) noise: Option<f64>,
}

/// Logistic regression: log-odds.
pub(crate) fn logistic(cells: &Cells, groups: &[usize]) -> Shared {
    let (trials, rewards) = cells.totals();
    // Arms whose odds differ by a factor of 1.6, and deviations of a feature that change them by 1.5, are usual.
    let hyper = Hyper { centre: logit((rewards + 0.5) / (trials + 1.0)), wide: [4.0, 0.15], spread: [0.25, 0.15] };
    let mut prior = hyper.start(groups);
    let starts = vec![prior.mean.clone(); cells.arms.len()];
    let fit = |prior: &Prior, from: &[Vec<f64>]| -> Vec<Fit> {
        cells.arms.iter().zip(from).map(|(counts, b)| logistic::fit(&cells.rows, counts, prior, b)).collect()
    };
    let mut fits = fit(&prior, &starts);
    for _ in 0..STEPS {
        let next = hyper.maximise(groups, &fits, &prior);
        let settled = next.is_near(&prior);
        prior = next;
        let starts: Vec<Vec<f64>> = fits.into_iter().map(|f| f.mean).collect();
        fits = fit(&prior, &starts);
        if settled {
            break;
        }
    }
    Shared { fits, prior, noise: None }
}

/// Linear regression: rates.
pub(crate) fn linear(cells: &Cells, groups: &[usize]) -> Shared {
    let (trials, rewards) = cells.totals();
    let mean = (rewards + 0.5) / (trials + 1.0);
    let variance = mean * (1.0 - mean);
    // Contexts that explain a twentieth of the variance each are strong ones.
    let hyper = Hyper { centre: mean, wide: [variance, variance * 0.05], spread: [variance * 0.05, variance * 0.05] };
    let moments: Vec<Moments> =
        cells.arms.iter().map(|counts| Moments::of(groups.len(), &cells.rows, counts)).collect();
    let mut noise = variance;
    let mut prior = hyper.start(groups);
    let fit = |prior: &Prior, noise: f64| -> Vec<Fit> { moments.iter().map(|m| m.fit(prior, noise)).collect() };
    let mut fits = fit(&prior, noise);
    for _ in 0..STEPS {
        let squares: f64 = fits
            .iter()
            .zip(&cells.arms)
            .map(|(f, counts)| expected_squares(&cells.rows, counts, f, &prior, noise))
            .sum();
        let next = hyper.maximise(groups, &fits, &prior);
        let settled = next.is_near(&prior);
        // One pseudo-trial of the marginal variance: no rewards at all are no certainty.
        noise = (variance + squares) / (1.0 + trials);
        prior = next;
        fits = fit(&prior, noise);
        if settled {
            break;
        }
    }
    Shared { fits, prior, noise: Some(noise) }
}

impl Hyper {
    fn start(&self, groups: &[usize]) -> Prior {
        let mean = groups.iter().map(|&g| if g == 0 { self.centre } else { 0.0 }).collect();
        // An arm's coefficient is as far from the centre as from μ, and μ from there.
        let precision =
            groups.iter().map(|&g| (self.spread[usize::from(g > 0)] + self.wide[usize::from(g > 0)]).recip()).collect();
        Prior { mean, precision }
    }

    /// The M-step: the shared prior that is likeliest, given the arms' posteriors under the last one.
    fn maximise(&self, groups: &[usize], fits: &[Fit], last: &Prior) -> Prior {
        #[expect(clippy::cast_precision_loss, reason = "at most 100 arms and 256 columns")]
        let count = |n: usize| n as f64;
        let arms = count(fits.len());
        let variances: Vec<Vec<f64>> = fits.iter().map(Fit::variances).collect();
        let mut mean = vec![0.0; groups.len()];
        // Σ over a group of E[(β − μ)²], and its number of terms.
        let mut sums = vec![(0.0, 0.0); groups.iter().max().map_or(1, |g| g + 1)];
        for (j, &g) in groups.iter().enumerate() {
            let (wide, centre) = (self.wide[usize::from(g > 0)], if g == 0 { self.centre } else { 0.0 });
            let total: f64 = fits.iter().map(|f| f.mean[j]).sum();
            mean[j] = (total * last.precision[j] + centre / wide) / (arms * last.precision[j] + wide.recip());
            sums[g].0 += fits.iter().zip(&variances).map(|(f, v)| (f.mean[j] - mean[j]).powi(2) + v[j]).sum::<f64>();
            sums[g].1 += arms;
        }
        let precision = groups
            .iter()
            .map(|&g| {
                let s = self.spread[usize::from(g > 0)];
                let (sum, n) = sums[g];
                ((NU * s + sum) / (NU + n)).clamp(NARROWEST * s, WIDEST * s).recip()
            })
            .collect();
        Prior { mean, precision }
    }
}

impl Prior {
    fn is_near(&self, other: &Self) -> bool {
        self.precision.iter().zip(&other.precision).all(|(a, b)| (a / b - 1.0).abs() < SETTLED)
    }
}
