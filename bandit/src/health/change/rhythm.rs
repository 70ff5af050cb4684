//! A shop's day is no change: rates that swing by the hour of the day are compared with the same hours of days before.

use super::Sum;

/// Hours back of the hours that one is compared with: those of the same time of day, up to a week.
const DAY: i64 = 24;
const DAYS: i64 = 7;
/// How much, in nats of a normal deviate, the last hours must differ from the same hours of days before.
const DIFFERENT: f64 = 12.0;

/// Whether the hours before index `now` differ from the same hours of days before, or there is nothing to compare with.
///
/// The statistic is that of Cochran (1954) and Mantel & Haenszel (1959), each hour a stratum, its largest over the changes
/// that may have been in the last day. Hours before `since` are another rate's and are left out, but for yesterday's.
pub(super) fn differs(hours: &[i64], sums: &[Sum], since: i64, now: usize) -> bool {
    let last = hours[now - 1];
    let (mut excess, mut variance, mut compared, mut all) = (0.0, 0.0, 0.0, 0.0);
    let mut most = 0.0_f64;
    for i in (0..now).rev().take_while(|&i| last.saturating_sub(hours[i]) < DAY) {
        let own = Sum::between(sums, i, i + 1);
        all += own.trials;
        let mut before = Sum::default();
        for day in 1..=DAYS {
            let hour = hours[i].saturating_sub(day * DAY);
            if day > 1 && hour < since {
                break;
            }
            if let Ok(at) = hours[..i].binary_search(&hour) {
                before = before.and(Sum::between(sums, at, at + 1));
            }
        }
        let (n, s) = (own.trials + before.trials, own.rewards + before.rewards);
        if own.trials > 0.0 && before.trials > 0.0 {
            compared += own.trials;
            excess += own.rewards - own.trials * s / n;
            variance += own.trials * before.trials * s * (n - s) / (n * n * (n - 1.0).max(1.0));
            if variance > 0.0 {
                most = most.max(excess * excess / variance / 2.0);
            }
        }
    }
    compared < all / 2.0 || most >= DIFFERENT
}
