//! A Beta density, resolved on panels of the log-odds axis.
//!
//! On t = ln(x / (1 − x)) the density of Beta(α, β) is g(t) = σ(t)^α σ(−t)^β / B(α, β): smooth, unimodal
//! and without the poles that x^(α−1) has at the ends. Its peak, at t* = ln(α/β), is known in closed form
//! by Stirling's series with Binet's remainder Δ,
//! g(t*) = √(αβ / 2π(α+β)) · exp(Δ(α+β) − Δ(α) − Δ(β)),
//! which does not cancel for α + β = 1e8 as three log-gammas do.

use crate::beta::Beta;
use crate::lanes::{self, Lanes};
use crate::quadrature::{FLAT, NODES, WIDEST, rule};

/// How finely and how far a density is followed.
#[derive(Clone, Copy)]
pub(crate) struct Resolution {
    /// Panels end where the log-density has fallen by (step k)² / 2 nats: equal steps of a Gaussian, longer ones in
    /// exponential tails.
    pub(crate) step: f64,
    /// But by no more than this in one panel.
    pub(crate) fall: f64,
    /// And at last where it has fallen by about this.
    pub(crate) depth: f64,
}

/// For one distribution function: e^-40 leaves 1e-16 of the mass.
const EXACT: Resolution = Resolution { step: 1.5, fall: f64::INFINITY, depth: 40.0 };

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
    /// P(T > `ends[i]`); empty for an outline.
    tails: Vec<f64>,
}

impl Shape {
    pub(crate) fn new(b: Beta) -> Self {
        let mut shape = Self::outline(b, EXACT);
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

    /// The density and its panel ends, without masses.
    pub(crate) fn outline(b: Beta, resolution: Resolution) -> Self {
        let n = b.alpha + b.beta;
        let (small, large) = (b.alpha.min(b.beta), b.alpha.max(b.beta));
        let mut shape = Self {
            n,
            p: small / n,
            sign: if b.alpha <= b.beta { 1.0 } else { -1.0 },
            mode: (b.alpha / b.beta).ln(),
            peak: (small / n * large / std::f64::consts::TAU).sqrt() * (binet(n) - binet(small) - binet(large)).exp(),
            ends: Vec::new(),
            tails: Vec::new(),
        };
        shape.ends = refine(&shape.breakpoints(resolution));
        shape
    }

    /// Where the density begins.
    pub(crate) fn first(&self) -> f64 {
        self.ends[0]
    }

    /// Where it ends.
    pub(crate) fn last(&self) -> f64 {
        self.ends[self.ends.len() - 1]
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

    /// g at the nodes of a panel. Around its middle m, with the tilted p' = p e^u / (1 − p + p e^u) at u = m − mode,
    /// the log-density falls by n [ln(1 + p'(e^δ − 1)) − p δ] to m + δ, and every arm has the same e^δ.
    pub(crate) fn densities(&self, nodes: &Nodes) -> Lanes {
        if nodes.half > WIDEST / 2.0 + 0.01 {
            return nodes.offset.map(|d| self.density(nodes.mid + d));
        }
        let u = nodes.mid - self.mode;
        let fallen = self.drop_at(u);
        let tilted = 1.0 / (1.0 + (1.0 - self.p) / self.p * (-u * self.sign).exp());
        let (mut offset, mut grown) = (nodes.offset, nodes.grown);
        if self.sign < 0.0 {
            // Nodes are symmetric.
            offset.reverse();
            grown.reverse();
        }
        for e in &mut grown {
            *e *= tilted;
        }
        let mut g = lanes::ln_1p(&grown);
        for (g, d) in g.iter_mut().zip(offset) {
            *g = -fallen - self.n * (*g - self.p * d);
        }
        let mut g = lanes::exp(&g);
        for g in &mut g {
            *g *= self.peak;
        }
        g
    }

    fn breakpoints(&self, resolution: Resolution) -> Vec<f64> {
        let Resolution { step, fall, depth } = resolution;
        let sd = 1.0 / (self.n * self.p * (1.0 - self.p)).sqrt();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (side, out) in [(-1.0, &mut left), (1.0, &mut right)] {
            let (mut near, mut fallen, mut goal) = (0.0, 0.0, 0.0);
            for k in 1.. {
                goal = ((step * f64::from(k)).powi(2) / 2.0).min(goal + fall).min(depth);
                (near, fallen) = self.find(side, (near, fallen), goal, near + step * sd);
                out.push(self.mode + side * near);
                if goal >= depth {
                    break;
                }
            }
        }
        left.reverse();
        left.push(self.mode);
        left.append(&mut right);
        left
    }

    /// Where beyond `near`, which has fallen by so much, the log-density has fallen by about `goal`: breakpoints need no
    /// precision. The root of the fall is nearly linear.
    fn find(&self, side: f64, near: (f64, f64), goal: f64, start: f64) -> (f64, f64) {
        let slack = 0.25 * (goal - near.1);
        let mut low = near;
        let mut high = (start, self.drop_at(side * start));
        while high.1 < goal - slack {
            low = high;
            high.0 = near.0 + 2.0 * (high.0 - near.0);
            high.1 = self.drop_at(side * high.0);
        }
        for turn in 0..40 {
            if high.1 <= goal + slack {
                break;
            }
            let share = (goal.sqrt() - low.1.sqrt()) / (high.1.sqrt() - low.1.sqrt());
            let share = if turn % 3 == 2 { 0.5 } else { share.clamp(0.05, 0.95) };
            let at = low.0 + share * (high.0 - low.0);
            let point = (at, self.drop_at(side * at));
            if point.1 < goal - slack { low = point } else { high = point }
        }
        high
    }

    /// Mass between two points of one panel.
    fn mass(&self, from: f64, to: f64) -> f64 {
        let nodes = Nodes::new(from, to);
        let weighted = rule().weights.iter().zip(self.densities(&nodes)).map(|(w, g)| w * g);
        weighted.sum::<f64>() * nodes.half
    }

    /// P(T > t) of an outline too, to its relative accuracy.
    pub(crate) fn above(&self, t: f64) -> f64 {
        if t <= self.first() {
            return 1.0;
        }
        let whole = self.ends.windows(2).rev().take_while(|p| p[1] > t);
        whole.map(|p| self.mass(p[0].max(t), p[1])).sum()
    }

    /// P(T ≤ t) likewise.
    pub(crate) fn below(&self, t: f64) -> f64 {
        if t >= self.last() {
            return 1.0;
        }
        let whole = self.ends.windows(2).take_while(|p| p[0] < t);
        whole.map(|p| self.mass(p[0], p[1].min(t))).sum()
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

/// The nodes of a panel, for all arms.
pub(crate) struct Nodes {
    pub(crate) mid: f64,
    pub(crate) half: f64,
    /// δ of each node from the middle.
    offset: Lanes,
    /// e^δ − 1.
    grown: Lanes,
}

impl Nodes {
    pub(crate) fn new(from: f64, to: f64) -> Self {
        let (half, mid) = ((to - from) / 2.0, f64::midpoint(from, to));
        let mut offset = rule().nodes;
        for x in &mut offset {
            *x *= half;
        }
        // Wider panels go without.
        Self { mid, half, offset, grown: lanes::exp_m1(&offset) }
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
            let (sums, total) = r.running(&g);
            sums.map(|s| shape.tails[i + 1] + (total - s))
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
