//! When each request is due: by the log's own clock, or at a rate.

mod order;
mod rate;

pub(crate) use order::Spread;
pub(crate) use rate::{Rate, Speed, duration};

use crate::map::Made;
use crate::read::{Note, SharedLedger};
use crate::send::Job;
use order::Order;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// How the log's times become the run's.
#[derive(Debug, Clone)]
pub(crate) struct Timing {
    pub(crate) speed: Speed,
    /// In place of the log's clock.
    pub(crate) rate: Option<Rate>,
    pub(crate) spread: Spread,
    /// An even rate is due on multiples of this: each request at the beginning of where it falls, so that a part of the
    /// run has as many as it would have had.
    pub(crate) grain: Duration,
    /// How far back in time a line may be to be put in order.
    pub(crate) reorder: Duration,
    /// Longer pauses are cut to this.
    pub(crate) max_gap: Option<Duration>,
    /// Nothing is due later.
    pub(crate) duration: Option<Duration>,
    pub(crate) seed: u64,
}

/// Makes jobs of requests, in the order of their deadlines.
pub(crate) struct Planner {
    timing: Timing,
    order: Order,
    dues: Dues,
    made: u64,
}

/// Nothing later is due in this run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Over;

struct Dues {
    rng: ChaCha8Rng,
    /// Where on the log's clock the run's time `base_ns` is.
    log_zero: Option<i64>,
    base_ns: u64,
    last_log: i64,
    last_due: u64,
    /// Requests so far, or of a Poisson process of rate one.
    count: f64,
}

impl Planner {
    pub(crate) fn new(timing: Timing) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(timing.seed);
        let order = Order::new(timing.reorder, timing.spread, timing.seed);
        let dues = Dues { rng, log_zero: None, base_ns: 0, last_log: 0, last_due: 0, count: 0.0 };
        Self { timing, order, dues, made: 0 }
    }

    /// Takes a request as it was read, and gives those whose turn has come to `out`.
    pub(crate) fn push(
        &mut self,
        made: Made,
        line: &[u8],
        ledger: &SharedLedger,
        out: &mut dyn FnMut(Job) -> bool,
    ) -> Result<(), Over> {
        if self.order.is_behind(made.at.ns) {
            ledger.lock().note(Note::Reordered, line);
        }
        if self.order.push(made) {
            ledger.lock().note(Note::ClockBack, line);
        }
        while let Some((at, made)) = self.order.ready() {
            self.emit(at, made, out)?;
        }
        Ok(())
    }

    /// Gives what is left; what is pushed next is the beginning of the next round.
    pub(crate) fn end_of_log(&mut self, out: &mut dyn FnMut(Job) -> bool) -> Result<(), Over> {
        while let Some((at, made)) = self.order.rest() {
            self.emit(at, made, out)?;
        }
        // The next round begins one mean gap after the last request.
        let gap = self.dues.last_due.saturating_sub(self.dues.base_ns) / self.made.max(1);
        self.dues.base_ns = self.dues.last_due + gap;
        self.dues.log_zero = None;
        self.made = 0;
        Ok(())
    }

    fn emit(&mut self, at: i64, made: Made, out: &mut dyn FnMut(Job) -> bool) -> Result<(), Over> {
        self.made += 1;
        let due_ns = self.dues.next(&self.timing, at).ok_or(Over)?;
        if self.timing.duration.is_some_and(|most| u128::from(due_ns) >= most.as_nanos()) {
            return Err(Over);
        }
        let Made { user, key, kind, bytes, .. } = made;
        if out(Job { due_ns, user, key, kind, bytes }) { Ok(()) } else { Err(Over) }
    }
}

impl Dues {
    fn next(&mut self, timing: &Timing, at: i64) -> Option<u64> {
        let due = match &timing.rate {
            Some(rate) => {
                let seconds = rate.time_of(self.count)?;
                self.count += match timing.spread {
                    Spread::Poisson => -(1.0 - self.rng.random::<f64>()).ln(),
                    _ => 1.0,
                };
                let due = (seconds * 1e9) as u64;
                match timing.spread {
                    Spread::Uniform => due - due % (timing.grain.as_nanos() as u64).max(1),
                    Spread::Poisson => due,
                    Spread::Burst => seconds.floor() as u64 * 1_000_000_000,
                }
            }
            None => self.by_log(timing, at),
        };
        // Deadlines never go back.
        self.last_due = self.last_due.max(due);
        Some(self.last_due)
    }

    fn by_log(&mut self, timing: &Timing, at: i64) -> u64 {
        let zero = *self.log_zero.get_or_insert_with(|| {
            self.last_log = at;
            at
        });
        if let Some(most) = timing.max_gap.and_then(|gap| i64::try_from(gap.as_nanos()).ok())
            && at - self.last_log > most
        {
            let skipped = at - self.last_log - most;
            self.log_zero = Some(zero + skipped);
        }
        self.last_log = self.last_log.max(at);
        let since = at.saturating_sub(self.log_zero.unwrap_or(at)).max(0);
        self.base_ns + (since as f64 / timing.speed.0) as u64
    }
}

#[cfg(test)]
mod tests;
