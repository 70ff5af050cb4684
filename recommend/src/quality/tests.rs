use super::*;

fn near(got: Option<f64>, want: f64) {
    assert!(got.is_some_and(|g| (g - want).abs() < 1e-6), "{got:?}, not {want}");
}

#[test]
fn recall_is_what_was_found_of_what_was_wanted() {
    let list = ["a", "b", "c", "d"];
    near(recall(&list, &["b", "d", "x"], 4), 2.0 / 3.0);
    near(recall(&list, &["b", "d", "x"], 3), 1.0 / 3.0);
    near(recall(&list, &["d"], 9), 1.0);
    near(recall(&list[..0], &["d"], 9), 0.0);
    assert_eq!(recall(&list, &[], 3), None);
}

#[test]
fn ndcg_by_hand() {
    let list = ["a", "b", "c", "d"];
    near(ndcg(&list, &["a"], 4), 1.0);
    // 1 / log2(3).
    near(ndcg(&list, &["b"], 4), 0.630_930);
    // (1 / log2(3) + 1 / log2(5)) / (1 + 1 / log2(3)) = (0.630930 + 0.430677) / (1 + 0.630930).
    near(ndcg(&list, &["b", "d"], 4), 0.650_921);
    // The best list of one place has one item.
    near(ndcg(&list, &["a", "d"], 1), 1.0);
    near(ndcg(&list, &["x"], 4), 0.0);
    assert_eq!((ndcg(&list, &[], 4), ndcg(&list, &["a"], 0)), (None, None));
}

#[test]
fn distance_within_a_list_by_hand() {
    let (x, y, z) = ([1.0_f32, 0.0], [0.0_f32, 1.0], [0.6_f32, 0.8]);
    // Cosines 0, .6 and .8: distances 1, .4 and .2.
    near(intra_list_distance(&[&x, &y, &z]), 1.6 / 3.0);
    near(intra_list_distance(&[&x, &[-1.0, 0.0]]), 2.0);
    near(intra_list_distance(&[&x, &x]), 0.0);
    near(intra_list_distance(&[&x, &[0.0, 0.0]]), 1.0);
    assert_eq!(intra_list_distance(&[&x]), None);
}

#[test]
fn shares_of_the_catalog_by_hand() {
    near(coverage(&[3, 0, 1, 0], 4), 0.5);
    near(coverage(&[3, 1], 8), 0.25);
    assert_eq!(coverage(&[], 0), None);
    near(gini(&[5, 5, 5]), 0.0);
    // One of four takes all: (n - 1) / n.
    near(gini(&[0, 8, 0, 0]), 0.75);
    // Mean absolute difference 8/9 over twice the mean 2.
    near(gini(&[1, 2, 3]), 8.0 / 9.0 / 4.0);
    assert_eq!((gini(&[]), gini(&[0, 0])), (None, None));
}

#[test]
fn means_and_paired_differences_by_hand() {
    let mean = Mean::of(&[1.0, 2.0, 6.0]).unwrap();
    // Variance (4 + 1 + 9) / 2 = 7, over 3 users.
    assert_eq!((mean.mean, mean.n), (3.0, 3));
    near(mean.se, (7.0_f64 / 3.0).sqrt());
    // Users differ much and methods hardly: 1, 1 and 2 apart.
    let apart = Mean::of_differences(&[11.0, 101.0, 1_002.0], &[10.0, 100.0, 1_000.0]).unwrap();
    near(Some(apart.mean), 4.0 / 3.0);
    near(apart.se, 1.0 / 3.0);
    assert_eq!(Mean::of(&[7.0]), Some(Mean { mean: 7.0, se: None, n: 1 }));
    assert_eq!(Mean::of(&[]), None);
}
