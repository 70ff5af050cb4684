//! What came of the requests to one target.

use super::Lost;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// An hour in microseconds; longer times are recorded as this.
const LONGEST_MICROS: u64 = 3_600_000_000;
const SECOND: u64 = 1_000_000_000;
/// Seconds that are told one by one: more than a day.
const POINTS: usize = 100_000;
/// Different arms that are counted apart.
const ARMS: usize = 100;

/// The three times of a request, each to three digits of a microsecond count.
#[derive(Debug, Clone)]
pub(crate) struct Histograms {
    /// From when it was due to the end of its answer: what a visitor would have waited.
    pub(crate) response: Histogram<u64>,
    /// From when it was sent to the end of its answer: what the target took.
    pub(crate) service: Histogram<u64>,
    /// From when it was due and a connection free to its sending: the generator's own delay.
    pub(crate) lag: Histogram<u64>,
}

/// One second of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Point {
    pub(crate) asked: u64,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) errors: u64,
    /// Response times in microseconds of answers that ended in this second.
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

/// Everything that is counted of one target.
#[derive(Debug, Clone)]
pub(crate) struct Stats {
    pub(crate) times: Histograms,
    pub(crate) points: Vec<Point>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) lost: BTreeMap<Lost, u64>,
    pub(crate) arms: BTreeMap<String, u64>,
    /// Requests that were due.
    pub(crate) asked: u64,
    pub(crate) sent: u64,
    /// Of these, rewards.
    pub(crate) events: u64,
    /// Those that have a place in the schedule: events follow from answers, and say nothing of a rate.
    pub(crate) paced_asked: u64,
    pub(crate) paced_sent: u64,
    pub(crate) first_due_ns: Option<u64>,
    pub(crate) last_due_ns: u64,
    pub(crate) last_sent_ns: u64,
    pub(crate) end_ns: u64,
    /// The last reason why no connection could be opened.
    pub(crate) refused: Option<String>,
    second: Histogram<u64>,
    second_at: usize,
}

impl Stats {
    pub(crate) fn new() -> Result<Self, hdrhistogram::CreationError> {
        let fresh = || Histogram::new_with_bounds(1, LONGEST_MICROS, 3);
        Ok(Self {
            times: Histograms { response: fresh()?, service: fresh()?, lag: fresh()? },
            points: Vec::new(),
            statuses: BTreeMap::new(),
            lost: BTreeMap::new(),
            arms: BTreeMap::new(),
            asked: 0,
            sent: 0,
            events: 0,
            paced_asked: 0,
            paced_sent: 0,
            first_due_ns: None,
            last_due_ns: 0,
            last_sent_ns: 0,
            end_ns: 0,
            refused: None,
            second: Histogram::new_with_bounds(1, LONGEST_MICROS, 2)?,
            second_at: 0,
        })
    }

    fn point(&mut self, at_ns: u64) -> &mut Point {
        let index = second_of(at_ns);
        if self.points.len() <= index {
            self.points.resize(index + 1, Point::default());
        }
        &mut self.points[index]
    }

    pub(crate) fn asked(&mut self, due_ns: u64, paced: bool) {
        self.asked += 1;
        self.point(due_ns).asked += 1;
        if paced {
            self.paced_asked += 1;
            self.first_due_ns = Some(self.first_due_ns.map_or(due_ns, |first| first.min(due_ns)));
            self.last_due_ns = self.last_due_ns.max(due_ns);
        }
    }

    pub(crate) fn sent(&mut self, sent_ns: u64, lag_ns: u64, paced: bool) {
        self.sent += 1;
        self.times.lag.saturating_record(micros(lag_ns));
        self.point(sent_ns).sent += 1;
        if paced {
            self.paced_sent += 1;
            self.last_sent_ns = sent_ns;
        }
    }

    pub(crate) fn answered(&mut self, status: u16, due_ns: u64, sent_ns: u64, now_ns: u64) {
        *self.statuses.entry(status).or_default() += 1;
        self.times.service.saturating_record(micros(now_ns.saturating_sub(sent_ns)));
        self.responded(due_ns, now_ns);
        let point = self.point(now_ns);
        point.answered += 1;
        point.errors += u64::from(status >= 400);
        self.end_ns = self.end_ns.max(now_ns);
    }

    /// A request without an answer took at least so long: leaving it out would flatter the target.
    pub(crate) fn lost(&mut self, why: Lost, due_ns: u64, now_ns: u64) {
        *self.lost.entry(why).or_default() += 1;
        if why == Lost::CutOff {
            return;
        }
        self.responded(due_ns, now_ns);
        self.point(now_ns).errors += 1;
        self.end_ns = self.end_ns.max(now_ns);
    }

    pub(crate) fn arm(&mut self, arm: &str) {
        if let Some(count) = self.arms.get_mut(arm) {
            *count += 1;
        } else {
            let name = if self.arms.len() < ARMS { arm } else { "(others)" };
            *self.arms.entry(name.to_owned()).or_default() += 1;
        }
    }

    fn responded(&mut self, due_ns: u64, now_ns: u64) {
        let time = micros(now_ns.saturating_sub(due_ns));
        self.times.response.saturating_record(time);
        let second = second_of(now_ns);
        if second != self.second_at {
            self.close_second();
            self.second_at = second;
        }
        self.second.saturating_record(time);
    }

    /// Writes the percentiles of the second that ended into its point.
    pub(crate) fn close_second(&mut self) {
        if self.second.is_empty() {
            return;
        }
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|q| self.second.value_at_quantile(q));
        let max = self.second.max();
        let at = u64::try_from(self.second_at).unwrap_or(u64::MAX).saturating_mul(SECOND);
        let point = self.point(at);
        (point.p50, point.p90, point.p99, point.max) = (p50, p90, p99, max);
        self.second.reset();
    }

    /// Requests that got an answer.
    pub(crate) fn answers(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Statuses of 400 and above, and requests without an answer that the run waited for.
    pub(crate) fn errors(&self) -> u64 {
        let bad: u64 = self.statuses.range(400..).map(|(_, n)| n).sum();
        let lost: u64 = self.lost.iter().filter(|(why, _)| **why != Lost::CutOff).map(|(_, n)| n).sum();
        bad + lost
    }
}

fn micros(ns: u64) -> u64 {
    (ns.saturating_add(500) / 1_000).max(1)
}

fn second_of(at_ns: u64) -> usize {
    usize::try_from(at_ns / SECOND).unwrap_or(usize::MAX).min(POINTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_totals_agree() {
        let mut stats = Stats::new().unwrap();
        for i in 0..3_000_u64 {
            let due = i * 1_000_000;
            stats.asked(due, true);
            stats.sent(due + 10_000, 10_000, true);
            stats.answered(if i % 100 == 0 { 503 } else { 200 }, due, due + 10_000, due + 2_000_000);
        }
        stats.lost(Lost::TimedOut, 2_999_000_000, 3_999_000_000);
        stats.close_second();
        assert_eq!(stats.points.iter().map(|p| p.asked).collect::<Vec<_>>(), [1_000, 1_000, 1_000, 0]);
        assert_eq!(stats.points.iter().map(|p| p.answered).sum::<u64>(), 3_000);
        // To two digits.
        assert!(stats.points[1].p50.abs_diff(2_000) <= 20, "{}", stats.points[1].p50);
        assert_eq!((stats.errors(), stats.answers(), stats.times.response.len()), (31, 3_000, 3_001));
        assert!(stats.points[3].max > 990_000);
    }
}
