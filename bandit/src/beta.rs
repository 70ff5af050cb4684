//! One Beta posterior: a belief about a rate.

use crate::shape::Shape;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An interval `[low, high]`.
pub type Interval = [f64; 2];

/// A Beta distribution over a rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Beta {
    /// Successes and their prior, positive.
    pub alpha: f64,
    /// Failures and their prior, positive.
    pub beta: f64,
}

impl Beta {
    /// A distribution, or none unless both parameters are finite and positive.
    #[must_use]
    pub fn new(alpha: f64, beta: f64) -> Option<Self> {
        (alpha.is_finite() && beta.is_finite() && alpha > 0.0 && beta > 0.0).then_some(Self { alpha, beta })
    }

    /// Expected rate, α / (α + β).
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.alpha / (self.alpha + self.beta)
    }

    /// The equal-tailed credible interval that holds `mass` (0 < mass < 1), by Newton's method on the exact
    /// distribution function.
    #[must_use]
    pub fn interval(&self, mass: f64) -> Interval {
        let shape = Shape::new(*self);
        let tail = (1.0 - mass) / 2.0;
        [sigmoid(shape.upper_point(1.0 - tail)), sigmoid(shape.upper_point(tail))]
    }

    /// P(rate > x).
    #[must_use]
    pub fn survival(&self, x: f64) -> f64 {
        Shape::new(*self).survival(logit(x))
    }

    /// Probability density at rates `xs`, for plots.
    #[must_use]
    pub fn density(&self, xs: &[f64]) -> Vec<f64> {
        let shape = Shape::new(*self);
        xs.iter().map(|&x| if x > 0.0 && x < 1.0 { shape.density(logit(x)) / (x * (1.0 - x)) } else { 0.0 }).collect()
    }
}

/// 1 / (1 + e^-t).
pub(crate) fn sigmoid(t: f64) -> f64 {
    if t >= 0.0 {
        1.0 / (1.0 + (-t).exp())
    } else {
        let e = t.exp();
        e / (1.0 + e)
    }
}

/// ln(x / (1 − x)); ±∞ at the ends.
pub(crate) fn logit(x: f64) -> f64 {
    x.ln() - (-x).ln_1p()
}
