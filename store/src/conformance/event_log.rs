//! The event log: in order, at least once, and never again once acknowledged.
//!
//! Where the order is that of each user, and a pull gives what has come so far, a case pulls until what it expects is there.

use super::{PATIENCE, Place, moment, soon};
use crate::{Delivery, EventLog, Stores};
use bandit::{DecisionId, DecisionRecord, Event, Source, UserEvent, UserEventKind};
use jiff::civil::date;
use std::collections::BTreeMap;

/// A view of one user.
pub fn event(id: impl Into<String>) -> Event {
    event_of("u", id)
}

/// A view.
pub fn event_of(user: impl Into<String>, id: impl Into<String>) -> Event {
    let (user, item) = (Some(user.into()), Some("sku-1".into()));
    let kind = UserEventKind::View;
    let (name, decision_id, experiment) = (String::new(), None, None);
    Event::User(UserEvent { id: id.into(), kind, name, user, item, decision_id, experiment, value: 1.0, at: moment(0) })
}

fn events(range: std::ops::Range<usize>) -> Vec<Event> {
    range.map(|n| event(n.to_string())).collect()
}

/// The id of a view.
#[must_use]
pub fn id(event: &Event) -> &str {
    match event {
        Event::User(e) => &e.id,
        Event::Decision(_) | Event::Offer(_) => "decision",
    }
}

fn user_of(event: &Event) -> Option<String> {
    match event {
        Event::User(e) => e.user.clone(),
        Event::Decision(d) | Event::Offer(d) => Some(d.user.clone()),
    }
}

/// Ids in the order of delivery; where that is not promised, in their own.
fn ids<P: Place>(delivery: &Delivery) -> Vec<String> {
    in_one_order::<P>(delivery.events.iter().map(|e| id(e.as_ref().unwrap()).to_owned()).collect())
}

fn in_one_order<P: Place>(mut ids: Vec<String>) -> Vec<String> {
    if !P::ONE_ORDER {
        ids.sort_by_key(|id| (id.len(), id.clone()));
    }
    ids
}

/// Ends as a process does that consumes: what it acknowledged is known then.
async fn close(stores: Stores) {
    stores.events.close().await;
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// Pulls `max`, of which `n` are there or will come.
async fn pull<P: Place>(log: &dyn EventLog, max: usize, n: usize) -> Delivery {
    let enough = async {
        loop {
            let delivery = log.pull(max).await.unwrap();
            if P::ONE_ORDER || delivery.events.len() >= n {
                return delivery;
            }
        }
    };
    // A service may first give to a reader that has gone, and wait for it as long as a lease lasts.
    if P::ONE_ORDER { soon(enough).await } else { tokio::time::timeout(3 * PATIENCE, enough).await.unwrap() }
}

/// Asserts that `n` events wait, if the log counts them.
async fn waits<P: Place>(log: &dyn EventLog, n: usize) {
    assert_eq!(log.backlog().await.unwrap(), P::ONE_ORDER.then(|| u64::try_from(n).unwrap()));
}

/// Pulls `max`, of which `n` are there or will come, and acknowledges.
async fn take<P: Place>(log: &dyn EventLog, max: usize, n: usize) -> Vec<String> {
    let delivery = pull::<P>(log, max, n).await;
    if let Some(receipt) = delivery.receipt {
        log.acknowledge(receipt).await.unwrap();
    }
    ids::<P>(&delivery)
}

/// What is not acknowledged comes again, at most `max` at a time, oldest first.
pub async fn in_order_at_least_once<P: Place>(place: P) {
    let log = place.open().await.events;
    let empty = log.pull(10).await.unwrap();
    assert!(empty.events.is_empty() && empty.receipt.is_none());
    for range in [0..1, 1..3, 3..300] {
        log.append(&events(range)).await.unwrap();
    }
    waits::<P>(&*log, 300).await;
    let first = pull::<P>(&*log, 4, 4).await;
    assert_eq!(ids::<P>(&first), numbers(0..4));
    assert_eq!(ids::<P>(&log.pull(4).await.unwrap()), numbers(0..4), "not acknowledged, so again");
    assert_eq!(ids::<P>(&log.pull(2).await.unwrap()), numbers(0..2));
    assert!(log.pull(0).await.unwrap().receipt.is_none());
    // Read ahead, it is not given: it comes again, after what is before it.
    let behind = log.pull_behind(first.receipt.unwrap(), 3).await.unwrap();
    assert!(!P::ONE_ORDER || behind.events.len() == 3);
    assert_eq!(ids::<P>(&behind), numbers(4..4 + behind.events.len()));
    assert_eq!(ids::<P>(&log.pull(5).await.unwrap())[..4], numbers(0..4));
    log.acknowledge(first.receipt.unwrap()).await.unwrap();
    waits::<P>(&*log, 296).await;
    assert_eq!(take::<P>(&*log, 252, 252).await, numbers(4..256));
    assert_eq!(take::<P>(&*log, 1_000, 44).await, numbers(256..300));
    waits::<P>(&*log, 0).await;
    assert_eq!(take::<P>(&*log, 1_000, 0).await, numbers(0..0));
}

/// Every field of every kind, to the bit.
pub async fn every_event_comes_back<P: Place>(place: P) {
    let user = UserEvent {
        id: "é\"\\🎲".into(),
        kind: UserEventKind::Reward,
        name: "購入".into(),
        user: Some("u 1".into()),
        item: None,
        decision_id: Some(DecisionId([0xff; 16])),
        experiment: Some("e".into()),
        value: 0.1 + 0.2,
        at: "2026-11-21T10:00:00.123456789Z".parse().unwrap(),
    };
    let decision = DecisionRecord {
        decision_id: DecisionId([0; 16]),
        experiment: "product-page".into(),
        user: "u\u{1F600}".into(),
        item: Some("sku-9".into()),
        day: date(2026, 11, 21),
        segment: "端末=携帯,国=".into(),
        features: Some(serde_json::from_str(r#"{"age":0.1,"n":18446744073709551615,"vip":true,"国":"jp"}"#).unwrap()),
        arm: "b".into(),
        position: None,
        list: None,
        propensity: 1.0 / 3.0,
        posterior_version: u64::MAX,
        revision: 1,
        source: Source::Holdout,
        at: user.at,
    };
    let mut sent = vec![Event::Decision(decision.clone()), Event::User(user.clone())];
    sent.push(Event::Decision(DecisionRecord {
        item: None,
        features: None,
        source: Source::Policy,
        propensity: 5e-324,
        ..decision
    }));
    for kind in [UserEventKind::Exposure, UserEventKind::View] {
        let item = Some("i".into());
        sent.push(Event::User(UserEvent { kind, name: String::new(), user: None, item, value: 1e15, ..user.clone() }));
    }
    let stores = place.open().await;
    stores.events.append(&sent).await.unwrap();
    close(stores).await;
    let delivery = pull::<P>(&*place.open().await.events, 10, sent.len()).await;
    let mut came: Vec<Event> = delivery.events.into_iter().map(Result::unwrap).collect();
    if !P::ONE_ORDER {
        // Both sorts are stable: what is left is the order of each user.
        came.sort_by_key(user_of);
        sent.sort_by_key(user_of);
    }
    assert_eq!(came, sent);
}

/// Appending nothing changes nothing.
pub async fn nothing_appended<P: Place>(place: P) {
    let log = place.open().await.events;
    soon(log.append(&[])).await.unwrap();
    waits::<P>(&*log, 0).await;
    assert!(log.pull(10).await.unwrap().receipt.is_none());
}

/// Not in this process and not in the next, even if the log was left empty.
pub async fn acknowledged_never_again<P: Place>(place: P) {
    let stores = place.open().await;
    stores.events.append(&events(0..10)).await.unwrap();
    // What a service is just giving to a reader that ends may take its time.
    pull::<P>(&*stores.events, 10, 10).await;
    assert_eq!(take::<P>(&*stores.events, 4, 4).await, numbers(0..4));
    close(stores).await;
    let stores = place.open().await;
    waits::<P>(&*stores.events, 6).await;
    assert_eq!(take::<P>(&*stores.events, 100, 6).await, numbers(4..10));
    close(stores).await;
    let stores = place.open().await;
    waits::<P>(&*stores.events, 0).await;
    assert!(stores.events.pull(100).await.unwrap().receipt.is_none());
    stores.events.append(&events(10..12)).await.unwrap();
    pull::<P>(&*stores.events, 10, 2).await;
    close(stores).await;
    let stores = place.open().await;
    assert_eq!(take::<P>(&*stores.events, 100, 2).await, numbers(10..12));
    close(stores).await;
    assert_eq!(take::<P>(&*place.open().await.events, 100, 0).await, numbers(0..0));
}

/// Nothing is lost or doubled, and the order stays.
pub async fn kept_across_reopening<P: Place>(place: P) {
    const MOST: usize = 40;
    let (mut appended, mut taken) = (0, Vec::new());
    for round in 1..=10 {
        let log = place.open().await.events;
        for _ in 0..10 {
            log.append(&events(appended..appended + round)).await.unwrap();
            appended += round;
        }
        // What a service is just giving to a reader that ends may take its time.
        pull::<P>(&*log, appended, appended - taken.len()).await;
        taken.extend(take::<P>(&*log, MOST, MOST.min(appended - taken.len())).await);
        waits::<P>(&*log, appended - taken.len()).await;
        log.close().await;
    }
    let log = place.open().await.events;
    taken.extend(take::<P>(&*log, 10_000, appended - taken.len()).await);
    assert_eq!(in_one_order::<P>(taken), numbers(0..appended));
}

/// What a batch holds stays together, what a task appends stays in order, and a consumer gets each event once.
pub async fn many_appenders_one_consumer<P: Place>(place: P) {
    const TASKS: usize = 32;
    const BATCHES: usize = 40;
    let log = place.open().await.events;
    let appenders: Vec<_> = (0..TASKS)
        .map(|task| {
            let log = log.clone();
            tokio::spawn(async move {
                for batch in 0..BATCHES {
                    let size = 1 + (task + batch) % 3;
                    let batch: Vec<Event> =
                        (0..size).map(|n| event_of(format!("u{task}"), format!("{task}/{batch}/{n}"))).collect();
                    log.append(&batch).await.unwrap();
                }
            })
        })
        .collect();
    let expected: usize = (0..TASKS * BATCHES).map(|n| 1 + (n / BATCHES + n % BATCHES) % 3).sum();
    let mut taken = Vec::new();
    let consume = async {
        while taken.len() < expected {
            match take::<P>(&*log, 100, 0).await {
                batch if batch.is_empty() => tokio::task::yield_now().await,
                batch => taken.extend(batch),
            }
        }
    };
    soon(consume).await;
    for task in appenders {
        soon(task).await.unwrap();
    }
    waits::<P>(&*log, 0).await;
    let mut by_task: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (at, id) in taken.iter().enumerate() {
        let [task, batch, n] = id.split('/').map(|n| n.parse().unwrap()).collect::<Vec<usize>>()[..] else {
            panic!("{id}")
        };
        let together = n == 0 || !P::ONE_ORDER;
        assert!(together || taken[at - 1] == format!("{task}/{batch}/{}", n - 1), "{id} follows {}", taken[at - 1]);
        by_task.entry(task).or_default().push((batch, n));
    }
    assert_eq!(taken.len(), expected);
    assert!(by_task.values().all(|list| list.is_sorted_by(|a, b| a < b)), "in order, and none twice");
}

/// An append that its caller gives up is kept whole or not at all.
pub async fn abandoned_appends_are_all_or_nothing<P: Place>(place: P) {
    const SIZE: usize = 50;
    let stores = place.open().await;
    for batch in 0..100 {
        let log = stores.events.clone();
        let task = tokio::spawn(async move {
            log.append(&(0..SIZE).map(|n| event(format!("{batch}/{n}"))).collect::<Vec<_>>()).await.unwrap();
        });
        if batch % 2 == 0 {
            soon(task).await.unwrap();
        } else {
            tokio::task::yield_now().await;
            task.abort();
            // Ended or given up, either way it is over.
            drop(soon(task).await);
        }
    }
    close(stores).await;
    let log = place.open().await.events;
    let whole = async {
        loop {
            let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
            for id in ids::<P>(&log.pull(100 * SIZE).await.unwrap()) {
                *sizes.entry(id.split('/').next().unwrap().parse().unwrap()).or_default() += 1;
            }
            let safe = (0..100).step_by(2).all(|batch| sizes.contains_key(&batch));
            let whole = sizes.values().all(|&size| size == SIZE);
            if P::ONE_ORDER || (safe && whole) {
                assert!(whole, "{sizes:?}");
                assert!(safe, "what was told to be safe is there");
                return;
            }
        }
    };
    soon(whole).await;
}

/// Receipts may be late, doubled or at once: what was acknowledged stays so.
pub async fn late_receipts_change_nothing<P: Place>(place: P) {
    let stores = place.open().await;
    stores.events.append(&events(0..100)).await.unwrap();
    let few = pull::<P>(&*stores.events, 10, 10).await.receipt.unwrap();
    let many = pull::<P>(&*stores.events, 60, 60).await.receipt.unwrap();
    let (a, b) = futures::join!(stores.events.acknowledge(many), stores.events.acknowledge(few));
    a.and(b).unwrap();
    stores.events.acknowledge(few).await.unwrap();
    waits::<P>(&*stores.events, 40).await;
    assert_eq!(ids::<P>(&pull::<P>(&*stores.events, 100, 40).await), numbers(60..100));
    close(stores).await;
    let stores = place.open().await;
    waits::<P>(&*stores.events, 40).await;
    assert_eq!(take::<P>(&*stores.events, 100, 40).await, numbers(60..100));
}
