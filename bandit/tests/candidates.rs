//! Lists of a catalog's items: probabilities, draws, priors, definitions.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test fails by panicking; counts are small")]

use bandit::{
    AssignmentKey, BaseRate, CandidatePolicy, DecisionId, DecisionRecord, Evidence, Experiment, Explorer, HourOutcome,
    OTHER_CANDIDATES, Source, Status, recompute, validate, validate_change,
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

fn definition(change: &Value) -> Experiment {
    let mut e = json!({"id": "shelf", "candidates": {"catalog": "shop"}, "reward": {"event": "click"}});
    for (field, value) in change.as_object().unwrap() {
        e[field] = value.clone();
    }
    serde_json::from_value(e).unwrap()
}

fn id(n: u32) -> DecisionId {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&n.to_le_bytes());
    DecisionId(id)
}

type Pool = Vec<(f64, [f64; 2])>;

fn pools() -> impl Strategy<Value = Pool> {
    let counts = prop_oneof![Just([0.0, 0.0]), (0.0..300.0f64, 0.0..3_000.0f64).prop_map(|(s, f)| [s, f])];
    prop::collection::vec((-1.0..1.0f64, counts), 2..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Something is at each position, and what is told of a list is what the matrix says.
    #[test]
    fn probabilities_of_a_position_sum_to_one(
        pool in pools(), base in 0.001..0.9f64, floor in 0.0..=1.0f64, holdout in 0.0..=1.0f64, thompson: bool, seed: u32,
    ) {
        let kind = if thompson { "thompson" } else { "fixed" };
        let floor = floor / pool.len() as f64;
        let e = definition(&json!({"policy": {"kind": kind, "floor": floor}, "holdout": holdout}));
        let policy = CandidatePolicy::new(&e, BaseRate::of(base * 1e6, (1.0 - base) * 1e6), &pool).unwrap();
        let length = pool.len().min(5);
        let rows = policy.positions(length);
        for row in &rows {
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{row:?}");
        }
        let order = policy.draw(id(seed), 3, false, length);
        prop_assert_eq!(&order, &policy.draw(id(seed), 3, false, length), "equal seeds, equal lists");
        for ((j, &i), p) in order.iter().enumerate().zip(policy.propensities(&order)) {
            prop_assert!((p - rows[j][i]).abs() < 1e-9, "item {i} at {j}: {p} is not {}", rows[j][i]);
        }
        let mut once = order.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), length);
    }

    /// Draws come as often as they are said to: 20,000 lists by chi-square at each position.
    #[test]
    fn draws_come_as_often_as_told(pool in pools(), floor in 0.0..0.05f64) {
        const LISTS: u32 = 5_000;
        let e = definition(&json!({"policy": {"floor": floor}}));
        let policy = CandidatePolicy::new(&e, BaseRate::of(50.0, 950.0), &pool).unwrap();
        let length = pool.len().min(3);
        let mut seen = vec![vec![0u32; pool.len()]; length];
        for n in 0..LISTS {
            for (j, i) in policy.draw(id(n), 1, false, length).into_iter().enumerate() {
                seen[j][i] += 1;
            }
        }
        for (row, told) in seen.iter().zip(policy.positions(length)) {
            let usual = |p: &f64| *p * f64::from(LISTS) >= 5.0;
            let cells = row.iter().zip(&told).filter(|(_, p)| usual(p));
            let statistic: f64 = cells.map(|(n, p)| (f64::from(*n) - p * f64::from(LISTS)).powi(2) / (p * f64::from(LISTS))).sum();
            // Eleven degrees of freedom at most: 45 has a probability below 1e-5.
            prop_assert!(statistic < 45.0, "{statistic}: {row:?} for {told:?}");
            let rare: f64 = told.iter().filter(|p| !usual(p)).sum::<f64>() * f64::from(LISTS);
            let rarely: u32 = row.iter().zip(&told).filter(|(_, p)| !usual(p)).map(|(n, _)| n).sum();
            prop_assert!((f64::from(rarely) - rare).abs() < 5.0 * rare.sqrt() + 6.0, "{rarely} for {rare}");
        }
    }
}

#[test]
fn without_data_and_similarity_all_orders_are_alike() {
    let e = definition(&json!({"candidates": {"catalog": "shop", "similarity_weight": 0}}));
    let pool: Pool = (0..6).map(|i| (f64::from(i), [0.0; 2])).collect();
    let policy = CandidatePolicy::new(&e, BaseRate::of(0.0, 0.0), &pool).unwrap();
    for p in policy.positions(6).iter().flatten() {
        assert!((p - 1.0 / 6.0).abs() < 1e-9, "{p}");
    }
}

/// A prior of 20 trials: the base rate's log-odds and half a unit for each standard deviation of similarity.
#[test]
fn priors_come_from_the_base_rate_and_similarity() {
    let e = definition(&json!({}));
    let pool: Pool = vec![(3.0, [0.0; 2]), (1.0, [4.0, 6.0])];
    let beliefs = CandidatePolicy::new(&e, BaseRate::of(0.0, 0.0), &pool).unwrap().beliefs().to_vec();
    let rate = |odds: f64| 1.0 / (1.0 + (-odds).exp());
    let base = (0.05f64 / 0.95).ln();
    let (near, far) = (rate(base + 0.5), rate(base - 0.5));
    assert!((beliefs[0].alpha - 20.0 * near).abs() < 1e-9 && (beliefs[0].beta - 20.0 * (1.0 - near)).abs() < 1e-9);
    assert!((beliefs[1].alpha - 20.0 * far - 4.0).abs() < 1e-9);
    assert!((beliefs[1].beta - 20.0 * (1.0 - far) - 6.0).abs() < 1e-9);
}

#[test]
fn fixed_and_the_holdout_keep_the_order() {
    let fixed = definition(&json!({"policy": {"kind": "fixed"}}));
    let pool: Pool = (0..5).map(|i| (f64::from(-i), [0.0, f64::from(i)])).collect();
    let policy = CandidatePolicy::new(&fixed, BaseRate::of(0.0, 0.0), &pool).unwrap();
    assert_eq!(policy.draw(id(1), 1, false, 3), [0, 1, 2]);
    assert_eq!(policy.propensities(&[0, 1, 2]), [1.0; 3]);
    let held = definition(&json!({"holdout": 0.25}));
    let policy = CandidatePolicy::new(&held, BaseRate::of(0.0, 0.0), &pool).unwrap();
    assert_eq!(policy.draw(id(1), 1, true, 4), [0, 1, 2, 3]);
    assert!(policy.propensities(&[0, 1, 2]).iter().all(|p| *p >= 0.25));
}

/// What the updater publishes is what the lists are dealt from: the data above a flat prior, and all of it as base rate.
#[test]
fn published_counts_move_the_lists() {
    let e = definition(&json!({}));
    let outcome =
        |arm, trials, rewards| HourOutcome { hour: 10, segment: "all".into(), arm, holdout: false, trials, rewards };
    let outcomes = vec![outcome(0, 400, 100), outcome(1, 400, 4), outcome(2, 100, 1)];
    let segment = bandit::WHOLE.to_owned();
    let outcomes: Vec<_> = outcomes.into_iter().map(|o| HourOutcome { segment: segment.clone(), ..o }).collect();
    let candidates = ["far", "near", OTHER_CANDIDATES].map(String::from).to_vec();
    let evidence = Evidence { outcomes, candidates, ..Evidence::default() };
    let as_of = Timestamp::from_second(3_600 * 100).unwrap();
    let set = recompute(&e, 1, 1, &evidence, as_of);
    assert_eq!(set.arms, ["far", "near", OTHER_CANDIDATES]);
    let list = &set.segments[&segment];
    assert_eq!((list[0].alpha, list[0].beta), (101.0, 301.0));
    assert!((list[0].propensity - 400.0 / 900.0).abs() < 1e-12, "its share of what was shown");
    assert_eq!(bandit::PosteriorSet::decode(&set.encode().unwrap()).unwrap(), set);
    let explorer = Explorer::new(e, Status::Running, 1, Some(&set)).unwrap();
    assert!((explorer.base_rate().rate() - 106.0 / 920.0).abs() < 1e-12);
    let pool = [("near", 1.0), ("far", 0.0), ("new", -1.0)];
    let first = explorer.policy(&pool).unwrap().positions(1);
    assert!(first[0][1] > 0.98, "{first:?}");
    assert_eq!(
        explorer.policy(&[("", 1.0), ("x", 1.0)]).unwrap().positions(1)[0],
        [0.5; 2],
        "no item has the others' data"
    );
}

#[test]
fn the_keys_of_items_are_those_of_decisions() {
    let e = definition(&json!({"traffic": 0.5}));
    let explorer = Explorer::new(e.clone(), Status::Running, 4, None).unwrap();
    let now: Timestamp = "2026-11-21T23:30:00Z".parse().unwrap();
    let users: Vec<String> = (0..200).map(|n| format!("u{n}")).collect();
    let inside: Vec<&String> = users.iter().filter(|u| explorer.source(u).is_some()).collect();
    assert!((60..140).contains(&inside.len()), "{}", inside.len());
    let pool = [("a", 1.0), ("b", 0.0)];
    let dealt = explorer.deal(inside[0], &[], &pool, 2, now).unwrap();
    let first = &dealt.items[0];
    let item = pool[first.index].0;
    let key = explorer.item_key(inside[0], item, dealt.day);
    assert_eq!(key, AssignmentKey::new("shelf", &e.sticky, inside[0], Some(item), dealt.day));
    assert_ne!(explorer.list_key(inside[0], &["warm"], now), explorer.list_key(inside[0], &[], now));
    let list = explorer.list_id(&dealt.key, 0, ["a", "b"].into_iter());
    assert_ne!(list, explorer.list_id(&dealt.key, 0, ["b", "a"].into_iter()));
    let record = explorer.record(inside[0], item, dealt.day, list, 0, first.propensity, 0, Source::Policy, now);
    assert_eq!((record.decision_id, record.position, record.list), (key.id, Some(0), Some(list)));
    let text = serde_json::to_string(&record).unwrap();
    assert!(text.contains(r#""position":0,"list":""#), "{text}");
    assert_eq!(serde_json::from_str::<DecisionRecord>(&text).unwrap(), record);
    for status in [Status::Draft, Status::Paused, Status::Stopped] {
        let off = Explorer::new(e.clone(), status, 4, None).unwrap();
        assert!(off.deal(inside[0], &[], &pool, 2, now).is_none(), "{status}");
    }
}

#[test]
fn mistakes_in_definitions_are_named() {
    let fields = |change: &Value| -> Vec<String> {
        validate(&definition(change)).err().unwrap_or_default().into_iter().map(|e| e.field).collect()
    };
    assert_eq!(fields(&json!({})), [""; 0]);
    for (change, field) in [
        (json!({"arms": [{"id": "a"}, {"id": "b"}]}), "arms"),
        (json!({"policy": {"kind": "bayes_ucb"}}), "policy.kind"),
        (json!({"policy": {"floor": 0.06}}), "policy.floor"),
        (json!({"policy": {"on_change": "forget"}}), "policy.on_change"),
        (json!({"policy": {"pooling": "hierarchical"}}), "policy.pooling"),
        (json!({"policy": {"pace_rewards": 5}}), "policy.pace_rewards"),
        (json!({"segment_by": ["device"]}), "segment_by"),
        (json!({"features": [{"name": "age", "kind": "numeric"}]}), "features"),
        (json!({"guardrails": [{"event": "error", "max_rate": 0.1}]}), "guardrails"),
        (json!({"stopping": {}}), "stopping"),
        (json!({"sticky": {"by": ["user", "day"]}}), "sticky.by"),
        (json!({"candidates": {"catalog": ""}}), "candidates.catalog"),
        (json!({"candidates": {"catalog": "shop", "pool": 1}}), "candidates.pool"),
        (json!({"candidates": {"catalog": "shop", "pool": 51}}), "candidates.pool"),
        (json!({"candidates": {"catalog": "shop", "strength": 0}}), "candidates.strength"),
        (json!({"candidates": {"catalog": "shop", "similarity_weight": -1}}), "candidates.similarity_weight"),
    ] {
        assert_eq!(fields(&change), [field], "{change}");
    }
    assert_eq!(fields(&json!({"policy": {"kind": "fixed", "floor": 0.01, "half_life_hours": 24}})), [""; 0]);
    let old = definition(&json!({}));
    let other = definition(&json!({"candidates": {"catalog": "other"}}));
    let plain: Experiment = serde_json::from_value(
        json!({"id": "shelf", "arms": [{"id": "a"}, {"id": "b"}], "reward": {"event": "click"}}),
    )
    .unwrap();
    for new in [&other, &plain] {
        let wrong = validate_change(&old, new).unwrap_err();
        assert!(wrong.iter().any(|e| e.field == "candidates.catalog"), "{wrong:?}");
    }
    let wider = definition(&json!({"candidates": {"catalog": "shop", "pool": 40, "sticky": true}}));
    assert_eq!(validate_change(&old, &wider), Ok(()));
}
