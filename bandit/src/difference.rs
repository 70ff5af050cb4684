//! The difference of two groups' rates.

use crate::beta::Interval;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Half the width of a normal interval of 95 %, in standard errors.
const NORMAL_95: f64 = 1.959_963_984_540_054;

/// One group's rate less another's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RateDifference {
    /// The first rate minus the second.
    pub difference: f64,
    /// Its 95 % confidence interval.
    #[schema(value_type = Vec<f64>)]
    pub interval: Interval,
}

/// Compares (trials, rewards) of two groups that do not share trials; none while one has no trial.
///
/// The interval joins Wilson's score intervals of both rates (Newcombe 1998, "Interval estimation for the difference
/// between independent proportions", method 10): it covers well down to a handful of rewards, and never leaves −1 to 1.
#[must_use]
pub fn rate_difference(first: (u64, u64), second: (u64, u64)) -> Option<RateDifference> {
    let ((a, [a_low, a_high]), (b, [b_low, b_high])) = (wilson(first)?, wilson(second)?);
    let difference = a - b;
    let low = difference - (a - a_low).hypot(b_high - b);
    let high = difference + (a_high - a).hypot(b - b_low);
    Some(RateDifference { difference, interval: [low, high] })
}

/// A rate and Wilson's interval for it.
fn wilson((trials, rewards): (u64, u64)) -> Option<(f64, Interval)> {
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    let (n, x) = (trials as f64, rewards.min(trials) as f64);
    let (p, z2) = (x / n, NORMAL_95 * NORMAL_95);
    let (middle, width) = (x + z2 / 2.0, NORMAL_95 * (x * (1.0 - p) + z2 / 4.0).sqrt());
    (trials > 0).then(|| (p, [(middle - width).max(0.0) / (n + z2), (middle + width).min(n + z2) / (n + z2)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of table II of the paper.
    #[test]
    fn intervals_are_those_of_the_paper() {
        for (first, second, low, high) in [
            ((70, 56), (80, 48), 0.0524, 0.3339),
            ((10, 9), (10, 3), 0.1705, 0.8090),
            ((56, 5), (29, 0), -0.0381, 0.1926),
        ] {
            let of = rate_difference(first, second).unwrap();
            assert!((of.interval[0] - low).abs() < 5e-5 && (of.interval[1] - high).abs() < 5e-5, "{of:?}");
        }
        assert_eq!(rate_difference((0, 0), (5, 1)), None);
        let all = rate_difference((10, 10), (10, 0)).unwrap();
        assert!(all.interval[0] > 0.6 && all.interval[1] <= 1.0, "{all:?}");
    }
}
