//! The inner loops, in the fastest form that this processor has.
//!
//! Every form gives the same bits: products of codes are whole numbers, and sums of double precision are added in
//! one order.

#[cfg(target_arch = "x86_64")]
mod x86;

use super::block::{Block, Group};
use super::code::{Query, ROWS};

/// A form of the inner loops.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kernel {
    /// AVX-512 with products of bytes.
    #[cfg(target_arch = "x86_64")]
    Vnni(x86::Vnni),
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    /// What every processor has.
    Portable,
}

impl Kernel {
    /// Those that this processor has, the fastest first.
    pub(super) fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let fast = x86::Vnni::detect().map(Self::Vnni).into_iter().chain(x86::Avx2::detect().map(Self::Avx2));
        #[cfg(not(target_arch = "x86_64"))]
        let fast = std::iter::empty();
        fast.chain([Self::Portable]).collect()
    }

    /// The fastest.
    pub(crate) fn best() -> Self {
        Self::all().first().copied().unwrap_or(Self::Portable)
    }

    /// Upper bounds of the scores of a block's rows with a query at length 1, and a bit for each that is not below
    /// `floor`. `ahead` is what will be scanned next.
    pub(super) fn uppers(
        self,
        block: &Block,
        ahead: &[Group],
        query: &Query,
        floor: f32,
        upper: &mut [f32; ROWS],
    ) -> u32 {
        #[cfg(not(target_arch = "x86_64"))]
        let _ = ahead;
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(vnni) => vnni.uppers(block, ahead, query, floor, upper),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.uppers(block, ahead, query, floor, upper),
            Self::Portable => uppers(&dots(&block.codes, query), block, query, floor, upper),
        }
    }

    /// Scores of a block's rows with a query at length 1, as their codes have it.
    pub(super) fn estimates(self, block: &Block, query: &Query) -> [f32; ROWS] {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(vnni) => vnni.estimates(block, &[], query),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.estimates(block, &[], query),
            Self::Portable => estimates(&dots(&block.codes, query), block, query),
        }
    }

    /// Has a vector brought from memory while other work is done.
    pub(crate) fn prefetch(self, row: &[f32]) {
        #[cfg(target_arch = "x86_64")]
        if !matches!(self, Self::Portable) {
            x86::prefetch(row);
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = row;
    }

    /// The inner product in single precision: an estimate, for what is compared and not told.
    pub(crate) fn near(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(vnni) => vnni.near(a, b),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.near(a, b),
            Self::Portable => near(a, b),
        }
    }

    /// The inner product in double precision.
    pub(super) fn dot(self, a: &[f32], b: &[f32]) -> f64 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(vnni) => vnni.dot(a, b),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.dot(a, b),
            Self::Portable => dot(a, b),
        }
    }
}

/// Products of a block's codes with the query's.
fn dots(codes: &[Group], query: &Query) -> [i32; ROWS] {
    let mut sums = [0_i32; ROWS];
    for (group, four) in codes.iter().zip(&query.wide) {
        let four = four.map(i32::from);
        for (sums, line) in sums.chunks_exact_mut(16).zip(group) {
            for (sum, codes) in sums.iter_mut().zip(line.0.chunks_exact(4)) {
                let add: i32 = codes.iter().zip(four).map(|(&c, q)| i32::from(c) * q).sum();
                *sum = sum.wrapping_add(add);
            }
        }
    }
    sums.map(|sum| sum.wrapping_sub(query.bias))
}

/// Bounds from products: see the proof at the head of [`crate::index`]. What is not a number is not below the floor.
#[inline(always)]
fn uppers(dots: &[i32; ROWS], block: &Block, query: &Query, floor: f32, upper: &mut [f32; ROWS]) -> u32 {
    let mut reached = 0;
    for i in 0..ROWS {
        #[expect(clippy::cast_precision_loss, reason = "what is lost is in the bound")]
        let dot = dots[i] as f32;
        upper[i] = block.scale[i] * (query.step * dot + query.reach) + block.slack[i];
    }
    for (i, upper) in upper.iter().enumerate() {
        #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "what is not a number counts as reached")]
        let bit = u32::from(!(*upper < floor));
        reached |= bit << i;
    }
    reached
}

#[inline(always)]
fn estimates(dots: &[i32; ROWS], block: &Block, query: &Query) -> [f32; ROWS] {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    std::array::from_fn(|i| block.scale[i] * (query.step * dots[i] as f32))
}

#[inline(always)]
fn near(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 64];
    let (a, a_rest) = a.as_chunks::<64>();
    let (b, b_rest) = b.as_chunks::<64>();
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    for (a, b) in a.iter().zip(b) {
        for i in 0..64 {
            sums[i] += a[i] * b[i];
        }
    }
    for half in [32, 16, 8, 4, 2, 1] {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
    }
    sums[0] + rest
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 32];
    let (a, b) = (a.chunks_exact(32), b.chunks_exact(32));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(*a) * f64::from(*b);
        }
    }
    // By halves: one after the other would take four cycles each.
    for half in [16, 8, 4, 2, 1] {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
    }
    sums[0] + rest
}
