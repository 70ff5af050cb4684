//! Assignments: the first to put one wins, whatever happens meanwhile.

use super::{Place, moment, soon};
use bandit::{Assignment, AssignmentKey, Source, Sticky, StickyBy};
use jiff::civil::{Date, date};
use std::sync::Arc;

const TODAY: Date = date(2026, 11, 21);

fn sticky(daily: bool) -> Sticky {
    let by =
        if daily { vec![StickyBy::User, StickyBy::Item, StickyBy::Day] } else { vec![StickyBy::User, StickyBy::Item] };
    Sticky { by, time_zone: "UTC".into() }
}

pub(crate) fn assignment(user: &str, daily: bool, day: Date, arm: &str) -> Assignment {
    Assignment {
        key: AssignmentKey::new("e", &sticky(daily), user, Some("sku-1"), day),
        arm: arm.into(),
        segment: "device=mobile".into(),
        propensity: 0.1 + 0.2,
        posterior_version: 7,
        revision: 3,
        source: Source::Policy,
        at: moment(1),
    }
}

/// 64 tasks race for 200 keys, each with an arm of its own: one wins a key, all are told who.
pub async fn one_winner_per_key(place: impl Place) {
    const TASKS: usize = 64;
    const KEYS: usize = 200;
    let assignments = place.open().await.assignments;
    let start = Arc::new(tokio::sync::Barrier::new(TASKS));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (assignments, start) = (assignments.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                let mut told = Vec::with_capacity(KEYS);
                for key in 0..KEYS {
                    let mine = assignment(&format!("u{key}"), key % 2 == 0, TODAY, &format!("arm-{task}"));
                    let put = assignments.put_if_absent(&mine).await.unwrap();
                    assert_eq!(put.won, put.standing == mine, "the winner is told its own, a loser another's");
                    // Half of the tasks ask again before the first is safe, the others after.
                    if task % 2 == 0 {
                        assert_eq!(assignments.get(&mine.key).await.unwrap().as_ref(), Some(&put.standing));
                    }
                    put.durable.wait().await.unwrap();
                    assert_eq!(assignments.get(&mine.key).await.unwrap().as_ref(), Some(&put.standing));
                    told.push((put.won, put.standing));
                }
                told
            })
        })
        .collect();
    let mut told = Vec::new();
    for task in tasks {
        told.push(soon(task).await.unwrap());
    }
    for key in 0..KEYS {
        assert_eq!(told.iter().filter(|t| t[key].0).count(), 1, "winners of key {key}");
        assert!(told.iter().all(|t| t[key].1 == told[0][key].1), "all are told the same of key {key}");
    }
}

/// Every field, to the bit; moments to the millisecond.
pub async fn every_field_comes_back(place: impl Place) {
    let propensities =
        [0.1 + 0.2, 1.0, f64::MIN_POSITIVE, 5e-324, 1.0 - f64::EPSILON / 2.0, 1.0 / 3.0, 0.371_212_345_678_901_2];
    let segments = ["all", "端末=携帯,国=日本", "a=\"%2C\\,b=", "🎲=🎲", &"é".repeat(500)];
    let sources = [Source::Policy, Source::Holdout, Source::NotEnrolled, Source::Paused, Source::Fallback];
    let mut kept = Vec::new();
    for n in 0..propensities.len() * segments.len() {
        let mut a = assignment(&format!("u{n}"), n % 2 == 0, TODAY, "arm_0-z");
        a.propensity = propensities[n % propensities.len()];
        a.segment = segments[n % segments.len()].into();
        a.source = sources[n % sources.len()];
        (a.posterior_version, a.revision) = if n % 2 == 0 { (0, 1) } else { (u64::MAX, u64::MAX) };
        a.at = moment(i64::try_from(n).unwrap());
        kept.push(a);
    }
    let stores = place.open().await;
    for a in &kept {
        stores.assignments.put_if_absent(a).await.unwrap().durable.wait().await.unwrap();
    }
    drop(stores);
    let stores = place.open().await;
    for a in &kept {
        let found = stores.assignments.get(&a.key).await.unwrap().unwrap();
        assert_eq!(&found, a);
        assert_eq!(found.propensity.to_bits(), a.propensity.to_bits());
    }
}

/// What was safe is there after reopening, and still wins.
pub async fn kept_across_reopening(place: impl Place) {
    let user = |n: usize| format!("u{n}");
    for round in 0..3 {
        let stores = place.open().await;
        for n in 0..round * 100 {
            let late =
                stores.assignments.put_if_absent(&assignment(&user(n), n % 2 == 0, TODAY, "late")).await.unwrap();
            assert!(!late.won);
            assert_eq!(&*late.standing.arm, format!("round-{}", n / 100), "key {n} in round {round}");
        }
        let mut waiting = Vec::new();
        for n in round * 100..(round + 1) * 100 {
            let first = assignment(&user(n), n % 2 == 0, TODAY, &format!("round-{round}"));
            waiting.push(stores.assignments.put_if_absent(&first).await.unwrap());
        }
        for put in waiting {
            assert!(put.won);
            soon(put.durable.wait()).await.unwrap();
        }
    }
}

/// The same user and item on another day are another key.
pub async fn days_are_apart(place: impl Place) {
    let assignments = place.open().await.assignments;
    for (n, day) in [TODAY, date(2026, 11, 22), date(2027, 11, 21)].into_iter().enumerate() {
        let put = assignments.put_if_absent(&assignment("u", true, day, &format!("arm-{n}"))).await.unwrap();
        assert!(put.won, "{day}");
        put.durable.wait().await.unwrap();
    }
    let lasting = assignments.put_if_absent(&assignment("u", false, TODAY, "lasting")).await.unwrap();
    assert!(lasting.won);
    let tomorrow = assignments.put_if_absent(&assignment("u", false, date(2026, 11, 22), "other")).await.unwrap();
    assert_eq!((tomorrow.won, &*tomorrow.standing.arm), (false, "lasting"));
    let second = assignments.get(&assignment("u", true, date(2026, 11, 22), "").key).await.unwrap().unwrap();
    assert_eq!(&*second.arm, "arm-1");
}

/// Earlier days go; the day itself, later ones and what lasts stay.
pub async fn past_days_are_let_go<P: Place>(place: P) {
    let days = [date(2025, 12, 31), date(2026, 11, 20), TODAY, date(2026, 11, 22)];
    let stores = place.open().await;
    stores.assignments.expire(TODAY).await.unwrap();
    for day in days {
        for user in ["u", "v"] {
            let put = stores.assignments.put_if_absent(&assignment(user, true, day, "first")).await.unwrap();
            put.durable.wait().await.unwrap();
        }
    }
    let put = stores.assignments.put_if_absent(&assignment("u", false, days[0], "first")).await.unwrap();
    put.durable.wait().await.unwrap();
    stores.assignments.expire(TODAY).await.unwrap();
    stores.assignments.expire(TODAY).await.unwrap();
    let check = async |stores: &crate::Stores| {
        for day in days {
            let found = stores.assignments.get(&assignment("u", true, day, "").key).await.unwrap();
            if day >= TODAY || P::EXPIRES_AT_ONCE {
                assert_eq!(found.is_some(), day >= TODAY, "{day}");
            }
        }
        assert!(
            stores.assignments.get(&assignment("u", false, TODAY, "").key).await.unwrap().is_some(),
            "what lasts stays"
        );
    };
    check(&stores).await;
    drop(stores);
    let stores = place.open().await;
    check(&stores).await;
    if !P::EXPIRES_AT_ONCE {
        return;
    }
    let again = stores.assignments.put_if_absent(&assignment("u", true, days[0], "second")).await.unwrap();
    assert!(again.won, "a day that was let go can be written again");
    again.durable.wait().await.unwrap();
    assert_eq!(stores.assignments.get(&again.standing.key).await.unwrap(), Some(again.standing));
}

/// What is removed is gone, at once and for good, and its key can be dealt anew; others stay.
pub async fn removed_and_dealt_again(place: impl Place) {
    let stores = place.open().await;
    let all = [("u", true), ("u", false), ("v", true)].map(|(user, daily)| assignment(user, daily, TODAY, "first"));
    for one in &all {
        stores.assignments.put_if_absent(one).await.unwrap().durable.wait().await.unwrap();
    }
    let never = assignment("w", true, date(2020, 1, 1), "").key;
    for _ in 0..2 {
        stores.assignments.remove(&[all[0].key, all[1].key, never]).await.unwrap();
    }
    stores.assignments.remove(&[]).await.unwrap();
    for one in &all {
        let found = stores.assignments.get(&one.key).await.unwrap();
        assert_eq!(found.as_ref(), Some(one).filter(|_| one.key == all[2].key));
    }
    let again = stores.assignments.put_if_absent(&assignment("u", true, TODAY, "second")).await.unwrap();
    assert_eq!((again.won, &*again.standing.arm), (true, "second"));
    again.durable.wait().await.unwrap();
}
