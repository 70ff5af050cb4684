use super::*;

fn dot(a: &[f32], b: &[f32]) -> f32 {
    Kernel::best().near(a, b)
}
use crate::index::unit;
use proptest::prelude::*;

fn pool<'a>(items: &'a [(f32, Vec<f32>, Vec<u32>)]) -> Vec<Candidate<'a>> {
    items.iter().map(|(score, vector, tags)| Candidate { score: *score, vector, scale: 1.0, tags }).collect()
}

fn plane(degrees: f32) -> Vec<f32> {
    vec![degrees.to_radians().cos(), degrees.to_radians().sin()]
}

fn items() -> impl Strategy<Value = Vec<(f32, Vec<f32>, Vec<u32>)>> {
    let vector = prop::collection::vec(-1.0_f32..1.0, 5);
    let item = (-1.0_f32..1.0, vector, prop::collection::btree_set(0_u32..4, 0..3));
    prop::collection::vec(item, 0..40).prop_map(|items| {
        let unit = |v: Vec<f32>| unit(&v).unwrap_or(v);
        items.into_iter().map(|(s, v, t)| (s, unit(v), t.into_iter().collect())).collect()
    })
}

const ANY: Variety = Variety { diversity: 0.0, max_per_tag: None, tag_step: TAG_STEP, near_duplicate: None };

/// As the definition says, without anything remembered from step to step.
fn plainly(pool: &[Candidate<'_>], k: usize, variety: &Variety) -> Vec<usize> {
    let scores = || pool.iter().map(|c| f64::from(c.score));
    let (worst, best) = (scores().fold(f64::MAX, f64::min), scores().fold(f64::MIN, f64::max));
    let mut list: Vec<usize> = Vec::new();
    while list.len() < k {
        let cosine = |i: usize, j: usize| dot(pool[i].vector, pool[j].vector);
        let relevance = |i: usize| if best > worst { (f64::from(pool[i].score) - worst) / (best - worst) } else { 1.0 };
        let value = |i: usize| {
            let cosines = list.iter().map(|&j| f64::from(cosine(j, i).max(-1.0)));
            let alike = cosines.sum::<f64>() / list.len().max(1) as f64;
            let has = |tag: &u32| list.iter().filter(|j| pool[**j].tags.contains(tag)).count();
            let over = |most| pool[i].tags.iter().map(|t| (has(t) + 1).saturating_sub(most)).max().unwrap_or(0);
            let penalty = variety.tag_step * variety.max_per_tag.map_or(0, over) as f64;
            (1.0 - variety.diversity) * relevance(i) - variety.diversity * ALIKE * alike - penalty
        };
        let free = |i: &usize| !list.contains(i);
        let apart = |i: &usize| list.iter().all(|j| variety.near_duplicate.is_none_or(|most| cosine(*j, *i) <= most));
        let order = |a: &usize, b: &usize| {
            value(*a).total_cmp(&value(*b)).then(relevance(*a).total_cmp(&relevance(*b))).then(b.cmp(a))
        };
        let Some(next) = (0..pool.len()).filter(free).filter(apart).max_by(order) else { break };
        list.push(next);
    }
    list
}

proptest! {
    #[test]
    fn it_is_marginal_relevance(
        items in items(),
        k in 0_usize..45,
        diversity in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0],
        max_per_tag in prop::option::of(1_usize..4),
        near_duplicate in prop::option::of(0.5_f32..1.0),
    ) {
        let pool = pool(&items);
        let variety = Variety { diversity, max_per_tag, near_duplicate, ..ANY };
        prop_assert_eq!(choose(&pool, k, &variety), plainly(&pool, k, &variety));
    }

    /// So that a diversity means the same under the cosine and under inner products of any size.
    #[test]
    fn the_unit_of_scores_does_not_matter(items in items(), diversity in 0.0..1.0, power in 0_i32..20, shift in -8_i16..8) {
        // Steps of 1/256 and factors of 2 round nowhere.
        let stepped = |s: f32| (s * 256.0).round() / 256.0;
        let with = |f: &dyn Fn(f32) -> f32| -> Vec<_> {
            items.iter().map(|(s, v, t)| (f(stepped(*s)), v.clone(), t.clone())).collect()
        };
        let (before, after) = (with(&|s| s), with(&|s| (s + f32::from(shift)) * 2_f32.powi(power)));
        let variety = Variety { diversity, max_per_tag: Some(2), ..ANY };
        prop_assert_eq!(choose(&pool(&before), 10, &variety), choose(&pool(&after), 10, &variety));
    }

    #[test]
    fn without_diversity_it_is_the_order_of_scores(items in items(), k in 0_usize..45) {
        let pool = pool(&items);
        let mut plain: Vec<usize> = (0..pool.len()).collect();
        plain.sort_by(|a, b| pool[*b].score.total_cmp(&pool[*a].score));
        plain.truncate(k);
        prop_assert_eq!(choose(&pool, k, &ANY), plain);
    }

    #[test]
    fn nothing_is_twice_and_nothing_is_left_out_in_need(items in items(), diversity in 0.0..1.0) {
        let mut list = choose(&pool(&items), 100, &Variety { diversity, max_per_tag: Some(1), ..ANY });
        list.sort_unstable();
        prop_assert_eq!(list, (0..items.len()).collect::<Vec<_>>());
    }

    #[test]
    fn no_two_are_nearly_the_same(items in items(), diversity in 0.0..1.0, most in 0.3_f32..1.0) {
        let pool = pool(&items);
        let list = choose(&pool, 100, &Variety { diversity, near_duplicate: Some(most), ..ANY });
        for (n, i) in list.iter().enumerate() {
            prop_assert!(list[..n].iter().all(|j| dot(pool[*i].vector, pool[*j].vector) <= most));
        }
        // Who is missing has somebody in the list to thank.
        for i in (0..pool.len()).filter(|i| !list.contains(i)) {
            prop_assert!(list.iter().any(|j| dot(pool[i].vector, pool[*j].vector) > most));
        }
    }

    #[test]
    fn products_are_right(a in prop::collection::vec(-1.0_f32..1.0, 0..70)) {
        let b: Vec<f32> = a.iter().rev().copied().collect();
        let plain: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
        prop_assert!((f64::from(dot(&a, &b)) - plain).abs() < 1e-4);
    }
}

#[test]
fn duplicates_are_left_out_unless_asked_for() {
    let items = [(0.9, plane(0.0), vec![]), (0.8, plane(10.0), vec![]), (0.1, plane(90.0), vec![])];
    // cos 10° = .985.
    assert_eq!(choose(&pool(&items), 3, &Variety::new(0.0)), [0, 2]);
    assert_eq!(choose(&pool(&items), 3, &ANY), [0, 1, 2]);
}

#[test]
fn the_most_diverse_list_takes_what_is_most_unlike() {
    let items = [
        (0.9, plane(0.0), vec![]),
        (0.8, plane(40.0), vec![]),
        (0.5, plane(120.0), vec![]),
        (0.1, plane(180.0), vec![]),
    ];
    assert_eq!(choose(&pool(&items), 4, &Variety::new(1.0)), [0, 3, 2, 1]);
    assert_eq!(choose(&pool(&items), 4, &Variety::new(0.0)), [0, 1, 2, 3]);
}

#[test]
fn a_tag_s_further_items_lose_more_and_more() {
    // Twelve of one tag, nearest first, then two of another far behind.
    let mut items: Vec<(f32, Vec<f32>, Vec<u32>)> =
        (0..12_u8).map(|i| (1.0 - f32::from(i) * 0.01, vec![0.0; 2], vec![7])).collect();
    items.push((0.3, vec![0.0; 2], vec![8]));
    items.push((0.0, vec![0.0; 2], vec![8, 9]));
    let list = |variety: &Variety| choose(&pool(&items), 14, variety);
    let capped = Variety { max_per_tag: Some(2), ..ANY };
    // Two in full; the 3rd to the 4th at .73 and .47 are still before .3, the 5th at .21 is not; .0 is after it and
    // before the 6th, at -.05; then nothing else is left.
    assert_eq!(list(&capped), [0, 1, 2, 3, 12, 4, 13, 5, 6, 7, 8, 9, 10, 11]);
    // A small step is hardly felt, a large one is a cap while there is anything else.
    assert_eq!(list(&Variety { tag_step: 0.001, ..capped })[..12], (0..12).collect::<Vec<_>>()[..]);
    assert_eq!(list(&Variety { tag_step: 9.0, ..capped })[..5], [0, 1, 12, 13, 2]);
    assert_eq!(list(&ANY), (0..14).collect::<Vec<_>>());
}

#[test]
fn scores_that_are_none_come_last() {
    let item = |score: f32| (score, vec![1.0_f32, 0.0], vec![]);
    let items = [item(f32::NAN), item(f32::NEG_INFINITY), item(1.0), item(f32::INFINITY)];
    assert_eq!(choose(&pool(&items), 4, &ANY)[0], 3);
    assert_eq!(choose(&pool(&items), 4, &ANY).len(), 4);
    assert!(choose(&[], 4, &ANY).is_empty());
}
