use super::*;
use proptest::prelude::*;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 / 3_600 * 3_600 + hour * 3_600).unwrap()
}

fn views(item: &'static str, hour: i64, views: u64) -> HourlyViews<&'static str> {
    HourlyViews { item, hour: at(hour), views }
}

#[test]
fn counts_halve_by_the_hour() {
    let counts = vec![views("old", 0, 40), views("new", 4, 11), views("both", 2, 4), views("both", 4, 8)];
    let got = popular(counts.clone(), at(4), 2.0, 10);
    assert_eq!(got, [("new", 11.0), ("both", 10.0), ("old", 10.0)].map(|(i, c)| (i, c)));
    assert_eq!(popular(counts.clone(), at(6), 2.0, 1), [("new", 5.5)]);
    // Within the hour nothing moves; the hour's end halves by its part.
    let late = at(4) + jiff::SignedDuration::from_secs(3_599);
    assert_eq!(popular(counts.clone(), late, 2.0, 10), got);
    assert_eq!(popular(counts.clone(), at(5), 1.0, 1), [("new", 5.5)]);
    // As if it were then: nothing of later hours.
    assert_eq!(popular(counts, at(1), 1.0, 10), [("old", 20.0)]);
}

#[test]
fn nothing_and_almost_nothing() {
    assert_eq!(popular(Vec::<HourlyViews<u8>>::new(), at(0), 1.0, 5), []);
    assert_eq!(popular(vec![views("a", 0, 0)], at(0), 1.0, 5), []);
    assert_eq!(popular(vec![views("a", 0, 7)], at(5_000), 1.0, 5), [], "2^-5000 is nothing");
    assert_eq!(popular(vec![views("a", 0, 7)], at(0), 1.0, 0), []);
}

proptest! {
    #[test]
    fn the_same_in_any_order_and_as_summed_plainly(
        rows in prop::collection::vec((0_u8..6, 0_i64..200, 0_u64..50), 0..60),
        now in 0_i64..250,
        half_life in 1.0_f64..100.0,
    ) {
        let counts: Vec<_> =
            rows.iter().map(|&(item, hour, views)| HourlyViews { item, hour: at(hour), views }).collect();
        let mut turned = counts.clone();
        turned.reverse();
        let got = popular(counts, at(now), half_life, 6);
        prop_assert_eq!(&got, &popular(turned, at(now), half_life, 6));
        for pair in got.windows(2) {
            prop_assert!(pair[0].1 > pair[1].1 || (pair[0].1 == pair[1].1 && pair[0].0 < pair[1].0));
        }
        for item in 0..6 {
            let mine = rows.iter().filter(|r| r.0 == item && r.1 <= now);
            let plain: f64 = mine.map(|r| r.2 as f64 * 0.5_f64.powf((now - r.1) as f64 / half_life)).sum();
            let count = got.iter().find(|(i, _)| *i == item).map_or(0.0, |(_, count)| *count);
            prop_assert!((plain - count).abs() <= 1e-9 * plain.max(1.0));
        }
    }
}
