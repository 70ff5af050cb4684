//! Outcomes from before a change count no more where that is asked for, and only there.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bandit::{Evidence, Experiment, HourOutcome, PosteriorSet, recompute, segment_changes};
use jiff::Timestamp;

fn experiment(more: &str) -> Experiment {
    serde_json::from_str(&format!(r#"{{"id":"e","arms":[{{"id":"a"}},{{"id":"b"}}],{more},"reward":{{"event":"r"}}}}"#))
        .unwrap()
}

fn rows(segment: &str, hours: std::ops::Range<i64>, rewards: [u64; 2]) -> impl Iterator<Item = HourOutcome> {
    hours.flat_map(move |hour| {
        (0..2).map(move |arm| HourOutcome {
            hour,
            segment: segment.into(),
            arm,
            holdout: false,
            trials: 100,
            rewards: rewards[arm],
        })
    })
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3_600).unwrap()
}

fn learn(e: &Experiment, outcomes: &[HourOutcome]) -> PosteriorSet {
    recompute(e, 1, 1, &outcomes.to_vec().into(), at(200))
}

#[test]
fn what_came_before_a_change_is_forgotten_where_asked() {
    let outcomes: Vec<HourOutcome> = rows("all", 0..50, [20, 5]).chain(rows("all", 50..100, [5, 5])).collect();
    let kept = learn(&experiment(r#""policy":{}"#), &outcomes);
    let forgot = learn(&experiment(r#""policy":{"on_change":"forget"}"#), &outcomes);
    assert_eq!(kept.segments["all"][0].beta().alpha, 1.0 + 50.0 * 20.0 + 50.0 * 5.0);
    let since = (100.0 - (forgot.segments["all"][0].alpha - 1.0) / 5.0).round();
    assert!((45.0..=55.0).contains(&since), "hour {since}");
    // The other arm's outcomes go too: arms are compared over the same time.
    assert!(forgot.segments["all"][1].alpha < 1.0 + 56.0 * 5.0);
    // Rates that stand still are not forgotten.
    let still: Vec<HourOutcome> = rows("all", 0..100, [10, 5]).collect();
    assert_eq!(
        learn(&experiment(r#""policy":{"on_change":"forget"}"#), &still).segments,
        learn(&experiment(r#""policy":{}"#), &still).segments
    );
}

#[test]
fn a_change_in_one_segment_is_that_segments() {
    let e = experiment(r#""segment_by":["s"],"policy":{"on_change":"forget"}"#);
    let mut outcomes: Vec<HourOutcome> = rows("s=x", 0..50, [20, 5]).chain(rows("s=x", 50..100, [5, 5])).collect();
    outcomes.extend(rows("s=y", 0..100, [10, 5]));
    let found = segment_changes(&e, &outcomes.clone().into(), at(200));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["s=x"]);
    let before = learn(&e, &outcomes);
    assert_eq!(before.segments["s=y"][0].alpha, 1_001.0);
    // Segments that somebody makes up do not bring back what was forgotten.
    outcomes.extend((0..100).flat_map(|i| rows(&format!("s=made up {i}"), 99..100, [0, 0]).collect::<Vec<_>>()));
    assert_eq!(learn(&e, &outcomes).segments["s=x"], before.segments["s=x"]);
}

/// Under a contextual policy an arm's rate moves with whom it is dealt to.
#[test]
fn arms_of_a_contextual_policy_are_not_watched() {
    let e = experiment(r#""policy":{"kind":"logistic_thompson"},"features":[{"name":"device","kind":"categorical"}]"#);
    let outcomes: Vec<HourOutcome> = rows("all", 0..50, [20, 5]).chain(rows("all", 50..100, [5, 5])).collect();
    assert!(segment_changes(&e, &Evidence::from(outcomes), at(200)).is_empty());
}
