//! The statistics alone.

use crate::Outcome;
use crate::table::{Against, Goal, Line, median};
use crate::traffic::{decide, experiment};
use bandit::{ArmPosterior, Beta, DecideRequest, Decider, Experiment, PosteriorSet, Status, compare, ratio_interval};
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Batches, each long enough that reading the clock is nothing; the median leaves out what was interrupted.
const BATCHES: usize = 31;
const BATCH: Duration = Duration::from_millis(20);

pub(crate) fn measure() -> Outcome<Vec<Line>> {
    let line =
        |key, what: &str, measured, unit, against, goal| Line { key, what: what.into(), measured, unit, against, goal };
    let hundred = microseconds(|| drop(black_box(compare(black_box(&arms(100))))));
    let four = microseconds(|| drop(black_box(compare(black_box(&arms(4))))));
    let [a, b, ..] = arms(4)[..] else { return Err("four arms are not four".into()) };
    let interval = microseconds(|| _ = black_box(ratio_interval(black_box(a), b, 0.95)));
    let (decider, requests) = ten_arms()?;
    let now: Timestamp = "2026-11-21T10:00:00Z".parse()?;
    let mut turn = 0;
    let draw = microseconds(|| {
        turn = (turn + 1) % requests.len();
        drop(black_box(decider.deal(&requests[turn], now)));
    });
    Ok(vec![
        line("compare_100", "compare 100 arms", hundred / 1e3, "ms", Against::Limit(5.0), Goal::AtMost(1.0)),
        line("compare_4", "compare 4 arms", four, "µs", Against::Nothing, Goal::None),
        line("deal_10", "deal from 10 arms, hashes included", draw, "µs", Against::Nothing, Goal::None),
        line("ratio_interval", "interval of an uplift", interval, "µs", Against::Nothing, Goal::None),
    ])
}

/// Arms of a real experiment: rates near 5 %, thousands of trials each.
fn arms(n: u32) -> Vec<Beta> {
    (0..n)
        .map(|i| {
            let trials = 2_000.0 + 37.0 * f64::from(i);
            let alpha = trials * (0.045 + 0.01 * f64::from(i % 7) / 7.0);
            Beta { alpha, beta: trials - alpha }
        })
        .collect()
}

/// A running experiment of ten arms with a posterior, and users who have nothing yet.
fn ten_arms() -> Outcome<(Decider, Vec<DecideRequest>)> {
    let mut definition = experiment();
    definition["arms"] = (0..10).map(|i| json!({"id": format!("arm-{i}")})).collect();
    let definition: Experiment = serde_json::from_value(definition)?;
    let posteriors = arms(10).into_iter().map(|b| ArmPosterior { alpha: b.alpha, beta: b.beta, propensity: 0.1 });
    let segments = BTreeMap::from([("device=mobile".to_owned(), posteriors.collect())]);
    let ids = definition.arms.iter().map(|a| a.id.clone()).collect();
    let set = PosteriorSet::new(&definition.id, 1, 1, Timestamp::UNIX_EPOCH, ids, segments);
    let decider = Decider::new(definition, Status::Running, None, 1, Some(&set))?;
    let requests = (0..1_000).map(|i| serde_json::from_str(&decide(&format!("u{i}"))));
    Ok((decider, requests.collect::<Result<_, _>>()?))
}

/// Time of one call.
fn microseconds(mut call: impl FnMut()) -> f64 {
    let mut batch = |calls: u32| {
        let begun = Instant::now();
        (0..calls).for_each(|_| call());
        begun.elapsed()
    };
    let mut calls = 1;
    while calls < 1 << 24 && batch(calls) < BATCH {
        calls *= 2;
    }
    median((0..BATCHES).map(|_| batch(calls).as_secs_f64() * 1e6 / f64::from(calls)).collect())
}
