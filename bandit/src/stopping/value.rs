//! Value remaining: by how much some other arm may beat the champion, relative to the champion's rate.
//!
//! V = (max_{j≠c} θ_j / θ_c − 1)⁺ (Scott 2010, A modern Bayesian look at the multi-armed bandit; 2015, Multi-armed bandit
//! experiments in the online service economy, section 4), by quadrature on the champion's log-odds axis:
//! P(V > v) = ∫ g_c(t) (1 − Π_{j≠c} F_j((1 + v) σ(t))) dt.

use crate::beta::{Beta, sigmoid};
use crate::compare::compare;
use crate::quadrature::{merged_panels, rule};
use crate::shape::{Shape, Table};

/// Widest panel on the other arms' axis. Where (1 + v) θ reaches 1 their distribution functions end in a power; panels
/// that close in on it geometrically keep the rule exact.
const WIDEST: f64 = 1.0;
/// Values beyond which nobody asks: the champion's rate is then nil.
const MOST: f64 = 1e9;

/// The distribution of the value remaining under the arms' joint posterior.
pub struct ValueRemaining {
    /// Index of the arm that is most probably best; the first among equals.
    pub champion: usize,
    shape: Shape,
    others: Vec<(Vec<f64>, Table)>,
}

impl ValueRemaining {
    /// Resolves the posteriors; none without arms.
    #[must_use]
    pub fn new(arms: &[Beta]) -> Option<Self> {
        let best = compare(arms).p_best;
        let champion = (0..arms.len()).rev().max_by(|&a, &b| best[a].total_cmp(&best[b]))?;
        Some(Self::of(arms, champion))
    }

    /// The value remaining beyond a given champion, an index into `arms`.
    #[must_use]
    pub fn of(arms: &[Beta], champion: usize) -> Self {
        let others = arms.iter().enumerate().filter(|(i, _)| *i != champion).map(|(_, &b)| {
            let shape = Shape::new(b);
            (close(&shape.ends), Table::new(&shape))
        });
        Self { champion, others: others.collect(), shape: Shape::new(arms[champion]) }
    }

    /// P(V > v) for v ≥ 0; absolute error ≤ 1e-9.
    #[must_use]
    pub fn exceeds(&self, v: f64) -> f64 {
        if self.others.is_empty() {
            return 0.0;
        }
        // Both ways between the champion's axis and the others', (1 + v) σ(t) = σ(s), without cancelling or underflow.
        let there = |t: f64| {
            let short = sigmoid(-t) - v * sigmoid(t);
            if v == 0.0 {
                t
            } else if short > 0.0 {
                v.ln_1p() + ln_sigmoid(t) - short.ln()
            } else {
                f64::INFINITY
            }
        };
        let back = |s: f64| if v == 0.0 { s } else { ln_sigmoid(s) - (v + sigmoid(-s)).ln() };
        let mut ends: Vec<Vec<f64>> =
            self.others.iter().map(|(ends, _)| ends.iter().map(|&s| back(s)).collect()).collect();
        let (first, last) = (self.shape.ends[0], self.shape.ends[self.shape.ends.len() - 1]);
        let low = ends.iter().map(|e| e[0]).fold(first, f64::max);
        if low >= last {
            return 1.0;
        }
        let high = ends.iter().map(|e| e[e.len() - 1]).fold(first, f64::max).min(last);
        let below = 1.0 - self.shape.survival(low);
        if high <= low {
            return below;
        }
        ends.push(self.shape.ends.clone());
        let lists: Vec<&[f64]> = ends.iter().map(Vec::as_slice).collect();
        let r = rule();
        let mut sum = below;
        for panel in merged_panels(&lists, low, high).windows(2) {
            let (half, mid) = ((panel[1] - panel[0]) / 2.0, f64::midpoint(panel[0], panel[1]));
            for (x, weight) in r.nodes.iter().zip(&r.weights) {
                let t = mid + half * x;
                let s = there(t);
                let none: f64 = self.others.iter().map(|(_, table)| 1.0 - table.survival(s)).product();
                sum += half * weight * self.shape.density(t) * (1.0 - none);
            }
        }
        sum.clamp(0.0, 1.0)
    }

    /// The value that V does not exceed with probability `q`: 0 if no other arm is better with that probability.
    #[must_use]
    pub fn quantile(&self, q: f64) -> f64 {
        let excess = |v: f64| self.exceeds(v) - (1.0 - q);
        if excess(0.0) <= 0.0 {
            return 0.0;
        }
        let (mut low, mut high) = (0.0_f64, 0.01_f64);
        while excess(high) > 0.0 {
            if high >= MOST {
                return MOST;
            }
            (low, high) = (high, high * 4.0);
        }
        // Regula falsi (Illinois).
        let (mut f_low, mut f_high) = (excess(low), excess(high));
        for _ in 0..60 {
            if high - low <= 1e-12 * high || f_low - f_high < 1e-14 {
                break;
            }
            let v = (low * -f_high + high * f_low) / (f_low - f_high);
            let f = excess(v);
            if f.abs() < 1e-11 {
                return v;
            }
            if f > 0.0 {
                (low, f_low) = (v, f);
                f_high /= 2.0;
            } else {
                (high, f_high) = (v, f);
                f_low /= 2.0;
            }
        }
        f64::midpoint(low, high)
    }

    /// (v, P(V > v)) at `points` evenly spaced values from 0 to the quantile `q`, for a plot.
    #[must_use]
    pub fn curve(&self, q: f64, points: u32) -> Vec<(f64, f64)> {
        let most = self.quantile(q);
        let at = |i: u32| most * f64::from(i) / f64::from(points.max(2) - 1);
        (0..points.max(2)).map(|i| (at(i), self.exceeds(at(i)))).collect()
    }
}

fn ln_sigmoid(t: f64) -> f64 {
    t.min(0.0) - (-t.abs()).exp().ln_1p()
}

/// Breakpoints at most `WIDEST` apart where σ bends.
fn close(ends: &[f64]) -> Vec<f64> {
    let mut out = vec![ends[0]];
    for pair in ends.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        if to > -3.0 && from < 44.0 && to - from > WIDEST {
            let parts = ((to - from) / WIDEST).ceil().min(200.0);
            let mut k = 1.0;
            while k < parts {
                out.push(from + (to - from) * k / parts);
                k += 1.0;
            }
        }
        out.push(to);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Odds;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn beta(alpha: f64, beta: f64) -> Beta {
        Beta { alpha, beta }
    }

    #[test]
    fn at_nothing_it_is_the_probability_that_another_arm_is_better() {
        let hundred: Vec<Beta> = (0..100).map(|i| beta(20.0 + f64::from(i % 17), 400.0 + f64::from(i))).collect();
        for arms in [
            vec![beta(1.0, 1.0), beta(1.0, 1.0)],
            vec![beta(5.0, 95.0), beta(8.0, 92.0), beta(2.0, 200.0)],
            vec![beta(5e7, 5e7), beta(5e7 + 2e3, 5e7 - 2e3)],
            vec![beta(1e-3, 1e-3), beta(0.5, 1e8), beta(3.0, 2.0)],
            vec![beta(7.0, 3.0); 5],
            hundred,
        ] {
            let best = compare(&arms).p_best;
            let value = ValueRemaining::new(&arms).unwrap();
            let got = value.exceeds(0.0);
            assert!((got - (1.0 - best[value.champion])).abs() <= 1e-9, "{arms:?}: {got}");
        }
    }

    /// θ uniform for both arms: P(θ₂ > (1 + v) θ₁) = 1 / (2 (1 + v)).
    #[test]
    fn two_uniform_arms_have_a_closed_form() {
        let value = ValueRemaining::of(&[beta(1.0, 1.0), beta(1.0, 1.0)], 0);
        for v in [0.0, 0.01, 0.1, 1.0, 10.0, 1e4] {
            let want = 0.5 / (1.0 + v);
            assert!((value.exceeds(v) - want).abs() <= 1e-10, "{v}: {} is not {want}", value.exceeds(v));
        }
        assert!((value.quantile(0.75) - 1.0).abs() < 1e-8);
        assert_eq!(value.quantile(0.4), 0.0);
        // θ₂ of Beta(1, b): P(θ₂ > (1 + v) θ₁) = E(1 − (1 + v) θ₁)₊^b = 1 / ((1 + v) (b + 1)).
        for b in [0.3, 2.5, 40.0] {
            let value = ValueRemaining::of(&[beta(1.0, 1.0), beta(1.0, b)], 0);
            let want = 1.0 / (1.3 * (b + 1.0));
            assert!((value.exceeds(0.3) - want).abs() <= 1e-10, "{b}: {} is not {want}", value.exceeds(0.3));
        }
    }

    /// Also the values of the ratio interval of two arms.
    #[test]
    fn a_quantile_of_two_arms_is_that_of_their_ratio() {
        let (a, b) = (beta(40.0, 960.0), beta(45.0, 955.0));
        let [_, high] = crate::ratio_interval(a, b, 0.9);
        let value = ValueRemaining::of(&[a, b], 1);
        assert!((value.quantile(0.95) - (high - 1.0)).abs() < 1e-8);
    }

    /// Simpson's rule on the champion's log-odds, with distribution functions that are integrated one by one.
    fn by_simpson(arms: &[Beta], champion: usize, v: f64) -> f64 {
        let [from, to] = arms[champion].interval(1.0 - 1e-13).map(crate::beta::logit);
        let steps = 4000;
        let h = (to - from) / f64::from(steps);
        let term = |i: u32| {
            let t = from + h * f64::from(i);
            let x = (1.0 + v) * sigmoid(t);
            let below = |(j, b): (usize, &Beta)| if j == champion || x >= 1.0 { 1.0 } else { 1.0 - b.survival(x) };
            let weight = if i == 0 || i == steps {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            };
            weight * Shape::new(arms[champion]).density(t) * (1.0 - arms.iter().enumerate().map(below).product::<f64>())
        };
        (0..=steps).map(term).sum::<f64>() * h / 3.0
    }

    #[test]
    fn it_agrees_with_plain_integration_to_1e_9() {
        for arms in [
            vec![beta(40.0, 960.0), beta(45.0, 955.0), beta(30.0, 800.0)],
            vec![beta(5e7, 5e7), beta(5.02e7, 4.98e7)],
            vec![beta(5e6, 9.5e7), beta(5.04e6, 9.496e7), beta(5e6, 9.5e7)],
            vec![beta(900.0, 100.0), beta(99.0, 3.0)],
            vec![beta(3.0, 2.0); 4],
            vec![beta(0.5, 20.0), beta(2.0, 60.0)],
        ] {
            for v in [0.01, 0.1] {
                let (got, want) = (ValueRemaining::of(&arms, 0).exceeds(v), by_simpson(&arms, 0, v));
                assert!((got - want).abs() <= 1e-9, "{arms:?} at {v}: {got} is not {want}, off by {:e}", got - want);
            }
        }
    }

    #[test]
    fn drawing_agrees() {
        let arms = [beta(12.0, 88.0), beta(30.0, 190.0), beta(2.0, 30.0), beta(11.0, 80.0)];
        let value = ValueRemaining::new(&arms).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let draws: Vec<Odds> = arms.iter().map(Odds::new).collect();
        let n = 400_000;
        let mut over = [0.0; 3];
        let at = [0.01, 0.2, 1.0];
        for _ in 0..n {
            let rates: Vec<f64> = draws.iter().map(|d| sigmoid(d.sample_log(&mut rng))).collect();
            let others = rates.iter().enumerate().filter(|(i, _)| *i != value.champion).map(|(_, r)| *r);
            let v = others.fold(0.0, f64::max) / rates[value.champion] - 1.0;
            for (count, limit) in over.iter_mut().zip(at) {
                *count += if v > limit { 1.0 / f64::from(n) } else { 0.0 };
            }
        }
        for (got, v) in over.into_iter().zip(at) {
            let want = value.exceeds(v);
            assert!((got - want).abs() < 5.0 * (want * (1.0 - want) / f64::from(n)).sqrt(), "{v}: {got} and {want}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_falls_in_v_and_its_quantile_inverts_it(
            arms in prop::collection::vec((0.01_f64..1e4, 0.01_f64..1e6), 2..6),
            q in 0.5_f64..0.99,
        ) {
            let arms: Vec<Beta> = arms.into_iter().map(|(a, b)| beta(a, b)).collect();
            let value = ValueRemaining::new(&arms).unwrap();
            let mut last = 1.0;
            for v in [0.0, 0.001, 0.01, 0.1, 1.0, 100.0] {
                let p = value.exceeds(v);
                prop_assert!((0.0..=1.0).contains(&p) && p <= last + 1e-9, "{} after {}", p, last);
                last = p;
            }
            let v = value.quantile(q);
            if v > 0.0 && v < MOST {
                prop_assert!((value.exceeds(v) - (1.0 - q)).abs() < 1e-7, "{} at {}", value.exceeds(v), v);
            }
        }
    }
}
