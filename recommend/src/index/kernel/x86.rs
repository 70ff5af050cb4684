//! AVX-512 and AVX2.
//!
//! What the compiler makes of the portable loop for AVX-512 takes 1.3 to 1.4 times as long for searches of
//! 100,000 × 256, and of the same loop for every processor five times as long.
//!
//! The only unsafe code of this crate: calling what a processor may not have, and reading registers from memory. A
//! value of [`Vnni`] or [`Avx2`] is the proof that this processor has the instructions, and [`Vnni::detect`] and
//! [`Avx2::detect`] are the only places that make one.
#![allow(unsafe_code)]

use super::super::block::{Block, Group, Line};
use super::super::code::{Query, ROWS};
use std::arch::x86_64::*;

/// The processor has AVX-512 F, BW and VNNI.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vnni(());

impl Vnni {
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        has.then_some(Self(()))
    }

    pub(super) fn uppers(
        self,
        block: &Block,
        ahead: &[Group],
        query: &Query,
        floor: f32,
        upper: &mut [f32; ROWS],
    ) -> u32 {
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
        fn run(block: &Block, ahead: &[Group], query: &Query, floor: f32, upper: &mut [f32; ROWS]) -> u32 {
            super::uppers(&dots_vnni(&block.codes, ahead, query), block, query, floor, upper)
        }
        // SAFETY: `self` proves that the instructions are there.
        unsafe { run(block, ahead, query, floor, upper) }
    }

    pub(super) fn estimates(self, block: &Block, ahead: &[Group], query: &Query) -> [f32; ROWS] {
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
        fn run(block: &Block, ahead: &[Group], query: &Query) -> [f32; ROWS] {
            super::estimates(&dots_vnni(&block.codes, ahead, query), block, query)
        }
        // SAFETY: `self` proves that the instructions are there.
        unsafe { run(block, ahead, query) }
    }

    pub(super) fn near(self, a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: `self` proves that the instructions are there.
        unsafe { near_512(a, b) }
    }

    pub(super) fn dot(self, a: &[f32], b: &[f32]) -> f64 {
        // SAFETY: `self` proves that the instructions are there.
        unsafe { dot_512(a, b) }
    }
}

/// The processor has AVX2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(super) fn uppers(
        self,
        block: &Block,
        ahead: &[Group],
        query: &Query,
        floor: f32,
        upper: &mut [f32; ROWS],
    ) -> u32 {
        #[target_feature(enable = "avx2")]
        fn run(block: &Block, ahead: &[Group], query: &Query, floor: f32, upper: &mut [f32; ROWS]) -> u32 {
            super::uppers(&dots_avx2(&block.codes, ahead, query), block, query, floor, upper)
        }
        // SAFETY: `self` proves that the instructions are there.
        unsafe { run(block, ahead, query, floor, upper) }
    }

    pub(super) fn estimates(self, block: &Block, ahead: &[Group], query: &Query) -> [f32; ROWS] {
        #[target_feature(enable = "avx2")]
        fn run(block: &Block, ahead: &[Group], query: &Query) -> [f32; ROWS] {
            super::estimates(&dots_avx2(&block.codes, ahead, query), block, query)
        }
        // SAFETY: `self` proves that the instructions are there.
        unsafe { run(block, ahead, query) }
    }

    pub(super) fn near(self, a: &[f32], b: &[f32]) -> f32 {
        #[target_feature(enable = "avx2")]
        fn run(a: &[f32], b: &[f32]) -> f32 {
            super::near(a, b)
        }
        // SAFETY: `self` proves that the instructions are there.
        unsafe { run(a, b) }
    }

    pub(super) fn dot(self, a: &[f32], b: &[f32]) -> f64 {
        #[target_feature(enable = "avx2")]
        fn run(a: &[f32], b: &[f32]) -> f64 {
            super::dot(a, b)
        }
        // SAFETY: `self` proves that the instructions are there.
        unsafe { run(a, b) }
    }
}

/// Sixteen rows at once: `vpdpbusd` adds four products of a byte without sign and one with it to each lane. The query's
/// code has thirteen bits, so each register of rows is taken twice: with its high bytes and with its low ones. Two
/// groups in turn, so that eight sums are under way: an addition takes five cycles, and two can start in each.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
fn dots_vnni(codes: &[Group], ahead: &[Group], query: &Query) -> [i32; ROWS] {
    let mut at = 0;
    let mut high = [[_mm512_setzero_si512(); 2]; 2];
    let mut low = high;
    let words = query.high.as_chunks::<2>().0.iter().zip(query.low.as_chunks::<2>().0);
    for (groups, (high_words, low_words)) in codes.as_chunks::<2>().0.iter().zip(words) {
        // A block is a piece of memory of its own: the processor cannot see from one where the next begins.
        if let Some(next) = ahead.get(at..at + 2) {
            for line in next.as_flattened() {
                _mm_prefetch::<_MM_HINT_T0>(line.0.as_ptr().cast());
            }
        }
        at += 2;
        for g in 0..2 {
            let (high_word, low_word) = (_mm512_set1_epi32(high_words[g]), _mm512_set1_epi32(low_words[g]));
            for half in 0..2 {
                let rows = line(&groups[g][half]);
                high[g][half] = _mm512_dpbusd_epi32(high[g][half], rows, high_word);
                low[g][half] = _mm512_dpbusd_epi32(low[g][half], rows, low_word);
            }
        }
    }
    let mut dots = [0; ROWS];
    for (half, dots) in dots.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let high = _mm512_slli_epi32::<5>(_mm512_add_epi32(high[0][half], high[1][half]));
        let sum = _mm512_add_epi32(high, _mm512_add_epi32(low[0][half], low[1][half]));
        let sum = _mm512_sub_epi32(sum, _mm512_set1_epi32(query.bias));
        // SAFETY: there is room for sixteen numbers of 32 bits, and no alignment is asked for.
        unsafe { _mm512_storeu_si512(dots.as_mut_ptr().cast(), sum) }
    }
    dots
}

#[target_feature(enable = "avx512f")]
#[inline]
fn line(line: &Line) -> __m512i {
    // SAFETY: a line is 64 bytes, aligned to 64.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}

/// Four rows at once: their bytes become sixteen numbers of 16 bits, and `vpmaddwd` adds products by twos, so that two
/// lanes are a row's.
#[target_feature(enable = "avx2")]
#[inline]
fn dots_avx2(codes: &[Group], _ahead: &[Group], query: &Query) -> [i32; ROWS] {
    let mut sums = [_mm256_setzero_si256(); 8];
    for (group, four) in codes.iter().zip(&query.wide) {
        // SAFETY: four numbers of 16 bits are the 8 bytes that are read, and no alignment is asked for.
        let four = _mm256_broadcastq_epi64(unsafe { _mm_loadl_epi64(four.as_ptr().cast()) });
        for (sums, line) in sums.as_chunks_mut::<4>().0.iter_mut().zip(group) {
            for (sum, bytes) in sums.iter_mut().zip(line.0.as_chunks::<16>().0) {
                // SAFETY: 16 bytes are read, and no alignment is asked for.
                let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_cvtepu8_epi16(bytes), four));
            }
        }
    }
    let mut dots = [0; ROWS];
    for (pair, dots) in sums.as_chunks::<2>().0.iter().zip(dots.as_chunks_mut::<8>().0) {
        // Rows 0, 1, 4, 5 and 2, 3, 6, 7 of eight, put in order.
        let sum = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(pair[0], pair[1]));
        let sum = _mm256_sub_epi32(sum, _mm256_set1_epi32(query.bias));
        // SAFETY: there is room for eight numbers of 32 bits, and no alignment is asked for.
        unsafe { _mm256_storeu_si256(dots.as_mut_ptr().cast(), sum) }
    }
    dots
}

/// In the order of the portable loop. The compiler keeps the sums of that one in memory, where each addition waits until
/// the one before it is written.
#[target_feature(enable = "avx512f")]
fn near_512(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [_mm512_setzero_ps(); 4];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<64>(), b.as_chunks::<64>());
    for (a, b) in a.iter().zip(b) {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: sixteen numbers of the 64 are read, and no alignment is asked for.
            let (a, b) = unsafe { (_mm512_loadu_ps(a.as_ptr().add(16 * i)), _mm512_loadu_ps(b.as_ptr().add(16 * i))) };
            *sum = _mm512_add_ps(*sum, _mm512_mul_ps(a, b));
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    let [first, second, third, fourth] = sums;
    _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(first, third), _mm512_add_ps(second, fourth))) + rest
}

/// In the order of the portable loop, too. A product of two numbers of single precision is exact in double precision, so
/// that adding it at once is the same.
#[target_feature(enable = "avx512f")]
fn dot_512(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [_mm512_setzero_pd(); 4];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<32>(), b.as_chunks::<32>());
    for (a, b) in a.iter().zip(b) {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: eight numbers of the 32 are read, and no alignment is asked for.
            let (a, b) = unsafe { (_mm256_loadu_ps(a.as_ptr().add(8 * i)), _mm256_loadu_ps(b.as_ptr().add(8 * i))) };
            *sum = _mm512_fmadd_pd(_mm512_cvtps_pd(a), _mm512_cvtps_pd(b), *sum);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    let [first, second, third, fourth] = sums;
    _mm512_reduce_add_pd(_mm512_add_pd(_mm512_add_pd(first, third), _mm512_add_pd(second, fourth))) + rest
}

/// Has the lines of these numbers brought to the second cache: of those on their way to the first there can be few.
pub(super) fn prefetch(numbers: &[f32]) {
    for line in numbers.chunks(16) {
        // SAFETY: every processor of this architecture has the instruction, and its one effect is on speed.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) }
    }
}
