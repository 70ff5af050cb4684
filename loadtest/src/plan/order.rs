//! Puts lines in the order of their stamps, and fills seconds of which no more is known.

use crate::map::Made;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// Requests that are kept for ordering; some 10 MB.
const KEPT: usize = 32_768;
const SECOND: i64 = 1_000_000_000;

/// How requests that are stamped with the same whole second are placed in it, or at a rate how they follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Spread {
    /// At equal distances
    #[default]
    Uniform,
    /// At random, as independent visitors come
    Poisson,
    /// All at its beginning
    Burst,
}

struct Kept {
    seq: u64,
    made: Made,
}

impl Kept {
    fn key(&self) -> (i64, u64) {
        (self.made.at.ns, self.seq)
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Kept {}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// A window over the log's clock.
pub(super) struct Order {
    window_ns: i64,
    spread: Spread,
    rng: ChaCha8Rng,
    kept: BinaryHeap<Reverse<Kept>>,
    /// One whole second, spread.
    second: VecDeque<(i64, Made)>,
    seq: u64,
    newest: i64,
    released: i64,
}

impl Order {
    pub(super) fn new(window: Duration, spread: Spread, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let window_ns = i64::try_from(window.as_nanos()).unwrap_or(i64::MAX);
        let (kept, second) = (BinaryHeap::new(), VecDeque::new());
        Self { window_ns, spread, rng, kept, second, seq: 0, newest: i64::MIN, released: i64::MIN }
    }

    /// Whether a stamp is before one that was pushed already.
    pub(super) fn is_behind(&self, ns: i64) -> bool {
        ns < self.newest
    }

    /// Keeps a request for its turn; whether it comes too late for that, and is next with the stamp of the latest.
    pub(super) fn push(&mut self, mut made: Made) -> bool {
        let late = made.at.ns < self.released;
        if late {
            (made.at.ns, made.at.coarse) = (self.released, false);
        }
        self.newest = self.newest.max(made.at.ns);
        self.seq += 1;
        self.kept.push(Reverse(Kept { seq: self.seq, made }));
        late
    }

    /// The next request whose turn has come, and its time on the log's clock.
    pub(super) fn ready(&mut self) -> Option<(i64, Made)> {
        self.take(false)
    }

    /// The next of all that are left; after the last one time may begin anew.
    pub(super) fn rest(&mut self) -> Option<(i64, Made)> {
        let next = self.take(true);
        if next.is_none() {
            (self.newest, self.released) = (i64::MIN, i64::MIN);
        }
        next
    }

    fn take(&mut self, all: bool) -> Option<(i64, Made)> {
        if let Some(next) = self.second.pop_front() {
            return Some(next);
        }
        let Reverse(first) = self.kept.peek()?;
        let at = first.made.at;
        // A second is whole once a later one is a window ahead.
        let whole = if at.coarse { floor(at.ns) + SECOND - 1 } else { at.ns };
        if !all && self.kept.len() < KEPT && self.newest.saturating_sub(whole) < self.window_ns.max(1) {
            return None;
        }
        self.released = at.ns;
        if !at.coarse {
            return self.kept.pop().map(|Reverse(kept)| (at.ns, kept.made));
        }
        self.fill(floor(at.ns));
        self.second.pop_front()
    }

    /// Takes all requests of a second and places them in it.
    fn fill(&mut self, second: i64) {
        let mut requests = Vec::new();
        while let Some(Reverse(kept)) = self.kept.peek() {
            if floor(kept.made.at.ns) != second {
                break;
            }
            requests.extend(self.kept.pop().map(|Reverse(kept)| kept.made));
        }
        let n = requests.len() as f64;
        let mut places: Vec<f64> = match self.spread {
            Spread::Uniform => (0..requests.len()).map(|i| i as f64 / n).collect(),
            Spread::Poisson => requests.iter().map(|_| self.rng.random::<f64>()).collect(),
            Spread::Burst => vec![0.0; requests.len()],
        };
        places.sort_by(f64::total_cmp);
        self.released = second + SECOND - 1;
        self.second.extend(places.into_iter().zip(requests).map(|(place, made)| (second + (place * 1e9) as i64, made)));
    }
}

fn floor(ns: i64) -> i64 {
    ns.div_euclid(SECOND) * SECOND
}
