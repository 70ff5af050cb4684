//! Decisions: sticky by day across time zones, dealt at the probabilities they state, repeatable.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bandit::{
    DecideRequest, Decider, Evidence, Experiment, HourDelay, HourOutcome, PosteriorSet, Source, Status,
    candidate_decisions, hour_of, recompute,
};
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;

fn experiment(policy: &str, extra: &str) -> Experiment {
    let json = format!(
        r#"{{"id":"e","arms":[{{"id":"a"}},{{"id":"b"}},{{"id":"c","weight":3}}],"policy":{policy},
            "reward":{{"event":"buy","window_hours":48}}{extra}}}"#
    );
    let e: Experiment = serde_json::from_str(&json).unwrap();
    bandit::validate(&e).unwrap();
    e
}

fn request(user: &str, item: &str) -> DecideRequest {
    DecideRequest { experiment: "e".into(), user: user.into(), item: Some(item.into()), ..Default::default() }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn learnt(e: &Experiment) -> PosteriorSet {
    let rows = [(0, 100, 5), (1, 120, 9), (2, 90, 6)];
    let outcomes: Vec<HourOutcome> = rows
        .map(|(arm, trials, rewards)| HourOutcome {
            hour: 1,
            segment: "all".into(),
            arm,
            holdout: false,
            trials,
            rewards,
        })
        .into();
    recompute(e, 1, 7, &outcomes.into(), at("1970-01-04T00:00:00Z"))
}

fn decider(e: &Experiment, set: Option<&PosteriorSet>) -> Decider {
    Decider::new(e.clone(), Status::Running, None, 1, set).unwrap()
}

/// Frequencies over many users against the stated probabilities, for every policy, with floor and holdout.
#[test]
fn arms_are_dealt_at_their_stated_propensities() {
    let now = at("2026-11-21T10:00:00Z");
    for policy in [
        r#"{"kind":"thompson"}"#,
        r#"{"kind":"thompson","floor":0.1}"#,
        r#"{"kind":"epsilon_greedy","epsilon":0.3,"floor":0.02}"#,
        r#"{"kind":"fixed"}"#,
    ] {
        for holdout in ["", r#","holdout":0.2"#] {
            let e = experiment(policy, holdout);
            let d = decider(&e, Some(&learnt(&e)));
            let n = 40_000;
            let mut seen = std::collections::BTreeMap::new();
            for i in 0..n {
                let a = d.deal(&request(&format!("u{i}"), "x"), now).assignment;
                let entry = seen.entry(a.arm.to_string()).or_insert((0u32, a.propensity));
                entry.0 += 1;
                assert_eq!(entry.1.to_bits(), a.propensity.to_bits(), "one arm, one propensity");
            }
            let total: f64 = seen.values().map(|(_, p)| p).sum();
            assert!((total - 1.0).abs() < 1e-9, "{policy}: {seen:?}");
            for (count, p) in seen.values() {
                let sd = (p * (1.0 - p) * f64::from(n)).sqrt();
                let off = f64::from(*count) - p * f64::from(n);
                assert!(off.abs() < 5.0 * sd, "{policy} {holdout}: {seen:?}");
            }
        }
    }
}

/// Rates of such priors round to 0 and 1; the draws must not tie.
#[test]
fn tiny_priors_are_dealt_at_their_propensities_too() {
    for (alpha, beta) in [(0.001, 0.001), (0.001, 50.0), (0.1, 0.1), (30.0, 0.002)] {
        let mut e = experiment(r#"{"kind":"thompson"}"#, "");
        for arm in &mut e.arms {
            arm.prior = bandit::Prior { alpha, beta };
        }
        let d = decider(&e, None);
        let mut seen = std::collections::BTreeMap::new();
        for i in 0..30_000 {
            let a = d.deal(&request(&format!("u{i}"), "x"), at("2026-11-21T10:00:00Z")).assignment;
            assert!((a.propensity - 1.0 / 3.0).abs() < 1e-9);
            *seen.entry(a.arm).or_insert(0u32) += 1;
        }
        assert!(seen.values().all(|n| (9_590..10_410).contains(n)), "{alpha} {beta}: {seen:?}");
    }
}

#[test]
fn a_draw_depends_on_key_and_version_alone() {
    let e = experiment(r#"{"kind":"thompson"}"#, "");
    let set = learnt(&e);
    let (one, two) = (decider(&e, Some(&set)), decider(&e, Some(&set)));
    let (morning, evening) = (at("2026-11-21T01:00:00Z"), at("2026-11-21T23:00:00Z"));
    let arms = |d: &Decider, t| -> Vec<_> {
        (0..200).map(|i| d.deal(&request(&i.to_string(), "x"), t).assignment.arm).collect()
    };
    assert_eq!(arms(&one, morning), arms(&two, evening));
    assert_ne!(arms(&one, morning), arms(&one, at("2026-11-22T01:00:00Z")), "another day is another draw");
    let mut next = set.clone();
    next.version = 8;
    assert_ne!(arms(&one, morning), arms(&decider(&e, Some(&next)), morning), "another version is another draw");
}

/// Days begin at midnight in the experiment's zone, also where a day has 23 or 25 hours or no midnight.
#[test]
fn days_turn_at_local_midnight() {
    for (zone, before, after, days) in [
        ("Asia/Tokyo", "2026-11-20T14:59:59Z", "2026-11-20T15:00:00Z", ["2026-11-20", "2026-11-21"]),
        // 25 hours: clocks go back on 2026-10-25 in Berlin.
        ("Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z", ["2026-10-25", "2026-10-26"]),
        // 23 hours: clocks go forward on 2026-03-29.
        ("Europe/Berlin", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z", ["2026-03-29", "2026-03-30"]),
        // No midnight: on 2018-11-04 the day began at 01:00 in São Paulo.
        ("America/Sao_Paulo", "2018-11-04T02:59:59Z", "2018-11-04T03:00:00Z", ["2018-11-03", "2018-11-04"]),
        // A day that never was: Samoa went from 29 to 31 December 2011.
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-30T10:00:00Z", ["2011-12-29", "2011-12-31"]),
    ] {
        let e = experiment(
            r#"{"kind":"fixed"}"#,
            &format!(r#","sticky":{{"by":["user","item","day"],"time_zone":"{zone}"}}"#),
        );
        let d = decider(&e, None);
        let (first, second) = (d.key(&request("u", "i"), at(before)), d.key(&request("u", "i"), at(after)));
        assert_eq!([first.1.to_string(), second.1.to_string()], days, "{zone}");
        assert_ne!(first.0, second.0, "{zone}");
        let hours = if zone == "Europe/Berlin" { 20 } else { 2 };
        assert_eq!(first.0, d.key(&request("u", "i"), at(before) - hours.hours()).0, "{zone}: one day, one key");
    }
}

#[test]
fn outside_traffic_and_while_paused_the_control_is_dealt_and_is_no_trial() {
    let now = at("2026-11-21T10:00:00Z");
    let e = experiment(r#"{"kind":"fixed"}"#, r#","traffic":0.3"#);
    let d = decider(&e, None);
    let deals: Vec<_> = (0..20_000).map(|i| d.deal(&request(&format!("u{i}"), "x"), now).assignment).collect();
    let out = deals.iter().filter(|a| a.source == Source::NotEnrolled).count();
    assert!((13_700..14_300).contains(&out), "{out} of 20000 outside, 14000 expected");
    for a in &deals {
        assert!(a.source.is_trial() || (&*a.arm == "a" && a.propensity >= 1.0));
    }
    let paused = Decider::new(e.clone(), Status::Paused, None, 1, None).unwrap();
    let a = paused.deal(&request("u", "x"), now).assignment;
    assert_eq!((&*a.arm, a.source, a.source.is_trial()), ("a", Source::Paused, false));
    let stopped = Decider::new(e, Status::Stopped, Some("c"), 1, None).unwrap();
    assert_eq!(&*stopped.settled(&request("u", "x"), now).unwrap().assignment.arm, "c");
}

#[test]
fn a_disabled_arm_is_dealt_to_nobody_new_and_a_new_one_at_its_prior() {
    let mut e = experiment(r#"{"kind":"thompson","floor":0.05}"#, r#","holdout":0.1"#);
    let set = learnt(&e);
    e.arms[1].enabled = false;
    e.arms.push(serde_json::from_str(r#"{"id":"d"}"#).unwrap());
    let d = Decider::new(e, Status::Running, None, 2, Some(&set)).unwrap();
    let arms: std::collections::BTreeSet<_> = (0..5_000)
        .map(|i| d.deal(&request(&format!("u{i}"), "x"), at("2026-11-21T10:00:00Z")).assignment.arm.to_string())
        .collect();
    assert_eq!(arms.into_iter().collect::<Vec<_>>(), ["a", "c", "d"]);
}

proptest! {
    /// A reward finds its decision exactly if the decision's day can hold one whose window it is in.
    #[test]
    fn candidates_contain_the_decision(seconds in 0i64..400_000, zone in prop::sample::select(vec!["UTC", "Asia/Tokyo", "America/New_York"])) {
        let e = experiment(r#"{"kind":"fixed"}"#, &format!(r#","sticky":{{"by":["user","item","day"],"time_zone":"{zone}"}}"#));
        let decided = at("2026-10-31T12:34:56Z");
        let d = decider(&e, None);
        let id = d.key(&request("u", "i"), decided).0.id;
        let found = candidate_decisions(&e, "u", Some("i"), decided + seconds.seconds());
        prop_assert!(found.len() <= 4);
        if seconds <= 48 * 3600 { prop_assert!(found.contains(&id)); }
        if seconds > 72 * 3600 + 3600 { prop_assert!(!found.contains(&id)); }
    }

    /// Any order and any grouping of the same evidence gives the same bytes, and integers add up exactly once all
    /// windows have closed.
    #[test]
    fn posteriors_are_a_function_of_the_outcomes(
        rows in prop::collection::vec((0i64..200, 0usize..3, 0u64..50, 0u64..50, 0usize..3), 0..60), half_life in prop::option::of(1.0f64..500.0),
        delays in prop::collection::btree_map((0i64..200, 0usize..60), 1u64..50, 0..60), latest in prop::option::of(0i64..3_600 * 260),
        hour in 200i64..300, window in prop::option::of(1u32..300),
    ) {
        let mut e = experiment(r#"{"kind":"epsilon_greedy"}"#, r#","segment_by":["s"]"#);
        (e.policy.half_life_hours, e.policy.window_hours) = (half_life, window);
        let mut merged = std::collections::BTreeMap::new();
        for (hour, arm, trials, rewards, segment) in rows {
            let sum = merged.entry((hour, segment, arm)).or_insert((0, 0));
            sum.0 += trials.max(rewards);
            sum.1 += rewards;
        }
        let outcomes: Vec<HourOutcome> = merged.into_iter()
            .map(|((hour, segment, arm), (trials, rewards))| HourOutcome { hour, segment: format!("s={segment}"), arm, holdout: false, trials, rewards }).collect();
        let delays = delays.into_iter().map(|((hour, bucket), rewards)| HourDelay { hour, bucket, rewards }).collect();
        let latest = latest.map(|s| Timestamp::from_second(s).unwrap());
        let evidence = Evidence { outcomes, delays, latest, ..Evidence::default() };
        let as_of = Timestamp::from_second(hour * 3600).unwrap();
        let set = recompute(&e, 1, 1, &evidence, as_of);
        let mut reversed = evidence.clone();
        reversed.outcomes.reverse();
        reversed.delays.reverse();
        prop_assert_eq!(set.encode().unwrap(), recompute(&e, 1, 1, &reversed, as_of).encode().unwrap());
        prop_assert_eq!(&PosteriorSet::decode(&set.encode().unwrap()).unwrap(), &set);
        if half_life.is_none() && window.is_none() {
            let sum = |of: fn(&HourOutcome) -> u64| evidence.outcomes.iter().map(of).sum::<u64>() as f64;
            let arms = || set.segments.values().flatten();
            prop_assert_eq!(arms().map(|p| p.alpha - 1.0).sum::<f64>(), sum(|o| o.rewards));
            let failures: f64 = arms().map(|p| p.beta - 1.0).sum();
            let most = sum(|o| o.trials - o.rewards);
            prop_assert!(failures <= most && (failures == most || hour < 248), "{} of {}", failures, most);
        }
    }
}

#[test]
fn an_outcome_one_half_life_old_counts_half() {
    let mut e = experiment(r#"{"kind":"thompson"}"#, "");
    e.policy.half_life_hours = Some(24.0);
    let t = at("2026-11-21T10:00:00Z");
    let outcome = |hours_ago: i64| HourOutcome {
        hour: hour_of(t) - 1 - hours_ago,
        segment: "all".into(),
        arm: 1,
        holdout: false,
        trials: 10,
        rewards: 4,
    };
    // The reward window of 48 hours has closed.
    for (age, weight) in [(48, 0.25), (72, 0.125), (96, 0.0625)] {
        let b = recompute(&e, 1, 1, &vec![outcome(age)].into(), t).segments["all"][1].beta();
        assert!((b.alpha - 1.0 - 4.0 * weight).abs() < 1e-12 && (b.beta - 1.0 - 6.0 * weight).abs() < 1e-12);
    }
}
