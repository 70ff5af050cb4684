//! Outcomes: counts that depend on what arrived, and not on how.

pub use super::outcomes_days::*;
use super::outcomes_model::{Model, Reported, decision, event, history};
use super::{Place, change, experiment, moment};
use crate::{DayTraffic, Import, ImportOutcome, Ingest, Ingested, Outcomes, StoreError, Stores, Trial};
use bandit::{
    ContextOutcome, DecisionRecord, Evidence, Experiment, HourDelay, HourOutcome, Source, UserEventKind, hour_of,
};
use jiff::Timestamp;
use std::collections::BTreeMap;

async fn begin(place: &impl Place, id: &str, more: &str) -> (Stores, Experiment) {
    let stores = place.open().await;
    let e = experiment(id, more);
    stores.experiments.create(&e, &change("me", "", 0)).await.unwrap();
    (stores, e)
}

fn batch(decisions: &[DecisionRecord], events: &[Reported]) -> Ingest {
    Ingest { at: moment(0), decisions: decisions.to_vec(), events: events.to_vec(), ..Ingest::default() }
}

/// Trials and rewards over everything, when counts and recount agree.
async fn total(outcomes: &dyn Outcomes, e: &Experiment) -> (u64, u64) {
    let counted = outcomes.evidence(&e.id).await.unwrap();
    assert_eq!(counted, outcomes.recount(&e.id).await.unwrap(), "counted and recounted");
    counted.outcomes.iter().fold((0, 0), |(trials, rewards), o| (trials + o.trials, rewards + o.rewards))
}

/// Evidence with the hours before `since` in one.
fn added_up(all: &Evidence, since: i64) -> Evidence {
    let hour = |hour: i64| hour.max(since - 1);
    let mut cells: BTreeMap<(i64, String, usize, bool), (u64, u64)> = BTreeMap::new();
    for o in &all.outcomes {
        let cell = cells.entry((hour(o.hour), o.segment.clone(), o.arm, o.holdout)).or_default();
        *cell = (cell.0 + o.trials, cell.1 + o.rewards);
    }
    let mut delays: BTreeMap<(i64, usize), u64> = BTreeMap::new();
    for d in &all.delays {
        *delays.entry((hour(d.hour), d.bucket)).or_default() += d.rewards;
    }
    let outcome = |((hour, segment, arm, holdout), (trials, rewards))| HourOutcome {
        hour,
        segment,
        arm,
        holdout,
        trials,
        rewards,
    };
    Evidence {
        outcomes: cells.into_iter().map(outcome).collect(),
        delays: delays.into_iter().map(|((hour, bucket), rewards)| HourDelay { hour, bucket, rewards }).collect(),
        ..all.clone()
    }
}

/// A random history in any order, with repetitions, in any batches: after each batch the counts are those of a naive
/// model, by both ways of counting.
pub async fn any_order_gives_the_same_counts(place: impl Place) {
    let stores = place.open().await;
    for seed in 0..120 {
        let exposure = if seed % 2 == 0 { "decide" } else { "event" };
        let e = experiment(&format!("e{seed}"), &format!(r#","exposure":"{exposure}""#));
        stores.experiments.create(&e, &change("me", "", 0)).await.unwrap();
        let mut model = Model::default();
        for (n, batch) in history(&e, seed).iter().enumerate() {
            let expected = model.ingest(&e, batch);
            assert_eq!(stores.outcomes.ingest(batch).await.unwrap(), expected, "seed {seed}, batch {n}");
            let expected = model.evidence(&e);
            assert_eq!(stores.outcomes.evidence(&e.id).await.unwrap(), expected, "seed {seed}, batch {n}");
            assert_eq!(stores.outcomes.recount(&e.id).await.unwrap(), expected, "seed {seed}, batch {n}, recounted");
            for since in [hour_of(moment(0)) - 1, hour_of(moment(0)) + 1, hour_of(moment(0)) + 9] {
                let totals = stores.outcomes.totals(&e.id, since).await.unwrap();
                assert_eq!(totals, added_up(&expected, since), "seed {seed}, batch {n}, since {since}");
            }
            assert_traffic(&*stores.outcomes, &e.id, &expected, &format!("seed {seed}, batch {n}")).await;
            let trials = stores.outcomes.trials(&e.id, Timestamp::MIN, Timestamp::MAX).await.unwrap();
            assert!(trials.is_sorted_by_key(|t| t.at), "seed {seed}, batch {n}: trials are in order of time");
            let one = |t: &Trial| ((hour_of(t.at), t.segment.clone(), t.arm), (1, u64::from(t.rewarded)));
            let all = |o: &HourOutcome| ((o.hour, o.segment.clone(), o.arm), (o.trials, o.rewards));
            assert_eq!(
                summed(trials.iter().map(one)),
                summed(expected.outcomes.iter().map(all)),
                "seed {seed}, batch {n}, one by one"
            );
            let middle = trials.get(trials.len() / 2).map_or(Timestamp::MIN, |t| t.at);
            let before = stores.outcomes.trials(&e.id, Timestamp::MIN, middle).await.unwrap();
            let after = stores.outcomes.trials(&e.id, middle, Timestamp::MAX).await.unwrap();
            assert!(before.iter().all(|t| t.at < middle) && after.iter().all(|t| t.at >= middle), "seed {seed}");
            assert_eq!([before, after].concat(), trials, "seed {seed}, batch {n}, in two parts");
        }
    }
    assert_eq!(stores.outcomes.dead_letters(None, 1).await.unwrap(), []);
    assert_eq!(stores.outcomes.evidence("none").await.unwrap(), Evidence::default());
    assert_eq!(stores.outcomes.recount("none").await.unwrap(), Evidence::default());
    assert_eq!(stores.outcomes.totals("none", 0).await.unwrap(), Evidence::default());
    assert_eq!(stores.outcomes.trials("none", Timestamp::MIN, Timestamp::MAX).await.unwrap(), []);
}

/// Asserts that the counts by day are the sums of an experiment's counts.
pub(crate) async fn assert_traffic(outcomes: &dyn Outcomes, id: &str, counted: &Evidence, when: &str) {
    let mut days = BTreeMap::<i64, (u64, u64)>::new();
    for o in &counted.outcomes {
        let sum = days.entry(o.hour / 24).or_default();
        *sum = (sum.0 + o.trials, sum.1 + o.rewards);
    }
    let traffic = outcomes.traffic(&[id.to_owned(), "none".to_owned()]).await.unwrap();
    let expected: Vec<DayTraffic> = days
        .into_iter()
        .map(|(day, (trials, rewards))| DayTraffic { experiment: id.into(), day, trials, rewards })
        .collect();
    assert_eq!(traffic.into_iter().filter(|t| t.trials > 0).collect::<Vec<_>>(), expected, "{when}");
}

type Cell = (i64, String, usize);

/// Trials and rewards by cell.
fn summed(counts: impl Iterator<Item = (Cell, (u64, u64))>) -> BTreeMap<Cell, (u64, u64)> {
    let mut sums = BTreeMap::<_, (u64, u64)>::new();
    for (cell, (trials, rewards)) in counts {
        let sum = sums.entry(cell).or_default();
        *sum = (sum.0 + trials, sum.1 + rewards);
    }
    sums
}

/// From a minute before the decision to the end of its window, both included.
pub async fn windows_have_edges(place: impl Place) {
    let (stores, e) = begin(&place, "e", "").await;
    let edges = [(-60_001, 0), (-60_000, 1), (0, 1), (3_600_000, 1), (3_600_001, 0)];
    for (n, (late, counted)) in (0..).zip(edges) {
        let before = total(&*stores.outcomes, &e).await;
        let d = decision(&e, n, 500);
        let reward = event(&e, &format!("r{n}"), UserEventKind::Reward, 500 + late, &[&d]);
        stores.outcomes.ingest(&batch(&[d], &[reward])).await.unwrap();
        let after = total(&*stores.outcomes, &e).await;
        assert_eq!((after.0 - before.0, after.1 - before.1), (1, counted), "{late} ms after the decision");
    }
}

/// A reward waits for its decision, and several are one success.
pub async fn a_reward_may_come_first(place: impl Place) {
    let (stores, e) = begin(&place, "e", "").await;
    let d = decision(&e, 1, 0);
    let reward = |id: &str| event(&e, id, UserEventKind::Reward, 10, &[&d]);
    stores.outcomes.ingest(&batch(&[], &[reward("r1")])).await.unwrap();
    assert_eq!(total(&*stores.outcomes, &e).await, (0, 0));
    drop(stores);
    let stores = place.open().await;
    stores.outcomes.ingest(&batch(std::slice::from_ref(&d), &[])).await.unwrap();
    assert_eq!(total(&*stores.outcomes, &e).await, (1, 1));
    stores.outcomes.ingest(&batch(&[], &[reward("r2"), reward("r3")])).await.unwrap();
    assert_eq!(total(&*stores.outcomes, &e).await, (1, 1));
    let row = HourOutcome {
        hour: bandit::hour_of(d.at),
        segment: "all".into(),
        arm: 0,
        holdout: false,
        trials: 1,
        rewards: 1,
    };
    assert_eq!(stores.outcomes.evidence("e").await.unwrap().outcomes, [row]);
}

/// The earliest reward says how long it took, in whatever order they arrive; what pays nothing says nothing.
pub async fn the_first_reward_has_the_delay(place: impl Place) {
    let (stores, e) = begin(&place, "e", r#","exposure":"event""#).await;
    let (d, other) = (decision(&e, 1, 0), decision(&e, 2, 500));
    let seen = event(&e, "x", UserEventKind::Exposure, 90_000, &[&d, &other]);
    stores.outcomes.ingest(&batch(&[d.clone(), other], &[seen])).await.unwrap();
    let minutes = 60_000;
    for (n, (late, value, bucket)) in [
        (30 * minutes, 0.0, None),
        (30 * minutes, 1.0, Some(13)),
        (40 * minutes, 1.0, Some(13)),
        (3 * minutes, 0.0, Some(13)),
        (25 * minutes, 1.0, Some(12)),
        (26 * minutes, 1.0, Some(12)),
        (5 * minutes, 1.0, Some(5)),
        (-minutes, 1.0, Some(0)),
        (0, 1.0, Some(0)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut reward = event(&e, &format!("r{n}"), UserEventKind::Reward, late, &[&d]);
        reward.0.value = value;
        // Several at once, and one that is known.
        let more = event(&e, &format!("s{n}"), UserEventKind::Reward, late.max(50 * minutes), &[&d]);
        let all = if value > 0.0 { vec![more, reward.clone(), reward] } else { vec![reward] };
        stores.outcomes.ingest(&batch(&[], &all)).await.unwrap();
        let counted = stores.outcomes.evidence("e").await.unwrap();
        assert_eq!(counted, stores.outcomes.recount("e").await.unwrap(), "{late} {value}");
        let hour = bandit::hour_of(d.at);
        let expected: Vec<_> = bucket.map(|bucket| HourDelay { hour, bucket, rewards: 1 }).into_iter().collect();
        assert_eq!(counted.delays, expected, "{late} {value}");
        assert_eq!((counted.outcomes[0].trials, counted.latest), (2, Some(moment(500))));
    }
}

/// Decisions with the same features, arm and hour stand together, newest first; those without features are not there.
pub async fn features_group_counts(place: impl Place) {
    let (stores, e) = begin(&place, "e", "").await;
    let with = |n: u64, ms: i64, arm: &str, features: &str| DecisionRecord {
        features: Some(serde_json::from_str(features).unwrap()),
        arm: arm.into(),
        ..decision(&e, n, ms)
    };
    let (mobile, other) = (r#"{"device":"mobile","age":41.5}"#, r#"{"age":41.5,"device":"携帯"}"#);
    let mut all = vec![
        with(1, 0, "a", mobile),
        with(2, 3_599_999, "a", mobile),
        with(3, 10, "b", mobile),
        with(4, 10, "a", other),
        with(5, -1, "a", "{}"),
        decision(&e, 6, 0),
    ];
    all.push(DecisionRecord { source: Source::NotEnrolled, ..with(7, 0, "a", mobile) });
    let reward = event(&e, "r", UserEventKind::Reward, 20, &[&all[1], &all[5]]);
    let early = event(&e, "s", UserEventKind::Reward, 20, &[&all[0]]);
    stores.outcomes.ingest(&batch(&[], &[early])).await.unwrap();
    stores.outcomes.ingest(&batch(&all, std::slice::from_ref(&reward))).await.unwrap();
    stores.outcomes.ingest(&batch(&all, &[reward])).await.unwrap();
    let hour = bandit::hour_of(moment(0));
    let row = |hour: i64, features: &str, arm: usize, trials: u64, rewards: u64| ContextOutcome {
        hour,
        features: serde_json::from_str(features).unwrap(),
        arm,
        trials,
        rewards,
    };
    // Decision 2 was an hour later than its reward, but for a millisecond.
    let wanted = [
        row(hour, mobile, 0, 2, 1),
        row(hour, mobile, 1, 1, 0),
        row(hour, other, 0, 1, 0),
        row(hour - 1, "{}", 0, 1, 0),
    ];
    assert_eq!(stores.outcomes.context_outcomes("e", 100).await.unwrap(), wanted);
    assert_eq!(stores.outcomes.context_outcomes("e", 3).await.unwrap(), wanted[..3]);
    assert_eq!(stores.outcomes.context_outcomes("none", 100).await.unwrap(), []);
}

/// The first of an id counts, in one batch as in several.
pub async fn an_id_counts_once(place: impl Place) {
    let (stores, e) = begin(&place, "e", "").await;
    let d = decision(&e, 1, 0);
    let other_arm = DecisionRecord { arm: "b".into(), ..d.clone() };
    let reward = event(&e, "r", UserEventKind::Reward, 1, &[&d]);
    let worthless = (bandit::UserEvent { value: 0.0, ..reward.0.clone() }, reward.1.clone());
    let first = batch(&[d.clone(), other_arm.clone()], &[worthless, reward.clone()]);
    assert_eq!(stores.outcomes.ingest(&first).await.unwrap(), Ingested { decisions: 1, events: 1, set_aside: 1 });
    let second = batch(&[other_arm], &[reward]);
    assert_eq!(stores.outcomes.ingest(&second).await.unwrap(), Ingested::default());
    assert_eq!(total(&*stores.outcomes, &e).await, (1, 0));
    assert_eq!(stores.outcomes.evidence("e").await.unwrap().outcomes[0].arm, 0);
    assert_eq!(stores.outcomes.ingest(&batch(&[], &[])).await.unwrap(), Ingested::default());
    // Nor can an id that was taken claim another decision.
    let later = decision(&e, 2, 0);
    let reward = event(&e, "r", UserEventKind::Reward, 1, &[&later]);
    stores.outcomes.ingest(&batch(&[later], &[reward])).await.unwrap();
    assert_eq!(total(&*stores.outcomes, &e).await, (2, 0));
}

/// Decisions of unknown experiments and arms are kept with the reason, once, and the rest of the batch counts.
pub async fn strangers_are_set_aside(place: impl Place) {
    let (stores, e) = begin(&place, "e", "").await;
    let known = decision(&e, 1, 0);
    let unknown = DecisionRecord { experiment: "nowhere".into(), ..decision(&e, 2, 0) };
    let no_arm = DecisionRecord { arm: "z".into(), ..decision(&e, 3, 0) };
    let poison = ("not an event: é".to_owned(), "{\"x\":".to_owned());
    let mut all = batch(&[unknown, known, no_arm], &[]);
    all.set_aside = vec![poison.clone()];
    all.at = moment(77);
    let new = stores.outcomes.ingest(&all).await.unwrap();
    assert_eq!(new, Ingested { decisions: 1, events: 0, set_aside: 3 });
    all.at = moment(99);
    assert_eq!(stores.outcomes.ingest(&all).await.unwrap(), Ingested::default(), "nothing in it is new");
    assert_eq!(total(&*stores.outcomes, &e).await, (1, 0));
    drop(stores);
    let stores = place.open().await;
    let letters = stores.outcomes.dead_letters(None, 10).await.unwrap();
    assert_eq!(letters.len(), 3, "{letters:?}");
    assert!(letters.iter().all(|l| l.at == moment(77)));
    for (reason, body) in [("'nowhere'", "nowhere"), ("'z'", "u3"), (&poison.0, &poison.1)] {
        assert!(letters.iter().any(|l| l.reason.contains(reason) && l.body.contains(body)), "{reason}: {letters:?}");
    }
    assert_eq!(stores.outcomes.dead_letters(None, 2).await.unwrap(), letters[..2]);
    assert_eq!(stores.outcomes.dead_letters(Some(letters[1].id), 2).await.unwrap(), letters[2..]);
}

/// What is set aside may be long and of any characters.
pub async fn long_records_are_cut(place: impl Place) {
    let (stores, _) = begin(&place, "e", "").await;
    let mut long = batch(&[], &[]);
    long.set_aside = vec![("long".into(), "é🎲".repeat(10_000)), ("empty".into(), String::new())];
    assert_eq!(stores.outcomes.ingest(&long).await.unwrap().set_aside, 2);
    let letters = stores.outcomes.dead_letters(None, 10).await.unwrap();
    let body = &letters.iter().find(|l| l.reason == "long").unwrap().body;
    assert!("é🎲".repeat(10_000).starts_with(body.as_str()) && body.len() > 1_000, "{}", body.len());
}

/// With `exposure: event` a decision is a trial once it was seen; the arm that nobody chose never is.
pub async fn trials_by_exposure(place: impl Place) {
    let (stores, e) = begin(&place, "e", r#","exposure":"event""#).await;
    let d = decision(&e, 1, 0);
    let outside = DecisionRecord { source: Source::NotEnrolled, ..decision(&e, 2, 0) };
    let reward = event(&e, "r", UserEventKind::Reward, 1, &[&d, &outside]);
    stores.outcomes.ingest(&batch(&[d.clone(), outside.clone()], &[reward])).await.unwrap();
    assert_eq!(total(&*stores.outcomes, &e).await, (0, 0));
    let view = event(&e, "v", UserEventKind::View, 1, &[&d, &outside]);
    stores.outcomes.ingest(&batch(&[], &[view])).await.unwrap();
    assert_eq!(total(&*stores.outcomes, &e).await, (0, 0), "a view is no exposure");
    // What was seen more than a minute before was dealt by another decision.
    let early = event(&e, "w", UserEventKind::Exposure, -60_001, &[&d, &outside]);
    stores.outcomes.ingest(&batch(&[], &[early])).await.unwrap();
    assert_eq!(total(&*stores.outcomes, &e).await, (0, 0));
    // Seen long after: the reward was in the window of the decision all the same.
    let seen = event(&e, "x", UserEventKind::Exposure, 90_000_000, &[&d, &outside]);
    stores.outcomes.ingest(&batch(&[], &[seen])).await.unwrap();
    assert_eq!(total(&*stores.outcomes, &e).await, (1, 1));
}

/// Trials of the holdout are counted beside those of the policy.
pub async fn the_holdout_is_apart(place: impl Place) {
    let (stores, e) = begin(&place, "e", r#","holdout":0.5"#).await;
    let policy = decision(&e, 1, 0);
    let held_out = DecisionRecord { source: Source::Holdout, ..decision(&e, 2, 0) };
    let reward = event(&e, "r", UserEventKind::Reward, 1, &[&held_out]);
    let rest = [Source::NotEnrolled, Source::Paused, Source::Fallback];
    let mut decisions = vec![policy.clone(), held_out];
    decisions.extend((3..).zip(rest).map(|(n, source)| DecisionRecord { source, ..decision(&e, n, 0) }));
    stores.outcomes.ingest(&batch(&decisions, &[reward])).await.unwrap();
    let counted = stores.outcomes.evidence("e").await.unwrap();
    let row = |holdout, rewards| HourOutcome {
        hour: bandit::hour_of(policy.at),
        segment: "all".into(),
        arm: 0,
        holdout,
        trials: 1,
        rewards,
    };
    assert_eq!(counted.outcomes, [row(false, 0), row(true, 1)]);
    assert_eq!(stores.outcomes.recount("e").await.unwrap(), counted);
}

/// A batch may be larger than what one statement takes.
pub async fn large_batches(place: impl Place) {
    let (stores, e) = begin(&place, "e", "").await;
    let decisions: Vec<_> = (0..7_001).map(|n| decision(&e, n, 0)).collect();
    // One event of very many decisions, many of one, and the rest one to one.
    let all: Vec<_> = decisions.iter().take(2_500).collect();
    let mut events = vec![event(&e, "all", UserEventKind::Reward, 1, &all)];
    events.extend((0..2_500).map(|n| event(&e, &format!("many-{n}"), UserEventKind::Reward, 1, &[&decisions[2_500]])));
    events
        .extend((0..2_500).map(|n| event(&e, &format!("own-{n}"), UserEventKind::Reward, 1, &[&decisions[4_000 + n]])));
    let new = stores.outcomes.ingest(&batch(&decisions, &events)).await.unwrap();
    assert_eq!(new, Ingested { decisions: 7_001, events: 5_001, set_aside: 0 });
    assert_eq!(total(&*stores.outcomes, &e).await, (7_001, 5_001));
}

fn import(name: &str, digest: u8) -> Import {
    Import { name: name.into(), experiment: "e".into(), digest: [digest; 32], who: "me".into(), at: moment(5) }
}

/// An error in the middle keeps nothing; a name is loaded once.
pub async fn imported_whole_or_not(place: impl Place) {
    let (stores, e) = begin(&place, "e", "").await;
    let parts: Vec<Ingest> = (0..3).map(|n| batch(&[decision(&e, n, 0)], &[])).collect();
    let changes = stores.experiments.changes().await.unwrap();
    let mut broken =
        vec![Ok(parts[0].clone()), Err("line 7: not a number".to_owned()), Ok(parts[1].clone())].into_iter();
    let aborted = stores.outcomes.import(&import("log", 1), &mut broken).await;
    assert!(matches!(&aborted, Err(StoreError::Aborted(why)) if why.contains("line 7")), "{aborted:?}");
    assert_eq!(total(&*stores.outcomes, &e).await, (0, 0), "nothing is kept");
    assert_eq!(stores.experiments.changes().await.unwrap(), changes);

    let mut whole = parts.iter().cloned().map(Ok);
    let loaded = stores.outcomes.import(&import("log", 1), &mut whole).await.unwrap();
    assert_eq!(loaded, ImportOutcome::Loaded(Ingested { decisions: 3, events: 0, set_aside: 0 }));
    assert_eq!(total(&*stores.outcomes, &e).await, (3, 0));
    assert!(stores.experiments.changes().await.unwrap() > changes);
    let entry = stores.experiments.audit(Some("e"), None, 1).await.unwrap().remove(0);
    assert_eq!((&*entry.action, &*entry.who, entry.at), ("import", "me", moment(5)));
    drop(stores);
    let stores = place.open().await;
    let repeated = Import { at: moment(9), ..import("log", 1) };
    let mut other = std::iter::once(Ok(batch(&[decision(&e, 9, 0)], &[])));
    let outcome = stores.outcomes.import(&repeated, &mut other).await.unwrap();
    assert_eq!(outcome, ImportOutcome::Repeated(moment(5)));
    assert_eq!(total(&*stores.outcomes, &e).await, (3, 0));
}

/// Another source, or another experiment, cannot use a name again; an unknown experiment takes no load.
pub async fn import_names_are_taken(place: impl Place) {
    let (stores, _) = begin(&place, "e", "").await;
    stores.experiments.create(&experiment("f", ""), &change("me", "", 0)).await.unwrap();
    let load = async |import: Import| stores.outcomes.import(&import, &mut std::iter::empty()).await;
    assert!(matches!(load(import("log", 1)).await, Ok(ImportOutcome::Loaded(_))));
    let taken = ImportOutcome::NameTaken { experiment: "e".into(), at: moment(5) };
    assert_eq!(load(import("log", 2)).await.unwrap(), taken);
    let elsewhere = Import { experiment: "f".into(), ..import("log", 1) };
    assert_eq!(load(elsewhere).await.unwrap(), taken);
    assert!(matches!(load(import("log 2", 2)).await, Ok(ImportOutcome::Loaded(_))));
    let nowhere = load(Import { experiment: "none".into(), ..import("x", 1) }).await;
    assert!(matches!(nowhere, Err(StoreError::Missing(_))), "{nowhere:?}");
}
