//! How lists come about while an index is in use: k-means on a sample, in steps.

use super::centres::Centres;
use super::code::Query;
use super::lists::Lists;
use super::{Index, Layout};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Vectors of the sample for each list.
const SAMPLED: usize = 40;

/// Rounds of k-means.
const ROUNDS: usize = 8;

/// Searches that the margin is set by.
const TRIED: usize = 256;

/// How many of the best those searches ask for, and the share of them that must be found.
const BEST: usize = 10;
const FOUND: f64 = 0.997;

/// Bytes of codes that a step scans: some milliseconds.
const STEP: usize = 32 << 20;

/// New lists on their way: made by [`Index::begin_training`], moved on by [`Training::step`], put in their place by
/// [`Index::finish_training`].
#[derive(Debug)]
pub struct Training {
    pub(super) epoch: u64,
    random: ChaCha8Rng,
    wanted: usize,
    phase: Phase,
    pub(super) lists: Lists,
    /// How many of the changes that the index noted are in the lists.
    applied: usize,
    /// What margins the searches that were tried would have needed.
    margins: Vec<f32>,
}

#[derive(Debug)]
enum Phase {
    /// Takes the sample.
    Sample(Vec<f32>),
    /// Moves centres to the middle of their part of the sample.
    Refine {
        sample: Vec<f32>,
        round: usize,
        at: usize,
        centres: Centres,
        numbers: Vec<f32>,
        sums: Vec<f32>,
        counts: Vec<u32>,
    },
    /// Puts rows in their lists, from this slot on; none after the last.
    Assign(Option<u32>),
    /// Finds how far lists have to be searched; how many searches were tried.
    Try(usize),
    Ready,
}

impl Training {
    pub(super) fn new(epoch: u64, wanted: usize, index: &Index) -> Self {
        let random = ChaCha8Rng::seed_from_u64(index.len() as u64);
        let phase = if wanted > 1 { Phase::Sample(Vec::new()) } else { Phase::Assign(Some(0)) };
        Self { epoch, random, wanted, phase, lists: Lists::new(None), applied: 0, margins: Vec::new() }
    }

    /// Does some milliseconds' work on the index that it began on; false once there is none left to do. Then, and as
    /// long as the index is changed, calling it again takes the changes over.
    pub fn step(&mut self, index: &Index) -> bool {
        if index.epoch != self.epoch || index.noted.is_none() {
            return false;
        }
        let dimension = index.rows.dimension();
        let rows = (STEP / (self.wanted * dimension).max(1)).clamp(1, 4_096);
        self.phase = match std::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Sample(sample) => self.sample(index, sample),
            Phase::Refine { sample, round, at, centres, numbers, mut sums, mut counts } => {
                let end = (at + rows * dimension).min(sample.len());
                for vector in sample[at..end].chunks_exact(dimension) {
                    let nearest = centres.nearest(index.kernel, vector) as usize;
                    counts[nearest] += 1;
                    sums[nearest * dimension..].iter_mut().zip(vector).for_each(|(sum, v)| *sum += v);
                }
                let phase = Phase::Refine { sample, round, at: end, centres, numbers, sums, counts };
                self.refined(index, phase)
            }
            Phase::Assign(Some(from)) => {
                let mut last = None;
                for slot in index.rows.slots_from(from).take(rows) {
                    sync(&mut self.lists, index, slot);
                    last = Some(slot);
                }
                Phase::Assign(last.and_then(|slot| slot.checked_add(1)))
            }
            Phase::Assign(None) if self.apply(index, rows) => Phase::Assign(None),
            Phase::Assign(None) if self.lists.count() > 1 => Phase::Try(0),
            Phase::Assign(None) => Phase::Ready,
            Phase::Try(tried) => self.tried(index, tried),
            Phase::Ready => {
                if !self.apply(index, rows) {
                    return false;
                }
                Phase::Ready
            }
        };
        true
    }

    fn sample(&mut self, index: &Index, mut sample: Vec<f32>) -> Phase {
        let dimension = index.rows.dimension();
        let all = self.wanted * SAMPLED * dimension;
        let end = (sample.len() + STEP / 16).min(all);
        while sample.len() < end
            && let Some(row) = self.pick(index)
        {
            sample.extend_from_slice(row);
        }
        if sample.len() < all && !index.is_empty() {
            return Phase::Sample(sample);
        }
        let numbers = sample[..sample.len().min(self.wanted * dimension)].to_vec();
        self.round(dimension, sample, 0, numbers)
    }

    /// A row by chance.
    fn pick<'a>(&mut self, index: &'a Index) -> Option<&'a [f32]> {
        let row = self.random.random_range(0..index.len().max(1));
        index.rows.get(index.rows.slot_of(row)?)
    }

    /// Begins a round, or goes on with the centres of the last.
    fn round(&mut self, dimension: usize, sample: Vec<f32>, round: usize, numbers: Vec<f32>) -> Phase {
        if round < ROUNDS && numbers.len() > dimension {
            let centres = Centres::new(numbers.chunks_exact(dimension));
            let (sums, counts) = (vec![0.0; numbers.len()], vec![0; centres.len()]);
            return Phase::Refine { sample, round, at: 0, centres, numbers, sums, counts };
        }
        let layout = Layout { dimension, numbers, margin: f32::INFINITY, trained: 0, unevenness: 1.0 };
        self.lists = Lists::new(Some(layout));
        Phase::Assign(Some(0))
    }

    /// Moves the centres if the sample is through. One that nothing is nearest to starts anew at a vector of the sample.
    fn refined(&mut self, index: &Index, phase: Phase) -> Phase {
        let dimension = index.rows.dimension();
        match phase {
            Phase::Refine { sample, round, at, mut numbers, sums, counts, .. } if at >= sample.len() => {
                let parts = numbers.chunks_exact_mut(dimension).zip(sums.chunks_exact(dimension)).zip(counts);
                for ((centre, sum), count) in parts {
                    if count == 0 {
                        let start = self.random.random_range(0..sample.len() / dimension) * dimension;
                        centre.copy_from_slice(&sample[start..start + dimension]);
                    } else {
                        #[expect(clippy::cast_precision_loss, reason = "a mean")]
                        centre.iter_mut().zip(sum).for_each(|(c, s)| *c = s / count as f32);
                    }
                }
                self.round(dimension, sample, round + 1, numbers)
            }
            phase => phase,
        }
    }

    /// Takes some of the changes over that the index noted; false if there were none.
    pub(super) fn apply(&mut self, index: &Index, most: usize) -> bool {
        let noted = index.noted.as_deref().unwrap_or_default();
        let some = &noted[self.applied.min(noted.len())..];
        let some = &some[..some.len().min(most)];
        some.iter().for_each(|slot| sync(&mut self.lists, index, *slot));
        self.applied += some.len();
        !some.is_empty()
    }

    /// Searches all lists for a vector of the index, or for what is between two, and looks where the best were.
    fn tried(&mut self, index: &Index, tried: usize) -> Phase {
        if tried < TRIED
            && let Some(one) = self.pick(index)
            && let Some(other) = self.pick(index)
        {
            let row = if tried.is_multiple_of(2) {
                one.to_vec()
            } else {
                one.iter().zip(other).map(|(a, b)| a + b).collect()
            };
            let query = Query::new(row);
            let mut best = self.lists.search(index.kernel, &query, BEST, |_| true);
            if best.raise() && query.length > 0.0 {
                let floor = best.floor();
                let mut scores = self.lists.centres().scores(index.kernel, &query);
                scores.sort_unstable_by_key(|(_, list)| *list);
                let hits = index.rescore(best, &query);
                let lists = hits.iter().filter_map(|hit| self.lists.list_of(hit.slot));
                self.margins.extend(lists.map(|list| floor - scores[list as usize].0));
            }
            return Phase::Try(tried + 1);
        }
        self.margins.sort_unstable_by(f32::total_cmp);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = (self.margins.len() as f64 * FOUND) as usize;
        let margin = self.margins.get(rank).copied().unwrap_or(f32::INFINITY);
        let unevenness = self.lists.unevenness(index.len());
        if let Some(layout) = self.lists.layout_mut() {
            layout.margin = margin;
            layout.trained = index.len() as u64;
            layout.unevenness = unevenness;
        }
        Phase::Ready
    }
}

/// Has a slot in the lists what it has in the index.
fn sync(lists: &mut Lists, index: &Index, slot: u32) {
    lists.remove(slot);
    if let (Some(row), Some(code)) = (index.rows.get(slot), index.lists.read(slot)) {
        let list = lists.centres().nearest(index.kernel, row);
        lists.push(list, &code);
    }
}

impl Index {
    /// Whether lists should be made (anew): rows are many enough for them and there are none, or their number has
    /// doubled or halved since, or as many were put in as there were, or lists have become very uneven.
    #[must_use]
    pub fn training_due(&self) -> bool {
        if self.noted.is_some() {
            return false;
        }
        let rows = self.len();
        let Some(layout) = self.lists.layout() else { return wanted(rows) > 1 };
        let trained = usize::try_from(layout.trained).unwrap_or(usize::MAX);
        rows > trained.saturating_mul(2)
            || rows < trained / 2
            || self.fresh > layout.trained
            || self.lists.unevenness(rows) > 2.0 * layout.unevenness.max(1.0)
    }

    /// Begins to make lists, and to note changes until they are in use. One that was begun before is given up.
    pub fn begin_training(&mut self) -> Training {
        self.epoch += 1;
        self.noted = Some(Vec::new());
        Training::new(self.epoch, wanted(self.len()), self)
    }

    /// Puts lists in use whose training has no step left, taking over what changed since the last: few changes if
    /// this follows that step. What they replace comes back: dropping it takes its time, best spent without a lock.
    /// One that was given up or has steps left changes nothing.
    pub fn finish_training(&mut self, mut training: Training) -> Training {
        if training.epoch == self.epoch && self.noted.is_some() && matches!(training.phase, Phase::Ready) {
            training.apply(self, usize::MAX);
            std::mem::swap(&mut self.lists, &mut training.lists);
            self.noted = None;
            self.fresh = 0;
        }
        training
    }
}

/// Rows from which on they are kept in lists. Measured, top 10 of a thousand clusters: 15,000 × 64, 12,000 × 128 and
/// 20,000 × 512 are searched in the same time either way, half as many twice as fast whole, twice as many five times
/// as fast by lists and more. What the dimension changes is less than what the data do, so that it is one number.
pub const MIN_LISTED: usize = 16_000;

/// How many lists an index of this many rows should have; 1: it is scanned whole.
fn wanted(rows: usize) -> usize {
    if rows < MIN_LISTED { 1 } else { 4 * rows.isqrt() }
}
