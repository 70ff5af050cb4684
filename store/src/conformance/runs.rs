//! Update runs.

use super::{Place, moment, soon};
use crate::{RUNS_KEPT, RunKind, RunReport, RunStatus, RunStep, StoreError, Trigger};

fn report(n: u64) -> RunReport {
    RunReport {
        as_of: Some(moment(7)),
        events_read: n,
        decisions: n + 1,
        events: n + 2,
        set_aside: n + 3,
        recomputed: n + 4,
        published: n + 5,
        duration_ms: n + 6,
        retries: n + 7,
        steps: vec![RunStep { name: "consume".into(), duration_ms: n, detail: "<b>".into() }],
        error: None,
    }
}

/// Requests that came before a run began are answered by it, later ones by the next.
pub async fn one_run_answers_all_requests(place: impl Place) {
    let runs = place.open().await.runs;
    assert_eq!(runs.take_requested(moment(0)).await.unwrap(), None);
    let asked = [runs.request_run(moment(1)).await.unwrap(), runs.request_run(moment(2)).await.unwrap()];
    assert_eq!(runs.run(asked[0]).await.unwrap().unwrap().status, RunStatus::Requested);
    let taken = runs.take_requested(moment(3)).await.unwrap().unwrap();
    assert!(asked.contains(&taken));
    let late = runs.request_run(moment(4)).await.unwrap();
    for id in asked {
        let run = runs.run(id).await.unwrap().unwrap();
        assert_eq!((run.status, run.trigger, run.finished_at), (RunStatus::Running, Trigger::Request, None));
    }
    runs.finish_run(taken, moment(5), &report(10)).await.unwrap();
    for id in asked {
        let run = runs.run(id).await.unwrap().unwrap();
        assert_eq!((run.status, run.finished_at, run.report), (RunStatus::Done, Some(moment(5)), report(10)));
    }
    assert_eq!(runs.run(late).await.unwrap().unwrap().status, RunStatus::Requested);
    assert_eq!(runs.take_requested(moment(6)).await.unwrap(), Some(late));
    assert_eq!(runs.take_requested(moment(7)).await.unwrap(), None);
    let listed: Vec<i64> = runs.latest_runs(None, None, 10).await.unwrap().iter().map(|r| r.id).collect();
    assert_eq!(listed, [late, taken], "what another run answered is no run of its own");
}

/// Of two updaters one takes a request.
pub async fn taken_once(place: impl Place) {
    let runs = place.open().await.runs;
    for n in 0..20 {
        let asked = runs.request_run(moment(n)).await.unwrap();
        let takers = (0..4).map(|_| {
            let runs = runs.clone();
            tokio::spawn(async move { runs.take_requested(moment(n)).await.unwrap() })
        });
        let taken: Vec<Option<i64>> = soon(futures::future::try_join_all(takers)).await.unwrap();
        assert_eq!(taken.iter().flatten().collect::<Vec<_>>(), [&asked]);
    }
}

/// What a run did is read back, and a run that never was cannot end.
pub async fn reports_come_back(place: impl Place) {
    let stores = place.open().await;
    let good = stores.runs.start_run(RunKind::Posteriors, None, Trigger::Schedule, moment(1)).await.unwrap();
    let bad = stores.runs.start_run(RunKind::Posteriors, None, Trigger::Once, moment(2)).await.unwrap();
    let failure = RunReport { error: Some("the disk is \"full\"".into()), as_of: None, ..report(0) };
    stores.runs.finish_run(good, moment(3), &report(1)).await.unwrap();
    stores.runs.finish_run(bad, moment(4), &failure).await.unwrap();
    let never = stores.runs.finish_run(bad + 1, moment(5), &report(1)).await;
    assert!(matches!(never, Err(StoreError::Missing(_))), "{never:?}");
    assert_eq!(stores.runs.run(bad + 1).await.unwrap(), None);
    drop(stores);
    let runs = place.open().await.runs;
    let run = runs.run(good).await.unwrap().unwrap();
    assert_eq!((run.trigger, run.status, run.started_at), (Trigger::Schedule, RunStatus::Done, moment(1)));
    assert_eq!((run.finished_at, run.report), (Some(moment(3)), report(1)));
    let run = runs.run(bad).await.unwrap().unwrap();
    assert_eq!((run.trigger, run.status, run.report), (Trigger::Once, RunStatus::Failed, failure));
}

/// What earlier versions wrote of a run has no steps.
pub async fn old_reports_are_read(place: impl Place) {
    drop(place);
    let old = r#"{"as_of":null,"events_read":1,"decisions":2,"events":3,"set_aside":4,"recomputed":5,"published":6,
        "duration_ms":7,"error":"x"}"#;
    let read: RunReport = serde_json::from_str(old).unwrap();
    assert_eq!((read.published, read.retries, read.steps), (6, 0, vec![]));
}

/// Runs that nobody ends are marked, requests that nobody took stay.
pub async fn dead_runs_are_abandoned(place: impl Place) {
    let runs = place.open().await.runs;
    let done = runs.start_run(RunKind::Posteriors, None, Trigger::Schedule, moment(0)).await.unwrap();
    runs.finish_run(done, moment(1), &report(1)).await.unwrap();
    let dead = runs.start_run(RunKind::Posteriors, None, Trigger::Schedule, moment(2)).await.unwrap();
    let asked = runs.request_run(moment(3)).await.unwrap();
    assert_eq!(runs.abandon_runs(moment(4)).await.unwrap(), 1);
    assert_eq!(runs.abandon_runs(moment(5)).await.unwrap(), 0);
    let run = runs.run(dead).await.unwrap().unwrap();
    assert_eq!((run.status, run.finished_at), (RunStatus::Failed, Some(moment(4))));
    assert!(run.report.error.is_some());
    assert_eq!(runs.run(done).await.unwrap().unwrap().status, RunStatus::Done);
    assert_eq!(runs.take_requested(moment(6)).await.unwrap(), Some(asked));
}

/// The list begins with the newest and ends at its limit.
pub async fn newest_first(place: impl Place) {
    let runs = place.open().await.runs;
    assert_eq!(runs.latest_runs(None, None, 5).await.unwrap(), []);
    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(runs.start_run(RunKind::Posteriors, None, Trigger::Schedule, moment(n)).await.unwrap());
    }
    ids.reverse();
    let listed: Vec<i64> = runs.latest_runs(None, None, 5).await.unwrap().iter().map(|r| r.id).collect();
    assert_eq!(listed, ids[..5]);
    let listed: Vec<i64> = runs.latest_runs(None, Some(ids[4]), 5).await.unwrap().iter().map(|r| r.id).collect();
    assert_eq!(listed, ids[5..10]);
}

/// Kinds are apart, and what a run noted is there after its end was cut off.
pub async fn kinds_and_how_far_they_came(place: impl Place) {
    let stores = place.open().await;
    let runs = &stores.runs;
    let usual = runs.start_run(RunKind::Posteriors, None, Trigger::Schedule, moment(0)).await.unwrap();
    let lists = runs.start_run(RunKind::Lists, Some("靴 \"1\""), Trigger::Once, moment(1)).await.unwrap();
    runs.note_run(lists, "somebody", &report(3)).await.unwrap();
    runs.note_run(lists, "somebody else", &report(4)).await.unwrap();
    runs.finish_run(usual, moment(2), &report(1)).await.unwrap();
    runs.note_run(usual, "too late", &report(9)).await.unwrap();
    assert_eq!(runs.abandon_runs(moment(3)).await.unwrap(), 1);
    drop(stores);
    let runs = place.open().await.runs;
    let all = runs.latest_runs(None, None, 9).await.unwrap();
    assert_eq!(all.iter().map(|r| r.id).collect::<Vec<_>>(), [lists, usual]);
    let of = async |kind| runs.latest_runs(Some(kind), None, 9).await.unwrap();
    assert_eq!((of(RunKind::Lists).await, of(RunKind::Posteriors).await), (all[..1].to_vec(), all[1..].to_vec()));
    assert_eq!(of(RunKind::Maps).await, []);
    let found = &all[0];
    assert_eq!((found.catalog.as_deref(), found.reached.as_deref()), (Some("靴 \"1\""), Some("somebody else")));
    let error = found.report.error.clone();
    assert!(found.status == RunStatus::Failed && error.is_some(), "{found:?}");
    assert_eq!(found.report, RunReport { error, ..report(4) });
    assert_eq!((&all[1].catalog, &all[1].reached, &all[1].report), (&None, &None, &report(1)));
}

/// Of what runs often the oldest runs go; of posteriors none does.
pub async fn frequent_runs_are_bounded(place: impl Place) {
    let runs = place.open().await.runs;
    let first = runs.start_run(RunKind::Posteriors, None, Trigger::Schedule, moment(0)).await.unwrap();
    for n in 0..RUNS_KEPT + 5 {
        runs.start_run(RunKind::Popular, None, Trigger::Schedule, moment(n)).await.unwrap();
    }
    let kept = runs.latest_runs(Some(RunKind::Popular), None, usize::MAX).await.unwrap().len();
    assert!((RUNS_KEPT..RUNS_KEPT + 3).contains(&i64::try_from(kept).unwrap()), "{kept}");
    assert!(runs.run(first).await.unwrap().is_some());
}
