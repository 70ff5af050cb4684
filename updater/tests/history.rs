//! What is kept of each published version: the numbers that results gave when it was published.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bandit::{Clock, DecisionRecord, Event, Experiment, Source, Status, UserEvent, UserEventKind, candidate_decisions};
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex};
use store::{Change, Detail, Durability, Locations, Results, Stores};
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

impl World {
    async fn new(extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let locations = Locations { durability: Durability::Os, ..Locations::in_dir(dir.path()) };
        let stores = store::open(&locations).await.unwrap();
        let json = format!(
            r#"{{"id":"e","arms":[{{"id":"a"}},{{"id":"b"}}],"reward":{{"event":"buy","window_hours":2}}{extra}}}"#
        );
        let experiment: Experiment = serde_json::from_str(&json).unwrap();
        bandit::validate(&experiment).unwrap();
        let clock = Arc::new(SetClock(Mutex::new("2026-11-10T00:00:00Z".parse().unwrap())));
        let world = Self { stores, clock, experiment, _dir: dir };
        let change = Change { who: "test".into(), why: String::new(), at: world.clock.now(), request: String::new() };
        world.stores.experiments.create(&world.experiment, &change).await.unwrap();
        world.stores.experiments.set_status("e", Status::Draft, Status::Running, None, &change).await.unwrap();
        world
    }

    /// What comes in an hour: 40 decisions, of arm b more and more, some of them of the holdout; each fifth is rewarded.
    async fn hour(&self, hour: i64) {
        let at = self.clock.now() + SignedDuration::from_mins(1);
        let mut events = Vec::new();
        for i in 0..40 {
            let user = format!("u{hour}-{i}");
            let decision_id = candidate_decisions(&self.experiment, &user, None, at).pop().unwrap();
            let b = i % 4 < hour % 4;
            let segment = if self.experiment.segment_by.is_empty() {
                "all".into()
            } else {
                format!("device={}", if i % 3 == 0 { "x" } else { "y" })
            };
            events.push(Event::Decision(DecisionRecord {
                decision_id,
                experiment: "e".into(),
                user: user.clone(),
                item: None,
                day: at.to_zoned(jiff::tz::TimeZone::UTC).date(),
                segment,
                features: None,
                arm: if b { "b" } else { "a" }.into(),
                position: None,
                list: None,
                propensity: if b { 0.25 } else { 0.75 },
                posterior_version: 0,
                revision: 1,
                source: if i % 8 == 0 { Source::Holdout } else { Source::Policy },
                at,
            }));
            if i % 5 == 0 {
                events.push(Event::User(UserEvent {
                    id: format!("r-{user}"),
                    kind: UserEventKind::Reward,
                    name: "buy".into(),
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
        let next = self.clock.now() + SignedDuration::from_hours(1);
        *self.clock.0.lock().unwrap() = next;
    }

    async fn update(&self) {
        let config = Config { interval: SignedDuration::from_hours(1), retention_days: 0, name: "updater".into() };
        Updater::new(self.stores.clone(), self.clock.clone(), config).once().await.unwrap();
    }

    async fn results(&self) -> Results {
        let record = self.stores.experiments.get("e").await.unwrap().unwrap();
        store::results(&self.stores, &record, self.clock.now(), Detail::Segments).await.unwrap()
    }
}

#[tokio::test]
async fn history_is_what_results_said_when_it_was_published() {
    for extra in [
        "",
        r#","segment_by":["device"],"holdout":0.1"#,
        r#","segment_by":["device"],"policy":{"kind":"thompson","pooling":"hierarchical","half_life_hours":24}"#,
    ] {
        let world = World::new(extra).await;
        let mut published = Vec::new();
        for hour in 0..6 {
            world.hour(hour).await;
            world.update().await;
            published.push(world.results().await);
        }
        let entries = world.stores.history.entries("e", Timestamp::MIN, 100).await.unwrap().entries;
        assert_eq!(entries.len(), 6, "{extra}");
        for (entry, then) in entries.iter().zip(&published) {
            assert_eq!((entry.version, entry.made_up), (then.posterior_version, false));
            assert_eq!(entry.rows(&world.stores.memory), then.arms, "{extra}, version {}", entry.version);
            assert_eq!(entry.holdout, then.holdout.as_ref().and_then(|h| h.difference));
            let found = then.health.iter().find(|h| h.check == "sample_ratio").unwrap();
            assert_eq!(entry.sample_ratio, found.numbers["evidence"].as_f64());
            // What the rule says is of the same posteriors.
            let advised = then.health.iter().find(|h| h.check == "stopping").unwrap();
            let remaining = entry.value_remaining.map(|v| v.remaining);
            assert_eq!(remaining, advised.numbers.get("remaining").and_then(serde_json::Value::as_f64), "{extra}");
        }
        let last = entries.last().unwrap();
        let gain = last.gain.unwrap();
        let (trials, rewards) = published[5].arms.iter().fold((0, 0), |(t, r), a| (t + a.trials, r + a.rewards));
        assert_eq!((gain.trials, gain.rewards, last.propensities.iter().sum::<u64>()), (trials, rewards, trials));
        let log = world.stores.outcomes.trials("e", jiff::Timestamp::MIN, jiff::Timestamp::MAX).await.unwrap();
        let weight = |p: f64| 0.5 / p;
        let value = log.iter().filter(|t| t.rewarded).map(|t| weight(t.propensity)).sum::<f64>()
            / log.iter().map(|t| weight(t.propensity)).sum::<f64>();
        assert!((gain.uniform - value).abs() < 1e-9, "{gain:?} {value}");
    }
}

#[tokio::test]
async fn what_was_missed_is_made_up_for() {
    let world = World::new("").await;
    for hour in 0..3 {
        world.hour(hour).await;
        world.update().await;
    }
    let kept = world.stores.history.entries("e", Timestamp::MIN, 100).await.unwrap().entries;
    // Cut off between publishing and keeping, and older than the history: published beside the updater.
    world.hour(3).await;
    let evidence = world.stores.outcomes.evidence("e").await.unwrap();
    let record = world.stores.experiments.get("e").await.unwrap().unwrap();
    let set = bandit::recompute(&world.experiment, record.revision, 4, &evidence, world.clock.now());
    world.stores.posteriors.publish(&set).await.unwrap();
    world.update().await;
    let entries = world.stores.history.entries("e", Timestamp::MIN, 100).await.unwrap().entries;
    assert_eq!(
        entries.iter().map(|e| (e.version, e.made_up)).collect::<Vec<_>>(),
        [(1, false), (2, false), (3, false), (4, true), (5, false)]
    );
    assert_eq!(entries[..3], kept[..]);
    let arm = &entries[3].arms[0];
    assert_eq!((arm.alpha, arm.beta), (set.segments["all"][0].alpha, set.segments["all"][0].beta));
    assert_eq!(entries[3].arms.iter().map(|a| a.trials).sum::<u64>(), 160, "decisions from before it");
    world.update().await;
    assert_eq!(world.stores.history.entries("e", Timestamp::MIN, 100).await.unwrap().entries, entries);
}
