//! Vectors as points of a plane, so that people can look at them: the two principal components.
//!
//! Components are found by orthogonal iteration (Golub and Van Loan, Matrix Computations, 4th ed., 8.2.4) on the centred
//! sample, without its covariance matrix, and turned within their plane so that the first has the most variance.

use serde::{Deserialize, Serialize};

/// Rounds at most; each multiplies the sample twice. What a further round would gain nobody sees.
const ROUNDS: usize = 200;
/// Change of the variance in the plane, as a part of it, under which it is found.
const STILL: f64 = 1e-7;

/// A plane through the middle of some vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// The mean of the sample.
    mean: Vec<f32>,
    /// Two directions of length 1 at a right angle. In each the number farthest from 0 is positive.
    axes: [Vec<f32>; 2],
    /// The part of the sample's variance that is along each, from 0 to 1.
    pub explained: [f64; 2],
    /// Vectors in the sample.
    pub sample: usize,
}

impl Projection {
    /// The plane of a sample of vectors of one length; none if they are fewer than two, or all the same.
    #[must_use]
    pub fn of(sample: &[Vec<f32>]) -> Option<Self> {
        let dimension = sample.first()?.len();
        if dimension == 0 || sample.iter().any(|v| v.len() != dimension) {
            return None;
        }
        let mean = mean(sample);
        let centred: Vec<Vec<f64>> =
            sample.iter().map(|row| row.iter().zip(&mean).map(|(v, m)| f64::from(*v) - m).collect()).collect();
        let total: f64 = centred.iter().flatten().map(|v| v * v).sum();
        let size: f64 = sample.iter().flatten().map(|v| f64::from(*v) * f64::from(*v)).sum();
        // Below that it is rounding.
        if !total.is_finite() || total <= size * 1e-12 {
            return None;
        }
        let (axes, along) = plane(&centred, dimension);
        Some(Self {
            mean: mean.iter().copied().map(single).collect(),
            axes: axes.map(|axis| signed(&axis).into_iter().map(single).collect()),
            explained: along.map(|variance| (variance / total).clamp(0.0, 1.0)),
            sample: sample.len(),
        })
    }

    /// Numbers in each vector.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// Where a vector is on the plane; none if it has another length.
    #[must_use]
    pub fn place(&self, vector: &[f32]) -> Option<[f64; 2]> {
        let along = |axis: &Vec<f32>| {
            let parts = vector.iter().zip(&self.mean).zip(axis);
            parts.map(|((v, m), a)| (f64::from(*v) - f64::from(*m)) * f64::from(*a)).sum::<f64>()
        };
        (vector.len() == self.mean.len()).then(|| [along(&self.axes[0]), along(&self.axes[1])])
    }
}

#[expect(clippy::cast_possible_truncation, reason = "vectors are of single precision")]
fn single(value: f64) -> f32 {
    value as f32
}

fn mean(sample: &[Vec<f32>]) -> Vec<f64> {
    let mut sum = vec![0.0; sample[0].len()];
    for row in sample {
        sum.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
    }
    #[expect(clippy::cast_precision_loss, reason = "samples are some thousand vectors")]
    let n = sample.len() as f64;
    sum.iter().map(|s| s / n).collect()
}

/// The two directions with the most variance, and the sum of squares along each.
fn plane(centred: &[Vec<f64>], dimension: usize) -> ([Vec<f64>; 2], [f64; 2]) {
    let mut axes = [start(dimension, 1), start(dimension, 2)];
    orthonormal(&mut axes);
    let mut before = 0.0;
    for _ in 0..ROUNDS {
        let mut next = [vec![0.0; dimension], vec![0.0; dimension]];
        for row in centred {
            for (to, axis) in next.iter_mut().zip(&axes) {
                let along = dot(row, axis);
                to.iter_mut().zip(row).for_each(|(t, v)| *t += along * v);
            }
        }
        // Before they are made orthonormal: what the axes of this round hold.
        let held = dot(&next[0], &axes[0]) + dot(&next[1], &axes[1]);
        orthonormal(&mut next);
        axes = next;
        if (held - before).abs() <= STILL * held {
            break;
        }
        before = held;
    }
    turned(centred, axes)
}

/// Any direction that is not at a right angle to what is sought by chance: fixed numbers without a pattern.
fn start(dimension: usize, seed: u64) -> Vec<f64> {
    let number = |n: usize| {
        let x = (n as u64 ^ (seed << 32)).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        #[expect(clippy::cast_precision_loss, reason = "any number will do")]
        let unit = (x >> 11) as f64 / (1_u64 << 53) as f64;
        unit - 0.5
    };
    (0..dimension).map(number).collect()
}

/// Makes both of length 1 and at a right angle; one that is nothing, or nothing beside the first, becomes zeros.
fn orthonormal([first, second]: &mut [Vec<f64>; 2]) {
    normal(first);
    let before = dot(second, second);
    // Twice is enough (Kahan and Parlett).
    for _ in 0..2 {
        let shared = dot(first, second);
        second.iter_mut().zip(&*first).for_each(|(s, f)| *s -= shared * f);
    }
    if dot(second, second) <= before * 1e-24 {
        second.fill(0.0);
    }
    normal(second);
}

fn normal(vector: &mut [f64]) {
    let length = dot(vector, vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|v| *v /= length);
    }
}

/// The same plane with its axes turned to where the sample's variance in it is largest and smallest (Rayleigh and Ritz).
fn turned(centred: &[Vec<f64>], [first, second]: [Vec<f64>; 2]) -> ([Vec<f64>; 2], [f64; 2]) {
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for row in centred {
        let (x, y) = (dot(row, &first), dot(row, &second));
        (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
    }
    let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
    let (sin, cos) = angle.sin_cos();
    let mix = |a: f64, b: f64| first.iter().zip(&second).map(|(f, s)| a * f + b * s).collect::<Vec<f64>>();
    let along = |a: f64, b: f64| a * a * xx + 2.0 * a * b * xy + b * b * yy;
    ([mix(cos, sin), mix(-sin, cos)], [along(cos, sin), along(-sin, cos)])
}

fn signed(axis: &[f64]) -> Vec<f64> {
    let farthest = axis.iter().copied().fold(0.0_f64, |most, v| if v.abs() > most.abs() { v } else { most });
    axis.iter().map(|v| if farthest < 0.0 { -v } else { *v }).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests;
