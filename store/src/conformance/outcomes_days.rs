//! Outcomes of several days, and of several who write at once.

use super::outcomes::assert_traffic;
use super::outcomes_model::{Model, decision, event, history};
use super::{Numbers, Place, change, experiment, moment, soon};
use crate::{Ingest, Ingested, Outcomes, Stores};
use bandit::{DecisionRecord, Experiment, UserEventKind};
use jiff::ToSpan;
use jiff::civil::{Date, date};

const DAY_MS: i64 = 86_400_000;
/// Midnight before the moments of the tests, from them.
const MIDNIGHT: i64 = -10 * 3_600_000;

/// Day number `n` from that of the tests.
fn day(n: i64) -> Date {
    date(2026, 11, 21) + n.days()
}

/// The same batch as if it had been read at `ms`.
fn read_at(ms: i64, batch: Ingest) -> Ingest {
    Ingest { at: moment(ms), ..batch }
}

async fn assert_counts(outcomes: &dyn Outcomes, e: &Experiment, model: &Model, when: &str) {
    let expected = model.evidence(e);
    assert_eq!(outcomes.evidence(&e.id).await.unwrap(), expected, "{when}");
    assert_eq!(outcomes.recount(&e.id).await.unwrap(), expected, "{when}, recounted");
    assert_traffic(outcomes, &e.id, &expected, when).await;
}

async fn create(stores: &Stores, id: &str) -> Experiment {
    let e = experiment(id, "");
    stores.experiments.create(&e, &change("me", "", 0)).await.unwrap();
    e
}

/// Several who are given the same batches, in different orders: all counts once, and the news are shared out.
pub async fn batches_beside_each_other(place: impl Place) {
    let stores = place.open().await;
    overlapping(&[stores.clone(), stores.clone(), stores]).await;
}

/// The same with stores that share nothing but what they keep.
pub async fn overlapping(stores: &[Stores]) {
    for seed in [40, 77, 119, 160] {
        let e = create(&stores[0], &format!("e{seed}")).await;
        let batches = history(&e, seed);
        let mut model = Model::default();
        let mut expected = Ingested::default();
        for batch in &batches {
            let new = model.ingest(&e, batch);
            expected.decisions += new.decisions;
            expected.events += new.events;
        }
        let tasks = stores.iter().zip(1..).map(|(store, n)| {
            let (outcomes, mut batches) = (store.outcomes.clone(), batches.clone());
            Numbers(n).shuffle(&mut batches);
            tokio::spawn(async move {
                let mut new = Ingested::default();
                for batch in &batches {
                    let part = outcomes.ingest(batch).await.unwrap();
                    new.decisions += part.decisions;
                    new.events += part.events;
                }
                new
            })
        });
        let shares = soon(futures::future::try_join_all(tasks)).await.unwrap();
        let sum = |of: fn(&Ingested) -> u64| shares.iter().map(of).sum::<u64>();
        assert_eq!((sum(|i| i.decisions), sum(|i| i.events)), (expected.decisions, expected.events), "seed {seed}");
        assert_counts(&*stores[0].outcomes, &e, &model, &format!("seed {seed}")).await;
    }
}

/// An id that is sent again on another day is the same decision, or the same event.
pub async fn an_id_counts_once_on_any_day(place: impl Place) {
    let stores = place.open().await;
    let e = create(&stores, "e").await;
    let mut model = Model::default();
    let first = decision(&e, 1, 0);
    for (n, days) in (0..).zip([0, 1, -1, 40, -400]) {
        let again = DecisionRecord { at: moment(days * DAY_MS), ..first.clone() };
        // A reward whose moment was stamped on arrival, and a decision that only its repetitions claim.
        let other = decision(&e, 2, days * DAY_MS);
        let claimed = if n == 0 { vec![&first] } else { vec![&first, &other] };
        let reward = event(&e, "r", UserEventKind::Reward, days * DAY_MS + 1, &claimed);
        let batch = Ingest { decisions: vec![again, other.clone()], events: vec![reward], ..Ingest::default() };
        let batch = read_at(days * DAY_MS, batch);
        assert_eq!(stores.outcomes.ingest(&batch).await.unwrap(), model.ingest(&e, &batch), "day {days}");
        assert_counts(&*stores.outcomes, &e, &model, &format!("day {days}")).await;
    }
    let counted = stores.outcomes.evidence("e").await.unwrap();
    assert_eq!(counted.outcomes.iter().map(|o| (o.trials, o.rewards)).collect::<Vec<_>>(), [(2, 1)]);
}

/// Any day counts, however far from that on which it is read; and what was read early is found on its day.
pub async fn odd_days_count(place: impl Place) {
    let stores = place.open().await;
    let e = create(&stores, "e").await;
    let mut model = Model::default();
    let days = [-20_000, -9_000, -400, -32, -31, -1, 0, 1, 2, 3, 31, 400, 20_000];
    let decisions: Vec<DecisionRecord> = (0..).zip(days).map(|(n, days)| decision(&e, n, days * DAY_MS)).collect();
    for (n, days) in (0..).zip([0, 0, 3, -31, 400, 401, 402]) {
        let mut batch = Ingest::default();
        for d in decisions.iter().filter(|_| n > 0) {
            // A reward for each, at its moment and long after.
            let ms = d.at.as_millisecond() - moment(0).as_millisecond();
            let late = [0, 1_000, 500 * DAY_MS][n % 3];
            batch.events.push(event(&e, &format!("{n}-{ms}"), UserEventKind::Reward, ms + late, &[d]));
        }
        if n % 2 == 0 {
            batch.decisions.clone_from(&decisions);
        }
        let batch = read_at(days * DAY_MS, batch);
        assert_eq!(stores.outcomes.ingest(&batch).await.unwrap(), model.ingest(&e, &batch), "batch {n}");
        assert_counts(&*stores.outcomes, &e, &model, &format!("batch {n}")).await;
    }
}

/// No text stops a batch.
pub async fn texts_of_any_characters(place: impl Place) {
    let stores = place.open().await;
    let e = create(&stores, "e").await;
    let odd = "a\0\u{1}\u{7f}\"'\\ é🎲\u{202e}";
    let mut d = decision(&e, 1, 0);
    (d.user, d.item, d.segment) = (odd.into(), Some(odd.into()), format!("x={odd}"));
    let stranger = DecisionRecord { experiment: odd.into(), ..decision(&e, 2, 0) };
    let mut reward = event(&e, odd, UserEventKind::Reward, 1, &[&d]);
    (reward.0.user, reward.0.item) = (Some(odd.into()), Some(odd.into()));
    let mut elsewhere = event(&e, "other", UserEventKind::Reward, 1, &[&d]);
    (elsewhere.0.name, elsewhere.0.experiment) = (odd.into(), Some(odd.into()));
    let batch = Ingest {
        decisions: vec![d, stranger],
        events: vec![reward, elsewhere],
        set_aside: vec![(odd.into(), odd.into())],
        ..Ingest::default()
    };
    let new = stores.outcomes.ingest(&batch).await.unwrap();
    assert_eq!(new, Ingested { decisions: 1, events: 2, set_aside: 2 });
    assert_eq!(stores.outcomes.ingest(&batch).await.unwrap(), Ingested::default());
    let counted = stores.outcomes.evidence("e").await.unwrap();
    assert_eq!(counted, stores.outcomes.recount("e").await.unwrap());
    let row = &counted.outcomes[0];
    assert_eq!((row.trials, row.rewards), (1, 1));
    assert!(row.segment.contains("é🎲"), "{row:?}");
    assert_eq!(stores.outcomes.dead_letters(None, 9).await.unwrap().len(), 2);
}

/// Decisions over days, each with a reward, and one just after each midnight whose reward is stamped just before.
fn week(e: &Experiment) -> Ingest {
    let mut batch = Ingest::default();
    for n in 0..7_i64 {
        let number = u64::try_from(n).unwrap();
        for (kind, at) in (0..).zip([MIDNIGHT + 10, MIDNIGHT + DAY_MS / 2, MIDNIGHT + DAY_MS - 1]) {
            let d = decision(e, number * 10 + kind, n * DAY_MS + at);
            let late = [-60_000, 0, 3_600_000][usize::try_from(kind).unwrap()];
            let reward =
                event(e, &format!("{}-{n}-{kind}", e.id), UserEventKind::Reward, n * DAY_MS + at + late, &[&d]);
            batch.decisions.push(d);
            batch.events.push(reward);
        }
    }
    batch
}

/// What a week leaves once the days before day `kept` are forgotten.
fn left_of(week: &Ingest, e: &Experiment, kept: i64) -> Model {
    let mut left = week.clone();
    left.decisions.retain(|d| d.at >= moment(MIDNIGHT + kept * DAY_MS));
    let mut model = Model::default();
    model.ingest(e, &left);
    model
}

/// Days are forgotten whole, with what they counted for; later ones are as they were, and go on counting.
pub async fn the_past_is_forgotten(place: impl Place) {
    let stores = place.open().await;
    stores.outcomes.forget(day(0)).await.unwrap();
    let e = create(&stores, "e").await;
    let other = create(&stores, "other").await;
    // Some days around the one on which it is read, some days far from it.
    let (mine, others) = (week(&e), week(&other));
    stores.outcomes.ingest(&read_at(0, mine.clone())).await.unwrap();
    stores.outcomes.ingest(&read_at(300 * DAY_MS, others.clone())).await.unwrap();
    for kept in [0, 1, 3, 3, 2, 6] {
        stores.outcomes.forget(day(kept)).await.unwrap();
        let kept = if kept == 2 { 3 } else { kept };
        assert_counts(&*stores.outcomes, &e, &left_of(&mine, &e, kept), &format!("from day {kept}")).await;
        assert_counts(&*stores.outcomes, &other, &left_of(&others, &other, kept), &format!("from day {kept}")).await;
    }
    drop(stores);
    let stores = place.open().await;
    // Late rewards of forgotten decisions are events that count for nothing; kept decisions count once, and on.
    let (forgotten, kept) = (&mine.decisions[5], &mine.decisions[19]);
    let late = event(&e, "late", UserEventKind::Reward, 7 * DAY_MS, &[forgotten]);
    let again: Vec<DecisionRecord> = mine.decisions[18..].to_vec();
    let fresh = decision(&e, 1_000, 6 * DAY_MS);
    let reward = event(&e, "new", UserEventKind::Reward, 6 * DAY_MS, &[&fresh, kept]);
    let mut model = left_of(&mine, &e, 6);
    let batch = Ingest {
        decisions: [again, vec![fresh]].concat(),
        events: [mine.events[18..].to_vec(), vec![late, reward]].concat(),
        ..Ingest::default()
    };
    model.ingest(&e, &batch);
    let new = stores.outcomes.ingest(&read_at(6 * DAY_MS, batch)).await.unwrap();
    assert_eq!((new.decisions, new.events), (1, 2));
    assert_counts(&*stores.outcomes, &e, &model, "afterwards").await;
    stores.outcomes.forget(day(400)).await.unwrap();
    for e in [&e, &other] {
        assert_counts(&*stores.outcomes, e, &Model::default(), "nothing is left").await;
    }
}

/// Forgetting while batches arrive loses nothing that is to be kept.
pub async fn forgotten_beside_batches(place: impl Place) {
    let stores = place.open().await;
    let e = create(&stores, "e").await;
    let week = week(&e);
    let parts: Vec<Ingest> = week
        .decisions
        .chunks(2)
        .zip(week.events.chunks(2))
        .map(|(d, r)| read_at(0, Ingest { decisions: d.to_vec(), events: r.to_vec(), ..Ingest::default() }))
        .collect();
    let outcomes = stores.outcomes.clone();
    let writing = tokio::spawn(async move {
        for part in &parts {
            outcomes.ingest(part).await.unwrap();
        }
    });
    soon(async {
        for n in 0..12 {
            stores.outcomes.forget(day(n / 3)).await.unwrap();
            stores.outcomes.evidence("e").await.unwrap();
        }
        writing.await.unwrap();
    })
    .await;
    stores.outcomes.forget(day(4)).await.unwrap();
    assert_counts(&*stores.outcomes, &e, &left_of(&week, &e, 4), "at the end").await;
}
