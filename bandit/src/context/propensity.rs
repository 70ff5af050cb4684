//! Which of independent normal variables is highest.
//!
//! P(i is highest) = ∫ φᵢ Π_{j≠i} Φⱼ dt by composite Gauss–Legendre quadrature with 20 nodes to a panel. A panel is no
//! wider than [`WIDTH`] standard deviations of any variable that lives in it, so that no φ or Φ bends more than the rule
//! follows; a variable lives within [`REACH`] of its own deviations, beyond which 1.3e-12 of its mass lies.

use crate::quadrature::rule;
use statrs::function::erf::erfc;

/// Widest panel, in standard deviations.
const WIDTH: f64 = 2.0;
/// How far a variable is followed to each side, in standard deviations.
const REACH: f64 = 7.0;
/// 1 / √(2π).
const DENSITY: f64 = 0.398_942_280_401_432_7;

/// A normal distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normal {
    mean: f64,
    sd: f64,
}

impl Normal {
    /// A distribution of this mean and standard deviation, both finite. A deviation that doubles around the mean could
    /// not resolve, below 1e-7 of it, is raised to that.
    #[must_use]
    pub fn new(mean: f64, sd: f64) -> Self {
        Self { mean, sd: sd.max(1e-7 * mean.abs()).max(1e-100) }
    }

    /// Its mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Its standard deviation.
    #[must_use]
    pub fn sd(&self) -> f64 {
        self.sd
    }

    fn low(&self) -> f64 {
        self.mean - REACH * self.sd
    }

    fn high(&self) -> f64 {
        self.mean + REACH * self.sd
    }

    /// P(X ≤ t).
    fn cdf(&self, t: f64) -> f64 {
        0.5 * erfc((self.mean - t) / self.sd * std::f64::consts::FRAC_1_SQRT_2)
    }

    /// Density at a point.
    #[must_use]
    pub fn density(&self, t: f64) -> f64 {
        let z = (t - self.mean) / self.sd;
        DENSITY / self.sd * (-0.5 * z * z).exp()
    }
}

/// P(`arms[i]` is the highest of all). Absolute error ≤ 1e-9 for up to 100 arms.
#[must_use]
pub fn highest(arms: &[Normal], i: usize) -> f64 {
    let Some(own) = arms.get(i) else { return 0.0 };
    // Below the highest lower end somebody's Φ is nil.
    let low = arms.iter().map(Normal::low).fold(f64::NEG_INFINITY, f64::max);
    let (mut at, end) = (low.max(own.low()), own.high());
    let r = rule();
    let mut sum = 0.0;
    // Whoever ends below where we begin has Φ = 1 throughout.
    let rivals: Vec<Normal> =
        arms.iter().enumerate().filter(|(j, arm)| *j != i && arm.high() > at).map(|(_, arm)| *arm).collect();
    while at < end {
        let mut to = (at + WIDTH * own.sd).min(end);
        for rival in rivals.iter().filter(|rival| rival.high() > at) {
            // Not begun: stop where it begins.
            to = to.min(if rival.low() > at { rival.low() } else { at + WIDTH * rival.sd });
        }
        let (half, mid) = ((to - at) / 2.0, f64::midpoint(at, to));
        let live: Vec<&Normal> = rivals.iter().filter(|rival| rival.high() > at).collect();
        for (node, weight) in r.nodes.iter().zip(&r.weights) {
            let t = mid + half * node;
            let below: f64 = live.iter().map(|rival| rival.cdf(t)).product();
            sum += weight * half * own.density(t) * below;
        }
        at = to;
    }
    sum.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn normals(list: &[(f64, f64)]) -> Vec<Normal> {
        list.iter().map(|&(mean, sd)| Normal::new(mean, sd)).collect()
    }

    fn all(arms: &[Normal]) -> Vec<f64> {
        (0..arms.len()).map(|i| highest(arms, i)).collect()
    }

    fn any(rng: &mut impl Rng, n: usize) -> Vec<Normal> {
        (0..n).map(|_| Normal::new(rng.random_range(-2.0..2.0), 10f64.powf(rng.random_range(-4.0..1.0)))).collect()
    }

    /// P(X > Y) = Φ((μ₁ − μ₂) / √(σ₁² + σ₂²)).
    #[test]
    fn pairs_agree_with_the_closed_form() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..2_000 {
            let arms = any(&mut rng, 2);
            let sd = arms[0].sd.hypot(arms[1].sd);
            let want = 0.5 * erfc((arms[1].mean - arms[0].mean) / sd * std::f64::consts::FRAC_1_SQRT_2);
            let got = highest(&arms, 0);
            assert!((got - want).abs() < 1e-10, "{arms:?}: {got:e} is not {want:e}");
        }
    }

    /// The same integral by the trapezoidal rule with 40,000 steps between ±12 of each arm's own deviations, which
    /// shares nothing with the panels.
    #[test]
    fn many_arms_agree_with_brute_force() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for n in [3, 6, 20, 100] {
            let arms: Vec<Normal> =
                (0..n).map(|_| Normal::new(rng.random_range(-1.0..1.0), rng.random_range(0.05..2.0))).collect();
            for i in [0, n / 2, n - 1] {
                let steps = 40_000;
                let h = 24.0 / f64::from(steps);
                let brute: f64 = (0..=steps)
                    .map(|k| {
                        let z = -12.0 + h * f64::from(k);
                        let t = arms[i].mean + z * arms[i].sd;
                        let below: f64 =
                            arms.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, a)| a.cdf(t)).product();
                        h * DENSITY * (-0.5 * z * z).exp() * below
                    })
                    .sum();
                let got = highest(&arms, i);
                assert!((got - brute).abs() < 1e-9, "{n} arms: {got:e} is not {brute:e}");
            }
        }
    }

    #[test]
    fn shares_sum_to_one_whatever_the_arms() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for n in [2, 3, 6, 10].repeat(40).into_iter().chain([40, 100]) {
            let arms = any(&mut rng, n);
            let sum: f64 = all(&arms).iter().sum();
            assert!((sum - 1.0).abs() < 1e-9, "{n} arms sum to 1 + {:e}", sum - 1.0);
        }
        for n in [2, 6, 100] {
            for p in all(&vec![Normal::new(-2.5, 0.3); n]) {
                assert!((p * f64::from(u32::try_from(n).unwrap()) - 1.0).abs() < 1e-9, "{p}");
            }
        }
    }

    #[test]
    fn hostile_arms_get_finite_answers() {
        // No deviation, far apart, huge and tiny.
        let sums = [
            normals(&[(1.0, 0.0), (2.0, 0.0)]),
            normals(&[(2.0, 0.0), (2.0, 0.0), (2.0, 0.0)]),
            normals(&[(0.0, 0.0), (0.0, 1e300)]),
            normals(&[(1e300, 1e280), (-1e300, 1.0)]),
            normals(&[(-1e5, 1e-9), (-1e5, 1e3), (0.0, 1e-8)]),
            normals(&[(5.0, 1.0)]),
        ]
        .map(|arms| all(&arms).iter().sum::<f64>());
        for sum in sums {
            assert!((sum - 1.0).abs() < 1e-9, "{sums:?}");
        }
        assert!(highest(&[], 0).abs() < 1e-300);
    }
}
