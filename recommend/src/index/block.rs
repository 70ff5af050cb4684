//! Codes of many rows in contiguous memory, 32 rows at a time.

use super::code::{ROWS, Scale, encode, padded};

/// What a cache line and a register of 512 bits hold.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; 64]);

/// Four numbers of each of 32 rows: those of rows 0 to 15, then those of rows 16 to 31. So a register holds one piece
/// of sixteen rows, and sums of rows stay in their lanes: nothing is added across lanes at the end of a row.
pub(super) type Group = [Line; 2];

/// Up to 32 rows.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) codes: Box<[Group]>,
    pub(super) scale: [f32; ROWS],
    pub(super) slack: [f32; ROWS],
    pub(super) slot: [u32; ROWS],
}

/// Rows of any number: all of an index, or one list of it.
#[derive(Debug, Default)]
pub(super) struct List {
    blocks: Vec<Block>,
    len: usize,
}

/// A row as it moves from list to list.
#[derive(Debug)]
pub(super) struct Coded {
    pub(super) slot: u32,
    pub(super) scale: Scale,
    pub(super) codes: Vec<u8>,
}

impl Coded {
    pub(super) fn new(slot: u32, vector: &[f32]) -> Self {
        let mut codes = Vec::with_capacity(padded(vector.len()));
        let scale = encode(vector, &mut codes);
        Self { slot, scale, codes }
    }
}

impl List {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The blocks, and how many rows each has.
    pub(super) fn blocks(&self) -> impl DoubleEndedIterator<Item = (&Block, usize)> {
        let used = |i: usize| (self.len - i * ROWS).min(ROWS);
        self.blocks.iter().enumerate().map(move |(i, block)| (block, used(i)))
    }

    /// Adds a row after the last.
    pub(super) fn push(&mut self, row: &Coded) {
        let (place, lane) = (self.len, self.len % ROWS);
        if lane == 0 {
            let codes = vec![[Line([128; 64]); 2]; row.codes.len() / 4].into_boxed_slice();
            self.blocks.push(Block { codes, scale: [0.0; ROWS], slack: [0.0; ROWS], slot: [0; ROWS] });
        }
        self.write((place / ROWS, lane), row);
        self.len += 1;
    }

    /// Takes the row at a place out; the last row moves there: its slot, unless it was the one.
    pub(super) fn swap_remove(&mut self, place: usize) -> Option<u32> {
        let last = self.len.checked_sub(1)?;
        let (to, from) = ((place / ROWS, place % ROWS), (last / ROWS, last % ROWS));
        let moved = (to != from).then(|| {
            let row = self.read(last);
            self.write(to, &row);
            row.slot
        });
        self.len = last;
        if last.is_multiple_of(ROWS) {
            self.blocks.pop();
            if self.blocks.len() * 4 <= self.blocks.capacity() {
                self.blocks.shrink_to(self.blocks.len() * 2);
            }
        }
        moved
    }

    /// The row at a place.
    pub(super) fn read(&self, place: usize) -> Coded {
        let (block, lane) = (&self.blocks[place / ROWS], place % ROWS);
        let (line, at) = (lane / 16, lane % 16 * 4);
        let mut codes = Vec::with_capacity(block.codes.len() * 4);
        for group in &block.codes {
            codes.extend_from_slice(&group[line].0[at..at + 4]);
        }
        Coded { slot: block.slot[lane], scale: Scale { scale: block.scale[lane], slack: block.slack[lane] }, codes }
    }

    fn write(&mut self, (block, lane): (usize, usize), row: &Coded) {
        let block = &mut self.blocks[block];
        block.scale[lane] = row.scale.scale;
        block.slack[lane] = row.scale.slack;
        block.slot[lane] = row.slot;
        let (line, at) = (lane / 16, lane % 16 * 4);
        for (group, four) in block.codes.iter_mut().zip(row.codes.chunks_exact(4)) {
            group[line].0[at..at + 4].copy_from_slice(four);
        }
    }

    /// Bytes of the blocks, for vectors of this dimension.
    pub(super) fn bytes(&self, dimension: usize) -> usize {
        self.blocks.capacity() * size_of::<Block>() + self.blocks.len() * ROWS * padded(dimension)
    }
}
