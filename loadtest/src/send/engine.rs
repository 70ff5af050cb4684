//! The loop: what is due goes out, what comes in is noted, and in between it waits.

use super::inbox::Inbox;
use super::poller::Poller;
use super::pool::{Outcome, Pool, Target};
use super::stats::Stats;
use super::{Job, Lost};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often timeouts are looked for and progress is told.
const TICK_NS: u64 = 20_000_000;
/// What is read from a socket at once.
const READ: usize = 64 << 10;
/// Requests that may wait to follow from an answer.
const LATER: usize = 100_000;
/// Between the first job and the run's beginning.
const LEAD: Duration = Duration::from_millis(100);
/// How long answers are waited for once somebody asked the run to stop.
const GRACE_NS: u64 = 1_000_000_000;

/// How a run is made.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// One, or two that are compared.
    pub(crate) targets: Vec<Target>,
    /// After which a request is given up.
    pub(crate) timeout: Duration,
    /// Without any answer for so long while requests wait, the run ends.
    pub(crate) patience: Duration,
    /// Deadlines are met on multiples of this.
    pub(crate) grain: Duration,
    /// When time is zero; if absent, when the first job is there.
    pub(crate) epoch: Option<Instant>,
    /// Ends the run when set.
    pub(crate) stop: Arc<AtomicBool>,
}

/// What looks at answers while the run goes on.
pub(crate) trait Observer {
    /// `target` answered `job`, or did not. What it gives back is sent when it is due.
    fn outcome(
        &mut self,
        target: usize,
        job: &Rc<Job>,
        answer: Result<(u16, &[u8]), Lost>,
        stats: &mut Stats,
        now_ns: u64,
    ) -> Option<Job>;
    /// Called some fifty times a second.
    fn tick(&mut self, stats: &Stats, waiting: usize, now_ns: u64);
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything was sent.
    Whole,
    /// Somebody asked it to stop.
    Stopped,
    /// The target answered nothing for too long.
    Silent,
}

#[derive(PartialEq, Eq)]
struct Later(Job);

impl Ord for Later {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.due_ns.cmp(&other.0.due_ns)
    }
}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Sends jobs from an inbox.
pub(crate) struct Engine<O> {
    settings: Settings,
    poller: Poller,
    pools: Vec<Pool>,
    observer: O,
    later: BinaryHeap<Reverse<Later>>,
    outcomes: Vec<Outcome>,
    tokens: Vec<u64>,
    epoch: Instant,
}

impl<O: Observer> Engine<O> {
    pub(crate) fn new(settings: Settings, observer: O) -> std::io::Result<Self> {
        let timeout = u64::try_from(settings.timeout.as_nanos()).unwrap_or(u64::MAX);
        let pools = settings.targets.iter().enumerate().map(|(number, target)| {
            let stats = Stats::new().map_err(|e| std::io::Error::other(e.to_string()))?;
            Ok(Pool::new(number, target.clone(), timeout, stats))
        });
        Ok(Self {
            poller: Poller::new()?,
            pools: pools.collect::<std::io::Result<_>>()?,
            observer,
            later: BinaryHeap::new(),
            outcomes: Vec::new(),
            tokens: Vec::new(),
            epoch: settings.epoch.unwrap_or_else(Instant::now),
            settings,
        })
    }

    pub(crate) fn waker(&self) -> super::poller::Waker {
        self.poller.waker()
    }

    /// Sends all jobs of `inbox`, and gives back what came of them.
    pub(crate) fn run(mut self, mut inbox: Inbox) -> std::io::Result<(End, Vec<Stats>, O)> {
        let mut scratch = vec![0; READ];
        if self.settings.epoch.is_none() {
            while inbox.peek().is_none() && !inbox.ended() && !self.stopped() {
                self.poller.wait(Duration::from_nanos(TICK_NS))?.for_each(drop);
            }
            // The log's reader gets ahead, and the first requests find connections.
            let begin = Instant::now() + LEAD;
            self.pools.iter_mut().for_each(|pool| pool.warm(&self.poller));
            loop {
                let left = begin.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                self.wait(u64::try_from(left.as_nanos()).unwrap_or(0), &mut scratch)?;
            }
            self.epoch = begin;
        }
        let (mut next_tick, mut stopped_at) = (0, None);
        let grain = u64::try_from(self.settings.grain.as_nanos()).unwrap_or(u64::MAX).max(1);
        let end = loop {
            let mut now = self.now();
            let stopping = stopped_at.is_some();
            while !stopping && let Some(job) = self.due(&mut inbox, now) {
                self.submit(job, now);
                now = self.now();
            }
            if now >= next_tick {
                next_tick = now + TICK_NS;
                if let Some(end) = self.tick(now) {
                    break end;
                }
                if self.stopped() {
                    stopped_at.get_or_insert(now);
                }
            }
            let quiet = self.pools.iter().all(Pool::is_quiet);
            match stopped_at {
                Some(at) if quiet || now > at + GRACE_NS => break End::Stopped,
                None if quiet && inbox.ended() && self.later.is_empty() => break End::Whole,
                _ => {}
            }
            let due = if stopping { None } else { self.next_due(&mut inbox) };
            let due = due.map_or(u64::MAX, |due| due.next_multiple_of(grain));
            self.wait(due.min(next_tick).saturating_sub(now), &mut scratch)?;
        };
        let now = self.now();
        for pool in &mut self.pools {
            pool.cut_off(now, &mut self.outcomes);
        }
        self.tell(now);
        Ok((end, self.pools.into_iter().map(|pool| pool.stats).collect(), self.observer))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn stopped(&self) -> bool {
        self.settings.stop.load(Ordering::Relaxed)
    }

    fn next_due(&self, inbox: &mut Inbox) -> Option<u64> {
        let later = self.later.peek().map(|Reverse(later)| later.0.due_ns);
        let job = inbox.peek().map(|job| job.due_ns);
        later.into_iter().chain(job).min()
    }

    /// Takes what is due first, if anything is.
    fn due(&mut self, inbox: &mut Inbox, now: u64) -> Option<Job> {
        let later = self.later.peek().map(|Reverse(later)| later.0.due_ns).filter(|due| *due <= now);
        let job = inbox.peek().map(|job| job.due_ns).filter(|due| *due <= now);
        match (later, job) {
            (Some(later), job) if job.is_none_or(|job| later < job) => self.later.pop().map(|Reverse(l)| l.0),
            (_, Some(_)) => inbox.take(),
            _ => None,
        }
    }

    fn submit(&mut self, job: Job, now: u64) {
        let job = Rc::new(job);
        for pool in &mut self.pools {
            pool.submit(job.clone(), &self.poller, now, &mut self.outcomes);
        }
        self.tell(now);
    }

    fn wait(&mut self, ns: u64, scratch: &mut [u8]) -> std::io::Result<()> {
        let mut tokens = std::mem::take(&mut self.tokens);
        tokens.extend(self.poller.wait(Duration::from_nanos(ns))?);
        for token in tokens.drain(..) {
            // Each at its own time: the last of many waited for the others, and that is the generator's doing.
            let now = self.now();
            let (pool, index) = ((token >> 32) as usize, (token & 0xffff_ffff) as usize);
            if let Some(pool) = self.pools.get_mut(pool) {
                pool.ready(index, scratch, &self.poller, now, &mut self.outcomes);
            }
            self.tell(now);
        }
        self.tokens = tokens;
        Ok(())
    }

    /// Tells the observer what came of requests, and keeps what follows.
    fn tell(&mut self, now: u64) {
        while let Some(outcome) = self.outcomes.pop() {
            let answer = outcome.answer.as_ref().map(|(status, body)| (*status, body.as_slice())).map_err(|why| *why);
            let Some(pool) = self.pools.get_mut(outcome.pool) else { continue };
            let follows = self.observer.outcome(outcome.pool, &outcome.job, answer, &mut pool.stats, now);
            if let Some(job) = follows.filter(|_| self.later.len() < LATER) {
                self.later.push(Reverse(Later(job)));
            }
        }
    }

    fn tick(&mut self, now: u64) -> Option<End> {
        let patience = u64::try_from(self.settings.patience.as_nanos()).unwrap_or(u64::MAX);
        let mut silent = false;
        for pool in &mut self.pools {
            pool.sweep(&self.poller, now, &mut self.outcomes);
            if pool.is_quiet() {
                pool.last_answer_ns = now;
            }
            silent |= now.saturating_sub(pool.last_answer_ns) > patience;
        }
        self.tell(now);
        if let Some(pool) = self.pools.first() {
            self.observer.tick(&pool.stats, pool.waiting() + pool.in_flight(), now);
        }
        silent.then_some(End::Silent)
    }
}
