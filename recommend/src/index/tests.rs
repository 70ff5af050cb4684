//! Exact searches against the plainest reference.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The best by inner products in double precision of the vectors as the index has them.
fn reference(index: &Index, rows: &BTreeMap<u32, Vec<f32>>, query: &[f32], k: usize) -> Vec<(u32, f64)> {
    let query = index.placed(query);
    let score = |row: &[f32]| row.iter().zip(&query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    let mut all: Vec<(u32, f64)> = rows.iter().map(|(slot, row)| (*slot, score(&index.placed(row)))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

/// Every score is the row's own, they are in order, and none is less than the reference's at its rank but by rounding.
fn assert_exact(index: &Index, rows: &BTreeMap<u32, Vec<f32>>, query: &[f32], k: usize) {
    let hits = index.search(query, k, |_| true);
    let best = reference(index, rows, query, k);
    assert_eq!(hits.len(), best.len());
    let slots: std::collections::BTreeSet<u32> = hits.iter().map(|hit| hit.slot).collect();
    assert_eq!(slots.len(), hits.len(), "no slot twice");
    assert!(
        hits.is_sorted_by(|a, b| (b.score, a.slot) < (a.score, b.slot)),
        "best first, equal ones by slot: {hits:?}"
    );
    let scored = index.score(query, hits.iter().map(|hit| hit.slot));
    for ((hit, scored), (_, score)) in hits.iter().zip(scored).zip(best) {
        #[expect(clippy::cast_possible_truncation, reason = "rounded as scores are")]
        let score = score as f32;
        assert_eq!(hit.score, scored.score);
        let near = hit.score == score || (hit.score - score).abs() <= score.abs() * f32::EPSILON;
        assert!(near, "{hit:?} has less than {score}");
    }
}

/// Shapes of data: how numbers are drawn, and what is done with them.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Random,
    Clustered,
    Duplicates,
    Tiny,
    Huge,
    Mixed,
    Sparse,
}

fn number(shape: Shape, n: u32, i: usize, raw: f32) -> f32 {
    let group = |of: u32| ((n % of) as f32 * 0.7 + i as f32 * 1.3).sin();
    match shape {
        Shape::Random => raw,
        Shape::Clustered => group(7) + raw * 0.05,
        Shape::Duplicates => group(3),
        Shape::Tiny => raw * 1e-40,
        Shape::Huge => raw * 1e37,
        Shape::Mixed => raw * 10_f32.powi((n % 60) as i32 - 30),
        Shape::Sparse => {
            if (n as usize + i).is_multiple_of(5) && !n.is_multiple_of(3) {
                raw
            } else {
                0.0
            }
        }
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    use Shape::*;
    prop::sample::select(vec![Random, Clustered, Duplicates, Tiny, Huge, Mixed, Sparse])
}

fn metrics() -> impl Strategy<Value = Metric> {
    prop::sample::select(vec![Metric::Cosine, Metric::InnerProduct])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn searches_are_exact_on_data_of_every_shape(
        shape in shapes(), queried in shapes(), metric in metrics(), dimension in 1_usize..70,
        raw in prop::collection::vec(-1.0_f32..1.0, 64..4_000), k in 0_usize..120, far in any::<bool>(),
    ) {
        let mut index = Index::new(dimension, metric);
        let mut rows = BTreeMap::new();
        for (n, raw) in (0_u32..).zip(raw.chunks_exact(dimension)) {
            let slot = if far { n.wrapping_mul(2_654_435_761) % 2_000_000 } else { n };
            let row: Vec<f32> = raw.iter().enumerate().map(|(i, v)| number(shape, n, i, *v)).collect();
            index.insert(slot, &row);
            rows.insert(slot, row);
        }
        let query: Vec<f32> = (0..dimension).map(|i| number(queried, 1, i, raw[raw.len() - 1 - i % raw.len()])).collect();
        for kernel in Kernel::all() {
            index.kernel = kernel;
            assert_exact(&index, &rows, &query, k);
            assert_exact(&index, &rows, &vec![0.0; dimension], k);
        }
    }
}

#[test]
fn every_form_of_the_inner_loops_gives_the_same_bits() {
    let wave = |seed: usize, i: usize| ((seed * 31 + i * 17) as f32).sin();
    for dimension in [1, 3, 4, 7, 8, 31, 32, 33, 64, 100, 255, 1_000, 4_096] {
        let mut list = block::List::default();
        for slot in 0..32_u32 {
            let row: Vec<f32> = match slot {
                0 => vec![1.0; dimension],
                1 => vec![-1.0; dimension],
                2 => vec![0.0; dimension],
                _ => (0..dimension).map(|i| wave(slot as usize, i)).collect(),
            };
            list.push(&Coded::new(slot, &row));
        }
        let (block, _) = list.blocks().next().unwrap();
        for query in [vec![1.0; dimension], vec![-1.0; dimension], (0..dimension).map(|i| wave(99, i)).collect()] {
            let other: Vec<f32> = (0..dimension).map(|i| wave(7, i)).collect();
            let query = Query::new(query);
            let of = |kernel: Kernel| {
                let mut upper = [0.0; code::ROWS];
                let reached = kernel.uppers(block, &block.codes, &query, 0.1, &mut upper);
                let bits = |values: [f32; code::ROWS]| values.map(f32::to_bits);
                let dots = (kernel.near(&query.row, &other).to_bits(), kernel.dot(&query.row, &other).to_bits());
                (reached, bits(upper), bits(kernel.estimates(block, &query)), dots)
            };
            let forms: Vec<_> = Kernel::all().into_iter().map(of).collect();
            assert!(forms.iter().all(|form| *form == forms[0]), "dimension {dimension}");
            // And the portable one is right: scores of codes are near the real ones.
            let (_, _, scores, _) = &forms[forms.len() - 1];
            for slot in 0..32_u32 {
                let row = list.read(slot as usize);
                let real: f64 = (0..dimension)
                    .map(|i| (f64::from(row.codes[i]) - 128.0) * f64::from(row.scale.scale) * f64::from(query.row[i]))
                    .sum();
                let score = f64::from(f32::from_bits(scores[slot as usize]));
                assert!((score - real / query.length).abs() < 1e-3 * (dimension as f64).sqrt(), "{score} {real}");
            }
        }
    }
}
