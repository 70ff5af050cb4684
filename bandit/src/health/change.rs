//! Abrupt changes of arms' rates, found from hourly counts.
//!
//! Under the null an arm's trials succeed independently at one unknown rate p, whatever decides how many trials it
//! gets. Against it stand, for every hour u, "one rate before u, another from u on". The evidence of u is
//!
//! e_u = KT(before u) · Q_u(from u on) / max_p L(p; all),
//!
//! where KT is the Krichevsky–Trofimov mixture, Beta(½, ½), and Q_u the mixture over Beta(1, (1 − m)/m), mirrored for
//! m > ½, around the mean m before u: rates of the scale of the arm's own. Its numerator is a probability of the sequence
//! and its denominator at least the likelihood of the true p, so Σ_u π(u) e_u with Σ π ≤ 1 is below a nonnegative
//! martingale that starts at 1, and exceeds K/δ for any of K arms at any time with probability at most δ (Ville).
//! Sources: Wasserman, Ramdas & Balakrishnan (2020), Universal inference, section 7; Besson, Kaufmann, Maillard &
//! Seznec (2022), Efficient change-point detection, whose test is the supremum of the same ratio and whose threshold
//! this one undercuts, since it is a mixture; Krichevsky & Trofimov (1981).
//!
//! A shop's rates swing with the hour of the day, for all arms together, and that is no change. So an alarm must also
//! stand against the same hours of days before, from the second day on: see [`rhythm`]. That takes alarms away and adds
//! none, so the level of arms with constant rates holds; for rates with a daily rhythm there is no proof but a simulation.
//! On the first day, and with a rhythm of the week, a strong swing is told as a change.
//!
//! After the j-th alarm the scan begins anew with the hour after it and level δ/((j + 1)(j + 2)), so that δ bounds the
//! probability of any alarm that no change precedes, and of any after a change was found that none follows.

mod rhythm;

use crate::learn::HourOutcome;
use statrs::function::gamma::ln_gamma;

/// Hours for which every hour is looked at as a possible change; older ones by the day.
const RECENT: usize = 48;
const DAY: usize = 24;
/// Scale of the prior over the hour of a change: about flat over the first week.
const SPREAD: f64 = 168.0;
/// Squared deviations, in variances, below which a split cannot matter. Leaving it out only lowers the evidence.
const NEGLIGIBLE: f64 = 8.0;

/// What became of one arm's decisions of one hour.
///
/// A trial whose reward may still come is not a failure: `trials` of the newest hours must count it with the
/// probability that its reward would have arrived by now, or the newest hours look like a drop. The stated level is
/// exact for whole trials; for weighted ones it is as good as the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HourCount {
    /// Hour of decision, counted from 1970-01-01T00:00Z.
    pub hour: i64,
    /// Index of the arm in the definition.
    pub arm: usize,
    /// Effective trials.
    pub trials: f64,
    /// Successes among them.
    pub rewards: f64,
}

impl From<&HourOutcome> for HourCount {
    /// Every trial in full: right once windows have closed.
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    fn from(o: &HourOutcome) -> Self {
        Self { hour: o.hour, arm: o.arm, trials: o.trials as f64, rewards: o.rewards as f64 }
    }
}

/// How changes are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangeConfig {
    /// Probability of any false alarm, over all arms and all time.
    pub false_alarms: f64,
}

impl Default for ChangeConfig {
    fn default() -> Self {
        Self { false_alarms: 0.01 }
    }
}

/// A change of one arm's rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangePoint {
    /// Index of the arm.
    pub arm: usize,
    /// The first hour at the new rate, as far as one can tell.
    pub hour: i64,
    /// The last hour whose counts were needed to tell.
    pub found: i64,
    /// Rate before, since the last change.
    pub before: f64,
    /// Rate from the change to when it was found.
    pub after: f64,
    /// Natural logarithm of the evidence.
    pub evidence: f64,
    /// What it had to exceed.
    pub threshold: f64,
}

/// The hour since which no arm's rate is known to have changed; none if none ever did.
#[must_use]
pub fn homogeneous_since(changes: &[ChangePoint]) -> Option<i64> {
    changes.iter().map(|c| c.hour).max()
}

/// The changes of `arms` arms, in the order in which they were found. A pure function of the counts, in any order;
/// several counts of one hour and arm are added up. Counts that are no counts, negative or not finite, are left out.
///
/// A year of hours of ten arms takes some ten milliseconds.
#[must_use]
pub fn changes(counts: &[HourCount], arms: usize, config: &ChangeConfig) -> Vec<ChangePoint> {
    let (hours, sums) = cumulate(counts, arms);
    let (mut found, mut terms) = (Vec::new(), Vec::new());
    let (mut start, mut scan) = (0, 1.0);
    let priors: Vec<f64> = (0..hours.len()).map(|k| ln_prior(k, SPREAD)).collect();
    for now in 1..=hours.len() {
        let threshold = (count(arms) * scan * (scan + 1.0) / config.false_alarms).ln();
        let alarms = found.len();
        for (arm, sums) in sums.iter().enumerate() {
            let Some(Evidence { all: evidence, days, split }) = evidence(sums, start, now, &priors, &mut terms) else {
                continue;
            };
            let since = hours[start];
            if evidence >= threshold && (days >= threshold || rhythm::differs(&hours, sums, since, now)) {
                let (before, after) = (Sum::between(sums, start, split), Sum::between(sums, split, now));
                found.push(ChangePoint {
                    arm,
                    hour: hours[split],
                    found: hours[now - 1],
                    before: before.rate(),
                    after: after.rate(),
                    evidence,
                    threshold,
                });
            }
        }
        if found.len() > alarms {
            (start, scan) = (now, scan + 1.0);
        }
    }
    found
}

/// Trials and successes.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    trials: f64,
    rewards: f64,
}

impl Sum {
    fn rate(self) -> f64 {
        self.rewards / self.trials
    }

    fn failures(self) -> f64 {
        self.trials - self.rewards
    }

    fn and(self, other: Self) -> Self {
        Self { trials: self.trials + other.trials, rewards: self.rewards + other.rewards }
    }

    /// Of the hours from one index to another, from what came before each.
    fn between(sums: &[Self], from: usize, to: usize) -> Self {
        let rewards = (sums[to].rewards - sums[from].rewards).max(0.0);
        Self { trials: (sums[to].trials - sums[from].trials).max(rewards), rewards }
    }
}

/// The hours with trials, and for each arm what came before each of them, and at the end.
fn cumulate(counts: &[HourCount], arms: usize) -> (Vec<i64>, Vec<Vec<Sum>>) {
    let sound = |c: &&HourCount| {
        c.arm < arms && c.trials.is_finite() && c.trials > 0.0 && c.rewards.is_finite() && c.rewards >= 0.0
    };
    let mut sorted: Vec<&HourCount> = counts.iter().filter(sound).collect();
    sorted.sort_by(|a, b| {
        (a.hour, a.arm).cmp(&(b.hour, b.arm)).then(a.trials.total_cmp(&b.trials)).then(a.rewards.total_cmp(&b.rewards))
    });
    let (mut hours, mut sums) = (Vec::new(), vec![vec![Sum::default()]; arms]);
    for of_hour in sorted.chunk_by(|a, b| a.hour == b.hour) {
        hours.push(of_hour[0].hour);
        for list in &mut sums {
            list.extend(list.last().copied());
        }
        for c in of_hour {
            if let Some(sum) = sums[c.arm].last_mut() {
                sum.trials += c.trials;
                sum.rewards += c.rewards.min(c.trials);
            }
        }
    }
    (hours, sums)
}

/// ln Σ π(u) e_u over the splits u of some hours.
struct Evidence {
    all: f64,
    /// Of those between whole days alone, on which no rhythm of a day tells.
    days: f64,
    /// The split with most of it.
    split: usize,
}

/// The evidence of hours `start..now`; none if nothing is new or speaks for a change.
fn evidence(sums: &[Sum], start: usize, now: usize, priors: &[f64], terms: &mut Vec<(f64, usize)>) -> Option<Evidence> {
    let all = Sum::between(sums, start, now);
    if sums[now].trials <= sums[now - 1].trials {
        return None; // nothing new of this arm
    }
    terms.clear();
    let (rate, least) = (all.rate(), NEGLIGIBLE * all.rate() * (1.0 - all.rate()));
    let matters = |split: usize| {
        let trials = sums[now].trials - sums[split].trials;
        let deviation = sums[now].rewards - sums[split].rewards - trials * rate;
        deviation * deviation > least * trials && trials < all.trials
    };
    let look = |terms: &mut Vec<(f64, usize)>, split: usize, ln_prior: f64| {
        terms.push((ln_prior + ratio(Sum::between(sums, start, split), Sum::between(sums, split, now), all), split));
    };
    for split in (start + 1).max(now.saturating_sub(RECENT))..now {
        if matters(split) {
            look(terms, split, priors[split - start]);
        }
    }
    let hourly = terms.len();
    if (now - start).is_multiple_of(DAY) {
        for day in 1..(now - start) / DAY {
            if matters(start + day * DAY) {
                look(terms, start + day * DAY, ln_prior(day, SPREAD / count(DAY)));
            }
        }
    }
    let best = terms.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(Evidence { all: ln_sum(terms), days: ln_sum(&terms[hourly..]), split: best.1 })
}

fn ln_sum(terms: &[(f64, usize)]) -> f64 {
    let most = terms.iter().map(|t| t.0).fold(f64::NEG_INFINITY, f64::max);
    if most.is_finite() { most + terms.iter().map(|t| (t.0 - most).exp()).sum::<f64>().ln() } else { most }
}

/// ln ½π(k), half for hours and half for days: π(1) + π(2) + … telescopes to 1.
fn ln_prior(k: usize, spread: f64) -> f64 {
    let tail = |k: usize| 1.0 / (std::f64::consts::E + count(k) / spread).ln();
    ((tail(k.saturating_sub(1)) - tail(k)) / 2.0).ln()
}

/// ln e_u.
fn ratio(before: Sum, after: Sum, all: Sum) -> f64 {
    let m = (before.rewards + 0.5) / (before.trials + 1.0);
    let (alpha, beta) = if m <= 0.5 { (1.0, (1.0 - m) / m) } else { (m / (1.0 - m), 1.0) };
    mixture(before, 0.5, 0.5) + mixture(after, alpha, beta) - xlogx(all.rewards) - xlogx(all.failures())
        + xlogx(all.trials)
}

/// ln of the mean likelihood of one order of the trials under Beta(α, β).
fn mixture(sum: Sum, alpha: f64, beta: f64) -> f64 {
    ln_beta(alpha + sum.rewards, beta + sum.failures()) - ln_beta(alpha, beta)
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

fn xlogx(x: f64) -> f64 {
    if x > 0.0 { x * x.ln() } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "hours and arms are few")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests;
