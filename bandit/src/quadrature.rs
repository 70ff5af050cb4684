//! Exact comparison of Beta posteriors by composite Gauss–Legendre quadrature on the log-odds axis.
//!
//! With densities gᵢ and distribution functions Gᵢ on that axis,
//! P(arm i is best) = ∫ gᵢ Π_{j≠i} Gⱼ dt and E[max] = ∫₀¹ (1 − Π Gⱼ) dx with dx = σ(t) σ(−t) dt.
//! Distribution functions at the nodes come from the densities at the same nodes, by the integral of the
//! interpolating polynomial, so that no incomplete beta function is needed.

use crate::beta::{Beta, Interval, Shape, Table, logit, sigmoid};
use std::sync::OnceLock;

/// Nodes of a panel.
pub(crate) const NODES: usize = 20;
/// Widest panel where σ(t) bends: its poles at ±iπ are then outside the rule's ellipse of convergence.
pub(crate) const WIDEST: f64 = 3.0;
/// Beyond this |t|, dx/dt is below 1e-19.
pub(crate) const FLAT: f64 = 44.0;

/// The Gauss–Legendre rule on [-1, 1].
pub(crate) struct Rule {
    pub(crate) nodes: [f64; NODES],
    pub(crate) weights: [f64; NODES],
    /// `upper[j][k]`: weight of node k in the integral from node j to 1.
    pub(crate) upper: [[f64; NODES]; NODES],
    barycentric: [f64; NODES],
}

pub(crate) fn rule() -> &'static Rule {
    static RULE: OnceLock<Rule> = OnceLock::new();
    RULE.get_or_init(Rule::new)
}

impl Rule {
    #[expect(clippy::cast_precision_loss, reason = "small integers")]
    fn new() -> Self {
        let (mut nodes, mut weights) = ([0.0; NODES], [0.0; NODES]);
        let n = NODES as f64;
        for j in 0..NODES {
            let mut x = -(std::f64::consts::PI * (j as f64 + 0.75) / (n + 0.5)).cos();
            for _ in 0..10 {
                let p = legendre(x);
                let slope = n * (x * p[NODES] - p[NODES - 1]) / (x * x - 1.0);
                x -= p[NODES] / slope;
                weights[j] = 2.0 / ((1.0 - x * x) * slope * slope);
            }
            nodes[j] = x;
        }
        // The interpolant through the nodes is Σ_m (2m+1)/2 Σ_k w_k P_m(x_k) f(x_k) P_m(x), and
        // ∫ P_m = (P_{m+1} − P_{m−1}) / (2m+1).
        let at: Vec<[f64; NODES + 1]> = nodes.iter().map(|&x| legendre(x)).collect();
        let mut upper = [[0.0; NODES]; NODES];
        for j in 0..NODES {
            for k in 0..NODES {
                let mut below = nodes[j] + 1.0;
                for m in 1..NODES {
                    below += at[k][m] * (at[j][m + 1] - at[j][m - 1]);
                }
                upper[j][k] = weights[k] - weights[k] / 2.0 * below;
            }
        }
        // Berrut & Trefethen 2004, "Barycentric Lagrange interpolation", and Wang & Xiang 2012 for these nodes.
        let barycentric = std::array::from_fn(|j| {
            let sign = if j % 2 == 0 { 1.0 } else { -1.0 };
            sign * ((1.0 - nodes[j] * nodes[j]) * weights[j]).sqrt()
        });
        Self { nodes, weights, upper, barycentric }
    }

    /// The polynomial through `values` at the nodes, at x in [-1, 1].
    pub(crate) fn interpolate(&self, values: &[f64; NODES], x: f64) -> f64 {
        let (mut above, mut below) = (0.0, 0.0);
        for j in 0..NODES {
            let distance = x - self.nodes[j];
            if distance.abs() < 1e-15 {
                return values[j];
            }
            let weight = self.barycentric[j] / distance;
            above += weight * values[j];
            below += weight;
        }
        above / below
    }
}

/// P_0(x) … P_NODES(x).
#[expect(clippy::cast_precision_loss, reason = "small integers")]
fn legendre(x: f64) -> [f64; NODES + 1] {
    let mut p = [1.0; NODES + 1];
    p[1] = x;
    for m in 1..NODES {
        let m1 = m as f64;
        p[m + 1] = ((2.0 * m1 + 1.0) * x * p[m] - m1 * p[m - 1]) / (m1 + 1.0);
    }
    p
}

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

/// Compares arms. Absolute error ≤ 1e-9 for parameters from 1e-3 to 1e9.
#[must_use]
pub fn compare(arms: &[Beta]) -> Comparison {
    if arms.is_empty() {
        return Comparison { p_best: Vec::new(), expected_loss: Vec::new(), expected_max: 0.0 };
    }
    let shapes: Vec<Shape> = arms.iter().map(|&b| Shape::new(b)).collect();
    let ends = panels(&shapes);
    let r = rule();
    let mut best = vec![0.0; arms.len()];
    let mut survival = vec![0.0; arms.len()];
    let mut area = 0.0;
    // Row i: density and distribution function of arm i at the panel's nodes.
    let mut g = vec![[0.0; NODES]; arms.len()];
    let mut cdf = vec![[0.0; NODES]; arms.len()];
    let mut left = vec![[0.0; NODES]; arms.len()];
    for panel in ends.windows(2).rev() {
        let (half, mid) = ((panel[1] - panel[0]) / 2.0, f64::midpoint(panel[0], panel[1]));
        for (i, shape) in shapes.iter().enumerate() {
            let (from, to) = (shape.ends[0], shape.ends[shape.ends.len() - 1]);
            if panel[1] <= from || panel[0] >= to {
                g[i] = [0.0; NODES];
                cdf[i] = [1.0 - survival[i]; NODES];
                continue;
            }
            for j in 0..NODES {
                g[i][j] = half * shape.density(mid + half * r.nodes[j]);
            }
            for j in 0..NODES {
                let above: f64 = r.upper[j].iter().zip(&g[i]).map(|(w, g)| w * g).sum();
                cdf[i][j] = (1.0 - survival[i] - above).max(0.0);
            }
            survival[i] = (survival[i] + r.weights.iter().zip(&g[i]).map(|(w, g)| w * g).sum::<f64>()).min(1.0);
        }
        // Products of all others by a pass from each side.
        let mut product = [1.0; NODES];
        for i in 0..arms.len() {
            left[i] = product;
            for j in 0..NODES {
                product[j] *= cdf[i][j];
            }
        }
        for j in 0..NODES {
            let t = mid + half * r.nodes[j];
            area += half * r.weights[j] * (1.0 - product[j]) * sigmoid(t) * sigmoid(-t);
        }
        let mut right = [1.0; NODES];
        for i in (0..arms.len()).rev() {
            for j in 0..NODES {
                best[i] += r.weights[j] * g[i][j] * left[i][j] * right[j];
                right[j] *= cdf[i][j];
            }
        }
    }
    let total: f64 = best.iter().sum();
    let expected_max = sigmoid(ends[0]) + area;
    Comparison {
        p_best: best.iter().map(|p| p / total).collect(),
        expected_loss: arms.iter().map(|b| (expected_max - b.mean()).max(0.0)).collect(),
        expected_max,
    }
}

/// Panel ends between the highest lower end and the highest upper end: below the first some arm's
/// distribution function is nil and the product with it, above the second all are 1. A panel is no wider
/// than that of any arm that lives in it.
fn panels(shapes: &[Shape]) -> Vec<f64> {
    let last = |s: &Shape| s.ends[s.ends.len() - 1];
    let low = shapes.iter().map(|s| s.ends[0]).fold(f64::NEG_INFINITY, f64::max);
    let high = shapes.iter().map(last).fold(f64::NEG_INFINITY, f64::max);
    merged_panels(&shapes.iter().map(|s| s.ends.as_slice()).collect::<Vec<_>>(), low, high)
}

/// Panel ends from `low` to `high`, no panel wider than that of any list that lives in it.
pub(crate) fn merged_panels(lists: &[&[f64]], low: f64, high: f64) -> Vec<f64> {
    let mut ends = vec![low];
    let mut at = low;
    // Each list's next breakpoint is found by a pointer that only moves right.
    let mut next = vec![0; lists.len()];
    while at < high {
        let mut width = high - at;
        for (s, k) in lists.iter().zip(&mut next) {
            while *k < s.len() && s[*k] <= at {
                *k += 1;
            }
            if *k == s.len() {
                continue;
            }
            // Not begun: stop where it begins. Begun: at most the local panel's width.
            width = width.min(if *k == 0 { s[0] - at } else { s[*k] - s[*k - 1] });
            // The next panel may be the narrower one.
            if *k + 1 < s.len() && at + width > s[*k] {
                width = width.min((s[*k] - at).max(s[*k + 1] - s[*k]));
            }
        }
        if at < FLAT && at + width > -FLAT {
            width = width.min(WIDEST.max(-FLAT - at));
        }
        at = if at + width * 1.000_001 >= high { high } else { at + width };
        ends.push(at);
    }
    ends
}

/// The equal-tailed credible interval of the ratio of two rates, θ_a / θ_b, that holds `mass`:
/// P(θ_a / θ_b > r) = ∫ g_b(t) P(θ_a > r σ(t)) dt, solved for r.
#[must_use]
pub fn ratio_interval(a: Beta, b: Beta, mass: f64) -> Interval {
    let (sa, sb) = (Table::new(&Shape::new(a)), Shape::new(b));
    let r = rule();
    let nodes: Vec<(f64, f64)> = sb
        .ends
        .windows(2)
        .flat_map(|p| {
            let (half, mid) = ((p[1] - p[0]) / 2.0, f64::midpoint(p[0], p[1]));
            (0..NODES).map(move |j| mid + half * r.nodes[j]).zip(r.weights.iter().map(move |w| w * half))
        })
        .map(|(t, w)| (sigmoid(t), w * sb.density(t)))
        .filter(|(_, w)| *w > 1e-14)
        .collect();
    let above = |ratio: f64| -> f64 {
        let tail = |x: f64| if x >= 1.0 { 0.0 } else { sa.survival(logit(x)) };
        nodes.iter().map(|(x, w)| w * tail(ratio * x)).sum()
    };
    let tail = (1.0 - mass) / 2.0;
    let start = (a.mean() / b.mean()).ln();
    // Spread of the logarithm of the ratio by the delta method: a first bracket, widened as needed.
    let spread = ((1.0 - a.mean()) / a.alpha + (1.0 - b.mean()) / b.alpha).sqrt().clamp(1e-9, 50.0);
    let solve = |q: f64| {
        // Regula falsi (Illinois) on the logarithm of the ratio.
        let f = |y: f64| above(y.exp()) - q;
        let side = if q > 0.5 { -2.5 } else { 2.5 };
        let (mut low, mut high) = (start.min(start + side * spread), start.max(start + side * spread));
        let mut step = spread;
        while f(low) < 0.0 && low > -700.0 {
            low -= step;
            step *= 2.0;
        }
        step = spread;
        while f(high) > 0.0 && high < 700.0 {
            high += step;
            step *= 2.0;
        }
        let (mut f_low, mut f_high) = (f(low), f(high));
        for _ in 0..60 {
            if high - low < 1e-12 || f_low - f_high < 1e-14 {
                break;
            }
            let y = (low * -f_high + high * f_low) / (f_low - f_high);
            let fy = f(y);
            if fy.abs() < 1e-10 {
                return y.exp();
            }
            if fy > 0.0 {
                (low, f_low) = (y, fy);
                f_high /= 2.0;
            } else {
                (high, f_high) = (y, fy);
                f_low /= 2.0;
            }
        }
        f64::midpoint(low, high).exp()
    };
    [solve(1.0 - tail), solve(tail)]
}
