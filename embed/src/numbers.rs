//! Functions of many numbers, written so that the compiler takes several at once.

const LANES: usize = 16;

/// The sum of `f` over the numbers, in as many partial sums as there are lanes.
#[expect(clippy::inline_always, reason = "so that `f` is inlined too")]
#[inline(always)]
fn sum(numbers: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (s, x) in sums.iter_mut().zip(chunk) {
            *s += f(*x);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|x| f(*x)).sum::<f32>()
}

/// Brings a vector to length 1; false if it has no direction, or is not finite.
pub(crate) fn normalise(vector: &mut [f32]) -> bool {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if !(length > 0.0 && length.is_finite()) {
        return false;
    }
    #[expect(clippy::cast_possible_truncation, reason = "as finite as the numbers are")]
    vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    true
}

/// Brings numbers to mean 0 and variance 1; `epsilon` is added to the variance.
pub(crate) fn standardise(numbers: &mut [f32], epsilon: f32) {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
    let n = numbers.len() as f32;
    let mean = sum(numbers, |x| x) / n;
    let variance = sum(numbers, |x| (x - mean) * (x - mean)) / n;
    let scale = 1.0 / (variance + epsilon).sqrt();
    numbers.iter_mut().for_each(|x| *x = (*x - mean) * scale);
}

/// Shares of 1 in proportion to the exponentials.
pub(crate) fn softmax(numbers: &mut [f32]) {
    let largest = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    numbers.iter_mut().for_each(|x| *x = (*x - largest).exp());
    let total = sum(numbers, |x| x);
    numbers.iter_mut().for_each(|x| *x /= total);
}

/// `x` times the probability of a standard normal number below it.
pub(crate) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The error function, to some 3e-7: the rational approximation of Eigen and XLA (`generic_fast_erf_float`), which is 1 or -1
/// beyond 4. Without a branch, so that many are computed at once; the exact one of the C library takes a third of an encoder's time.
fn erf(x: f32) -> f32 {
    const ABOVE: [f32; 7] = [
        -2.726_142_4e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const BELOW: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let above = ABOVE.iter().fold(0.0, |sum, c| sum * square + c);
    let below = BELOW.iter().fold(0.0, |sum, c| sum * square + c);
    x * above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_is_near_the_exact_one() {
        for i in -6_000..=6_000_i16 {
            let x = f32::from(i) / 1_000.0;
            let exact = statrs::function::erf::erf(f64::from(x));
            assert!((f64::from(erf(x)) - exact).abs() < 4e-7, "erf {x}: {} is not {exact}", erf(x));
        }
    }

    #[test]
    fn rows_are_standardised_and_shared_out() {
        let mut row: Vec<f32> = (0..37_u8).map(f32::from).collect();
        standardise(&mut row, 1e-12);
        assert!(sum(&row, |x| x).abs() < 1e-4 && (sum(&row, |x| x * x) - 37.0).abs() < 1e-3);
        let mut row = vec![1_000.0, 1_000.0 + 2.0_f32.ln(), -1_000.0];
        softmax(&mut row);
        assert!((row[0] - 1.0 / 3.0).abs() < 1e-4 && (row[1] - 2.0 / 3.0).abs() < 1e-4 && row[2] == 0.0);
    }
}
