//! Rows' codes by the centre that they are nearest to, and the search of the lists near a query.

use super::Layout;
use super::best::Best;
use super::block::{Block, Coded, List};
use super::centres::Centres;
use super::code::{Query, ROWS};
use super::kernel::Kernel;
use super::slots::Slots;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a slot's code is.
#[derive(Debug, Clone, Copy)]
struct Place {
    list: u32,
    /// The place in the list, from 1: so that one that may not be there takes no more than one that is.
    after: NonZeroU32,
}

/// Lists of rows: one without a layout, one for each of its centres with it.
#[derive(Debug)]
pub(super) struct Lists {
    layout: Option<Layout>,
    centres: Centres,
    lists: Vec<List>,
    places: Slots<Place>,
    /// The sum of the squares of the lists' lengths.
    squares: u64,
    /// Whether the next scan of all rows goes from the last to the first: what one scan reads last is in the cache
    /// for the next.
    back: AtomicBool,
}

impl Lists {
    pub(super) fn new(layout: Option<Layout>) -> Self {
        let centres = layout.as_ref().map_or_else(Centres::default, |layout| Centres::new(layout.centres()));
        let lists = std::iter::repeat_with(List::default).take(centres.len().max(1)).collect();
        Self { layout, centres, lists, places: Slots::default(), squares: 0, back: AtomicBool::new(false) }
    }

    pub(super) fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    pub(super) fn layout_mut(&mut self) -> Option<&mut Layout> {
        self.layout.as_mut()
    }

    pub(super) fn centres(&self) -> &Centres {
        &self.centres
    }

    pub(super) fn count(&self) -> usize {
        self.lists.len()
    }

    /// Adds a row whose slot has none to the list of this number.
    pub(super) fn push(&mut self, list: u32, row: &Coded) {
        let into = &mut self.lists[list as usize];
        self.squares += 2 * into.len() as u64 + 1;
        into.push(row);
        if let Some(after) = u32::try_from(into.len()).ok().and_then(NonZeroU32::new) {
            self.places.set(row.slot, Place { list, after });
        }
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let Some(place) = self.places.take(slot) else { return };
        let from = &mut self.lists[place.list as usize];
        self.squares -= 2 * from.len() as u64 - 1;
        if let Some(moved) = from.swap_remove(place.after.get() as usize - 1) {
            self.places.set(moved, place);
        }
    }

    /// A slot's list.
    pub(super) fn list_of(&self, slot: u32) -> Option<u32> {
        self.places.get(slot).map(|place| place.list)
    }

    /// A slot's code.
    pub(super) fn read(&self, slot: u32) -> Option<Coded> {
        let place = self.places.get(slot)?;
        Some(self.lists[place.list as usize].read(place.after.get() as usize - 1))
    }

    /// Slots from this one on, and their lists.
    pub(super) fn placements(&self, from: u32) -> impl Iterator<Item = (u32, u32)> {
        self.places.from(from).map(|(slot, place)| (slot, place.list))
    }

    /// What is scanned if a list is near as often as it is long, relative to lists that are all as long: 1 or more.
    pub(super) fn unevenness(&self, rows: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let (squares, rows, lists) = (self.squares as f64, rows.max(1) as f64, self.lists.len() as f64);
        squares * lists / (rows * rows)
    }

    /// The best of the lists near a query, the nearest first, until the next one's centre scores too far below the
    /// best: all of them if `accept` takes too few.
    pub(super) fn search(&self, kernel: Kernel, query: &Query, k: usize, accept: impl Fn(u32) -> bool) -> Best {
        let mut best = Best::new(k);
        let margin = self.layout.as_ref().map_or(f32::INFINITY, |layout| layout.margin);
        if margin == f32::INFINITY {
            let back = self.back.fetch_xor(true, Ordering::Relaxed);
            for list in &self.lists {
                if back {
                    scan(kernel, list.blocks().rev(), query, &mut best, &accept);
                } else {
                    scan(kernel, list.blocks(), query, &mut best, &accept);
                }
            }
            return best;
        }
        let mut near = self.centres.scores(kernel, query);
        let mut sorted = 0;
        for i in 0..near.len() {
            if i == sorted {
                sorted = sort_some(&mut near, sorted);
            }
            let (score, list) = near[i];
            if best.raise() && score < best.floor() - margin {
                break;
            }
            scan(kernel, self.lists[list as usize].blocks(), query, &mut best, &accept);
        }
        best
    }

    /// The best of each of several queries, block by block where all rows are scanned: lists near one query are not near
    /// another.
    pub(super) fn search_many(
        &self,
        kernel: Kernel,
        queries: &[Query],
        k: usize,
        accept: impl Fn(usize, u32) -> bool,
    ) -> Vec<Best> {
        if self.layout.as_ref().is_some_and(|layout| layout.margin != f32::INFINITY) {
            let one = |(i, query)| self.search(kernel, query, k, |slot| accept(i, slot));
            return queries.iter().enumerate().map(one).collect();
        }
        let mut best: Vec<Best> = queries.iter().map(|_| Best::new(k)).collect();
        for block in self.lists.iter().flat_map(List::blocks) {
            for (i, (query, best)) in queries.iter().zip(&mut best).enumerate() {
                scan(kernel, std::iter::once(block), query, best, &|slot| accept(i, slot));
            }
        }
        best
    }

    /// Bytes of the codes, and of what finds them.
    pub(super) fn bytes(&self, dimension: usize) -> (usize, usize) {
        let codes = self.lists.iter().map(|list| list.bytes(dimension)).sum();
        let layout = self.layout.as_ref().map_or(0, Layout::bytes) + self.centres.bytes(dimension);
        (codes, layout + self.places.bytes() + self.lists.capacity() * size_of::<List>())
    }
}

/// Puts the next best in order, a few at first: most searches end there. How many are in order then.
fn sort_some(near: &mut [(f32, u32)], sorted: usize) -> usize {
    let rest = &mut near[sorted..];
    let next = sorted.max(64).min(rest.len());
    let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if next < rest.len() {
        rest.select_nth_unstable_by(next, order);
    }
    rest[..next].sort_unstable_by(order);
    sorted + next
}

/// Offers the rows of a list whose upper bounds reach the floor.
fn scan<'a>(
    kernel: Kernel,
    blocks: impl Iterator<Item = (&'a Block, usize)>,
    query: &Query,
    best: &mut Best,
    accept: &impl Fn(u32) -> bool,
) {
    let mut upper = [0.0; ROWS];
    let mut blocks = blocks.peekable();
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
