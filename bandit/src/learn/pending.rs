//! Trials whose reward may still come, as failures.
//!
//! A trial that has no reward after the time in which a share F of rewards comes has likelihood 1 − θF (Chapelle 2014,
//! "Modeling delayed feedback in display advertising", eq. 10; Vernade et al. 2017, "Stochastic bandit models for delayed
//! conversions", §3): with F = 1 it is a failure, with F = 0 it says nothing. On the log-odds axis, where the mode of
//! Beta(α, β) is α / (α + β), the slope of the log-posterior of α successes, β failures and pending trials is
//!
//! α(1 − θ) − βθ − Σ θ(1 − θ)F / (1 − θF),
//!
//! which is that of a Beta with w = F(1 − θ) / (1 − θF) more failures for each. Taken at the θ where both are zero, the
//! Beta has its mode, its mean, where the exact posterior has its mode: small rates give w ≈ F, the probability that the
//! reward would have arrived by now.
//!
//! The Beta is narrower than the exact posterior, which learns less from trials that have come only so far: in standard
//! deviation by the factor √((1 − θ) / (1 − θF)), from the Fisher information of the two. That is less than 3 % at rates
//! up to 5 %, and 18 % at a rate of a half while F is a half; it is 1 again once F is.

/// Rounds of Newton's method; four to six are usual.
const ROUNDS: usize = 60;

/// Some pending trials of the same age.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    /// How many, weighted.
    pub(crate) trials: f64,
    /// F: the share of rewards that would have arrived by now, 0 to 1.
    pub(crate) arrived: f64,
}

/// The failures that pending trials count for, beside `alpha` successes and `beta` failures with their priors.
///
/// w(θ) falls with θ, and θ with the failures, so that α/θ = β/(1 − θ) + Σ F/(1 − θF) has one root in (0, 1).
pub(crate) fn failures(alpha: f64, beta: f64, pending: &[Pending]) -> f64 {
    let (mut low, mut high) = (0.0, pending.iter().map(|p| p.trials * p.arrived).sum::<f64>());
    let mut now = high;
    for _ in 0..ROUNDS {
        let rate = alpha / (alpha + beta + now);
        let (mut value, mut slope) = (0.0, 0.0);
        for p in pending {
            let missing = 1.0 - rate * p.arrived;
            let each = p.trials * p.arrived / missing;
            value += each * (1.0 - rate);
            slope += each * (1.0 - p.arrived) / missing;
        }
        let above = value - now;
        if above > 0.0 {
            low = now
        } else {
            high = now
        }
        // dw/dθ · dθ/dw − 1
        let newton = now - above / (slope * rate * rate / alpha - 1.0);
        let next = if newton >= low && newton <= high { newton } else { f64::midpoint(low, high) };
        let moved = (next - now).abs();
        now = next;
        if moved <= 1e-13 * (alpha + beta + now) {
            break;
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Half of the rewards have arrived, at a rate of a half: 25 successes of 100, and the rate is a half.
    #[test]
    fn rewards_that_are_to_come_are_expected() {
        let more = failures(25.0, 0.0, &[Pending { trials: 75.0, arrived: 0.5 }]);
        assert!((more - 25.0).abs() < 1e-9, "{more}");
    }

    #[test]
    fn the_ends_are_exact() {
        let of = |arrived| failures(3.0, 2.0, &[Pending { trials: 40.0, arrived }]);
        assert_eq!((of(0.0), of(1.0), failures(3.0, 2.0, &[])), (0.0, 40.0, 0.0));
    }

    proptest! {
        /// Whatever the numbers, the slopes agree where it says.
        #[test]
        fn it_is_the_root(
            alpha in 1e-3..1e6f64, beta in 1e-3..1e6f64,
            pending in prop::collection::vec((0.0..1e9f64, 0.0..=1.0f64), 0..20),
        ) {
            let pending: Vec<Pending> = pending.into_iter().map(|(trials, arrived)| Pending { trials, arrived }).collect();
            let more = failures(alpha, beta, &pending);
            let most: f64 = pending.iter().map(|p| p.trials * p.arrived).sum();
            prop_assert!(more >= 0.0 && more <= most);
            let rate = alpha / (alpha + beta + more);
            let own: f64 = pending.iter().map(|p| p.trials * p.arrived * (1.0 - rate) / (1.0 - rate * p.arrived)).sum();
            prop_assert!((own - more).abs() <= 1e-9 * (alpha + beta + more), "{} is not {}", own, more);
        }
    }
}
