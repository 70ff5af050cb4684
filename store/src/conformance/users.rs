//! One user's rows: told, erased, and not brought back.

use super::outcomes_model::{decision, event};
use super::{Place, change, experiment, moment};
use crate::{Cursor, DecisionFilter, Erased, Ingest, Note, Stores};
use bandit::{DecisionRecord, Experiment, UserEventKind};

async fn begin(place: &impl Place) -> (Stores, Experiment) {
    let stores = place.open().await;
    let e = experiment("e", "");
    stores.experiments.create(&e, &change("me", "", 0)).await.unwrap();
    (stores, e)
}

/// Two decisions of "u1 'x'" and one of "u2", each rewarded once, and a view of the first.
fn batch(e: &Experiment) -> Ingest {
    let mut decisions: Vec<DecisionRecord> = (0..3).map(|n| decision(e, n, 1_000)).collect();
    let users = ["u1 '\"x", "u1 '\"x", "u2"];
    decisions.iter_mut().zip(users).for_each(|(d, user)| d.user = user.into());
    let mut events: Vec<_> = decisions
        .iter()
        .enumerate()
        .map(|(n, d)| {
            let mut reward = event(e, &format!("r{n}"), UserEventKind::Reward, 2_000, &[d]);
            reward.0.user = Some(d.user.clone());
            reward
        })
        .collect();
    let mut view = event(e, "v", UserEventKind::View, 3_000, &[]);
    (view.0.user, view.0.item) = (Some(users[0].into()), Some("sku".into()));
    events.push(view);
    Ingest { at: moment(4_000), decisions, offers: Vec::new(), events, set_aside: Vec::new() }
}

async fn decisions(stores: &Stores, user: &str) -> Vec<DecisionRecord> {
    let wanted = DecisionFilter { user: Some(user.into()), ..DecisionFilter::default() };
    let found = stores.decisions.search(&wanted, Cursor::at(moment(86_400_000)), 10).await.unwrap();
    found.decisions.into_iter().map(|d| d.record).collect()
}

/// An erased user is nowhere, counts stay as they were by both ways of counting, and again nothing is found.
pub async fn erased_and_counted_as_before(place: impl Place) {
    let (stores, e) = begin(&place).await;
    let batch = batch(&e);
    let user = &*batch.decisions[0].user;
    let unread = Ingest {
        set_aside: vec![("no such arm".into(), serde_json::to_string(&batch.decisions[0]).unwrap())],
        ..batch.clone()
    };
    stores.outcomes.ingest(&unread).await.unwrap();
    let before = stores.outcomes.evidence("e").await.unwrap();
    assert_eq!(before.outcomes.iter().map(|o| (o.trials, o.rewards)).collect::<Vec<_>>(), [(3, 3)]);

    let events = stores.users.user_events(user, None, 10).await.unwrap();
    assert_eq!((events.len(), decisions(&stores, user).await.len()), (3, 2));
    let view = events.iter().find(|e| e.kind == "view").unwrap();
    assert_eq!((view.item.as_deref(), view.at), (Some("sku"), moment(3_000)));
    let mut paged = Vec::new();
    while let [one] =
        &stores.users.user_events(user, paged.last().map(|e: &crate::KeptEvent| e.key), 1).await.unwrap()[..]
    {
        paged.push(one.clone());
    }
    assert_eq!(paged, events);

    stores.users.begin_erasure(user, moment(5_000)).await.unwrap();
    let erased = stores.users.erase_user(user, moment(5_000)).await.unwrap();
    assert_eq!(erased, Erased { decisions: 2, events: 3, set_aside: 1 });
    assert_eq!(stores.users.erase_user(user, moment(5_000)).await.unwrap(), Erased::default());
    assert!(stores.users.user_events(user, None, 10).await.unwrap().is_empty());
    assert!(decisions(&stores, user).await.is_empty());
    assert!(stores.outcomes.dead_letters(None, 10).await.unwrap().is_empty());
    for d in &batch.decisions[..2] {
        assert_eq!(stores.decisions.decision(&d.decision_id).await.unwrap(), None, "ids can be computed from names");
    }
    assert_eq!(decisions(&stores, "u2").await, batch.decisions[2..], "others stay");
    assert_eq!(stores.outcomes.evidence("e").await.unwrap(), before);
    assert_eq!(stores.outcomes.recount("e").await.unwrap(), before);
}

/// What the log delivers of an erased user, again or late, is left out; what they do afterwards is not.
pub async fn what_is_on_its_way_is_left_out(place: impl Place) {
    let (stores, e) = begin(&place).await;
    let batch = batch(&e);
    let user = &*batch.decisions[0].user;
    assert!(stores.users.erasures().await.unwrap().is_empty());
    stores.users.begin_erasure(user, moment(5_000)).await.unwrap();
    // An earlier one does not take it back.
    stores.users.begin_erasure(user, moment(1)).await.unwrap();
    drop(stores);
    let stores = place.open().await;
    let erasures = stores.users.erasures().await.unwrap();
    assert_eq!(batch.decisions.iter().map(|d| erasures.cover(d)).collect::<Vec<_>>(), [true, true, false]);
    let offers = Ingest { offers: batch.decisions.clone(), ..Ingest::default() };
    assert_eq!(stores.outcomes.ingest(&offers).await.unwrap().decisions, 1, "that of u2, offered or dealt");
    let taken = stores.outcomes.ingest(&batch).await.unwrap();
    assert_eq!((taken.decisions, taken.events, taken.set_aside), (0, 1, 0));
    let mut later = batch.decisions[0].clone();
    later.at = moment(5_001);
    let mut until = event(&e, "until", UserEventKind::Reward, 5_000, &[]);
    let mut after = event(&e, "after", UserEventKind::Reward, 5_001, &[]);
    (until.0.user, after.0.user) = (Some(user.into()), Some(user.into()));
    let next = Ingest { decisions: vec![later.clone()], events: vec![until, after], ..Ingest::default() };
    let taken = stores.outcomes.ingest(&next).await.unwrap();
    assert_eq!((taken.decisions, taken.events), (1, 1));
    assert_eq!(decisions(&stores, user).await, [later]);
}

/// What is no experiment is in the audit log too, and is no change of one.
pub async fn notes_are_in_the_audit_log(place: impl Place) {
    let (stores, _) = begin(&place).await;
    let before = stores.experiments.changes().await.unwrap();
    let mut by = change("ops", "tidy", 7);
    by.request = "r-1".into();
    let document = serde_json::json!({"scope": "decide"});
    let note = Note { action: "key.create", subject: "3 '操作'", document: document.clone() };
    stores.experiments.note(&note, &by).await.unwrap();
    assert_eq!(stores.experiments.changes().await.unwrap(), before);
    let all = stores.experiments.audit(None, None, 10).await.unwrap();
    let entry = &all[0];
    assert_eq!((&*entry.who, &*entry.why, entry.at, &*entry.request), ("ops", "tidy", moment(7), "r-1"));
    assert_eq!((&*entry.action, &*entry.experiment, &*entry.subject), ("key.create", "", "3 '操作'"));
    assert_eq!((&entry.document, all.len()), (&document, 2));
    assert_eq!(stores.experiments.audit(Some("e"), None, 10).await.unwrap(), all[1..]);
}
