//! The ratio of two rates.

use crate::beta::{Beta, Interval, logit, sigmoid};
use crate::quadrature::{NODES, rule};
use crate::shape::{Shape, Table};

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
