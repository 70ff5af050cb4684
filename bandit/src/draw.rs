//! Draws of Beta rates.
//!
//! Rates of small parameters round to exactly 0 or 1 and tie; their odds G_α / G_β, with independent gamma variates, do
//! not, so that the highest draw is the arm that the quadrature means. Arms are compared by their odds, or by the
//! logarithms of these where a parameter below 1 could make them underflow.

use crate::beta::Beta;
use rand::{Rng, RngExt};
use rand_distr::{Exp1, StandardNormal};

/// Draws the odds θ / (1 − θ) of a Beta rate θ.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Odds {
    success: Gamma,
    failure: Gamma,
}

impl Odds {
    pub(crate) fn new(b: &Beta) -> Self {
        Self { success: Gamma::new(b.alpha), failure: Gamma::new(b.beta) }
    }

    /// Whether the odds themselves are finite and positive whatever is drawn.
    pub(crate) fn is_tame(&self) -> bool {
        self.success.boost <= 0.0 && self.failure.boost <= 0.0
    }

    /// The odds; of a tame distribution only.
    pub(crate) fn sample(&self, rng: &mut impl Rng) -> f64 {
        self.success.sample(rng) / self.failure.sample(rng)
    }

    /// The logarithm of the odds.
    pub(crate) fn sample_log(&self, rng: &mut impl Rng) -> f64 {
        let log = self.sample(rng).ln();
        log - self.success.boost(rng) + self.failure.boost(rng)
    }
}

/// A gamma variate of shape a, as G_a for a ≥ 1 and as G_{a+1} U^{1/a} below (Marsaglia & Tsang 2000, "A simple method
/// for generating gamma variables", §6).
#[derive(Debug, Clone, Copy)]
struct Gamma {
    d: f64,
    c: f64,
    /// 1/a for a < 1, else 0.
    boost: f64,
}

impl Gamma {
    fn new(shape: f64) -> Self {
        let (shape, boost) = if shape < 1.0 { (shape + 1.0, shape.recip()) } else { (shape, 0.0) };
        let d = shape - 1.0 / 3.0;
        Self { d, c: (9.0 * d).sqrt().recip(), boost }
    }

    /// d(1 + cX)³ with X normal, accepted with probability e^f, f = X²/2 + d(1 − v + ln v): G_a, or G_{a+1} below 1.
    fn sample(&self, rng: &mut impl Rng) -> f64 {
        const UNIT: f64 = 1.0 / 4_294_967_296.0;
        loop {
            let x: f64 = rng.sample(StandardNormal);
            let y = self.c * x;
            let root = 1.0 + y;
            if root <= 0.0 {
                continue;
            }
            let v = root * root * root;
            // 32 bits of the uniform variate nearly always decide; the next 32 are drawn if not. By the series of the
            // logarithm f ≥ −(3/4) d y⁴ / (1 − |y|), and e^f ≥ 1 + f.
            let coarse = f64::from(rng.next_u32());
            let squared = y * y;
            if y.abs() <= 0.5 && (coarse + 1.0) * UNIT <= 1.0 - 1.5 * self.d * squared * squared {
                return self.d * v;
            }
            let u = (coarse + (f64::from(rng.next_u32()) + 0.5) * UNIT) * UNIT;
            if u.ln() < 0.5 * x * x + self.d * (1.0 - v + v.ln()) {
                return self.d * v;
            }
        }
    }

    /// −ln U^{1/a}, without the logarithm of 0; nothing for a ≥ 1.
    fn boost(&self, rng: &mut impl Rng) -> f64 {
        if self.boost > 0.0 { self.boost * rng.sample::<f64, _>(Exp1) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;
    use rand::SeedableRng;

    /// Shares of draws between quantiles of the distribution that the quadrature integrates.
    #[test]
    fn draws_follow_the_density() {
        const BINS: usize = 50;
        const DRAWS: u32 = 40_000;
        let parameters = [1e-3, 0.4, 1.0, 1.7, 12.0, 1e9];
        for (alpha, beta) in parameters.iter().flat_map(|&a| parameters.map(|b| (a, b))) {
            let beta = Beta { alpha, beta };
            let (odds, shape) = (Odds::new(&beta), Shape::new(beta));
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
            let mut bins = [0u32; BINS];
            for _ in 0..DRAWS {
                let t = if odds.is_tame() { odds.sample(&mut rng).ln() } else { odds.sample_log(&mut rng) };
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to BINS")]
                let bin = (shape.survival(t) * BINS as f64) as usize;
                bins[bin.min(BINS - 1)] += 1;
            }
            let expected = f64::from(DRAWS) / BINS as f64;
            let statistic: f64 = bins.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
            // 49 degrees of freedom: 106 has a probability of 4e-6.
            assert!(statistic < 106.0, "{beta:?}: {statistic} {bins:?}");
        }
    }

    /// Nearly all normals are accepted: only many draws tell which should not have been.
    #[test]
    fn two_million_draws_follow_the_closed_forms() {
        const DRAWS: u32 = 2_000_000;
        type Distribution = fn(f64) -> f64;
        let below: [(f64, Distribution); 2] = [(1.0, |x| -(-x).exp_m1()), (2.0, |x| 1.0 - (-x).exp() * (1.0 + x))];
        for (shape, below) in below {
            let gamma = Gamma::new(shape);
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
            let mut bins = [0u32; 20];
            for _ in 0..DRAWS {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 19")]
                let bin = (below(gamma.sample(&mut rng)) * 20.0) as usize;
                bins[bin.min(19)] += 1;
            }
            let expected = f64::from(DRAWS) / 20.0;
            let statistic: f64 = bins.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
            // 19 degrees of freedom: 60 has a probability of 4e-6.
            assert!(statistic < 60.0, "{shape}: {statistic} {bins:?}");
        }
    }

    /// The bound that spares two logarithms lies below what it bounds.
    #[test]
    fn nothing_is_accepted_that_the_logarithms_refuse() {
        for d in [2.0 / 3.0, 1.0, 3.3, 50.0, 1e4, 1e8] {
            for y in (-500..=500).map(|i| f64::from(i) / 1_000.0) {
                let f: f64 = d * (4.5 * y * y - 3.0 * y - 3.0 * y * y - y * y * y + 3.0 * y.ln_1p());
                assert!(1.0 - 1.5 * d * y.powi(4) <= f.exp() + 1e-9, "{d} {y}");
            }
        }
    }
}
