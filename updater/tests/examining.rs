//! Checks of experiments on real stores, with a clock that the test sets: what is found, kept, said and done.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bandit::{Clock, DecisionRecord, Event, Experiment, Source, Status, UserEvent, UserEventKind, candidate_decisions};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex};
use store::{Change, Detail, Durability, ExperimentRecord, Health, Locations, Stores};
use updater::{Config, Updater};

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
    /// An experiment of arms a (the control) and b, started on the tenth at midnight.
    async fn new(extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stores =
            store::open(&Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) }).await.unwrap();
        let json = format!(
            r#"{{"id":"e","arms":[{{"id":"a"}},{{"id":"b"}}],"reward":{{"event":"buy","window_hours":1}}{extra}}}"#
        );
        let experiment: Experiment = serde_json::from_str(&json).unwrap();
        bandit::validate(&experiment).unwrap();
        let clock = Arc::new(SetClock(Mutex::new(at("2026-11-10T00:00:00Z"))));
        let world = Self { stores, clock, experiment, _dir: dir };
        world.stores.experiments.create(&world.experiment, &world.by_me()).await.unwrap();
        world.status(Status::Draft, Status::Running).await;
        world
    }

    fn by_me(&self) -> Change {
        Change { who: "test".into(), why: String::new(), at: self.clock.now(), request: String::new() }
    }

    async fn status(&self, from: Status, to: Status) {
        self.stores.experiments.set_status("e", from, to, None, &self.by_me()).await.unwrap();
    }

    /// One update at `now`.
    async fn update(&self, now: &str) {
        *self.clock.0.lock().unwrap() = at(now);
        let config = Config { interval: SignedDuration::from_hours(1), retention_days: 0, name: "updater".into() };
        Updater::new(self.stores.clone(), self.clock.clone(), config).once().await.unwrap();
    }

    async fn record(&self) -> ExperimentRecord {
        self.stores.experiments.get("e").await.unwrap().unwrap()
    }

    async fn line(&self, check: &str) -> Health {
        let results =
            store::results(&self.stores, &self.record().await, self.clock.now(), Detail::Whole).await.unwrap();
        results.health.into_iter().find(|h| h.check == check).unwrap_or_else(|| panic!("no line of {check}"))
    }

    /// `n` decisions of an arm at `when`, the first `struck` of which are followed by an event of some name.
    async fn dealt(&self, arm: &str, n: usize, when: &str, name: &str, struck: usize) {
        let at = at(when);
        let mut events = Vec::new();
        for i in 0..n {
            let user = format!("{arm}{when}{i}");
            let decision_id = candidate_decisions(&self.experiment, &user, None, at).pop().unwrap();
            events.push(Event::Decision(DecisionRecord {
                decision_id,
                experiment: "e".into(),
                user: user.clone(),
                item: None,
                day: at.to_zoned(jiff::tz::TimeZone::UTC).date(),
                segment: "all".into(),
                features: None,
                arm: arm.into(),
                position: None,
                list: None,
                propensity: 0.5,
                posterior_version: 0,
                revision: 1,
                source: Source::Policy,
                at,
            }));
            if i < struck {
                events.push(Event::User(UserEvent {
                    id: format!("{name}{user}"),
                    kind: UserEventKind::Reward,
                    name: name.into(),
                    user: Some(user),
                    item: None,
                    decision_id: Some(decision_id),
                    experiment: None,
                    value: 1.0,
                    at,
                }));
            }
        }
        self.stores.events.append(&events).await.unwrap();
    }
}

const GUARDED: &str = r#","guardrails":[{"event":"error","max_rate":0.05,"freeze":true}]"#;

#[tokio::test]
async fn a_breached_guardrail_freezes_until_somebody_acts() {
    let world = World::new(GUARDED).await;
    world.dealt("a", 200, "2026-11-10T00:10:00Z", "error", 2).await;
    world.dealt("b", 200, "2026-11-10T00:10:00Z", "error", 2).await;
    world.update("2026-11-10T00:20:00Z").await;
    let fine = world.line("guardrails").await;
    assert!(fine.ok && world.record().await.frozen_at.is_none(), "{fine:?}");
    assert_eq!(fine.numbers["guardrails"][1]["trials"], 200);

    world.dealt("b", 200, "2026-11-10T00:25:00Z", "error", 40).await;
    world.update("2026-11-10T00:30:00Z").await;
    let breached = world.line("guardrails").await;
    assert!(
        !breached.ok && breached.detail.contains("Frozen since") && breached.detail.contains("'b'"),
        "{breached:?}"
    );
    assert_eq!(breached.numbers["guardrails"][1]["standing"], "breached");
    assert_eq!(world.record().await.frozen_at, Some(at("2026-11-10T00:30:00Z")));
    let entry = world.stores.experiments.audit(Some("e"), None, 1).await.unwrap().remove(0);
    assert_eq!((&*entry.action, &*entry.who), ("freeze", "updater"));
    assert!(entry.why.contains("'error' follows 0.1050 of the trials of 'b'"), "{}", entry.why);
    // It stays, and is said once.
    world.update("2026-11-12T05:30:00Z").await;
    assert_eq!(world.record().await.frozen_at, Some(at("2026-11-10T00:30:00Z")));
    assert_eq!(world.stores.experiments.audit(Some("e"), None, 9).await.unwrap().len(), 3);
    assert_eq!(world.line("guardrails").await.numbers["guardrails"][1]["events"], 42, "counted once, and kept");

    // Somebody goes on: judged anew.
    world.stores.experiments.replace(&world.experiment, 1, Status::Running, &world.by_me()).await.unwrap();
    world.update("2026-11-12T05:40:00Z").await;
    assert!(world.record().await.frozen_at.is_none() && world.line("guardrails").await.ok);
    world.dealt("b", 100, "2026-11-12T05:45:00Z", "error", 50).await;
    world.update("2026-11-12T05:50:00Z").await;
    assert!(world.record().await.frozen_at.is_some());
}

#[tokio::test]
async fn a_guardrail_that_only_the_control_breaks_or_that_does_not_ask_for_it_freezes_nothing() {
    let control = World::new(GUARDED).await;
    control.dealt("a", 200, "2026-11-10T00:10:00Z", "error", 60).await;
    control.update("2026-11-10T00:20:00Z").await;
    assert!(!control.line("guardrails").await.ok && control.record().await.frozen_at.is_none());
    let unasked = World::new(r#","guardrails":[{"event":"error","max_rate":0.05}]"#).await;
    unasked.dealt("b", 200, "2026-11-10T00:10:00Z", "error", 60).await;
    unasked.update("2026-11-10T00:20:00Z").await;
    let line = unasked.line("guardrails").await;
    assert!(!line.ok && unasked.record().await.frozen_at.is_none(), "{line:?}");
}

#[tokio::test]
async fn a_clear_winner_stops_the_experiment_only_where_it_asks_for_that() {
    for (extra, stops) in [("", false), (r#","stopping":{"automatic":true}"#, true)] {
        let world = World::new(extra).await;
        world.dealt("a", 400, "2026-11-10T01:10:00Z", "buy", 10).await;
        world.dealt("b", 400, "2026-11-10T01:10:00Z", "buy", 80).await;
        world.update("2026-11-16T23:30:00Z").await;
        assert_eq!(world.line("stopping").await.numbers["verdict"], "too_early", "less than a week");
        world.update("2026-11-17T00:30:00Z").await;
        let line = world.line("stopping").await;
        assert_eq!((&line.numbers["verdict"], &line.numbers["champion"]), (&"winner".into(), &"b".into()), "{line:?}");
        let record = world.record().await;
        let entry = world.stores.experiments.audit(Some("e"), None, 1).await.unwrap().remove(0);
        if stops {
            assert_eq!((record.status, record.winner.as_deref()), (Status::Stopped, Some("b")));
            assert_eq!((&*entry.action, &*entry.who, &*entry.why), ("stopped", "updater", &*line.detail));
        } else {
            assert_eq!((record.status, &*entry.action), (Status::Running, "running"));
        }
    }
}

#[tokio::test]
async fn a_log_that_loses_an_arms_records_is_found_and_each_hour_counts_once() {
    let world = World::new("").await;
    world.dealt("a", 500, "2026-11-10T00:10:00Z", "buy", 0).await;
    world.dealt("b", 500, "2026-11-10T00:10:00Z", "buy", 0).await;
    for now in ["2026-11-10T00:50:00Z", "2026-11-10T01:10:00Z", "2026-11-10T01:20:00Z", "2026-11-10T02:10:00Z"] {
        world.update(now).await;
        let line = world.line("sample_ratio").await;
        let seen = if now < "2026-11-10T01" { 0 } else { 1000 };
        assert!(line.ok && line.numbers["decisions"] == seen, "{now}: {line:?}");
    }
    assert!(world.line("propensity").await.ok);
    world.dealt("a", 500, "2026-11-10T02:10:00Z", "buy", 0).await;
    world.dealt("b", 200, "2026-11-10T02:10:00Z", "buy", 0).await;
    world.update("2026-11-10T03:10:00Z").await;
    let line = world.line("sample_ratio").await;
    assert!(!line.ok && line.numbers["found"] == "2026-11-10T02:00:00Z", "{line:?}");
}

#[tokio::test]
async fn an_assignment_of_two_arms_is_told() {
    let world = World::new("").await;
    world.dealt("a", 3, "2026-11-10T00:10:00Z", "buy", 0).await;
    world.update("2026-11-10T01:10:00Z").await;
    assert!(world.line("multiple_exposure").await.ok);
    let user = "a2026-11-10T00:10:00Z0";
    let when = at("2026-11-10T00:10:00Z");
    let decision_id = candidate_decisions(&world.experiment, user, None, when).pop().unwrap();
    let other = DecisionRecord {
        decision_id,
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
    };
    world.stores.events.append(&[Event::Decision(other)]).await.unwrap();
    world.update("2026-11-10T02:10:00Z").await;
    let line = world.line("multiple_exposure").await;
    assert!(!line.ok && line.numbers["contradictions"] == 1, "{line:?}");
    world.update("2026-11-11T02:10:00Z").await;
    assert_eq!(world.line("multiple_exposure").await.numbers["users"], 3, "yesterday's");
}

#[tokio::test]
async fn a_change_of_rates_is_told() {
    let world = World::new("").await;
    for hour in 0..40 {
        if hour == 24 {
            world.update("2026-11-11T00:10:00Z").await;
            assert!(world.line("change").await.ok);
        }
        let when = at("2026-11-10T00:30:00Z") + SignedDuration::from_hours(hour);
        world.dealt("b", 60, &when.to_string(), "buy", if hour < 24 { 24 } else { 3 }).await;
    }
    world.update("2026-11-11T16:10:00Z").await;
    let line = world.line("change").await;
    assert!(!line.ok && line.detail.contains("'b' changed around 2026-11-11T00:00:00Z"), "{line:?}");
    assert_eq!(line.numbers["changes"][0]["at"], "2026-11-11T00:00:00Z");
}
