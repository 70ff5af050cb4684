//! One Beta posterior, resolved on panels of the log-odds axis.
//!
//! On t = ln(x / (1 − x)) the density of Beta(α, β) is g(t) = σ(t)^α σ(−t)^β / B(α, β): smooth, unimodal
//! and without the poles that x^(α−1) has at the ends. Its peak, at t* = ln(α/β), is known in closed form
//! by Stirling's series with Binet's remainder Δ,
//! g(t*) = √(αβ / 2π(α+β)) · exp(Δ(α+β) − Δ(α) − Δ(β)),
//! which does not cancel for α + β = 1e8 as three log-gammas do.

use crate::quadrature::{FLAT, NODES, WIDEST, rule};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Gamma};
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

/// How far below its peak, in nats, the density is followed: e^-40 leaves 1e-16 of the mass.
const DEPTH: f64 = 40.0;
/// Breakpoints lie where the log-density has fallen by (STEP k)² / 2: equal steps of a Gaussian, longer in
/// exponential tails.
const STEP: f64 = 1.5;

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

/// Draws the log-odds of a Beta rate, ln(G_α / G_β) with independent gamma variates. Rates of small parameters round to
/// exactly 0 or 1 and tie; their log-odds do not, so that the highest draw is the arm that the quadrature means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogOdds {
    success: LogGamma,
    failure: LogGamma,
}

impl LogOdds {
    pub(crate) fn new(b: &Beta) -> Option<Self> {
        Some(Self { success: LogGamma::new(b.alpha)?, failure: LogGamma::new(b.beta)? })
    }

    pub(crate) fn sample(&self, rng: &mut impl Rng) -> f64 {
        self.success.sample(rng) - self.failure.sample(rng)
    }
}

/// The logarithm of a gamma variate; for shapes below 1 by ln G_a = ln G_{a+1} + ln(U) / a (Marsaglia & Tsang 2000, §6).
#[derive(Debug, Clone, Copy)]
struct LogGamma {
    gamma: Gamma<f64>,
    boost: Option<f64>,
}

impl LogGamma {
    fn new(shape: f64) -> Option<Self> {
        let small = shape < 1.0;
        let gamma = Gamma::new(if small { shape + 1.0 } else { shape }, 1.0).ok()?;
        Some(Self { gamma, boost: small.then(|| shape.recip()) })
    }

    fn sample(&self, rng: &mut impl Rng) -> f64 {
        let log = self.gamma.sample(rng).ln();
        // Exp(1) is −ln U, without the logarithm of 0.
        self.boost.map_or(log, |b| log - b * rng.sample::<f64, _>(rand_distr::Exp1))
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

/// A Beta density on the log-odds axis with its breakpoints and the mass right of each.
pub(crate) struct Shape {
    n: f64,
    /// The smaller of mean and 1 − mean, and the sign that turns the axis so that it is the mean:
    /// differences then cancel least.
    p: f64,
    sign: f64,
    mode: f64,
    peak: f64,
    /// Panel ends, ascending.
    pub(crate) ends: Vec<f64>,
    /// P(T > `ends[i]`).
    tails: Vec<f64>,
}

impl Shape {
    pub(crate) fn new(b: Beta) -> Self {
        let n = b.alpha + b.beta;
        let (small, large) = (b.alpha.min(b.beta), b.alpha.max(b.beta));
        let mut shape = Self {
            n,
            p: small / n,
            sign: if b.alpha <= b.beta { 1.0 } else { -1.0 },
            mode: b.alpha.ln() - b.beta.ln(),
            peak: (small / n * large / std::f64::consts::TAU).sqrt() * (binet(n) - binet(small) - binet(large)).exp(),
            ends: Vec::new(),
            tails: Vec::new(),
        };
        shape.place_ends();
        shape.tails = vec![0.0; shape.ends.len()];
        for i in (0..shape.ends.len() - 1).rev() {
            shape.tails[i] = shape.tails[i + 1] + shape.mass(shape.ends[i], shape.ends[i + 1]);
        }
        // The panels reach to e^-40 of the peak and the peak is closed-form, so this is 1 to rounding; what
        // remains of rounding is taken out, that complements are exact.
        let total = shape.tails[0];
        shape.peak /= total;
        shape.tails.iter_mut().for_each(|t| *t /= total);
        shape
    }

    /// How far the log-density lies below its peak at mode + u, in nats.
    fn drop_at(&self, u: f64) -> f64 {
        let u = u * self.sign;
        let (p, n) = (self.p, self.n);
        // n [ln(1 + p(e^u − 1)) − p u]; for large u the exponential is taken out of the logarithm.
        if u > 30.0 {
            n * (u + (p + (1.0 - p) * (-u).exp()).ln() - p * u)
        } else {
            n * ((p * u.exp_m1()).ln_1p() - p * u)
        }
    }

    /// g(t).
    pub(crate) fn density(&self, t: f64) -> f64 {
        self.peak * (-self.drop_at(t - self.mode)).exp()
    }

    fn place_ends(&mut self) {
        let sd = 1.0 / (self.n * self.p * (1.0 - self.p)).sqrt();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (side, out) in [(-1.0, &mut left), (1.0, &mut right)] {
            let mut near = 0.0;
            for k in 1.. {
                let depth = (STEP * f64::from(k)).powi(2) / 2.0;
                let mut far = near + STEP * sd;
                while self.drop_at(side * far) < depth {
                    far = near + 2.0 * (far - near);
                }
                // Breakpoints need no precision: a few halvings place them well.
                let (mut low, mut high) = (near, far);
                for _ in 0..12 {
                    let mid = f64::midpoint(low, high);
                    if self.drop_at(side * mid) < depth { low = mid } else { high = mid }
                }
                out.push(self.mode + side * high);
                near = high;
                if depth > DEPTH {
                    break;
                }
            }
        }
        left.reverse();
        left.push(self.mode);
        left.append(&mut right);
        self.ends = refine(&left);
    }

    /// Mass between two points of one panel.
    fn mass(&self, from: f64, to: f64) -> f64 {
        let (half, mid) = ((to - from) / 2.0, f64::midpoint(from, to));
        let r = rule();
        (0..NODES).map(|j| r.weights[j] * self.density(mid + half * r.nodes[j])).sum::<f64>() * half
    }

    /// P(T > t).
    pub(crate) fn survival(&self, t: f64) -> f64 {
        match self.ends.partition_point(|&e| e <= t) {
            0 => 1.0,
            i if i == self.ends.len() => 0.0,
            i => self.tails[i] + self.mass(t, self.ends[i]),
        }
    }

    /// The point with mass `q` to its right.
    pub(crate) fn upper_point(&self, q: f64) -> f64 {
        let i = self.tails.partition_point(|&tail| tail > q).clamp(1, self.ends.len() - 1);
        let (mut low, mut high) = (self.ends[i - 1], self.ends[i]);
        let mut t = f64::midpoint(low, high);
        for _ in 0..60 {
            let excess = self.survival(t) - q;
            if excess > 0.0 {
                low = t
            } else {
                high = t
            }
            let newton = t + excess / self.density(t);
            let next = if newton > low && newton < high { newton } else { f64::midpoint(low, high) };
            if (next - t).abs() <= 1e-15 * t.abs().max(1.0) {
                return next;
            }
            t = next;
        }
        t
    }
}

/// A shape's survival function at every node of its panels, to look it up thousands of times.
pub(crate) struct Table {
    ends: Vec<f64>,
    /// Row i: survival at the nodes of panel i.
    rows: Vec<[f64; NODES]>,
}

impl Table {
    pub(crate) fn new(shape: &Shape) -> Self {
        let r = rule();
        let row = |(i, panel): (usize, &[f64])| {
            let (half, mid) = ((panel[1] - panel[0]) / 2.0, f64::midpoint(panel[0], panel[1]));
            let g = r.nodes.map(|x| half * shape.density(mid + half * x));
            r.upper.map(|weights| shape.tails[i + 1] + weights.iter().zip(&g).map(|(w, g)| w * g).sum::<f64>())
        };
        Self { ends: shape.ends.clone(), rows: shape.ends.windows(2).enumerate().map(row).collect() }
    }

    /// P(T > t), by barycentric interpolation in the panel of t.
    pub(crate) fn survival(&self, t: f64) -> f64 {
        match self.ends.partition_point(|&e| e <= t) {
            0 => 1.0,
            i if i == self.ends.len() => 0.0,
            i => {
                let (from, to) = (self.ends[i - 1], self.ends[i]);
                rule().interpolate(&self.rows[i - 1], (2.0 * t - from - to) / (to - from))
            }
        }
    }
}

/// Splits panels that are wide where σ(t) bends.
fn refine(ends: &[f64]) -> Vec<f64> {
    let mut out = vec![ends[0]];
    for &end in &ends[1..] {
        let mut at = out[out.len() - 1];
        while end - at > WIDEST && at < FLAT && end > -FLAT {
            at += WIDEST.max(-FLAT - at).min(end - at);
            out.push(at);
        }
        if at < end {
            out.push(end);
        }
    }
    out
}

/// Δ(z) of Binet: ln Γ(z) − (z − ½) ln z + z − ½ ln 2π.
fn binet(z: f64) -> f64 {
    if z >= 15.0 {
        let y = 1.0 / (z * z);
        // 1/12z − 1/360z³ + 1/1260z⁵ − 1/1680z⁷ + 1/1188z⁹ (Abramowitz & Stegun 6.1.41)
        (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y * (1.0 / 1680.0 - y / 1188.0)))) / z
    } else {
        statrs::function::gamma::ln_gamma(z) - (z - 0.5) * z.ln() + z - 0.5 * std::f64::consts::TAU.ln()
    }
}
