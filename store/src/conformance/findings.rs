//! Findings: what checks read of the decisions of some hours, and what they keep.

use super::outcomes_model::{Reported, decision, event};
use super::{Place, change, experiment, moment};
use crate::{DealtRow, Ingest, StoreError, Stores, StruckRow, WeighedRow};
use bandit::evaluate::WeightSums;
use bandit::{DecisionRecord, Experiment, Exposures, Source, UserEventKind, hour_of};

const HOUR: i64 = 3_600_000;

async fn begin(place: &impl Place, decisions: &[DecisionRecord], events: &[Reported]) -> Stores {
    let stores = place.open().await;
    for id in ["e", "f"] {
        stores.experiments.create(&experiment(id, ""), &change("me", "", 0)).await.unwrap();
    }
    let batch = Ingest { at: moment(0), decisions: decisions.to_vec(), events: events.to_vec(), ..Ingest::default() };
    stores.outcomes.ingest(&batch).await.unwrap();
    stores
}

fn e() -> Experiment {
    experiment("e", "")
}

/// One document for each experiment, the last.
pub async fn kept_and_replaced(place: impl Place) {
    let stores = begin(&place, &[], &[]).await;
    let findings = &stores.findings;
    assert_eq!(findings.findings("e").await.unwrap(), None);
    findings.keep_findings("e", moment(1), r#"{"é":1}"#).await.unwrap();
    findings.keep_findings("e", moment(2), r#"{"é":2}"#).await.unwrap();
    findings.keep_findings("f", moment(2), "{}").await.unwrap();
    let strange = findings.keep_findings("none", moment(2), "{}").await;
    assert!(matches!(strange, Err(StoreError::Missing(_))), "{strange:?}");
    drop(stores);
    let findings = place.open().await.findings;
    assert_eq!(findings.findings("e").await.unwrap().as_deref(), Some(r#"{"é":2}"#));
    assert_eq!(findings.findings("none").await.unwrap(), None);
}

/// What policy and holdout dealt, in the hours asked for alone.
pub async fn dealt_by_hour_and_all_else(place: impl Place) {
    let of = |n, ms, arm: &str, propensity, source| DecisionRecord {
        arm: arm.into(),
        propensity,
        source,
        ..decision(&e(), n, ms)
    };
    let mut decisions = vec![
        of(1, -1, "a", 0.5, Source::Policy),
        of(2, 0, "a", 0.5, Source::Policy),
        of(3, HOUR - 1, "a", 0.5, Source::Policy),
        of(4, 5, "a", 0.1 + 0.2, Source::Policy),
        of(5, 5, "c", 0.5, Source::Holdout),
        of(6, 5, "a", 1.0, Source::Paused),
        of(7, 5, "a", 1.0, Source::NotEnrolled),
        of(8, 5, "a", 0.5, Source::Fallback),
        of(9, HOUR, "a", 0.5, Source::Policy),
        decision(&experiment("f", ""), 10, 5),
    ];
    decisions.push(DecisionRecord { segment: "x=é".into(), ..of(11, 5, "a", 0.5, Source::Policy) });
    decisions.push(DecisionRecord { posterior_version: 7, revision: 3, ..of(12, 5, "b", 0.5, Source::Policy) });
    let stores = begin(&place, &decisions, &[]).await;
    let hour = hour_of(moment(0));
    let row = |segment: &str, arm, propensity, decisions| DealtRow {
        hour,
        segment: segment.into(),
        version: 0,
        revision: 1,
        arm,
        holdout: false,
        propensity,
        decisions,
    };
    let expected = vec![
        row("all", 0, 0.1 + 0.2, 1),
        row("all", 0, 0.5, 2),
        DealtRow { holdout: true, ..row("all", 2, 0.5, 1) },
        DealtRow { version: 7, revision: 3, ..row("all", 1, 0.5, 1) },
        row("x=é", 0, 0.5, 1),
    ];
    assert_eq!(stores.findings.dealt("e", hour..hour + 1).await.unwrap(), expected);
    let all: u64 = stores.findings.dealt("e", hour - 1..hour + 2).await.unwrap().iter().map(|r| r.decisions).sum();
    assert_eq!(all, 8);
    assert_eq!(stores.findings.dealt("none", hour..hour + 1).await.unwrap(), []);
    assert_eq!(stores.findings.dealt("e", hour..hour).await.unwrap(), []);
}

/// A trial with the event once or more counts once; what is no trial, too late or of another name does not.
pub async fn struck_by_event(place: impl Place) {
    let decisions: Vec<DecisionRecord> = (0..8).map(|n| decision(&e(), n, 10)).collect();
    let mut decisions = decisions;
    decisions[6].source = Source::Paused;
    decisions[7].at = moment(HOUR + 10);
    decisions[7].arm = "b".into();
    decisions.push(decision(&e(), 8, -1));
    let error = |id: &str, n: usize, late: i64, name: &str, value: f64| {
        let ms = decisions[n].at.as_millisecond() - moment(0).as_millisecond() + late;
        let mut reported = event(&e(), id, UserEventKind::Reward, ms, &[&decisions[n]]);
        reported.0.name = name.into();
        reported.0.value = value;
        reported
    };
    let mut of_another = error("9", 5, 0, "error", 1.0);
    of_another.0.experiment = Some("f".into());
    let events = [
        error("1", 0, 0, "error", 1.0),
        error("2", 0, 10, "error", 1.0),
        error("3", 1, 2 * HOUR, "error", 1.0),
        error("4", 2, 2 * HOUR + 1, "error", 1.0),
        error("5", 3, 0, "other", 1.0),
        error("6", 4, 0, "error", 0.0),
        error("7", 6, 0, "error", 1.0),
        error("8", 7, 5, "error", 1.0),
        of_another,
        error("10", 8, 0, "error", 1.0),
    ];
    let stores = begin(&place, &decisions, &events).await;
    let hour = hour_of(moment(0));
    let expected =
        [StruckRow { hour, arm: 0, trials: 6, events: 2 }, StruckRow { hour: hour + 1, arm: 1, trials: 1, events: 1 }];
    assert_eq!(stores.findings.struck("e", "error", moment(0), 2).await.unwrap(), expected);
    let all = stores.findings.struck("e", "error", moment(-HOUR), 2).await.unwrap();
    assert_eq!(all[0], StruckRow { hour: hour - 1, arm: 0, trials: 1, events: 1 });
    assert_eq!(stores.findings.struck("f", "error", moment(0), 2).await.unwrap(), []);
}

/// Users with several arms among those dealt to in the hours asked for.
pub async fn several_arms_of_a_user(place: impl Place) {
    let of =
        |n, user: &str, arm: &str, ms| DecisionRecord { user: user.into(), arm: arm.into(), ..decision(&e(), n, ms) };
    let mut decisions = vec![
        of(1, "u", "a", 0),
        of(2, "u", "b", 1),
        of(3, "v", "a", 2),
        of(4, "v", "a", 3),
        of(5, "w", "a", 4),
        of(6, "w", "c", HOUR),
    ];
    decisions.push(DecisionRecord { source: Source::Paused, ..of(7, "v", "b", 5) });
    let stores = begin(&place, &decisions, &[]).await;
    let hour = hour_of(moment(0));
    let counts = |users, several| Exposures { contradictions: 0, users, several };
    assert_eq!(stores.findings.exposures("e", hour..hour + 1).await.unwrap(), counts(3, 1));
    assert_eq!(stores.findings.exposures("e", hour..hour + 2).await.unwrap(), counts(3, 2));
    assert_eq!(stores.findings.exposures("f", hour..hour + 2).await.unwrap(), counts(0, 0));
    // What was offered is shown to nobody before it was seen.
    let offer = of(8, "v", "b", 6);
    let seen = event(&e(), "x", UserEventKind::Exposure, 10, &[&offer]);
    for (offers, events, several) in [(vec![offer], vec![], 1), (vec![], vec![seen], 2)] {
        let batch = Ingest { at: moment(9), offers, events, ..Ingest::default() };
        stores.outcomes.ingest(&batch).await.unwrap();
        assert_eq!(stores.findings.exposures("e", hour..hour + 1).await.unwrap(), counts(3, several));
    }
}

/// An assignment that comes again with another arm, in its batch or later, is a contradiction, once; the first stands.
pub async fn two_arms_of_an_assignment(place: impl Place) {
    let first = decision(&e(), 1, 0);
    let other = DecisionRecord { arm: "b".into(), ..first.clone() };
    let later = DecisionRecord { arm: "c".into(), ..first.clone() };
    let fine = decision(&e(), 2, 0);
    let stores = begin(&place, &[first.clone(), other.clone(), fine.clone(), fine.clone()], &[]).await;
    let hour = hour_of(moment(0));
    let contradictions = async || stores.findings.exposures("e", hour..hour + 1).await.unwrap().contradictions;
    assert_eq!(contradictions().await, 1);
    for (again, expected) in [(&first, 1), (&fine, 1), (&other, 1), (&later, 2)] {
        let batch = Ingest { at: moment(9), decisions: vec![again.clone(), fine.clone()], ..Default::default() };
        stores.outcomes.ingest(&batch).await.unwrap();
        assert_eq!(contradictions().await, expected, "{}", again.arm);
    }
    assert_eq!(stores.findings.dealt("e", hour..hour + 1).await.unwrap().len(), 1, "the first arm stands");
    assert_eq!(stores.findings.exposures("f", hour..hour + 1).await.unwrap().contradictions, 0);
}

/// Sums of trials and of rewarded ones, by hour, arm and bin; an edge belongs to the bin that it ends.
pub async fn weighed_by_propensity(place: impl Place) {
    let of = |n, ms, arm: &str, propensity| DecisionRecord { arm: arm.into(), propensity, ..decision(&e(), n, ms) };
    let mut decisions = vec![
        of(1, 0, "a", 0.5),
        of(2, 1, "a", 0.5),
        of(3, HOUR - 1, "a", 0.5625),
        of(4, 5, "b", 0.0078125),
        of(5, HOUR, "a", 1.0),
        of(6, 5, "c", 0.0),
        of(7, 5, "c", -1.0),
        of(8, -1, "a", 0.5),
    ];
    decisions.push(DecisionRecord { source: Source::Paused, ..of(9, 5, "c", 1.0) });
    decisions.push(DecisionRecord { source: Source::Holdout, segment: "x=é".into(), ..of(10, 5, "a", 0.5) });
    let bought = event(&e(), "buy", UserEventKind::Reward, 9, &[&decisions[1], &decisions[3]]);
    let stores = begin(&place, &decisions, &[bought]).await;
    let hour = hour_of(moment(0));
    let row = |hour, arm, bin, trials: u32, rewards: u32, inverse: f64| {
        let (n, r) = (f64::from(trials), f64::from(rewards));
        let sums = WeightSums {
            trials: trials.into(),
            rewards: rewards.into(),
            inverse: n * inverse,
            rewarded_inverse: r * inverse,
            inverse_square: n * inverse * inverse,
            rewarded_inverse_square: r * inverse * inverse,
        };
        WeighedRow { hour, arm, bin, sums }
    };
    let expected = [
        row(hour, 0, 7, 3, 1, 2.0),
        row(hour, 0, 8, 1, 0, 1.0 / 0.5625),
        row(hour, 1, 0, 1, 1, 128.0),
        row(hour + 1, 0, 12, 1, 0, 1.0),
    ];
    let weighed = stores.findings.weighed("e", hour..hour + 2).await.unwrap();
    let parts = |r: &WeighedRow| (r.hour, r.arm, r.bin, r.sums.trials, r.sums.rewards);
    assert_eq!(weighed.iter().map(parts).collect::<Vec<_>>(), expected.iter().map(parts).collect::<Vec<_>>());
    for (found, expected) in weighed.iter().zip(&expected) {
        let numbers = |s: &WeightSums| [s.inverse, s.rewarded_inverse, s.inverse_square, s.rewarded_inverse_square];
        for (a, b) in numbers(&found.sums).into_iter().zip(numbers(&expected.sums)) {
            assert!((a - b).abs() <= 1e-12 * b, "{found:?} {expected:?}");
        }
    }
    assert_eq!(stores.findings.weighed("f", hour..hour + 2).await.unwrap(), []);
}
