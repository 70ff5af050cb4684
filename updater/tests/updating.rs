//! The updater on real stores, with a clock that the test sets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bandit::{Clock, DecisionRecord, Event, Experiment, Source, Status, UserEvent, UserEventKind, candidate_decisions};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex};
use store::{Change, Durability, Locations, Run, RunStatus, Stores, Trigger};
use tokio::sync::watch;
use updater::{Config, Updater};

#[path = "updating/same_bytes.rs"]
mod same_bytes;

struct SetClock(Mutex<Timestamp>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct World {
    stores: Stores,
    clock: Arc<SetClock>,
    experiment: Experiment,
    _dir: tempfile::TempDir,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl World {
    async fn new(extra: &str) -> Self {
        let reward = if extra.contains("reward") { "" } else { r#","reward":{"event":"buy"}"# };
        let extra = format!("{extra}{reward}");
        let dir = tempfile::tempdir().unwrap();
        let stores =
            store::open(&Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) }).await.unwrap();
        let json = format!(r#"{{"id":"e","arms":[{{"id":"a"}},{{"id":"b"}}]{extra}}}"#);
        let experiment: Experiment = serde_json::from_str(&json).unwrap();
        let clock = Arc::new(SetClock(Mutex::new(at("2026-11-21T10:30:00Z"))));
        let change = Change { who: "test".into(), why: String::new(), at: clock.now(), request: String::new() };
        stores.experiments.create(&experiment, &change).await.unwrap();
        stores.experiments.set_status("e", Status::Draft, Status::Running, None, &change).await.unwrap();
        Self { stores, clock, experiment, _dir: dir }
    }

    fn set(&self, now: &str) {
        *self.clock.0.lock().unwrap() = at(now);
    }

    fn updater(&self) -> Updater {
        self.updater_that("updater", 0)
    }

    /// One of this name that keeps events for so many days.
    fn updater_that(&self, name: &str, retention_days: u32) -> Updater {
        let config = Config { interval: SignedDuration::from_hours(1), retention_days, name: name.into() };
        Updater::new(self.stores.clone(), self.clock.clone(), config)
    }

    /// Waits for a run that satisfies `is`.
    async fn run_that(&self, is: impl Fn(&Run) -> bool) -> Run {
        loop {
            let runs = self.stores.runs.latest_runs(Some(store::RunKind::Posteriors), None, 10).await.unwrap();
            if let Some(run) = runs.into_iter().find(&is) {
                return run;
            }
            tokio::task::yield_now().await;
        }
    }

    fn decision(&self, user: &str, when: &str) -> Event {
        let when = at(when);
        Event::Decision(DecisionRecord {
            decision_id: candidate_decisions(&self.experiment, user, None, when).pop().unwrap(),
            experiment: "e".into(),
            user: user.into(),
            item: None,
            day: when.to_zoned(jiff::tz::TimeZone::UTC).date(),
            segment: "all".into(),
            features: None,
            arm: "b".into(),
            position: None,
            list: None,
            propensity: 0.5,
            posterior_version: 0,
            revision: 1,
            source: Source::Policy,
            at: when,
        })
    }

    fn reward(id: &str, user: &str, when: &str) -> Event {
        Event::User(UserEvent {
            id: id.into(),
            kind: UserEventKind::Reward,
            name: "buy".into(),
            user: Some(user.into()),
            item: None,
            decision_id: None,
            experiment: None,
            value: 1.0,
            at: at(when),
        })
    }

    async fn arm_b(&self) -> (u64, f64, f64) {
        let set = self.stores.posteriors.latest("e").await.unwrap().unwrap();
        let b = set.segments["all"][1];
        (set.version, b.alpha, b.beta)
    }
}

#[tokio::test]
async fn what_was_missed_while_down_is_made_up_for_at_once() {
    let world = World::new("").await;
    world.stores.events.append(&[world.decision("u1", "2026-11-21T10:10:00Z")]).await.unwrap();
    assert_eq!(world.updater().once().await.unwrap().as_of, Some(at("2026-11-21T10:00:00Z")));
    world.stores.events.append(&[World::reward("r1", "u1", "2026-11-21T11:50:00Z")]).await.unwrap();
    world.set("2026-11-21T14:20:00Z");
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(world.updater().run(stopped));
    let run = world.run_that(|r| r.trigger == Trigger::Schedule && r.status == RunStatus::Done).await;
    assert_eq!((run.report.as_of, run.report.events), (Some(at("2026-11-21T14:00:00Z")), 1));
    assert_eq!(world.arm_b().await, (2, 2.0, 1.0));
    // The next hour has its own run, without being asked.
    world.set("2026-11-21T15:00:00Z");
    while world.stores.runs.latest_runs(Some(store::RunKind::Posteriors), None, 1).await.unwrap()[0].report.as_of
        != Some(at("2026-11-21T15:00:00Z"))
    {
        tokio::task::yield_now().await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
}

#[tokio::test]
async fn running_again_changes_nothing_and_time_only_what_it_should() {
    let world = World::new(r#","policy":{"half_life_hours":2}"#).await;
    let events = [world.decision("u1", "2026-11-21T09:30:00Z"), World::reward("r1", "u1", "2026-11-21T09:40:00Z")];
    world.stores.events.append(&events).await.unwrap();
    assert_eq!(world.updater().once().await.unwrap().published, 1);
    let first = world.stores.posteriors.latest("e").await.unwrap().unwrap().encode().unwrap();
    // Delivered again, and later in the same hour.
    world.stores.events.append(&events).await.unwrap();
    world.set("2026-11-21T10:59:59Z");
    let report = world.updater().once().await.unwrap();
    assert_eq!((report.events_read, report.decisions, report.events, report.published), (2, 0, 0, 0));
    assert_eq!(world.stores.posteriors.latest("e").await.unwrap().unwrap().encode().unwrap(), first);
    // Two hours on, one half-life.
    world.set("2026-11-21T12:00:00Z");
    assert_eq!(world.updater().once().await.unwrap().published, 1);
    assert_eq!(world.arm_b().await, (2, 1.5, 1.0));
}

#[tokio::test]
async fn a_reward_may_come_first_and_last_but_not_after_its_window() {
    let world = World::new("").await;
    world.stores.events.append(&[World::reward("early", "u1", "2026-11-21T10:00:00Z")]).await.unwrap();
    world.updater().once().await.unwrap();
    let decisions = ["u1", "u2", "u3"].map(|u| world.decision(u, "2026-11-21T10:00:00Z"));
    world.stores.events.append(&decisions).await.unwrap();
    world.set("2026-11-22T12:00:00Z");
    let late = [
        World::reward("at the end", "u2", "2026-11-22T10:00:00Z"),
        World::reward("after it", "u3", "2026-11-22T10:00:00.001Z"),
    ];
    world.stores.events.append(&late).await.unwrap();
    world.updater().once().await.unwrap();
    assert_eq!(world.arm_b().await, (1, 3.0, 2.0));
    assert_eq!(world.stores.outcomes.recount("e").await.unwrap(), world.stores.outcomes.evidence("e").await.unwrap());
}

#[tokio::test]
async fn an_exposure_without_a_decision_concerns_its_day_alone() {
    let world = World::new(r#","exposure":"event","reward":{"event":"buy","window_hours":720}"#).await;
    let days = ["2026-11-19T10:00:00Z", "2026-11-20T10:00:00Z", "2026-11-21T10:00:00Z"];
    let mut events: Vec<Event> = days.iter().map(|day| world.decision("u1", day)).collect();
    let Event::User(mut seen) = World::reward("x", "u1", "2026-11-20T10:00:05Z") else { unreachable!() };
    seen.kind = UserEventKind::Exposure;
    seen.experiment = Some("e".into());
    events.push(Event::User(seen));
    world.stores.events.append(&events).await.unwrap();
    // Its reward window has closed.
    world.set("2026-12-21T10:00:00Z");
    world.updater().once().await.unwrap();
    assert_eq!(world.arm_b().await, (1, 1.0, 2.0));
}

#[tokio::test]
async fn evidence_of_a_stopped_experiment_does_not_fade() {
    let world = World::new(r#","policy":{"half_life_hours":1}"#).await;
    let events = [world.decision("u1", "2026-11-21T09:30:00Z"), World::reward("r1", "u1", "2026-11-21T09:40:00Z")];
    world.stores.events.append(&events).await.unwrap();
    world.updater().once().await.unwrap();
    let change = Change { who: "test".into(), why: String::new(), at: world.clock.now(), request: String::new() };
    world.stores.experiments.set_status("e", Status::Running, Status::Stopped, Some("b"), &change).await.unwrap();
    world.set("2026-12-21T10:00:00Z");
    assert_eq!(world.updater().once().await.unwrap().published, 0);
    assert_eq!(world.arm_b().await, (1, 2.0, 1.0));
}

#[tokio::test]
async fn windows_close_after_the_end() {
    let world = World::new(r#","policy":{"half_life_hours":1}"#).await;
    world.stores.events.append(&[world.decision("u1", "2026-11-21T09:30:00Z")]).await.unwrap();
    world.updater().once().await.unwrap();
    let (_, _, early) = world.arm_b().await;
    assert!(early > 1.0 && early < 1.5, "{early}");
    let change = Change { who: "test".into(), why: String::new(), at: world.clock.now(), request: String::new() };
    world.stores.experiments.set_status("e", Status::Running, Status::Stopped, Some("b"), &change).await.unwrap();
    world.set("2026-11-22T10:00:00Z");
    world.updater().once().await.unwrap();
    assert_eq!(world.arm_b().await, (2, 1.0, 2.0));
}

/// Rewards take half an hour to an hour and a half. An arm that was added a while ago, and nobody could have rewarded yet,
/// stays near its prior; as rewards could have come and did not, it falls; and after the window it has failed.
#[tokio::test]
async fn a_new_arm_is_not_punished_for_rewards_that_take_their_time() {
    let world = World::new("").await;
    let mut events = Vec::new();
    for n in 0..600_i64 {
        let when = at("2026-11-19T00:00:00Z") + SignedDuration::from_mins(n * 5);
        let user = format!("a{n}");
        let Event::Decision(mut d) = world.decision(&user, &when.to_string()) else { unreachable!() };
        d.arm = "a".into();
        events.push(Event::Decision(d));
        if n % 6 == 0 {
            let late = when + SignedDuration::from_mins(30 + n % 60);
            events.push(World::reward(&user, &user, &late.to_string()));
        }
    }
    // Fifty of the new arm, from ten to eleven o'clock.
    for n in 0..50 {
        let when = at("2026-11-21T10:00:00Z") + SignedDuration::from_secs(n * 72);
        events.push(world.decision(&format!("b{n}"), &when.to_string()));
    }
    world.stores.events.append(&events).await.unwrap();
    let failures = async |now: &str| {
        world.set(now);
        world.updater().once().await.unwrap();
        let (_, alpha, beta) = world.arm_b().await;
        assert_eq!(alpha, 1.0);
        beta - 1.0
    };
    for (now, range) in [
        // Asked for in the hour: its trials are there, and so young that they say nothing.
        ("2026-11-21T10:59:00Z", 0.0..8.0),
        ("2026-11-21T11:00:00Z", 0.0..8.0),
        ("2026-11-21T12:00:00Z", 35.0..48.0),
        ("2026-11-21T13:00:00Z", 48.0..50.0),
        ("2026-11-22T10:00:00Z", 49.0..50.0),
        ("2026-11-22T11:00:00Z", 50.0..50.1),
    ] {
        let failures = failures(now).await;
        println!("{now}: {failures:.2} failures of 50 trials");
        assert!(range.contains(&failures), "{now}: {failures}");
        let again = world.updater().once().await.unwrap();
        assert_eq!(again.published, 0, "running again changes nothing");
    }
    assert_eq!(world.stores.outcomes.recount("e").await.unwrap(), world.stores.outcomes.evidence("e").await.unwrap());
}

#[tokio::test]
async fn what_cannot_be_taken_is_set_aside_with_its_reason_and_stops_nothing() {
    let world = World::new("").await;
    let mut stranger = world.decision("u1", "2026-11-21T10:00:00Z");
    let mut other_arm = world.decision("u2", "2026-11-21T10:00:00Z");
    if let (Event::Decision(a), Event::Decision(b)) = (&mut stranger, &mut other_arm) {
        a.experiment = "gone".into();
        b.arm = "z".into();
    }
    world.stores.events.append(&[stranger, other_arm, world.decision("u3", "2026-11-21T10:00:00Z")]).await.unwrap();
    let report = world.updater().once().await.unwrap();
    assert_eq!((report.decisions, report.set_aside), (1, 2));
    let reasons: Vec<String> =
        world.stores.outcomes.dead_letters(None, 10).await.unwrap().into_iter().map(|d| d.reason).collect();
    assert!(reasons.iter().any(|r| r.contains("gone")) && reasons.iter().any(|r| r.contains("'z'")), "{reasons:?}");
}

#[tokio::test]
async fn assignments_of_past_days_are_let_go() {
    let world = World::new("").await;
    let put = async |day: &str| {
        let key = bandit::AssignmentKey { id: bandit::DecisionId([1; 16]), day: Some(day.parse().unwrap()) };
        let a = bandit::Assignment {
            key,
            arm: "a".into(),
            segment: "all".into(),
            propensity: 0.5,
            posterior_version: 0,
            revision: 1,
            source: Source::Policy,
            at: world.clock.now(),
        };
        world.stores.assignments.put_if_absent(&a).await.unwrap().durable.wait().await.unwrap();
        key
    };
    let (old, young) = (put("2026-11-18").await, put("2026-11-20").await);
    world.updater().once().await.unwrap();
    assert!(world.stores.assignments.get(&old).await.unwrap().is_none());
    assert!(world.stores.assignments.get(&young).await.unwrap().is_some(), "it is still that day somewhere");
}

#[tokio::test]
async fn of_two_updaters_one_works_and_the_other_takes_over() {
    let world = World::new("").await;
    let (stop_first, stopped) = watch::channel(false);
    let first = tokio::spawn(world.updater_that("first", 0).run(stopped));
    let scheduled = world.run_that(|r| r.status == RunStatus::Done).await;
    let (stop_second, stopped) = watch::channel(false);
    let second = tokio::spawn(world.updater_that("second", 0).run(stopped));
    let done = |number| move |r: &Run| r.id == number && r.status == RunStatus::Done;
    for _ in 0..3 {
        let number = world.stores.runs.request_run(world.clock.now()).await.unwrap();
        world.run_that(done(number)).await;
    }
    assert!(
        !world.stores.leases.hold("updater", "second", std::time::Duration::from_secs(15)).await.unwrap(),
        "the first has it"
    );
    stop_first.send(true).unwrap();
    first.await.unwrap();
    let number = world.stores.runs.request_run(world.clock.now()).await.unwrap();
    world.run_that(done(number)).await;
    assert!(
        !world.stores.leases.hold("updater", "first", std::time::Duration::from_secs(15)).await.unwrap(),
        "the second has it"
    );
    stop_second.send(true).unwrap();
    second.await.unwrap();
    let runs = world.stores.runs.latest_runs(Some(store::RunKind::Posteriors), None, 10).await.unwrap();
    let began_on_time = runs.iter().filter(|r| r.trigger == Trigger::Schedule).collect::<Vec<_>>();
    assert_eq!(began_on_time, [&scheduled], "the second did not do again what was done");
}

#[tokio::test]
async fn days_past_retention_are_let_go() {
    let world = World::new("").await;
    let decisions = [world.decision("u1", "2026-11-11T23:00:00Z"), world.decision("u2", "2026-11-12T01:00:00Z")];
    world.stores.events.append(&decisions).await.unwrap();
    world.updater().once().await.unwrap();
    assert_eq!(world.arm_b().await, (1, 1.0, 3.0), "nothing is let go of unless asked for");
    world.updater_that("updater", 9).once().await.unwrap();
    let hours: Vec<_> =
        world.stores.outcomes.evidence("e").await.unwrap().outcomes.iter().map(|o| (o.hour, o.trials)).collect();
    assert_eq!(hours, [(bandit::hour_of(at("2026-11-12T01:00:00Z")), 1)]);
    assert_eq!(world.stores.outcomes.recount("e").await.unwrap(), world.stores.outcomes.evidence("e").await.unwrap());
    assert_eq!(world.arm_b().await, (2, 1.0, 2.0), "posteriors follow");
}
