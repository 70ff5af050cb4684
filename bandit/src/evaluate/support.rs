//! How much a log can say about a policy, and when it cannot.

use super::{Log, count};

/// Effective rows below which nothing is taken for an answer. With 50 the mean weight alone is uncertain by 14 %
/// (1/√50), and normal and bootstrap intervals, which see only what was sampled, cover far less than they say.
pub const ENOUGH_ROWS: f64 = 50.0;
/// Effective rewarded rows below which intervals by standard error are called crude, as for a binomial proportion, where
/// the normal interval needs about ten successes; and below which there is no answer: an interval from one or two events
/// is theirs, not the policy's.
const ENOUGH_REWARDS: [f64; 2] = [10.0, 3.0];
/// Share of all weight in the heaviest hundredth of rows that is worth saying.
const HEAVY: f64 = 0.5;
/// Standard errors between the mean weight and 1 beyond which propensities are wrong, or support is missing. Weights have
/// heavy tails, so that 4 is not as rare as under a normal distribution, but rare enough.
const FAR: f64 = 4.0;
/// And the distance itself must matter: by so much are estimates off.
const DISTANT: f64 = 0.05;
/// Share of the policy's choices without support that is said, and that disqualifies: estimates leave it out, so that
/// they are off by about this share, and by any amount if those arms are special.
const UNSUPPORTED: [f64; 2] = [0.001, 0.05];
/// A propensity below this is said: few policies mean it, and rounding in the log would change weights.
const TINY: f64 = 1e-5;

/// What a log holds for a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Support {
    /// Rows.
    pub rows: usize,
    /// Rows with a reward above 0.
    pub rewarded_rows: usize,
    /// Kish's effective sample size, (Σ w)² / Σ w² (Kish 1965, "Survey sampling").
    pub effective_rows: f64,
    /// The same of the weights times rewards: how many rewarded rows decide.
    pub effective_rewarded_rows: f64,
    /// Mean weight; 1 in expectation if propensities are right and support is complete.
    pub mean_weight: f64,
    /// Its standard error.
    pub mean_weight_se: f64,
    /// Largest weight.
    pub max_weight: f64,
    /// Share of all weight in the heaviest 1 % of rows.
    pub top_share: f64,
    /// Share of rows with weight 0.
    pub zero_share: f64,
    /// Smallest logged propensity.
    pub min_propensity: f64,
    /// Share of the policy's choices that fall on arms the log never dealt in the same circumstances, if known.
    pub unsupported: Option<f64>,
}

/// What to know before reading estimates.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Warning {
    /// The policy would never have dealt what the log dealt.
    #[error("the policy gives no probability to any arm that was logged")]
    NoOverlap,
    /// Few rows decide.
    #[error(
        "effective sample size {} of {}: at least {ENOUGH_ROWS} are needed",
        whole(*effective),
        thousands(*rows)
    )]
    FewEffectiveRows {
        /// Kish's effective sample size.
        effective: f64,
        /// Rows.
        rows: usize,
    },
    /// The mean weight is not 1.
    #[error(
        "the mean weight is {mean:.3} ± {se:.3} where it should be 1: logged propensities are wrong, or arms that the \
         policy wants were hardly ever dealt"
    )]
    MeanWeight {
        /// The mean.
        mean: f64,
        /// Its standard error.
        se: f64,
    },
    /// The policy wants arms that were never dealt.
    #[error(
        "{:.1} % of the policy's choices are arms that the log never dealt in the same segment: nothing is known of them",
        share * 100.0
    )]
    Unsupported {
        /// Share of choices.
        share: f64,
    },
    /// A hundredth of rows holds most of the weight.
    #[error("the heaviest 1 % of rows hold {:.0} % of the weight", share * 100.0)]
    HeavyRows {
        /// Their share.
        share: f64,
    },
    /// Nothing was rewarded.
    #[error(
        "no row has a reward: intervals by standard error and bootstrap are empty, only the sequence means something"
    )]
    NoRewards,
    /// Few rewarded rows decide.
    #[error(
        "rewards weigh like {} rewarded rows: intervals by standard error are crude below {}, and nothing is known below {}",
        whole(*effective),
        ENOUGH_REWARDS[0],
        ENOUGH_REWARDS[1]
    )]
    FewRewards {
        /// Effective number.
        effective: f64,
    },
    /// A propensity is tiny.
    #[error("propensities go down to {min:.1e}: such weights are only as good as the last digits in the log")]
    TinyPropensity {
        /// The smallest.
        min: f64,
    },
}

fn whole(n: f64) -> String {
    if n < 9.95 { format!("{n:.1}").trim_end_matches(".0").to_owned() } else { format!("{n:.0}") }
}

/// 10,000 for 10000.
fn thousands(n: usize) -> String {
    if n < 1_000 { n.to_string() } else { format!("{},{:03}", thousands(n / 1_000), n % 1_000) }
}

impl Warning {
    /// Its name in JSON.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoOverlap => "no_overlap",
            Self::FewEffectiveRows { .. } => "few_effective_rows",
            Self::MeanWeight { .. } => "mean_weight",
            Self::Unsupported { .. } => "unsupported",
            Self::HeavyRows { .. } => "heavy_rows",
            Self::NoRewards => "no_rewards",
            Self::FewRewards { .. } => "few_rewards",
            Self::TinyPropensity { .. } => "tiny_propensity",
        }
    }

    /// Whether the estimates are no answer any more.
    #[must_use]
    pub fn disqualifies(&self) -> bool {
        match self {
            Self::NoOverlap | Self::FewEffectiveRows { .. } | Self::MeanWeight { .. } | Self::NoRewards => true,
            Self::Unsupported { share } => *share > UNSUPPORTED[1],
            Self::FewRewards { effective } => *effective < ENOUGH_REWARDS[1],
            Self::HeavyRows { .. } | Self::TinyPropensity { .. } => false,
        }
    }
}

/// (Σ x)² / Σ x², 0 for nothing.
fn effective(sum: f64, squares: f64) -> f64 {
    // Divided first: the square of a large sum might not be finite.
    if squares > 0.0 { sum / squares * sum } else { 0.0 }
}

impl Support {
    pub(super) fn of(log: &Log<'_>) -> Self {
        let rows = log.rewards.len();
        let n = count(rows);
        let mut weights: Vec<f64> = (0..rows).map(|row| log.weight(row)).collect();
        let (mut sum, mut squares, mut paid, mut paid_squares) = (0.0, 0.0, 0.0, 0.0);
        for (w, r) in weights.iter().zip(log.rewards) {
            sum += w;
            squares += w * w;
            paid += w * r;
            paid_squares += w * r * w * r;
        }
        let mean = sum / n;
        let spread: f64 = weights.iter().map(|w| (w - mean) * (w - mean)).sum();
        let zero = weights.iter().filter(|w| **w <= 0.0).count();
        let top = rows.div_ceil(100);
        let (heavier, least, _) = weights.select_nth_unstable_by(top - 1, |a, b| b.total_cmp(a));
        let (heavy, max) = (heavier.iter().sum::<f64>() + *least, heavier.iter().copied().fold(*least, f64::max));
        Self {
            rows,
            rewarded_rows: log.rewards.iter().filter(|r| **r > 0.0).count(),
            effective_rows: effective(sum, squares),
            effective_rewarded_rows: effective(paid, paid_squares),
            mean_weight: mean,
            mean_weight_se: (spread / (n - 1.0).max(1.0) / n).sqrt(),
            max_weight: max,
            top_share: if sum > 0.0 { heavy / sum } else { 0.0 },
            zero_share: count(zero) / n,
            min_propensity: log.propensities.iter().copied().fold(f64::INFINITY, f64::min),
            unsupported: log.unsupported,
        }
    }

    /// What this support cannot bear; those that disqualify first.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut out = Vec::new();
        if self.mean_weight <= 0.0 {
            out.push(Warning::NoOverlap);
        } else if self.effective_rows < ENOUGH_ROWS {
            out.push(Warning::FewEffectiveRows { effective: self.effective_rows, rows: self.rows });
        }
        let off = (self.mean_weight - 1.0).abs();
        if self.mean_weight > 0.0 && off > DISTANT && off > FAR * self.mean_weight_se {
            out.push(Warning::MeanWeight { mean: self.mean_weight, se: self.mean_weight_se });
        }
        if let Some(share) = self.unsupported.filter(|share| *share > UNSUPPORTED[0]) {
            out.push(Warning::Unsupported { share });
        }
        if self.top_share > HEAVY {
            out.push(Warning::HeavyRows { share: self.top_share });
        }
        if self.rewarded_rows == 0 {
            out.push(Warning::NoRewards);
        } else if self.effective_rewarded_rows < ENOUGH_REWARDS[0] {
            out.push(Warning::FewRewards { effective: self.effective_rewarded_rows });
        }
        if self.min_propensity < TINY {
            out.push(Warning::TinyPropensity { min: self.min_propensity });
        }
        out.sort_by_key(|w| !w.disqualifies());
        out
    }
}
