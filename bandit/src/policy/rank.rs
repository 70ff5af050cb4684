//! Who ends up where when independent draws are ranked.
//!
//! Given that arm i drew t, the number of arms above it is Poisson-binomial with probabilities 1 − Gₘ(t), so that
//! P(arm i at position j) = ∫ gᵢ(t) P(PoiBin = j) dt.

use crate::beta::Beta;
use crate::compare::outlines;
use crate::lanes::Lanes;
use crate::quadrature::{NODES, rule};
use crate::shape::Shape;
use crate::sweep::{Panel, sweep};

/// Row j: probabilities that each arm's draw is the j-th highest, for the first `length` positions.
pub(crate) fn of_betas(arms: &[Beta], length: usize) -> Vec<Vec<f64>> {
    let shapes = outlines(arms);
    let low = shapes.iter().map(Shape::first).fold(f64::INFINITY, f64::min);
    let high = shapes.iter().map(Shape::last).fold(f64::NEG_INFINITY, f64::max);
    let mut ranks = Ranks::new(arms.len(), length);
    sweep(&shapes, low, high, |panel| ranks.add(panel));
    ranks.shares()
}

/// Entry j: probability that the draw of arm `order[j]` is the j-th highest. The same numbers at a fraction of the cost:
/// of each panel the arms of the list alone are asked for, each at its one position.
pub(crate) fn of_order(arms: &[Beta], order: &[usize]) -> Vec<f64> {
    let shapes = outlines(arms);
    let low = shapes.iter().map(Shape::first).fold(f64::INFINITY, f64::min);
    let high = shapes.iter().map(Shape::last).fold(f64::NEG_INFINITY, f64::max);
    let mut position = vec![None; arms.len()];
    order.iter().enumerate().for_each(|(j, &i)| position[i] = Some(j));
    let mut mass = vec![0.0; order.len()];
    let mut before = vec![vec![[0.0; NODES]; order.len()]; order.len()];
    sweep(&shapes, low, high, |panel| {
        // Who is on the list, and how many of the arms that live here may be above: all to come are.
        let place = |i: usize| position[i].and_then(|j| Some((j, j.checked_sub(panel.to_come)?)));
        let Some(length) = panel.live.iter().filter_map(|&i| place(i)).map(|(_, above)| above + 1).max() else {
            return;
        };
        let mut count = none_above(length);
        for &i in panel.live {
            if let Some((j, above)) = place(i) {
                before[j][..=above].copy_from_slice(&count[..=above]);
            }
            include(&mut count, &panel.cdf[i]);
        }
        let weights = rule().weights;
        let mut after = none_above(length);
        for &i in panel.live.iter().rev() {
            if let Some((j, above)) = place(i) {
                let mut chance = [0.0; NODES];
                for (row, rest) in before[j][..=above].iter().zip(after[..=above].iter().rev()) {
                    for n in 0..NODES {
                        chance[n] += row[n] * rest[n];
                    }
                }
                mass[j] += (0..NODES).map(|n| weights[n] * panel.density[i][n] * chance[n]).sum::<f64>();
            }
            include(&mut after, &panel.cdf[i]);
        }
    });
    mass.into_iter().map(|p| p.clamp(0.0, 1.0)).collect()
}

/// The same when arms are taken one after another without replacement, each in proportion to its positive weight among
/// those left (Plackett 1975, "The analysis of permutations"): the ranking of independent exponential arrival times X
/// with these rates, here on the axis t = −ln X.
pub(super) fn of_weights(weights: &[f64], length: usize) -> Vec<Vec<f64>> {
    let r = rule();
    let rates: Vec<f64> = weights.iter().map(|w| w.ln()).collect();
    // At t = ln w − 4 the distribution function is e^-54; above ln w by 40 it lacks e^-40.
    let low = rates.iter().copied().fold(f64::INFINITY, f64::min) - 4.0;
    let high = rates.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 40.0;
    let mut ranks = Ranks::new(weights.len(), length);
    let live: Vec<usize> = (0..weights.len()).collect();
    let (mut density, mut cdf) = (vec![[0.0; NODES]; weights.len()], vec![[0.0; NODES]; weights.len()]);
    let half = 0.5;
    let mut mid = low + half;
    while mid - half < high {
        for (i, rate) in rates.iter().enumerate() {
            let hazard = r.nodes.map(|x| (rate - mid - half * x).exp());
            cdf[i] = hazard.map(|h| (-h).exp());
            density[i] = hazard.map(|h| half * h * (-h).exp());
        }
        ranks.add(&Panel { mid, half, live: &live, to_come: 0, density: &density, cdf: &cdf });
        mid += 2.0 * half;
    }
    ranks.shares()
}

/// Probabilities of positions, as panels come in.
struct Ranks {
    length: usize,
    mass: Vec<Vec<f64>>,
    /// Row i: distribution of how many of the live arms before the i-th are above, at each node.
    before: Vec<Vec<Lanes>>,
}

impl Ranks {
    fn new(arms: usize, length: usize) -> Self {
        Self { length, mass: vec![vec![0.0; arms]; length], before: vec![vec![[0.0; NODES]; length]; arms] }
    }

    fn add(&mut self, panel: &Panel<'_>) {
        // Arms to come are above all that live here.
        let Some(length) = self.length.checked_sub(panel.to_come).filter(|n| *n > 0) else { return };
        let mut count = none_above(length);
        for (row, &i) in self.before.iter_mut().zip(panel.live) {
            row[..length].copy_from_slice(&count);
            include(&mut count, &panel.cdf[i]);
        }
        let weights = rule().weights;
        let mut after = none_above(length);
        for (row, &i) in self.before.iter().zip(panel.live).rev() {
            let mass: Lanes = std::array::from_fn(|n| weights[n] * panel.density[i][n]);
            for j in 0..length {
                let mut chance = [0.0; NODES];
                for a in 0..=j {
                    for n in 0..NODES {
                        chance[n] += row[a][n] * after[j - a][n];
                    }
                }
                let at = panel.to_come + j;
                self.mass[at][i] += chance.iter().zip(&mass).map(|(c, m)| c * m).sum::<f64>();
            }
            include(&mut after, &panel.cdf[i]);
        }
    }

    /// What remains of rounding is taken out.
    fn shares(mut self) -> Vec<Vec<f64>> {
        for row in &mut self.mass {
            let total: f64 = row.iter().sum();
            row.iter_mut().for_each(|m| *m /= total);
        }
        self.mass
    }
}

fn none_above(length: usize) -> Vec<Lanes> {
    let mut count = vec![[0.0; NODES]; length];
    count[0] = [1.0; NODES];
    count
}

/// Chances below are none: numbers near the least that doubles have are slow.
const NONE: f64 = 1e-100;

/// One more arm, which is above with probability 1 − `cdf`.
fn include(count: &mut [Lanes], cdf: &Lanes) {
    for j in (0..count.len()).rev() {
        for n in 0..NODES {
            let fewer = if j > 0 { count[j - 1][n] } else { 0.0 };
            let chance = count[j][n] * cdf[n] + fewer * (1.0 - cdf[n]);
            count[j][n] = if chance < NONE { 0.0 } else { chance };
        }
    }
}
