//! The Gauss–Legendre rule, and integrals of the polynomial through its nodes.

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
    /// `lower[k][j]`: weight of node k in the integral from -1 to node j. In this order sums run over j, in lanes.
    pub(crate) lower: [[f64; NODES]; NODES],
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
        let mut lower = [[0.0; NODES]; NODES];
        for j in 0..NODES {
            for k in 0..NODES {
                let mut below = nodes[j] + 1.0;
                for m in 1..NODES {
                    below += at[k][m] * (at[j][m + 1] - at[j][m - 1]);
                }
                lower[k][j] = weights[k] / 2.0 * below;
            }
        }
        // Berrut & Trefethen 2004, "Barycentric Lagrange interpolation", and Wang & Xiang 2012 for these nodes.
        let barycentric = std::array::from_fn(|j| {
            let sign = if j % 2 == 0 { 1.0 } else { -1.0 };
            sign * ((1.0 - nodes[j] * nodes[j]) * weights[j]).sqrt()
        });
        Self { nodes, weights, lower, barycentric }
    }

    /// Integrals from -1 to each node of the polynomial through `values`, and to 1.
    pub(crate) fn running(&self, values: &[f64; NODES]) -> ([f64; NODES], f64) {
        let (mut sums, mut total) = ([0.0; NODES], 0.0);
        for k in 0..NODES {
            for j in 0..NODES {
                sums[j] += self.lower[k][j] * values[k];
            }
            total += self.weights[k] * values[k];
        }
        (sums, total)
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
