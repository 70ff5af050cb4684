//! Several Beta posteriors on common panels of the log-odds axis.
//!
//! Distribution functions at the nodes come from the densities at the same nodes, by the integral of the
//! interpolating polynomial, so that no incomplete beta function is needed. They grow from the left, where all terms
//! are positive: a lower tail has its full relative accuracy.

use crate::quadrature::{FLAT, NODES, WIDEST, rule};
use crate::shape::{Nodes, Shape};

/// The arms on one panel; the nodes are `mid + half * rule().nodes[j]`.
pub(crate) struct Panel<'a> {
    pub(crate) mid: f64,
    pub(crate) half: f64,
    /// Arms whose density lives here.
    pub(crate) live: &'a [usize],
    /// How many arms live above this panel alone.
    pub(crate) to_come: usize,
    /// Row i: density of arm i at the nodes, times `half`; only of arms in `live`.
    pub(crate) density: &'a [[f64; NODES]],
    /// Row i: distribution function of arm i at the nodes. Arms that have ended have 1, those to come 0.
    pub(crate) cdf: &'a [[f64; NODES]],
}

/// Calls `visit` with each panel between `low` and `high`, from the left.
pub(crate) fn sweep(shapes: &[Shape], low: f64, high: f64, mut visit: impl FnMut(&Panel<'_>)) {
    let r = rule();
    let mut below: Vec<f64> = shapes.iter().map(|s| s.below(low)).collect();
    let mut density = vec![[0.0; NODES]; shapes.len()];
    let mut cdf: Vec<[f64; NODES]> = below.iter().map(|&b| [b; NODES]).collect();
    let mut live = Vec::with_capacity(shapes.len());
    for panel in panels(shapes, low, high).windows(2) {
        let nodes = Nodes::new(panel[0], panel[1]);
        let (mid, half) = (nodes.mid, nodes.half);
        live.clear();
        let mut to_come = 0;
        for (i, shape) in shapes.iter().enumerate() {
            if panel[1] <= shape.first() || panel[0] >= shape.last() {
                let ended = panel[0] >= shape.last();
                to_come += usize::from(!ended);
                cdf[i] = [if ended { 1.0 } else { 0.0 }; NODES];
                continue;
            }
            live.push(i);
            density[i] = shape.densities(&nodes);
            density[i].iter_mut().for_each(|g| *g *= half);
            let (sums, total) = r.running(&density[i]);
            for (cdf, sum) in cdf[i].iter_mut().zip(sums) {
                *cdf = (below[i] + sum).clamp(0.0, 1.0);
            }
            below[i] = (below[i] + total).min(1.0);
        }
        visit(&Panel { mid, half, live: &live, to_come, density: &density, cdf: &cdf });
    }
}

/// Panel ends between `low` and `high`. A panel is no wider than that of any arm that lives in it.
fn panels(shapes: &[Shape], low: f64, high: f64) -> Vec<f64> {
    let mut ends = vec![low];
    let mut at = low;
    // Each arm's next breakpoint is found by a pointer that only moves right.
    let mut next = vec![0; shapes.len()];
    while at < high {
        let mut width = high - at;
        for (s, k) in shapes.iter().zip(&mut next) {
            while *k < s.ends.len() && s.ends[*k] <= at {
                *k += 1;
            }
            if *k == s.ends.len() {
                continue;
            }
            // Not begun: stop where it begins. Begun: at most the local panel's width.
            width = width.min(if *k == 0 { s.ends[0] - at } else { s.ends[*k] - s.ends[*k - 1] });
            // The next panel may be the narrower one.
            if *k + 1 < s.ends.len() && at + width > s.ends[*k] {
                width = width.min((s.ends[*k] - at).max(s.ends[*k + 1] - s.ends[*k]));
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
