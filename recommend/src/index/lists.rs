//! Rows' codes by the centre that they are nearest to, and the search of the lists near a query.

use super::Layout;
use super::best::Best;
use super::block::{Coded, List};
use super::code::{Query, ROWS};
use super::kernel::Kernel;
use super::slots::Slots;

/// Lists of rows: one without a layout, and one for each of its centres with it.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) layout: Option<Layout>,
    centres: List,
    /// Half the squares of the centres' lengths.
    half_squares: Vec<f32>,
    lists: Vec<List>,
    /// A slot's list, and the place in it.
    places: Slots<(u32, u32)>,
    /// The sum of squares of the lists' lengths: what is scanned if each list is as often near as it is long.
    squares: u64,
}

impl Lists {
    pub(super) fn new(layout: Option<Layout>) -> Self {
        let (mut centres, mut half_squares, mut count) = (List::default(), Vec::new(), 1);
        if let Some(layout) = &layout {
            for (slot, centre) in (0_u32..).zip(layout.centres()) {
                centres.push(&Coded::new(slot, centre));
                half_squares.push(centre.iter().map(|v| v * v).sum::<f32>() / 2.0);
            }
            count = half_squares.len().max(1);
        }
        let lists = std::iter::repeat_with(List::default).take(count).collect();
        Self { layout, centres, half_squares, lists, places: Slots::default(), squares: 0 }
    }

    /// The nearest centre, by the square of the distance: that is least where the inner product less half the square of
    /// the centre's length is greatest.
    pub(super) fn nearest(&self, kernel: Kernel, vector: &[f32]) -> u32 {
        if self.half_squares.len() <= 1 {
            return 0;
        }
        let query = Query::new(vector.to_vec());
        #[expect(clippy::cast_possible_truncation, reason = "an estimate")]
        let length = query.length as f32;
        let (mut best, mut greatest) = (0, f32::NEG_INFINITY);
        for ((block, used), half) in self.centres.blocks().zip(self.half_squares.chunks(ROWS)) {
            let scores = kernel.estimates(block, &query);
            for ((slot, score), half) in block.slot.iter().zip(scores).zip(half).take(used) {
                let score = score * length - half;
                if score > greatest {
                    (best, greatest) = (*slot, score);
                }
            }
        }
        best
    }

    /// Adds a row whose slot has none.
    pub(super) fn push(&mut self, list: u32, row: &Coded) {
        let list = if (list as usize) < self.lists.len() { list } else { 0 };
        let into = &mut self.lists[list as usize];
        self.squares += 2 * into.len() as u64 + 1;
        let place = u32::try_from(into.push(row)).unwrap_or(u32::MAX);
        self.places.set(row.slot, (list, place));
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let Some((list, place)) = self.places.take(slot) else { return };
        let from = &mut self.lists[list as usize];
        self.squares -= 2 * from.len() as u64 - 1;
        if let Some(moved) = from.swap_remove(place as usize) {
            self.places.set(moved, (list, place));
        }
    }

    pub(super) fn count(&self) -> usize {
        self.lists.len()
    }

    /// How much more is scanned than if lists were even, 1 or more.
    pub(super) fn unevenness(&self, rows: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let (squares, rows, lists) = (self.squares as f64, rows.max(1) as f64, self.lists.len() as f64);
        squares * lists / (rows * rows)
    }

    pub(super) fn list_of(&self, slot: u32) -> Option<u32> {
        self.places.get(slot).map(|(list, _)| list)
    }

    /// A slot's code.
    pub(super) fn read(&self, slot: u32) -> Option<Coded> {
        let (list, place) = self.places.get(slot)?;
        Some(self.lists[list as usize].read(place as usize))
    }

    /// Slots from this one on, and their lists.
    pub(super) fn placements(&self, from: u32) -> impl Iterator<Item = (u32, u32)> {
        self.places.from(from).map(|(slot, (list, _))| (slot, list))
    }

    /// The best of the lists near a query, the nearest first, until the next one's centre is too far below the best.
    pub(super) fn search(&self, kernel: Kernel, query: &Query, k: usize, accept: impl Fn(u32) -> bool) -> Best {
        let mut best = Best::new(k);
        let Some(layout) = &self.layout else {
            self.lists.iter().for_each(|list| scan(kernel, list, query, &mut best, &accept));
            return best;
        };
        let mut near = self.near(kernel, query);
        let mut sorted = 0;
        for i in 0..near.len() {
            if i == sorted {
                sorted = sort_some(&mut near, sorted);
            }
            let (score, list) = near[i];
            if best.raise() && score < best.floor() - layout.margin {
                break;
            }
            scan(kernel, &self.lists[list as usize], query, &mut best, &accept);
        }
        best
    }

    /// Scores of the centres.
    pub(super) fn near(&self, kernel: Kernel, query: &Query) -> Vec<(f32, u32)> {
        let mut near = Vec::with_capacity(self.lists.len());
        for (block, used) in self.centres.blocks() {
            let scores = kernel.estimates(block, query);
            near.extend(scores.into_iter().zip(block.slot).take(used));
        }
        near
    }

    /// Bytes of the codes; of what finds them, the centres' among them.
    pub(super) fn bytes(&self, dimension: usize) -> (usize, usize) {
        let codes = self.lists.iter().map(|list| list.bytes(dimension)).sum();
        let centres = self.layout.as_ref().map_or(0, Layout::bytes) + self.centres.bytes(dimension);
        let found = self.places.bytes() + self.lists.capacity() * size_of::<List>();
        (codes, centres + found + self.half_squares.capacity() * size_of::<f32>())
    }
}

/// Puts the next best in order, a few at first: most searches end there. How many are in order now.
fn sort_some(near: &mut [(f32, u32)], sorted: usize) -> usize {
    let rest = &mut near[sorted..];
    let next = (sorted * 2).max(64).min(rest.len());
    let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if next < rest.len() {
        rest.select_nth_unstable_by(next, order);
    }
    rest[..next].sort_unstable_by(order);
    sorted + next
}

/// Offers the rows of a list whose upper bounds reach the floor.
fn scan(kernel: Kernel, list: &List, query: &Query, best: &mut Best, accept: &impl Fn(u32) -> bool) {
    let mut upper = [0.0; ROWS];
    let mut blocks = list.blocks().peekable();
    while let Some((block, used)) = blocks.next() {
        let ahead = blocks.peek().map_or(&[][..], |(next, _)| &next.codes);
        let mut reached = kernel.uppers(block, ahead, query, best.floor(), &mut upper);
        if used < ROWS {
            reached &= (1 << used) - 1;
        }
        while reached != 0 {
            let i = reached.trailing_zeros() as usize;
            reached &= reached - 1;
            let (upper, slot) = (upper[i], block.slot[i]);
            if upper < best.floor() || !accept(slot) {
                continue;
            }
            let lower = upper - 2.0 * (block.scale[i] * query.reach + block.slack[i]);
            best.offer(slot, lower, upper);
        }
    }
}
