use super::*;
use proptest::prelude::*;

/// Eigenvalues of a symmetric matrix, largest first, by Jacobi's rotations: slow, and known to be right.
fn jacobi(mut a: Vec<Vec<f64>>) -> Vec<f64> {
    let n = a.len();
    for _ in 0..100 {
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q].abs() < 1e-300 {
                    continue;
                }
                let angle = 0.5 * (2.0 * a[p][q]).atan2(a[p][p] - a[q][q]);
                let (s, c) = angle.sin_cos();
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] + s * row[q], c * row[q] - s * row[p]);
                }
                let (above, below) = a.split_at_mut(q);
                for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
                    (*x, *y) = (c * *x + s * *y, c * *y - s * *x);
                }
            }
        }
    }
    let mut values: Vec<f64> = (0..n).map(|i| a[i][i]).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values
}

fn scatter(sample: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let (mean, d) = (mean(sample), sample[0].len());
    let cell = |i: usize, j: usize| {
        sample.iter().map(|row| (f64::from(row[i]) - mean[i]) * (f64::from(row[j]) - mean[j])).sum()
    };
    (0..d).map(|i| (0..d).map(|j| cell(i, j)).collect()).collect()
}

#[test]
fn a_case_by_hand() {
    // Along (3, 4)/5 the squares sum to 2·25·(1 + 4) = 250, across to 2·25/25·… = 10: a share of 250/260.
    let points: Vec<Vec<f32>> = [[3.0, 4.0], [-3.0, -4.0], [6.0, 8.0], [-6.0, -8.0]]
        .iter()
        .enumerate()
        .map(|(n, [x, y])| {
            let across = if n < 2 { 1.0 } else { -2.0 } * if n % 2 == 0 { 1.0 } else { -1.0 };
            vec![10.0 + x - 0.8 * across, 20.0 + y + 0.6 * across]
        })
        .collect();
    let values = jacobi(scatter(&points));
    let found = Projection::of(&points).unwrap();
    let total: f64 = values.iter().sum();
    assert!((found.explained[0] - values[0] / total).abs() < 1e-6, "{found:?} {values:?}");
    assert!((found.explained.iter().sum::<f64>() - 1.0).abs() < 1e-9, "all of two dimensions");
    assert_eq!(found.place(&[1.0]), None);
    let middle = found.place(&[10.0, 20.0]).unwrap();
    assert!(middle.iter().all(|v| v.abs() < 1e-5), "{middle:?}");
}

#[test]
fn a_line_has_one_axis_and_a_point_none() {
    let line: Vec<Vec<f32>> = [0.0_f32, 1.0, 2.0, 5.0].iter().map(|x| vec![0.0, -x, 0.0]).collect();
    let found = Projection::of(&line).unwrap();
    assert!((found.explained[0] - 1.0).abs() < 1e-9 && found.explained[1].abs() < 1e-9, "{found:?}");
    // The sign is fixed: the axis points to where its largest number is positive.
    assert!((found.place(&line[3]).unwrap()[0] + 3.0).abs() < 1e-5, "{:?}", found.place(&line[3]));
    assert_eq!(Projection::of(&[vec![1.0, 2.0], vec![1.0, 2.0]]), None);
    assert_eq!(Projection::of(&[vec![1.0, 2.0]]), None);
    assert_eq!((Projection::of(&[]), Projection::of(&[vec![], vec![]])), (None, None));
    assert_eq!(Projection::of(&[vec![1.0], vec![1.0, 2.0]]), None);
    assert!(Projection::of(&[vec![1.0], vec![2.0]]).is_some(), "one dimension");
    assert_eq!(Projection::of(&[vec![f32::NAN], vec![2.0]]), None);
}

proptest! {
    /// The plane has nearly all of the variance that any plane can have, its axes are orthonormal, and what it says of the
    /// sample is what places of the sample say.
    #[test]
    fn no_plane_holds_more(sample in (2_usize..6).prop_flat_map(|d| proptest::collection::vec(
        proptest::collection::vec(-3_f32..3.0, d), 3..40))) {
        let values = jacobi(scatter(&sample));
        let total: f64 = values.iter().sum();
        let found = Projection::of(&sample).unwrap();
        let best = (values[0] + values[1]) / total;
        let held = found.explained[0] + found.explained[1];
        prop_assert!((held - best).abs() < 2e-3, "{held} of {best}");
        prop_assert!(found.explained[0] >= found.explained[1] - 1e-9);
        let axis = |i: usize| found.axes[i].iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
        prop_assert!((dot(&axis(0), &axis(0)) - 1.0).abs() < 1e-5 && dot(&axis(0), &axis(1)).abs() < 1e-5);
        let along: f64 = sample.iter().map(|row| found.place(row).unwrap()[0].powi(2)).sum();
        prop_assert!((along / total - found.explained[0]).abs() < 1e-4);
        prop_assert_eq!(Projection::of(&sample).unwrap(), found, "the same each time");
    }
}
