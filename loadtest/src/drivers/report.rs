//! What a run found.

use super::error::Error;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A send lag beyond which latencies say more about the generator than about the target.
const LATE: Duration = Duration::from_millis(5);

/// An hour; longer times are recorded as this.
const LONGEST_MICROS: u64 = 3_600_000_000;

/// Times, to a microsecond or three digits.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Result<Self, Error> {
        let histogram = Histogram::new_with_bounds(1, LONGEST_MICROS, 3);
        histogram.map(Self).map_err(|e| Error::Generator(e.to_string()))
    }

    pub(crate) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    /// How many times were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that the share `q` (0 to 1) of all stayed within; zero if nothing was recorded.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(q))
    }

    /// The median.
    #[must_use]
    pub fn p50(&self) -> Duration {
        self.quantile(0.5)
    }

    /// The 99th percentile.
    #[must_use]
    pub fn p99(&self) -> Duration {
        self.quantile(0.99)
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.0.max())
    }

    /// How many were `time` or longer.
    #[must_use]
    pub fn at_least(&self, time: Duration) -> u64 {
        self.0.count_between(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), u64::MAX)
    }
}

/// The requests of one class.
#[derive(Debug, Clone)]
pub struct ClassReport {
    /// Its name.
    pub name: &'static str,
    /// Time to the end of each answer; of a request that timed out, the time until it was given up.
    pub latency: Latencies,
    /// The same of answers with a 2xx status alone: refusals are quick.
    pub accepted: Latencies,
    /// Answers by HTTP status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer: the connection broke or time ran out.
    pub failures: u64,
}

impl ClassReport {
    /// Answers of any status.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Answers with a 2xx status.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.statuses.range(200..300).map(|(_, n)| n).sum()
    }
}

/// What a run found.
#[derive(Debug, Clone)]
pub struct Report {
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Requests per second that were asked for; none in a closed loop.
    pub wanted_rate: Option<f64>,
    /// One per class, in the caller's order.
    pub classes: Vec<ClassReport>,
    /// Why the first request without an answer had none.
    pub first_failure: Option<String>,
    /// From the moment a request was due and a connection free to its sending: the generator's own delay. It
    /// is part of the latencies. Nothing is recorded in a closed loop.
    pub lag: Latencies,
    /// Requests that were due while every connection was busy; that wait is part of their latency.
    pub waited: u64,
    /// Requests that were still waiting when the run was ended.
    pub unsent: u64,
}

impl Report {
    /// The class of this name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&ClassReport> {
        self.classes.iter().find(|c| c.name == name)
    }

    /// Answers of any status.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.classes.iter().map(ClassReport::answered).sum()
    }

    /// Answers with a 2xx status.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.classes.iter().map(ClassReport::succeeded).sum()
    }

    /// Requests without an answer.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.classes.iter().map(|c| c.failures).sum()
    }

    /// Answers per second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    pub fn rate(&self) -> f64 {
        self.answered() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Whether the generator could not send in time: more than 1 % of its sends were over 5 ms late, so that
    /// the latencies are partly its own.
    #[must_use]
    pub fn generator_late(&self) -> bool {
        self.lag.p99() > LATE
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        write!(f, "{} answers in {:.1} s, {:.0}/s", self.answered(), self.elapsed.as_secs_f64(), self.rate())?;
        if let Some(rate) = self.wanted_rate {
            write!(f, " of {rate:.0}/s wanted, {} waited for a connection", self.waited)?;
            write!(f, ", send lag p99 {:.2} ms", ms(self.lag.p99()))?;
            if self.generator_late() {
                write!(f, " (THE GENERATOR WAS LATE)")?;
            }
        }
        if self.unsent > 0 {
            write!(f, ", {} never sent", self.unsent)?;
        }
        for c in &self.classes {
            let l = &c.latency;
            write!(f, "\n  {}: p50 {:.2} ms, p99 {:.2} ms", c.name, ms(l.p50()), ms(l.p99()))?;
            write!(f, ", max {:.2} ms;", ms(l.max()))?;
            for (status, n) in &c.statuses {
                write!(f, " {n} × {status}")?;
            }
            if c.failures > 0 {
                write!(f, " {} without an answer", c.failures)?;
            }
        }
        match &self.first_failure {
            Some(why) => write!(f, "\n  first failure: {why}"),
            None => Ok(()),
        }
    }
}
