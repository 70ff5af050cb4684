//! One log gives one set of posteriors, one set of decisions and one list for each visitor, byte for byte: whatever the order
//! it comes in, however it is cut, and on however many threads.

use super::{SetClock, at};
use bandit::{
    Clock, DecideRequest, Decider, DecisionRecord, Event, Experiment, Source, Status, UserEvent, UserEventKind,
    candidate_decisions, replay, segment_of,
};
use jiff::{SignedDuration, Timestamp};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use store::{Change, Durability, Locations, RunKind, Shelf, Stores};
use updater::{Config, Pace, Updater};

const DECISIONS: usize = 250;
const NOW: &str = "2026-11-21T10:30:00Z";
const HOURS: i64 = 60;

fn experiments() -> Vec<Experiment> {
    let arms = ["a", "b", "c"].map(|id| json!({"id": id, "control": id == "a"}));
    let reward = json!({"event": "buy", "window_hours": 24});
    let features = json!([{"name": "device", "kind": "categorical"}, {"name": "price", "kind": "numeric"}]);
    let of = |id: &str, policy: Value, more: Value| {
        let mut definition = json!({"id": id, "arms": arms, "reward": reward, "policy": policy,
            "guardrails": [{"event": "error", "max_rate": 0.5}]});
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(definition).unwrap()
    };
    let plain = json!({});
    let contextual = json!({"features": features});
    vec![
        of("beta", json!({"kind": "thompson", "floor": 0.01, "half_life_hours": 7.3}), plain),
        of(
            "pooled",
            json!({"kind": "thompson", "pooling": "hierarchical", "half_life_hours": 31, "on_change": "forget"}),
            json!({"segment_by": ["device", "land"]}),
        ),
        of("logistic", json!({"kind": "logistic_thompson", "half_life_hours": 13}), contextual.clone()),
        of("linear", json!({"kind": "linear_thompson", "half_life_hours": 17}), contextual),
    ]
}

/// Who asks for number `n`.
fn request(experiment: &Experiment, n: usize) -> DecideRequest {
    let device = ["mobile", "desktop", "tv"][n % 3];
    let context = json!({"device": device, "land": format!("l{}", n % 5), "price": (n * n) as f64 * 0.37});
    serde_json::from_value(json!({"experiment": experiment.id, "user": format!("u{n}"), "context": context})).unwrap()
}

/// Decisions with odd propensities, rewards by id and without, late and twice, and guardrail events.
fn log() -> Vec<Event> {
    let mut luck = ChaCha12Rng::seed_from_u64(1);
    let mut log = Vec::new();
    let now = at(NOW);
    for experiment in experiments() {
        for n in 0..DECISIONS {
            let when = now - SignedDuration::from_secs(luck.random_range(60..HOURS * 3600));
            let request = request(&experiment, n);
            let id = candidate_decisions(&experiment, &request.user, None, when).pop().unwrap();
            let features = (!experiment.features.is_empty()).then(|| {
                let declared = |name: &str| experiment.features.iter().any(|f| f.name == name);
                request.context.iter().filter(|(name, _)| declared(name)).map(|(k, v)| (k.clone(), v.clone())).collect()
            });
            log.push(Event::Decision(DecisionRecord {
                decision_id: id,
                experiment: experiment.id.clone(),
                user: request.user.clone(),
                item: None,
                day: when.to_zoned(jiff::tz::TimeZone::UTC).date(),
                segment: segment_of(&experiment.segment_by, &request.context),
                features,
                arm: experiment.arms[luck.random_range(0..3)].id.clone(),
                position: None,
                list: None,
                propensity: luck.random_range(0.01..0.9),
                posterior_version: 0,
                revision: 1,
                source: Source::Policy,
                at: when,
            }));
            for (name, likely) in [("buy", 0.3), ("error", 0.1)] {
                if luck.random_bool(likely) {
                    let by_id = luck.random_bool(0.5);
                    log.push(Event::User(UserEvent {
                        id: format!("{name}-{}-{n}", experiment.id),
                        kind: UserEventKind::Reward,
                        name: name.into(),
                        user: Some(request.user.clone()),
                        item: None,
                        decision_id: by_id.then_some(id),
                        experiment: (!by_id).then(|| experiment.id.clone()),
                        value: 1.0,
                        at: (when + SignedDuration::from_secs(luck.random_range(0..20_000))).min(now),
                    }));
                }
            }
        }
    }
    let twice: Vec<Event> = log.iter().step_by(9).cloned().collect();
    log.extend(twice);
    log
}

async fn open(dir: &std::path::Path) -> Stores {
    store::open(&Locations { durability: Durability::Os, ..Locations::in_dir(dir) }).await.unwrap()
}

/// All that is a function of the log, as text or bytes.
#[derive(Debug, PartialEq)]
struct Outcome {
    sets: Vec<Vec<u8>>,
    decisions: Vec<String>,
    weights: Vec<String>,
    lists: Vec<String>,
}

/// Takes in the log in the order of `seed`, `batch` events at a time.
async fn taken_in(seed: u64, batch: usize, threads: usize) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let stores = open(dir.path()).await;
    let clock = Arc::new(SetClock(Mutex::new(at(NOW))));
    let change = Change { who: "test".into(), why: String::new(), at: clock.now(), request: String::new() };
    for experiment in experiments() {
        stores.experiments.create(&experiment, &change).await.unwrap();
        let id = &experiment.id;
        stores.experiments.set_status(id, Status::Draft, Status::Running, None, &change).await.unwrap();
    }
    let mut luck = ChaCha12Rng::seed_from_u64(seed);
    let mut log = log();
    log.shuffle(&mut luck);
    let config = Config { interval: SignedDuration::from_hours(1), retention_days: 0, name: "updater".into() };
    let pace = Pace { threads, percent: 100 };
    let mut updater = Updater::with(stores.clone(), clock.clone(), config.clone(), Arc::default(), pace, false);
    for events in log.chunks(batch) {
        stores.events.append(events).await.unwrap();
        updater.once_of(&[RunKind::Posteriors]).await.unwrap();
        updater = Updater::with(stores.clone(), clock.clone(), config.clone(), Arc::default(), pace, false);
    }
    let (sets, decisions, weights) = learnt(&stores).await;
    let lists = lists(&stores, &*clock, updater, &mut luck).await;
    Outcome { sets, decisions, weights, lists }
}

/// What was published, the decisions that are dealt by it and dealt again, and what checks read.
async fn learnt(stores: &Stores) -> (Vec<Vec<u8>>, Vec<String>, Vec<String>) {
    let (mut sets, mut decisions, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for experiment in experiments() {
        let id = &experiment.id;
        let mut set = stores.posteriors.latest(id).await.unwrap().unwrap();
        // How often it was published depends on how the log was cut; nothing else does.
        set.version = 1;
        let decider = Decider::new(experiment.clone(), Status::Running, None, set.revision, Some(&set)).unwrap();
        for n in 0..200 {
            let request = request(&experiment, n);
            let deal = decider.deal(&request, at(NOW));
            let again = replay(&experiment, Some(&set), &deal.record(&request)).unwrap();
            decisions.push(format!("{:?} {:016x} {again:?}", deal.assignment, deal.assignment.propensity.to_bits()));
        }
        let hour = at(NOW).as_second() / 3600;
        weights.push(format!("{:?}", stores.findings.weighed(id, hour - HOURS..hour + 1).await.unwrap()));
        sets.push(set.encode().unwrap());
    }
    (sets, decisions, weights)
}

/// Lists of one catalog's visitors, made ahead and on request; items are put and views come in any order.
async fn lists(stores: &Stores, clock: &dyn Clock, updater: Updater, luck: &mut ChaCha12Rng) -> Vec<String> {
    let catalog = json!({"dimension": 8, "refresh_minutes": 30, "active_hours": 24});
    let catalog = store::Catalog { id: "shop".into(), definition: serde_json::from_value(catalog).unwrap() };
    stores.catalogs.put_catalog(&catalog).await.unwrap();
    let item = |n: usize| {
        let vector: Vec<f64> = (0..8).map(|i| ((n * 31 + i * 17 + n * n) as f64).sin()).collect();
        serde_json::from_value(json!({"id": format!("i{n}"), "vector": vector})).unwrap()
    };
    let mut items: Vec<recommend::Item> = (0..500).map(item).collect();
    items.shuffle(luck);
    for some in items.chunks(luck.random_range(50..500)) {
        stores.catalogs.put_items("shop", some).await.unwrap();
    }
    let viewed = at(NOW) - SignedDuration::from_hours(2);
    let view = |n: usize| store::View {
        user: format!("u{}", n % 60),
        item: format!("i{}", n * 7 % 500),
        at: viewed + SignedDuration::from_secs(i64::try_from(n).unwrap()),
    };
    let mut views: Vec<store::View> = (0..300).map(view).collect();
    views.shuffle(luck);
    stores.views.append(&views).await.unwrap();
    updater.once_of(&[RunKind::Lists]).await.unwrap();
    let shelf = Shelf::default();
    shelf.catch_up(&*stores.catalogs, clock).await.unwrap();
    let shelf = shelf.get("shop").unwrap();
    let now: Timestamp = clock.now();
    let wanted =
        recommend::Wanted { k: 10, diversity: None, max_per_tag: None, tags: &[], exclude: &[], alike: false, now };
    let mut said = Vec::new();
    for n in 0..60 {
        let visitor = store::Visitor::of(&format!("u{n}"));
        let store::Visit { seen, list } = stores.lists.visit(&visitor, "shop").await.unwrap();
        let made: Vec<(String, String)> =
            list.unwrap().made.items.iter().map(|(id, score)| (id.to_string(), format!("{score:?}"))).collect();
        let asked = shelf.for_visitor(&store::ages(&seen, now), &wanted);
        let asked: Vec<String> = asked.items.iter().map(|c| format!("{} {:?}", c.id, c.score)).collect();
        said.push(format!("{made:?} {asked:?}"));
    }
    said
}

#[test]
fn one_log_gives_the_same_bytes_in_any_order_and_on_any_number_of_threads() {
    let on = |threads: usize, seed: u64, batch: usize| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap();
        runtime.block_on(taken_in(seed, batch, threads))
    };
    let first = on(1, 1, usize::MAX);
    assert!(first.sets.iter().all(|set| set.len() > 100));
    for (threads, seed, batch) in [(2, 2, 700), (8, 3, 311)] {
        let other = on(threads, seed, batch);
        assert!(first.sets == other.sets, "posteriors differ on {threads} threads");
        assert_eq!(first.decisions, other.decisions);
        assert_eq!(first.weights, other.weights);
        assert_eq!(first.lists, other.lists);
    }
}
