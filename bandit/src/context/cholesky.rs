//! Cholesky factors of small symmetric matrices.
//!
//! A lower triangle of order d is packed by columns: column j holds rows j to d − 1, from place j (2d − j + 1) / 2. Every
//! inner loop then runs over neighbours, and adds in one fixed order.

/// Most attempts to make a matrix positive definite that rounding has made indefinite.
const ATTEMPTS: u32 = 12;

/// A packed lower triangle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lower {
    d: usize,
    values: Vec<f64>,
}

/// Numbers in a lower triangle of order `d`.
pub(crate) const fn packed(d: usize) -> usize {
    d * (d + 1) / 2
}

/// Place of the diagonal's entry `j` in a packed triangle of order `d`.
const fn start(d: usize, j: usize) -> usize {
    j * (2 * d - j + 1) / 2
}

impl Lower {
    /// All zeros.
    pub(crate) fn zeros(d: usize) -> Self {
        Self { d, values: vec![0.0; packed(d)] }
    }

    /// From packed values; none if their number is another.
    pub(crate) fn from_packed(d: usize, values: Vec<f64>) -> Option<Self> {
        (values.len() == packed(d)).then_some(Self { d, values })
    }

    #[cfg(test)]
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn into_values(self) -> Vec<f64> {
        self.values
    }

    /// Rows j to d − 1 of column j.
    pub(crate) fn column(&self, j: usize) -> &[f64] {
        &self.values[start(self.d, j)..start(self.d, j + 1)]
    }

    pub(crate) fn column_mut(&mut self, j: usize) -> &mut [f64] {
        &mut self.values[start(self.d, j)..start(self.d, j + 1)]
    }

    /// Adds `weight` · x xᵀ for a sparse x with ascending columns.
    pub(crate) fn add_outer(&mut self, weight: f64, x: &[(u32, f64)]) {
        for (k, &(j, xj)) in x.iter().enumerate() {
            let j = j as usize;
            let at = start(self.d, j);
            for &(i, xi) in &x[k..] {
                self.values[at + i as usize - j] += weight * xj * xi;
            }
        }
    }

    /// `self · factor + diag(added)`.
    pub(crate) fn scaled_plus_diagonal(&self, factor: f64, added: &[f64]) -> Self {
        let mut out = Self { d: self.d, values: self.values.iter().map(|v| v * factor).collect() };
        for (j, add) in added.iter().enumerate() {
            out.column_mut(j)[0] += add;
        }
        out
    }

    /// The factor L with L Lᵀ = A, where `self` is the lower triangle of A.
    ///
    /// A matrix that is positive definite on paper may not be so in doubles, when counts of 1e15 meet a prior's
    /// precision of 1. Its diagonal is then raised by 1e-14 of each entry, and ten times more for every attempt that
    /// fails; the last uses the diagonal alone. What is not finite counts as a failed attempt.
    pub(crate) fn cholesky(&self) -> Self {
        for attempt in 0..=ATTEMPTS {
            let mut l = self.clone();
            let raise = if attempt == 0 { 1.0 } else { 1.0 + 1e-15 * 10f64.powi(attempt.cast_signed()) };
            for j in 0..l.d {
                l.column_mut(j)[0] *= raise;
            }
            if l.factor() {
                return l;
            }
        }
        let mut l = Self::zeros(self.d);
        for j in 0..self.d {
            let entry = self.column(j)[0].abs();
            l.column_mut(j)[0] = if entry > 0.0 { entry.min(f64::MAX).sqrt() } else { 1.0 };
        }
        l
    }

    /// Factors in place, column by column; false unless positive definite.
    fn factor(&mut self) -> bool {
        let d = self.d;
        for j in 0..d {
            let (done, rest) = self.values.split_at_mut(start(d, j + 1));
            let column = &mut done[start(d, j)..];
            let pivot = column[0].sqrt();
            if !(pivot.is_finite() && pivot > 0.0) {
                return false;
            }
            column[0] = pivot;
            for v in &mut column[1..] {
                *v /= pivot;
            }
            let mut rest = rest;
            for k in j + 1..d {
                let (target, later) = rest.split_at_mut(d - k);
                let by = column[k - j];
                for (t, c) in target.iter_mut().zip(&column[k - j..]) {
                    *t -= by * c;
                }
                rest = later;
            }
        }
        true
    }

    /// x with L Lᵀ x = b.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        self.forward(&mut x, 0);
        for j in (0..self.d).rev() {
            let column = self.column(j);
            let below: f64 = column[1..].iter().zip(&x[j + 1..]).map(|(l, x)| l * x).sum();
            x[j] = (x[j] - below) / column[0];
        }
        x
    }

    /// Replaces b by L⁻¹ b, where b is nil before `from`.
    fn forward(&self, b: &mut [f64], from: usize) {
        for j in from..self.d {
            let column = self.column(j);
            b[j] /= column[0];
            let value = b[j];
            for (b, l) in b[j + 1..].iter_mut().zip(&column[1..]) {
                *b -= value * l;
            }
        }
    }

    /// L⁻¹.
    pub(crate) fn inverse(&self) -> Self {
        let mut out = Self::zeros(self.d);
        let mut b = vec![0.0; self.d];
        for j in 0..self.d {
            b[j..].fill(0.0);
            b[j] = 1.0;
            self.forward(&mut b, j);
            out.column_mut(j).copy_from_slice(&b[j..]);
        }
        out
    }

    /// ‖L x‖² for a sparse x, with `scratch` of order d.
    pub(crate) fn norm2(&self, x: &[(u32, f64)], scratch: &mut [f64]) -> f64 {
        scratch.fill(0.0);
        for &(j, xj) in x {
            let j = j as usize;
            for (s, l) in scratch[j..].iter_mut().zip(self.column(j)) {
                *s += xj * l;
            }
        }
        scratch.iter().map(|s| s * s).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dense(l: &Lower) -> Vec<Vec<f64>> {
        (0..l.d).map(|i| (0..l.d).map(|j| if j <= i { l.column(j)[i - j] } else { 0.0 }).collect()).collect()
    }

    fn row(x: &[f64]) -> Vec<(u32, f64)> {
        (0..).zip(x.iter().copied()).filter(|(_, v)| *v != 0.0).collect()
    }

    proptest! {
        #[test]
        fn factor_inverse_and_solution_undo_the_matrix(
            rows in proptest::collection::vec(proptest::collection::vec(-3.0..3.0f64, 6), 0..12),
            ridge in 0.1..10.0f64,
            b in proptest::collection::vec(-5.0..5.0f64, 6),
        ) {
            let mut gram = Lower::zeros(6);
            for x in &rows {
                gram.add_outer(2.0, &row(x));
            }
            let a = gram.scaled_plus_diagonal(1.0, &[ridge; 6]);
            let (l, full) = (a.cholesky(), dense(&a));
            let (f, inverse) = (dense(&l), dense(&l.inverse()));
            let x = l.solve(&b);
            for i in 0..6 {
                let got: f64 = (0..6).map(|j| if j <= i { full[i][j] } else { full[j][i] } * x[j]).sum();
                prop_assert!((got - b[i]).abs() < 1e-9);
                for j in 0..=i {
                    let product: f64 = (0..6).map(|k| f[i][k] * f[j][k]).sum();
                    prop_assert!((product - full[i][j]).abs() < 1e-10 * (1.0 + full[i][j].abs()));
                    let one: f64 = (0..6).map(|k| f[i][k] * inverse[k][j]).sum();
                    prop_assert!((one - f64::from(u8::from(i == j))).abs() < 1e-10);
                }
            }
            // ‖L⁻¹ b‖² = bᵀ A⁻¹ b.
            let norm = l.inverse().norm2(&row(&b), &mut [0.0; 6]);
            let want: f64 = x.iter().zip(&b).map(|(x, b)| x * b).sum();
            prop_assert!((norm - want).abs() < 1e-9 * (1.0 + want));
        }
    }

    #[test]
    fn what_rounding_made_indefinite_is_factored_all_the_same() {
        // Two equal columns under counts of 1e18: in doubles the prior's 1 is gone.
        let mut a = Lower::zeros(3);
        a.add_outer(1e18, &[(0, 1.0), (1, 1.0), (2, 0.3)]);
        let l = a.scaled_plus_diagonal(1.0, &[1.0; 3]).cholesky();
        assert!(l.inverse().values().iter().all(|v| v.is_finite()), "{l:?}");
        let broken = Lower::from_packed(2, vec![f64::NAN, f64::INFINITY, 1.0]).unwrap().cholesky();
        assert!(broken.inverse().values().iter().all(|v| v.is_finite()), "{broken:?}");
    }
}
