//! The index as its callers use it: against a plain one under changes, with lists, and over a restart.

mod common;

use common::{clustered, finish, train};
use proptest::prelude::*;
use recommend::Metric;
use recommend::index::{Hit, Index, Layout, LayoutError};
use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};

/// How many vectors the larger tests have: enough for lists; more with `INDEX_ROWS`.
fn rows() -> usize {
    std::env::var("INDEX_ROWS").map_or(20_000, |rows| rows.parse().unwrap_or_else(|_| panic!("INDEX_ROWS is a number")))
}

fn filled(rows: &[Vec<f32>]) -> Index {
    let mut index = Index::new(rows[0].len(), Metric::Cosine);
    (0..).zip(rows).for_each(|(slot, row)| index.insert(slot, row));
    index
}

fn all(index: &Index, queries: &[Vec<f32>], k: usize) -> Vec<Vec<Hit>> {
    queries.iter().map(|query| index.search(query, k, |_| true)).collect()
}

/// The share of the best that were found.
fn recall(found: &[Vec<Hit>], truth: &[Vec<Hit>]) -> f64 {
    let slots = |hits: &[Hit]| hits.iter().map(|hit| hit.slot).collect::<HashSet<u32>>();
    let same: usize = found.iter().zip(truth).map(|(a, b)| slots(a).intersection(&slots(b)).count()).sum();
    same as f64 / truth.iter().map(Vec::len).sum::<usize>() as f64
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u32, Vec<f32>),
    Remove(u32),
    Search(Vec<f32>, usize, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let vector = || prop::collection::vec((-8_i8..8).prop_map(f32::from), 3);
    let step = prop_oneof![
        4 => (0_u32..150, vector()).prop_map(|(slot, vector)| Step::Insert(slot * 997, vector)),
        2 => (0_u32..150).prop_map(|slot| Step::Remove(slot * 997)),
        1 => (vector(), 0_usize..200, 1_u32..4).prop_map(|(query, k, every)| Step::Search(query, k, every)),
    ];
    prop::collection::vec(step, 1..400)
}

proptest! {
    #[test]
    fn changes_and_filters_are_as_in_a_plain_index(steps in steps()) {
        let mut index = Index::new(3, Metric::InnerProduct);
        let mut plain: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(slot, vector) => {
                    index.insert(slot, &vector);
                    plain.insert(slot, vector);
                }
                Step::Remove(slot) => prop_assert_eq!(index.remove(slot), plain.remove(&slot).is_some()),
                Step::Search(query, k, every) => {
                    // Small whole numbers: scores are exact, and ties are many.
                    let score = |row: &[f32]| row.iter().zip(&query).map(|(a, b)| a * b).sum::<f32>() + 0.0;
                    let taken = plain.iter().filter(|(slot, _)| *slot % every == 0);
                    let mut best: Vec<Hit> = taken.map(|(slot, row)| Hit { slot: *slot, score: score(row) }).collect();
                    best.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.slot.cmp(&b.slot)));
                    best.truncate(k);
                    prop_assert_eq!(index.search(&query, k, |slot| slot % every == 0), best);
                }
            }
            prop_assert_eq!(index.len(), plain.len());
            for (slot, row) in &plain {
                prop_assert_eq!(index.vector(*slot), Some(row.as_slice()));
            }
        }
    }
}

/// Many queries at once find what each finds alone, whether rows are scanned whole or by lists, filtered or not.
#[test]
fn many_queries_find_what_each_finds_alone() {
    for (count, trained) in [(0, false), (1, false), (33, false), (5_000, false), (rows(), true)] {
        for dimension in [7, 64] {
            let mut index = Index::new(dimension, Metric::Cosine);
            (0..).zip(&clustered(1, count, dimension, 0.7)).for_each(|(slot, row)| index.insert(slot, row));
            if trained {
                train(&mut index);
            }
            let queries = clustered(2, 37, dimension, 0.7);
            let borrowed: Vec<&[f32]> = queries.iter().map(Vec::as_slice).collect();
            for k in [0, 1, 200] {
                let takes = |i: usize, slot: u32| i.is_multiple_of(3) || !(slot as usize + i).is_multiple_of(4);
                let alone = borrowed.iter().enumerate();
                let alone: Vec<Vec<Hit>> =
                    alone.map(|(i, query)| index.search(query, k, |slot| takes(i, slot))).collect();
                assert_eq!(index.search_many(&borrowed, k, takes), alone, "{k} of {count} × {dimension}");
            }
        }
    }
}

#[test]
fn filters_are_asked_for_few() {
    let index = filled(&clustered(1, 10_000, 32, 0.7));
    let asked = Cell::new(0);
    let ask = |_| {
        asked.set(asked.get() + 1);
        true
    };
    assert_eq!(index.search(&clustered(2, 1, 32, 0.7)[0], 10, ask).len(), 10);
    assert!(asked.get() < 1_000, "{} of 10,000", asked.get());
}

#[test]
fn lists_find_the_best_and_lose_nothing_when_half_are_replaced() {
    for noise in [0.7, 1.3] {
        let (count, half) = (rows(), rows() / 2);
        let (first, second) = (clustered(1, count, 64, noise), clustered(3, half, 64, noise));
        let queries = clustered(2, 300, 64, noise);
        let mut index = filled(&first);
        let truth = all(&index, &queries, 10);
        assert!(index.training_due());
        train(&mut index);
        assert!(!index.training_due());
        let before = recall(&all(&index, &queries, 10), &truth);
        assert!(before >= 0.99, "{before} with noise {noise}");

        let memory = index.memory().total();
        for (slot, row) in (0..).zip(&second) {
            assert!(index.remove(slot * 2));
            index.insert(u32::try_from(count).unwrap() + slot, row);
        }
        let mut plain = Index::new(64, Metric::Cosine);
        (0_u32..).zip(&first).filter(|(slot, _)| slot % 2 == 1).for_each(|(slot, row)| plain.insert(slot, row));
        (u32::try_from(count).unwrap()..).zip(&second).for_each(|(slot, row)| plain.insert(slot, row));
        let after = recall(&all(&index, &queries, 10), &all(&plain, &queries, 10));
        assert!(after >= before - 0.005, "{before} → {after} with noise {noise}");
        assert!(index.memory().total() < memory + memory / 20, "{memory} → {}", index.memory().total());
        assert!(!index.training_due(), "as many as there were were not put in yet");
    }
}

#[test]
fn a_selective_filter_is_searched_for_in_all_lists() {
    let mut index = filled(&clustered(1, rows(), 64, 0.7));
    train(&mut index);
    let query = &clustered(2, 1, 64, 0.7)[0];
    let some = |slot: u32| slot.is_multiple_of(2_000);
    let wanted: HashSet<u32> = (0..u32::try_from(rows()).unwrap()).filter(|slot| some(*slot)).collect();
    let found = index.search(query, wanted.len() + 5, some);
    assert_eq!(found.iter().map(|hit| hit.slot).collect::<HashSet<u32>>(), wanted);
    assert!(index.search(query, 10, |_| false).is_empty());
    assert_eq!(index.search(query, rows() + 5, |_| true).len(), rows());
}

#[test]
fn a_training_amid_changes_loses_nothing() {
    let (count, dimension) = (rows(), 64);
    let vectors = clustered(1, 2 * count, dimension, 0.7);
    let mut index = filled(&vectors[..count]);
    let mut plain = filled(&vectors[..count]);
    let mut training = index.begin_training();
    let (mut new, mut old) = (u32::try_from(count).unwrap(), 0_u32);
    let mut change = |index: &mut Index| {
        // One in, one out, one changed, one in and out again.
        for index in [index, &mut plain] {
            index.insert(new, &vectors[new as usize]);
            assert!(index.remove(old));
            index.insert(old + 1_000, &vectors[new as usize]);
            index.insert(4_000_000, &vectors[0]);
            index.remove(4_000_000);
        }
        (new, old) = (new + 1, old + 1);
    };
    let mut changes = 0;
    while training.step(&index) {
        if changes < 900 {
            change(&mut index);
            changes += 1;
        }
    }
    change(&mut index);
    finish(&mut index, training);
    assert_eq!(index.len(), plain.len());
    let every = index.search(&vectors[0], usize::MAX, |_| true);
    assert_eq!(every, plain.search(&vectors[0], usize::MAX, |_| true), "each row is there once, and no other");
    let placed = index.placements(0, usize::MAX);
    assert_eq!((placed.lists.len(), placed.next), (index.len(), None));
}

#[test]
fn trainings_that_were_given_up_or_are_not_through_change_nothing() {
    let mut index = filled(&clustered(1, rows(), 64, 0.7));
    let mut first = index.begin_training();
    assert!(!index.training_due(), "one is under way");
    let second = index.begin_training();
    assert!(!first.step(&index), "given up");
    drop(index.finish_training(first));
    let mut second = index.finish_training(second);
    assert!(index.layout().is_none());
    while second.step(&index) {}
    finish(&mut index, second);
}

#[test]
fn a_training_that_is_forgotten_is_given_up() {
    let vectors = clustered(1, rows(), 4, 0.7);
    let mut index = filled(&vectors);
    let mut training = index.begin_training();
    (0..2 * rows() + 100_001).for_each(|_| index.insert(0, &vectors[0]));
    assert!(index.training_due());
    assert!(index.memory().noted == 0 && !training.step(&index));
}

#[test]
fn lists_follow_the_number_of_rows() {
    let vectors = clustered(1, 2 * rows() + 1, 64, 0.7);
    let mut index = filled(&vectors[..rows()]);
    train(&mut index);
    let lists = index.layout().unwrap().lists();
    (0..).zip(&vectors).skip(rows()).for_each(|(slot, row)| index.insert(slot, row));
    assert!(index.training_due(), "twice as many");
    train(&mut index);
    assert!(index.layout().unwrap().lists() > lists);
    (100..).zip(&vectors[100..]).for_each(|(slot, _)| assert!(index.remove(slot)));
    assert!(index.training_due(), "too few");
    let mut training = index.begin_training();
    while training.step(&index) {}
    drop(index.finish_training(training));
    assert!(index.layout().is_none(), "so few are scanned whole");
    assert_eq!(index.search(&vectors[0], 1_000, |_| true).len(), 100);
}

#[test]
fn an_index_comes_back_as_it_was() {
    let (vectors, queries) = (clustered(1, rows(), 64, 1.0), clustered(2, 200, 64, 1.0));
    let mut index = filled(&vectors);
    train(&mut index);
    (0..500).for_each(|slot| assert!(index.remove(slot * 7)));
    let bytes = index.layout().unwrap().to_bytes();
    let mut back = Index::with_layout(64, Metric::Cosine, Layout::from_bytes(&bytes).unwrap()).unwrap();
    let mut from = Some(0);
    while let Some(start) = from {
        let part = index.placements(start, 1_000);
        assert!(part.lists.len() <= 1_000);
        part.lists.iter().for_each(|(slot, list)| back.insert_at(*slot, &vectors[*slot as usize], *list));
        from = part.next;
    }
    assert_eq!(back.len(), index.len());
    assert_eq!(all(&back, &queries, 10), all(&index, &queries, 10));
    assert_eq!(back.layout(), index.layout());
    assert!(!back.training_due());
    back.insert_at(0, &vectors[0], 1_000_000);
    assert_eq!(back.search(&vectors[0], 1, |_| true)[0].slot, 0, "a list that is not there is looked for");
}

#[test]
fn damaged_layouts_are_refused() {
    let mut index = filled(&clustered(1, rows(), 64, 0.7));
    train(&mut index);
    let bytes = index.layout().unwrap().to_bytes();
    assert_eq!(Layout::from_bytes(&bytes).as_ref(), Ok(index.layout().unwrap()));
    for cut in [0, 1, 4, 20, bytes.len() - 1] {
        assert_eq!(Layout::from_bytes(&bytes[..cut]), Err(LayoutError::Damaged));
    }
    for place in (1..bytes.len()).step_by(97) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert_eq!(Layout::from_bytes(&changed), Err(LayoutError::Damaged));
    }
    let other = [&[9], &bytes[1..]].concat();
    assert_eq!(Layout::from_bytes(&other), Err(LayoutError::Form(9)));
    let layout = Layout::from_bytes(&bytes).unwrap();
    let refused = Index::with_layout(5, Metric::Cosine, layout).err();
    assert_eq!(refused, Some(LayoutError::Dimension { has: 64, needs: 5 }));
}
