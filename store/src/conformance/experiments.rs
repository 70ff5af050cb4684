//! Experiments and the record of every change.

use super::outcomes_model::decision;
use super::{Place, change, experiment, moment, soon};
use crate::{Change, Experiments, Import, ImportOutcome, Order, Search, StoreError, Stores};
use bandit::Status::{Draft, Paused, Running, Stopped};
use std::sync::Arc;

/// The change of tests that do not look at it.
fn by_me() -> Change {
    change("me", "", 0)
}

/// Creates an experiment and takes it through statuses.
async fn created(experiments: &dyn Experiments, id: &str, life: &[bandit::Status]) {
    experiments.create(&experiment(id, ""), &by_me()).await.unwrap();
    for pair in [&[Draft], life].concat().windows(2) {
        experiments.set_status(id, pair[0], pair[1], None, &by_me()).await.unwrap();
    }
}

/// A draft at revision 1, which is read back whole; its id is taken.
pub async fn created_once(place: impl Place) {
    let stores = place.open().await;
    assert_eq!(stores.experiments.get("e").await.unwrap(), None);
    let more = r#","segment_by":["device","国"],"policy":{"kind":"epsilon_greedy","epsilon":0.1,"floor":0.01},
        "traffic":0.30000000000000004,"holdout":0.05,"exposure":"event","guardrails":[{"event":"err","max_rate":0.05}]"#;
    let definition = experiment("e", more);
    let record = stores.experiments.create(&definition, &change("me", "why", 5)).await.unwrap();
    assert_eq!(record.definition, definition);
    assert_eq!((record.status, record.winner.as_deref(), record.revision), (Draft, None, 1));
    assert_eq!((record.created_at, record.updated_at), (moment(5), moment(5)));
    assert_eq!((record.started_at, record.stopped_at), (None, None));
    let again = stores.experiments.create(&experiment("e", ""), &by_me()).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    drop(stores);
    assert_eq!(place.open().await.experiments.get("e").await.unwrap(), Some(record));
}

/// Pages follow each other without gap or repetition.
pub async fn listed_in_pages(place: impl Place) {
    let experiments = place.open().await.experiments;
    assert_eq!(experiments.list(None, 10).await.unwrap(), []);
    let mut ids = ["b", "a-b", "a", "ab", "0", "a_b", "z9", "aa"].to_vec();
    for id in &ids {
        created(&*experiments, id, &[]).await;
    }
    ids.sort_unstable();
    for limit in [1, 3, 8, 100] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = experiments.list(after.as_deref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.definition.id.clone());
            listed.extend(page.into_iter().map(|r| r.definition.id));
        }
        assert_eq!(listed, ids, "pages of {limit}");
    }
    assert_eq!(experiments.list(Some("a"), 1).await.unwrap()[0].definition.id, "a-b");
    assert_eq!(experiments.list(None, 0).await.unwrap(), []);
}

/// A definition is replaced only by who has seen its newest revision.
pub async fn replaced_at_its_revision(place: impl Place) {
    let experiments = place.open().await.experiments;
    experiments.create(&experiment("e", ""), &by_me()).await.unwrap();
    let new = experiment("e", r#","traffic":0.5"#);
    for wrong in [0, 2, u64::MAX] {
        let refused = experiments.replace(&new, wrong, Draft, &by_me()).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{wrong}: {refused:?}");
    }
    let record = experiments.replace(&new, 1, Draft, &change("me", "", 9)).await.unwrap();
    assert_eq!((&record.definition, record.revision, record.updated_at), (&new, 2, moment(9)));
    assert_eq!(record.created_at, moment(0));
    assert_eq!(experiments.get("e").await.unwrap(), Some(record));
    let missing = experiments.replace(&experiment("x", ""), 1, Draft, &by_me()).await;
    assert!(matches!(missing, Err(StoreError::Missing(_))), "{missing:?}");
    // It was judged as a draft's, and started before it arrived.
    experiments.set_status("e", Draft, Running, None, &by_me()).await.unwrap();
    let late = experiments.replace(&new, 2, Draft, &by_me()).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    experiments.replace(&new, 2, Running, &by_me()).await.unwrap();
}

/// Of editors of one revision, one wins and the others are told.
pub async fn one_of_two_editors_wins(place: impl Place) {
    let experiments = place.open().await.experiments;
    experiments.create(&experiment("e", ""), &by_me()).await.unwrap();
    for revision in 1..=10 {
        let start = Arc::new(tokio::sync::Barrier::new(4));
        let editors = (0..4).map(|n| {
            let (experiments, start) = (experiments.clone(), start.clone());
            let new = experiment("e", &format!(r#","name":"editor {n}""#));
            tokio::spawn(async move {
                start.wait().await;
                experiments.replace(&new, revision, Draft, &by_me()).await.map(|r| r.definition)
            })
        });
        let mut winners = Vec::new();
        for outcome in soon(futures::future::try_join_all(editors)).await.unwrap() {
            match outcome {
                Ok(definition) => winners.push(definition),
                Err(e) => assert!(matches!(e, StoreError::Conflict(_)), "{e}"),
            }
        }
        let record = experiments.get("e").await.unwrap().unwrap();
        assert_eq!((record.revision, vec![record.definition]), (revision + 1, winners));
    }
}

/// `draft → running ⇄ paused → stopped` and nothing else.
pub async fn statuses_follow_the_life(place: impl Place) {
    let experiments = place.open().await.experiments;
    let all = [Draft, Running, Paused, Stopped];
    let lives: [&[bandit::Status]; 4] = [&[], &[Running], &[Running, Paused], &[Running, Stopped]];
    for life in lives {
        let now = life.last().copied().unwrap_or(Draft);
        for (from, to) in all.iter().flat_map(|&from| all.map(|to| (from, to))) {
            let id = format!("{now}-{from}-{to}");
            created(&*experiments, &id, life).await;
            let moved = experiments.set_status(&id, from, to, None, &by_me()).await;
            let allowed = from == now && now.may_become(to);
            match moved {
                Ok(record) => assert!(allowed && record.status == to, "{id}"),
                Err(e) => assert!(!allowed && matches!(e, StoreError::Conflict(_)), "{id}: {e}"),
            }
            let stands = experiments.get(&id).await.unwrap().unwrap();
            assert_eq!(stands.status, if allowed { to } else { now }, "{id}");
            assert_eq!(stands.revision, 1, "the definition did not change");
        }
    }
    let missing = experiments.set_status("x", Draft, Running, None, &by_me()).await;
    assert!(matches!(missing, Err(StoreError::Missing(_))), "{missing:?}");
}

/// The winner and the moments of a life.
pub async fn stopped_with_a_winner(place: impl Place) {
    let stores = place.open().await;
    let experiments = &stores.experiments;
    experiments.create(&experiment("e", ""), &by_me()).await.unwrap();
    let step = async |from, to, winner, ms| {
        experiments.set_status("e", from, to, winner, &change("me", "", ms)).await.unwrap()
    };
    assert_eq!(step(Draft, Running, None, 10).await.started_at, Some(moment(10)));
    step(Running, Paused, None, 20).await;
    let again = step(Paused, Running, None, 30).await;
    assert_eq!((again.started_at, again.updated_at), (Some(moment(10)), moment(30)), "first started");
    let stopped = step(Running, Stopped, Some("b"), 40).await;
    assert_eq!((stopped.winner.as_deref(), stopped.stopped_at), (Some("b"), Some(moment(40))));
    drop(stores);
    assert_eq!(place.open().await.experiments.get("e").await.unwrap(), Some(stopped));
}

/// A draft goes and its id is free; what ran keeps its id; what runs must be stopped first.
pub async fn deleted_by_its_rules(place: impl Place) {
    let experiments = place.open().await.experiments;
    created(&*experiments, "draft", &[]).await;
    created(&*experiments, "running", &[Running]).await;
    created(&*experiments, "paused", &[Running, Paused]).await;
    created(&*experiments, "stopped", &[Running, Stopped]).await;
    for id in ["running", "paused"] {
        let refused = experiments.delete(id, &by_me()).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{id}: {refused:?}");
        assert!(experiments.get(id).await.unwrap().is_some());
    }
    for id in ["draft", "stopped"] {
        experiments.delete(id, &by_me()).await.unwrap();
        assert_eq!(experiments.get(id).await.unwrap(), None);
        let twice = experiments.delete(id, &by_me()).await;
        assert!(matches!(twice, Err(StoreError::Missing(_))), "{id}: {twice:?}");
        let gone = experiments.set_status(id, Draft, Running, None, &by_me()).await;
        assert!(matches!(gone, Err(StoreError::Missing(_))), "{id}: {gone:?}");
        let gone = experiments.replace(&experiment(id, ""), 1, Draft, &by_me()).await;
        assert!(matches!(gone, Err(StoreError::Missing(_))), "{id}: {gone:?}");
    }
    let listed: Vec<_> = experiments.list(None, 10).await.unwrap().into_iter().map(|r| r.definition.id).collect();
    assert_eq!(listed, ["paused", "running"]);
    let taken = experiments.create(&experiment("stopped", ""), &by_me()).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
    assert_eq!(experiments.create(&experiment("draft", ""), &by_me()).await.unwrap().revision, 1);
}

/// A draft into which a log was loaded can be deleted, but its id stays taken: its outcomes live on.
pub async fn a_draft_with_outcomes_keeps_its_id(place: impl Place) {
    let Stores { experiments, outcomes, .. } = place.open().await;
    created(&*experiments, "e", &[]).await;
    let import = Import { name: "n".into(), experiment: "e".into(), digest: [1; 32], who: "me".into(), at: moment(1) };
    let loaded = outcomes.import(&import, &mut std::iter::empty()).await.unwrap();
    assert!(matches!(loaded, ImportOutcome::Loaded(_)), "{loaded:?}");
    experiments.delete("e", &by_me()).await.unwrap();
    assert_eq!(experiments.get("e").await.unwrap(), None);
    let taken = experiments.create(&experiment("e", ""), &by_me()).await;
    assert!(matches!(taken, Err(StoreError::Conflict(_))), "{taken:?}");
}

/// Each change, and nothing that was refused, with who, why and when; the number of changes grows with each.
pub async fn every_change_is_audited(place: impl Place) {
    let stores = place.open().await;
    let experiments = &stores.experiments;
    let mut changes = vec![experiments.changes().await.unwrap()];
    let definition = experiment("e", r#","name":"名前""#);
    experiments.create(&definition, &change("ann", "a first idea", 1)).await.unwrap();
    changes.push(experiments.changes().await.unwrap());
    experiments.replace(&definition, 1, Draft, &change("bob", "", 2)).await.unwrap();
    changes.push(experiments.changes().await.unwrap());
    let moves = [(Draft, Running, None), (Running, Paused, None), (Paused, Stopped, Some("b"))];
    for (ms, (from, to, winner)) in (3..).zip(moves) {
        experiments.set_status("e", from, to, winner, &change("bob", &format!("to {to}"), ms)).await.unwrap();
        changes.push(experiments.changes().await.unwrap());
    }
    experiments.delete("e", &change("cy", "\"tidy\"", 6)).await.unwrap();
    changes.push(experiments.changes().await.unwrap());
    assert!(changes.is_sorted_by(|a, b| a < b), "{changes:?}");

    created(&**experiments, "other", &[]).await;
    let before = experiments.changes().await.unwrap();
    let mut changed = experiments.changed(changes[2], 2).await.unwrap().unwrap();
    changed.sort();
    assert_eq!(changed, ["e", "other"]);
    assert_eq!(experiments.changed(changes[2], 1).await.unwrap(), None, "more than are wanted");
    assert_eq!(experiments.changed(changes[changes.len() - 1], 2).await.unwrap(), Some(vec!["other".to_owned()]));
    assert_eq!(experiments.changed(experiments.changes().await.unwrap(), 2).await.unwrap(), Some(Vec::new()));
    assert!(experiments.replace(&experiment("other", ""), 7, Draft, &by_me()).await.is_err());
    assert!(experiments.create(&experiment("other", ""), &by_me()).await.is_err());
    assert!(experiments.set_status("other", Running, Paused, None, &by_me()).await.is_err());
    assert!(experiments.delete("none", &by_me()).await.is_err());
    assert_eq!(experiments.changes().await.unwrap(), before, "what was refused is no change");

    drop(stores);
    let experiments = place.open().await.experiments;
    assert_eq!(experiments.changes().await.unwrap(), before);
    let all = experiments.audit(None, None, 100).await.unwrap();
    assert_eq!((all.len(), &*all[0].experiment), (7, "other"), "newest first");
    let own = experiments.audit(Some("e"), None, 100).await.unwrap();
    let told: Vec<_> = own.iter().rev().map(|e| (&*e.action, &*e.who, &*e.why, e.at)).collect();
    let expected = [
        ("create", "ann", "a first idea", moment(1)),
        ("replace", "bob", "", moment(2)),
        ("running", "bob", "to running", moment(3)),
        ("paused", "bob", "to paused", moment(4)),
        ("stopped", "bob", "to stopped", moment(5)),
        ("delete", "cy", "\"tidy\"", moment(6)),
    ];
    assert_eq!(told, expected);
    assert_eq!(own[5].document, serde_json::to_value(&definition).unwrap());
    assert_eq!(own[1].document, serde_json::json!({"from": "paused", "to": "stopped", "winner": "b"}));
    let page = experiments.audit(Some("e"), Some(own[1].id), 2).await.unwrap();
    assert_eq!(page, own[2..4]);
    for (actions, until, newer, expected) in [
        (&["create", "replace"][..], None, 0, Some(4)),
        (&["create", "replace"], None, 1, Some(5)),
        (&["create", "replace"], None, 2, None),
        (&["create", "running", "paused", "stopped"], Some(moment(4)), 0, Some(2)),
        (&["running", "paused"], Some(moment(4)), 1, Some(3)),
        (&["running"], Some(moment(2)), 0, None),
    ] {
        let found = experiments.noted("e", actions, until, newer).await.unwrap();
        assert_eq!(found.as_ref(), expected.map(|i: usize| &own[i]), "{actions:?} {until:?} {newer}");
    }
    assert_eq!(experiments.noted("e\0", &["create"], None, 0).await.unwrap(), None);
}

/// A frozen experiment stays so until its definition or status changes; the change is audited and noticed.
pub async fn frozen_until_somebody_acts(place: impl Place) {
    let stores = place.open().await;
    let experiments = &stores.experiments;
    created(&**experiments, "e", &[]).await;
    assert!(matches!(experiments.freeze("e", 1, &by_me()).await, Err(StoreError::Conflict(_))), "a draft");
    let started = experiments.set_status("e", Draft, Running, None, &by_me()).await.unwrap();
    assert!(matches!(experiments.freeze("e", 2, &by_me()).await, Err(StoreError::Conflict(_))), "another revision");
    assert!(matches!(experiments.freeze("none", 1, &by_me()).await, Err(StoreError::Missing(_))));
    let before = experiments.changes().await.unwrap();
    let frozen = experiments.freeze("e", 1, &change("updater", "errors", 5)).await.unwrap();
    assert_eq!(frozen, crate::ExperimentRecord { frozen_at: Some(moment(5)), ..started });
    assert_eq!(experiments.get("e").await.unwrap(), Some(frozen.clone()));
    assert!(experiments.changes().await.unwrap() > before);
    let entry = experiments.audit(Some("e"), None, 1).await.unwrap().remove(0);
    assert_eq!((&*entry.action, &*entry.who, &*entry.why), ("freeze", "updater", "errors"));
    let noticed = experiments.changes().await.unwrap();
    assert_eq!(experiments.freeze("e", 1, &change("updater", "again", 6)).await.unwrap(), frozen);
    assert_eq!(experiments.changes().await.unwrap(), noticed, "frozen once");
    experiments.replace(&experiment("e", ""), 1, Running, &by_me()).await.unwrap();
    assert_eq!(experiments.get("e").await.unwrap().unwrap().frozen_at, None, "a new definition");
    experiments.freeze("e", 2, &by_me()).await.unwrap();
    experiments.set_status("e", Running, Paused, None, &by_me()).await.unwrap();
    assert_eq!(experiments.get("e").await.unwrap().unwrap().frozen_at, None, "a new status");
}

/// By text, status and worries, in every order, page by page.
pub async fn found_by_what_is_asked(place: impl Place) {
    let stores = place.open().await;
    let all = &stores.experiments;
    let names = [("b1", "Checkout 100%"), ("a_1", "価格の実験"), ("a-2", "<b>'Bold'</b>"), ("c", "")];
    for (n, (id, name)) in (0..).zip(names) {
        let mut e = experiment(id, "");
        e.name = name.into();
        e.arms[1].id = format!("arm-{id}");
        // As earlier releases took it.
        e.arms[1].payload = "\0".into();
        all.create(&e, &change("me", "", 10 - n)).await.unwrap();
    }
    created(&**all, "gone", &[Running, Stopped]).await;
    all.delete("gone", &by_me()).await.unwrap();
    for id in ["b1", "a-2"] {
        all.set_status(id, Draft, Running, None, &by_me()).await.unwrap();
    }
    let lines = |ok: bool| {
        format!(
            r#"{{"lines":[{{"check":"guardrail","ok":{ok},"detail":""}},{{"check":"change","ok":true,"detail":""}},
            {{"check":"sample_ratio","ok":{ok},"detail":"","p":0.5}}],"state":null}}"#
        )
    };
    for (id, ok) in [("a-2", false), ("b1", false), ("b1", true), ("c", false)] {
        stores.findings.keep_findings(id, moment(1), &lines(ok)).await.unwrap();
    }
    let e = all.get("a-2").await.unwrap().unwrap().definition;
    let decisions = (0..5).map(|n| decision(&e, n, i64::try_from(n).unwrap() * 3_600_000)).collect();
    stores.outcomes.ingest(&crate::Ingest { decisions, ..crate::Ingest::default() }).await.unwrap();
    let since = bandit::hour_of(moment(0)) + 2;
    let find = async |search: Search| {
        let found = all.search(&Search { limit: 10, recent_since: since, ..search }).await.unwrap();
        assert_eq!(found.total, found.experiments.len() as u64);
        found.experiments.into_iter().map(|l| l.record.definition.id).collect::<Vec<_>>()
    };
    for (text, ids) in [
        ("", vec!["a-2", "a_1", "b1", "c"]),
        ("CHECKOUT", vec!["b1"]),
        ("%", vec!["b1"]),
        ("_", vec!["a_1"]),
        ("価格", vec!["a_1"]),
        ("'Bold'</b>", vec!["a-2"]),
        ("Arm-a", vec!["a-2", "a_1"]),
        ("payload", vec![]),
        ("β", vec![]),
        ("gone", vec![]),
        ("a\0b", vec![]),
    ] {
        assert_eq!(find(Search { text: text.into(), ..Search::default() }).await, ids, "{text}");
    }
    assert_eq!(find(Search { status: Some(Running), ..Search::default() }).await, ["a-2", "b1"]);
    assert_eq!(find(Search { worrying: true, ..Search::default() }).await, ["a-2"], "a draft worries nobody");
    let failing = Search { worrying: true, failing: true, ..Search::default() };
    assert_eq!(find(failing).await, ["a-2", "b1"]);
    assert_eq!(find(Search { order: Order::Newest, ..Search::default() }).await, ["b1", "a_1", "a-2", "c"]);
    assert_eq!(find(Search { order: Order::Traffic, ..Search::default() }).await, ["a-2", "a_1", "b1", "c"]);
    let page = all.search(&Search { skip: 1, limit: 2, ..Search::default() }).await.unwrap();
    assert_eq!((page.total, page.experiments.len(), &*page.experiments[0].record.definition.id), (4, 2, "a_1"));
    let first = all.search(&Search { limit: 1, recent_since: since, ..Search::default() }).await.unwrap();
    assert_eq!(
        (first.experiments[0].recent, first.experiments[0].worries.join(" ")),
        (3, "guardrail sample_ratio".into())
    );
    assert_eq!(Some(&first.experiments[0].record), all.get("a-2").await.unwrap().as_ref());
}
