//! Experiments whose arms are the items of a catalog.

use super::outcomes_model::{decision, event};
use super::{Place, change, moment};
use crate::{Ingest, StoreError, Stores};
use bandit::Status::{Draft, Paused, Running};
use bandit::{
    DecisionId, DecisionRecord, Evidence, Experiment, HourOutcome, MOST_CANDIDATES, OTHER_CANDIDATES, Source,
    UserEventKind, hour_of,
};

fn lists(id: &str, catalog: &str) -> Experiment {
    let json = format!(
        r#"{{"id":"{id}","candidates":{{"catalog":"{catalog}"}},"reward":{{"event":"buy","window_hours":1}}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

/// Item `item` shown to visitor `n`, `ms` into the hour.
fn shown(e: &Experiment, n: u64, item: &str, ms: i64) -> DecisionRecord {
    let with_an_arm = Experiment { arms: e.with_candidates(&[item.into()]).arms, ..e.clone() };
    DecisionRecord {
        item: Some(item.into()),
        position: Some(u32::try_from(n % 10).unwrap()),
        list: Some(DecisionId([9; 16])),
        ..decision(&with_an_arm, n, ms)
    }
}

async fn ingest(stores: &Stores, decisions: Vec<DecisionRecord>) -> crate::Ingested {
    stores.outcomes.ingest(&Ingest { at: moment(0), decisions, ..Ingest::default() }).await.unwrap()
}

async fn evidence(stores: &Stores, e: &Experiment) -> Evidence {
    let evidence = stores.outcomes.evidence(&e.id).await.unwrap();
    assert_eq!(stores.outcomes.recount(&e.id).await.unwrap(), evidence);
    evidence
}

/// Whatever is shown becomes an arm; those with most trials come first, and rewards are theirs.
pub async fn items_are_arms(place: impl Place) {
    let stores = place.open().await;
    let (e, beside) = (lists("e", "shop"), lists("f", "shop"));
    for e in [&e, &beside] {
        stores.experiments.create(e, &change("me", "", 0)).await.unwrap();
    }
    let few = shown(&e, 1, "few", 0);
    let held_out = DecisionRecord { source: Source::Holdout, ..shown(&e, 5, "många 'x'", 3) };
    let mut decisions = vec![few.clone(), held_out.clone()];
    decisions.extend((2..5).map(|n| shown(&e, n, "många 'x'", 1)));
    decisions.push(shown(&beside, 1, "few", 0));
    decisions.push(DecisionRecord { source: Source::Fallback, ..shown(&e, 6, "told", 0) });
    decisions.push(DecisionRecord { item: Some("other".into()), ..shown(&e, 7, "few", 0) });
    decisions.push(DecisionRecord { item: None, ..shown(&e, 8, "few", 0) });
    let taken = ingest(&stores, decisions.clone()).await;
    assert_eq!((taken.decisions, taken.set_aside), (7, 2), "an arm is the item that was shown");
    let reward = event(&e, "r", UserEventKind::Reward, 1_000, &[&few]);
    let batch = Ingest { at: moment(0), decisions, events: vec![reward], ..Ingest::default() };
    let again = stores.outcomes.ingest(&batch).await.unwrap();
    assert_eq!((again.decisions, again.events), (0, 1));
    let of = |arm, holdout, trials, rewards| HourOutcome {
        hour: hour_of(moment(0)),
        segment: "all".into(),
        arm,
        holdout,
        trials,
        rewards,
    };
    let counted = evidence(&stores, &e).await;
    assert_eq!(counted.candidates, ["många 'x'", "few"]);
    assert_eq!(counted.outcomes, [of(0, false, 3, 0), of(0, true, 1, 0), of(1, false, 1, 1)]);
    assert_eq!(stores.outcomes.totals("e", i64::MAX).await.unwrap().candidates, counted.candidates);
    assert_eq!(evidence(&stores, &beside).await.candidates, ["few"]);
    drop(stores);
    let stores = place.open().await;
    let more = (10..14).map(|n| shown(&e, n, "few", 0)).collect();
    ingest(&stores, more).await;
    assert_eq!(evidence(&stores, &e).await.candidates, ["few", "många 'x'"]);
    let story = stores.decisions.decision(&held_out.decision_id).await.unwrap().unwrap();
    let found = story.decision.record;
    assert_eq!((&found.arm, found.position, found.list), (&held_out.arm, Some(5), held_out.list));
}

/// Arms that were shown equally often are in order of their ids, whichever came first.
pub async fn arms_have_an_order_of_their_own(place: impl Place) {
    let stores = place.open().await;
    for (id, items) in [("e", ["b", "Z", "ä", "a"]), ("f", ["ä", "a", "b", "Z"])] {
        let e = lists(id, "shop");
        stores.experiments.create(&e, &change("me", "", 0)).await.unwrap();
        for (n, item) in (1..).zip(items) {
            ingest(&stores, vec![shown(&e, n, item, 0)]).await;
        }
        assert_eq!(evidence(&stores, &e).await.candidates, ["Z", "a", "b", "ä"]);
    }
}

/// Those beyond the bound are counted together.
pub async fn arms_are_bounded(place: impl Place) {
    let stores = place.open().await;
    let e = lists("e", "shop");
    stores.experiments.create(&e, &change("me", "", 0)).await.unwrap();
    let all = MOST_CANDIDATES as u64 + 3;
    let mut decisions: Vec<_> = (0..all).map(|n| shown(&e, n, &format!("i{n}"), 0)).collect();
    // The last of them is seen twice.
    decisions.push(shown(&e, all, &format!("i{}", all - 1), 0));
    ingest(&stores, decisions).await;
    let counted = evidence(&stores, &e).await;
    assert_eq!(counted.candidates.len(), MOST_CANDIDATES + 1);
    assert_eq!(counted.candidates[0], format!("i{}", all - 1));
    assert_eq!(counted.candidates[MOST_CANDIDATES], OTHER_CANDIDATES);
    let others = counted.outcomes.iter().find(|o| o.arm == MOST_CANDIDATES).unwrap();
    assert_eq!((others.trials, counted.outcomes.iter().map(|o| o.trials).sum::<u64>()), (3, all + 1));
}

/// An item that nobody was shown since a day is forgotten with it; its name may come again.
pub async fn arms_are_forgotten_with_their_days(place: impl Place) {
    const DAY_MS: i64 = 24 * 3_600_000;
    let stores = place.open().await;
    let e = lists("e", "shop");
    stores.experiments.create(&e, &change("me", "", 0)).await.unwrap();
    ingest(&stores, vec![shown(&e, 1, "old", 0), shown(&e, 2, "both", 0), shown(&e, 3, "both", 2 * DAY_MS)]).await;
    let day = moment(DAY_MS).to_zoned(jiff::tz::TimeZone::UTC).date();
    stores.outcomes.forget(day).await.unwrap();
    assert_eq!(evidence(&stores, &e).await.candidates, ["both"]);
    ingest(&stores, vec![shown(&e, 4, "old", 2 * DAY_MS)]).await;
    let counted = evidence(&stores, &e).await;
    assert_eq!(counted.candidates, ["both", "old"]);
    assert_eq!(counted.outcomes.iter().map(|o| (o.arm, o.trials)).collect::<Vec<_>>(), [(0, 1), (1, 1)]);
}

/// Of the experiments on a catalog one runs; whoever starts another is told which.
pub async fn one_runs_on_a_catalog(place: impl Place) {
    let stores = place.open().await;
    let experiments = &stores.experiments;
    let by_me = change("me", "", 0);
    for e in [lists("a", "shop 'x'"), lists("b", "shop 'x'"), lists("c", "else")] {
        experiments.create(&e, &by_me).await.unwrap();
    }
    experiments.set_status("a", Draft, Running, None, &by_me).await.unwrap();
    experiments.set_status("c", Draft, Running, None, &by_me).await.unwrap();
    let refused = experiments.set_status("b", Draft, Running, None, &by_me).await;
    assert!(matches!(&refused, Err(StoreError::Conflict(why)) if why.contains("'a'")), "{refused:?}");
    experiments.set_status("a", Running, Paused, None, &by_me).await.unwrap();
    experiments.set_status("b", Draft, Running, None, &by_me).await.unwrap();
    let refused = experiments.set_status("a", Paused, Running, None, &by_me).await;
    assert!(matches!(&refused, Err(StoreError::Conflict(why)) if why.contains("'b'")), "{refused:?}");
}
