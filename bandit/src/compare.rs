//! Exact comparison of Beta posteriors.
//!
//! With densities gᵢ and distribution functions Gᵢ on the log-odds axis,
//! P(arm i is best) = ∫ gᵢ Π_{j≠i} Gⱼ dt and E[max] = ∫₀¹ (1 − Π Gⱼ) dx with dx = σ(t) σ(−t) dt,
//! by composite Gauss–Legendre quadrature.

use crate::beta::{Beta, sigmoid};
use crate::quadrature::{NODES, rule};
use crate::shape::{Resolution, Shape};
use crate::sweep::{Panel, sweep};

/// How arms compare under their joint posterior.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// P(arm i has the highest rate); sums to 1.
    pub p_best: Vec<f64>,
    /// E[highest rate − rate of arm i]: what showing only arm i costs, per trial.
    pub expected_loss: Vec<f64>,
    /// E[highest rate].
    pub expected_max: f64,
}

/// What is cut off at this depth is below 1e-11 for a hundred arms. Products of many distribution functions are steeper
/// than each.
fn coarse(arms: usize) -> Resolution {
    let step = match arms {
        0..=8 => 3.0,
        9..=30 => 2.25,
        _ => 1.5,
    };
    Resolution { step, fall: f64::INFINITY, depth: 30.0 }
}

/// For lower tails: a polynomial follows an exponential no further than this.
const TAILS: Resolution = Resolution { step: 1.5, fall: 6.0, depth: 60.0 };
/// As far as doubles go.
const ABYSS: Resolution = Resolution { depth: 700.0, ..TAILS };

/// Compares arms. Absolute error ≤ 1e-9 for parameters from 1e-3 to 1e9.
#[must_use]
pub fn compare(arms: &[Beta]) -> Comparison {
    let shapes = outlines(arms);
    let Some([low, _, high]) = region(&shapes) else {
        return Comparison { p_best: Vec::new(), expected_loss: Vec::new(), expected_max: 0.0 };
    };
    let r = rule();
    let mut best = Best::new(arms.len());
    let mut area = 0.0;
    sweep(&shapes, low, high, |panel| {
        let product = best.add(panel);
        for j in 0..NODES {
            let t = panel.mid + panel.half * r.nodes[j];
            area += panel.half * r.weights[j] * (1.0 - product[j]) * sigmoid(t) * sigmoid(-t);
        }
    });
    let expected_max = sigmoid(low) + area;
    Comparison {
        p_best: best.shares(),
        expected_loss: arms.iter().map(|b| (expected_max - b.mean()).max(0.0)).collect(),
        expected_max,
    }
}

/// P(arm i has the highest rate), as [`compare`] has it, without the rest.
pub(crate) fn p_best(arms: &[Beta]) -> Vec<f64> {
    shares(&outlines(arms))
}

/// The same with an error below 1e-9 of what the arms other than the likeliest have together, down to 1e-200.
pub(crate) fn small_p_best(arms: &[Beta]) -> Vec<f64> {
    let best = shares(&resolved(arms, TAILS));
    let top = best.iter().copied().fold(0.0, f64::max);
    let others: f64 = best.iter().filter(|p| **p < top).sum();
    if others > 1e-15 { best } else { shares(&resolved(arms, ABYSS)) }
}

/// The arms' densities, resolved as far as absolute errors of 1e-9 ask.
pub(crate) fn outlines(arms: &[Beta]) -> Vec<Shape> {
    resolved(arms, coarse(arms.len()))
}

fn resolved(arms: &[Beta], resolution: Resolution) -> Vec<Shape> {
    arms.iter().map(|&b| Shape::outline(b, resolution)).collect()
}

fn shares(shapes: &[Shape]) -> Vec<f64> {
    let Some([low, second, high]) = region(shapes) else { return Vec::new() };
    let mut best = Best::new(shapes.len());
    // Beyond the second highest end one arm is left, and it is the best.
    sweep(shapes, low, second, |panel| _ = best.add(panel));
    if let Some(last) = shapes.iter().position(|s| s.last() >= high) {
        best.mass[last] += shapes[last].above(second);
    }
    best.shares()
}

/// The highest lower end, below which some arm's distribution function is nil and the product with it; the second
/// highest upper end; and the highest, above which all are 1.
fn region(shapes: &[Shape]) -> Option<[f64; 3]> {
    let low = shapes.iter().map(Shape::first).reduce(f64::max)?;
    let [second, high] = shapes
        .iter()
        .map(Shape::last)
        .fold([f64::NEG_INFINITY; 2], |[second, high], end| [second.max(end.min(high)), high.max(end)]);
    Some([low, second.max(low), high])
}

/// Probabilities of being the best, as panels come in.
struct Best {
    mass: Vec<f64>,
    /// Row i: product over the live arms before i.
    left: Vec<[f64; NODES]>,
}

impl Best {
    fn new(arms: usize) -> Self {
        Self { mass: vec![0.0; arms], left: vec![[0.0; NODES]; arms] }
    }

    /// Adds a panel on which no arm is still to come. Returns the product of all distribution functions.
    fn add(&mut self, panel: &Panel<'_>) -> [f64; NODES] {
        let r = rule();
        let mut product = [1.0; NODES];
        for &i in panel.live {
            self.left[i] = product;
            for j in 0..NODES {
                product[j] *= panel.cdf[i][j];
            }
        }
        let mut right = r.weights;
        for &i in panel.live.iter().rev() {
            let mut sum = 0.0;
            for j in 0..NODES {
                sum += panel.density[i][j] * self.left[i][j] * right[j];
                right[j] *= panel.cdf[i][j];
            }
            self.mass[i] += sum;
        }
        product
    }

    /// What remains of rounding is taken out.
    fn shares(mut self) -> Vec<f64> {
        let total: f64 = self.mass.iter().sum();
        self.mass.iter_mut().for_each(|m| *m /= total);
        self.mass
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Panels finer than any caller's.
    fn fine(arms: &[Beta], resolution: Resolution) -> Vec<f64> {
        shares(&resolved(arms, Resolution { step: 0.7, fall: 3.0, ..resolution }))
    }

    fn worst(got: &[f64], want: &[f64]) -> f64 {
        got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max)
    }

    fn anything() -> impl Strategy<Value = Beta> {
        (-3.0f64..9.0, -3.0f64..9.0).prop_map(|(a, b)| Beta { alpha: 10f64.powf(a), beta: 10f64.powf(b) })
    }

    /// Rates of one experiment: equal up to a few standard deviations, with very different evidence.
    fn rivals(most: usize) -> impl Strategy<Value = Vec<Beta>> {
        let arm = (0.0f64..8.0, -4.0f64..4.0, 0u8..4);
        (-4.0f64..-0.2, prop::collection::vec(arm, 1..=most)).prop_map(|(rate, arms)| {
            let one = |(n, z, twin): (f64, f64, u8)| {
                let (n, p) = (10f64.powf(n), 10f64.powf(rate));
                let z = if twin == 0 { 0.0 } else { z };
                let p = (p + z * (p * (1.0 - p) / n).sqrt()).clamp(p / 10.0, f64::midpoint(p, 1.0));
                Beta { alpha: n * p + 1e-3, beta: n * (1.0 - p) + 1e-3 }
            };
            arms.into_iter().map(one).collect()
        })
    }

    fn agrees(arms: &[Beta]) {
        let (want, got) = (fine(arms, TAILS), p_best(arms));
        let off = worst(&got, &want);
        assert!(off < 1e-10, "{arms:?}: off by {off:e}");
        assert!(worst(&compare(arms).p_best, &got) < 1e-11, "{arms:?}");
    }

    /// P(θ₂ > θ₁) for integer parameters as a finite sum (Miller 2015, "Formulas for Bayesian A/B testing", eq. 6).
    #[test]
    fn small_probabilities_are_those_of_the_closed_form() {
        use statrs::function::beta::ln_beta;
        for [a1, b1, a2, b2] in
            [[40, 960, 10, 990], [300, 700, 100, 900], [500, 500, 120, 880], [3, 10_000, 1, 300_000]]
        {
            let beta = |a: u32, b: u32| Beta { alpha: a.into(), beta: b.into() };
            let [x1, y1, y2] = [a1, b1, b2].map(f64::from);
            let term = |i: f64| ln_beta(x1 + i, y2 + y1) - (y2 + i).ln() - ln_beta(1.0 + i, y2) - ln_beta(x1, y1);
            let want: f64 = (0..a2).map(|i| term(i.into()).exp()).sum();
            let got = small_p_best(&[beta(a1, b1), beta(a2, b2)])[1];
            assert!((got / want - 1.0).abs() < 1e-8, "{got:e} is not {want:e}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(std::env::var("RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(60))
        })]

        #[test]
        fn coarse_panels_agree_with_fine_ones(arms in prop::collection::vec(anything(), 1..12)) {
            agrees(&arms);
        }

        #[test]
        fn small_probabilities_agree_with_those_of_finer_panels(arms in prop::collection::vec(anything(), 2..5)) {
            let (want, got) = (fine(&arms, ABYSS), small_p_best(&arms));
            let top = want.iter().copied().fold(0.0, f64::max);
            let others: f64 = want.iter().filter(|p| **p < top).sum();
            for (g, w) in got.iter().zip(&want).filter(|(_, w)| **w < top) {
                prop_assert!(others < 1e-200 || (g - w).abs() < 1e-9 * others, "{:?} is not {:?}", got, want);
            }
        }

        #[test]
        fn so_they_do_for_rivals(arms in rivals(8)) {
            agrees(&arms);
        }

        #[test]
        fn and_for_many(arms in rivals(100)) {
            agrees(&arms);
        }
    }
}
