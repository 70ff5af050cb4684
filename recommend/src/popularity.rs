//! What is popular now: views, each counting half as much after every half-life.

use jiff::Timestamp;

/// Views of one item in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourlyViews<I> {
    /// The item.
    pub item: I,
    /// The hour, by any moment in it; hours begin as in UTC.
    pub hour: Timestamp,
    /// How many.
    pub views: u64,
}

/// A decaying count. What is added in order of hours is exact but for rounding.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Decayed {
    /// As of the hour.
    count: f64,
    /// Since 1970, in UTC.
    hour: i64,
}

impl Decayed {
    /// Adds views of an hour that is no earlier than those before.
    pub fn add(&mut self, hour: Timestamp, views: u64, half_life_hours: f64) {
        self.count = self.at(hour, half_life_hours);
        self.hour = self.hour.max(hour_of(hour));
        #[expect(clippy::cast_precision_loss, reason = "views of an hour stay below 2^53")]
        let views = views as f64;
        self.count += views;
    }

    /// The count at `now`: views of the hour that `now` is in count in full, those of `h` hours before
    /// 2^(-h / half-life). So the order of items changes with views and on the hour, and not between.
    #[must_use]
    pub fn at(&self, now: Timestamp, half_life_hours: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "hours stay below 2^53")]
        let hours = (hour_of(now) - self.hour).max(0) as f64;
        if self.count == 0.0 { 0.0 } else { self.count * (-hours / half_life_hours).exp2() }
    }
}

fn hour_of(moment: Timestamp) -> i64 {
    moment.as_second().div_euclid(3_600)
}

/// The `n` items with the largest decayed counts at `now`, largest first, equal ones in their order. Views of hours after
/// the one of `now` do not count; items whose views have decayed to nothing are left out. The order of `counts` does not
/// matter, and an hour may be there in parts.
#[must_use]
pub fn popular<I: Ord>(
    mut counts: Vec<HourlyViews<I>>,
    now: Timestamp,
    half_life_hours: f64,
    n: usize,
) -> Vec<(I, f64)> {
    counts.retain(|c| hour_of(c.hour) <= hour_of(now));
    // Sums round by their order: one order for all.
    counts.sort_unstable_by(|a, b| (&a.item, a.hour, a.views).cmp(&(&b.item, b.hour, b.views)));
    let mut items: Vec<(I, Decayed)> = Vec::new();
    for HourlyViews { item, hour, views } in counts {
        match items.last_mut() {
            Some((last, count)) if *last == item => count.add(hour, views, half_life_hours),
            _ => {
                let mut count = Decayed::default();
                count.add(hour, views, half_life_hours);
                items.push((item, count));
            }
        }
    }
    let counted = items.into_iter().map(|(item, count)| (item, count.at(now, half_life_hours)));
    let mut best: Vec<(I, f64)> = counted.filter(|(_, count)| *count > 0.0).collect();
    best.sort_by(|a, b| b.1.total_cmp(&a.1));
    best.truncate(n);
    best
}

#[cfg(test)]
mod tests;
