//! Sums over many numbers.

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
