//! How long rewards take, and so how many are still to come.
//!
//! A reward is seen only if it took no longer than its trial is old: young trials show short delays. Rewarded trials are
//! therefore *right-truncated*, and the product-limit estimate runs backwards in time (Lagakos, Barraj & De Gruttola
//! 1988, "Nonparametric analysis of truncated survival data", Biometrika 75, §2: the estimate of Kaplan & Meier on the
//! reversed axis). With dᵦ the rewards of bucket b = [l, u) and nᵦ those with a delay below u, both only of trials that
//! are at least u old,
//!
//! F(l) = F(u) · (1 − dᵦ / nᵦ), from F(window) = 1 down.
//!
//! Unlike Kaplan & Meier's estimate on all trials it does not ask that old and young trials have the same rate, which
//! they have not: a policy moves traffic to better arms.

use jiff::Timestamp;

/// Upper edges of the buckets but the last, in minutes: fine where rewards are many, coarse up to ninety days.
const EDGES: [u32; 59] = [
    1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 90, 120, 150, 180, 240, 300, 360, 420, 480, 600, 720, 840,
    960, 1_080, 1_200, 1_440, 1_800, 2_160, 2_520, 2_880, 3_600, 4_320, 5_040, 5_760, 7_200, 8_640, 10_080, 11_520,
    12_960, 14_400, 17_280, 20_160, 24_480, 30_240, 34_560, 40_320, 43_200, 50_400, 60_480, 72_000, 86_400, 108_000,
    129_600,
];
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Before any reward, delays are taken to be spread evenly over the logarithm of time from about ten minutes to the
/// window: no time scale is preferred.
const PRIOR_SCALE_HOURS: f64 = 1.0 / 6.0;
/// Rewards that this belief is worth: a handful of real ones outweighs it.
const PRIOR_REWARDS: f64 = 2.0;

/// Rewards of the decisions of one hour, by the delay of each decision's first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HourDelay {
    /// Hour of decision, counted from 1970-01-01T00:00Z.
    pub hour: i64,
    /// Bucket of the delay: see [`delay_bucket`].
    pub bucket: usize,
    /// Decisions whose first reward took so long.
    pub rewards: u64,
}

/// The bucket of a delay in milliseconds, 0 to 59. Stored counts refer to it: edges never change. A reward that is
/// stamped before its decision took no time.
#[must_use]
pub fn delay_bucket(delay_ms: i64) -> usize {
    EDGES.partition_point(|&edge| i64::from(edge) * MINUTE_MS <= delay_ms)
}

/// Of rewards that come within the window, the share that comes within so many hours: rising from 0 at once to 1 at the
/// window's end, straight between points.
#[derive(Debug, Clone, PartialEq)]
pub struct DelayCurve {
    /// Hours since the decision.
    ages: Vec<f64>,
    /// The share at each.
    shares: Vec<f64>,
    /// Area under the curve up to each, in hours.
    areas: Vec<f64>,
    /// Up to here the curve follows rewards; beyond, no trial is old enough, and the tail is drawn with caution.
    known_hours: f64,
    rewards: u64,
}

impl DelayCurve {
    /// The curve that `delays` show at `now`, for a window of so many hours.
    ///
    /// Beyond the age that trials have reached, each doubling of time is taken to bring as many rewards as the last one
    /// that was seen: an upper bound for delays whose density on the log axis falls there, so that trials count too
    /// little for a while rather than too much. Without any reward the curve is the belief that no time scale is
    /// preferred; it is worth two rewards, spread as the Dirichlet prior of the buckets.
    #[must_use]
    pub fn estimate(delays: &[HourDelay], window_hours: u32, now: Timestamp) -> Self {
        let window = f64::from(window_hours.max(1));
        let mut ages = vec![0.0];
        ages.extend(EDGES.iter().map(|&minutes| f64::from(minutes) / 60.0).take_while(|&hours| hours < window));
        ages.push(window);
        let buckets = ages.len() - 1;
        // Rewards per bucket of trials that are older than it, and those of it and the buckets before.
        let (mut own, mut upto, mut past) = (vec![0u64; buckets], vec![0u64; buckets], vec![0u64; buckets + 1]);
        let mut rewards = 0;
        for d in delays {
            let bucket = d.bucket.min(buckets - 1);
            // The last trial of the hour is the youngest.
            let age = hours(now.as_millisecond().saturating_sub(d.hour.saturating_add(1).saturating_mul(HOUR_MS)));
            let reached = ages[1..].partition_point(|&edge| edge <= age);
            if bucket < reached {
                own[bucket] += d.rewards;
                past[reached] += d.rewards;
                rewards += d.rewards;
            }
        }
        let mut sum = 0;
        for b in 0..buckets {
            sum = sum + own[b] - past[b];
            upto[b] = sum;
        }
        let known = upto.iter().rposition(|&n| n > 0).map_or(0, |b| b + 1);
        let mut shares = backwards(&ages, &own, &upto, known);
        tail(&ages, &mut shares, known);
        let mut areas = vec![0.0];
        for b in 0..buckets {
            areas.push(areas[b] + (ages[b + 1] - ages[b]) * f64::midpoint(shares[b], shares[b + 1]));
        }
        Self { known_hours: ages[known], ages, shares, areas, rewards }
    }

    /// The share that comes within so many hours of the decision.
    #[must_use]
    pub fn share(&self, hours: f64) -> f64 {
        let (b, part) = self.place(hours);
        self.shares[b] + part * (self.shares[b + 1] - self.shares[b])
    }

    /// The mean share over ages spread evenly between two, in hours.
    #[must_use]
    pub fn mean_share(&self, from: f64, to: f64) -> f64 {
        let window = self.window_hours();
        if from >= window {
            return 1.0;
        }
        if to - from < 1e-6 {
            return self.share(from);
        }
        let area = |hours: f64| {
            let (b, part) = self.place(hours);
            let width = part * (self.ages[b + 1] - self.ages[b]);
            self.areas[b] + width * f64::midpoint(self.shares[b], self.share(hours)) + (hours - window).max(0.0)
        };
        ((area(to) - area(from)) / (to - from)).clamp(0.0, 1.0)
    }

    /// Hours within which a share of the rewards comes.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let share = share.clamp(0.0, 1.0);
        let b = self.shares.partition_point(|&s| s < share).clamp(1, self.shares.len() - 1);
        let (low, high) = (self.shares[b - 1], self.shares[b]);
        let part = if high > low { (share - low) / (high - low) } else { 1.0 };
        self.ages[b - 1] + part.clamp(0.0, 1.0) * (self.ages[b] - self.ages[b - 1])
    }

    /// Hours and share of every point, first (0, 0), last (window, 1).
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.ages.iter().copied().zip(self.shares.iter().copied())
    }

    /// Rewards behind the curve.
    #[must_use]
    pub fn rewards(&self) -> u64 {
        self.rewards
    }

    /// Hours up to which the curve follows rewards; at most the window.
    #[must_use]
    pub fn known_hours(&self) -> f64 {
        self.known_hours
    }

    fn window_hours(&self) -> f64 {
        self.ages[self.ages.len() - 1]
    }

    /// The bucket of an age and how far into it, 0 to 1.
    fn place(&self, hours: f64) -> (usize, f64) {
        let last = self.ages.len() - 2;
        let b = self.ages[1..].partition_point(|&age| age <= hours).min(last);
        (b, ((hours - self.ages[b]) / (self.ages[b + 1] - self.ages[b])).clamp(0.0, 1.0))
    }
}

/// The curve up to age number `known`, where it is set to 1, by the product-limit estimate backwards in time.
fn backwards(ages: &[f64], own: &[u64], upto: &[u64], known: usize) -> Vec<f64> {
    let mut shares = vec![1.0; ages.len()];
    // Prior rewards before age number b.
    let before = |b: usize| PRIOR_REWARDS * (spread(ages[b]) / spread(ages[known]));
    for b in (0..known).rev() {
        let more = before(b + 1);
        let ended = exact(own[b]) + more - before(b);
        shares[b] = shares[b + 1] * (1.0 - ended / (exact(upto[b]) + more)).clamp(0.0, 1.0);
    }
    shares[0] = 0.0;
    shares
}

/// The curve beyond age number `known`, and all of it scaled to 1 at the window.
fn tail(ages: &[f64], shares: &mut [f64], known: usize) {
    let end = ages[known];
    if known == 0 {
        for (share, &age) in shares.iter_mut().zip(ages) {
            *share = spread(age);
        }
    } else {
        // Rewards of the last doubling of time.
        let half = ages[..known].partition_point(|&age| age <= end / 2.0) - 1;
        let part = (end / 2.0 - ages[half]) / (ages[half + 1] - ages[half]);
        let octave = 1.0 - (shares[half] + part * (shares[half + 1] - shares[half]));
        for (share, age) in shares.iter_mut().zip(ages).skip(known + 1) {
            *share = 1.0 + octave * (age / end).log2();
        }
    }
    let all = shares[shares.len() - 1];
    for share in shares {
        *share /= all;
    }
}

/// Evenly over the logarithm of time, up to a factor.
fn spread(hours: f64) -> f64 {
    (hours / PRIOR_SCALE_HOURS).ln_1p()
}

/// Milliseconds in hours.
#[expect(clippy::cast_precision_loss, reason = "ages stay below 2^53 ms")]
pub(crate) fn hours(ms: i64) -> f64 {
    ms as f64 / HOUR_MS as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn exact(n: u64) -> f64 {
    n as f64
}
