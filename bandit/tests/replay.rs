//! A replay deals what was dealt, whatever the settings, and says so when something is not what it was.
#![allow(clippy::unwrap_used)]

use bandit::{
    Belief, Context, ContextOutcome, ContextValue, DecideRequest, Decider, DecisionRecord, Difference, Evidence,
    Experiment, HourOutcome, PosteriorSet, Source, Status, Step, recompute, replay,
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

#[derive(Debug, Clone)]
struct Settings {
    kind: &'static str,
    floor: f64,
    holdout: f64,
    traffic: f64,
    scale: f64,
    pooled: bool,
    sticky: &'static [&'static str],
    /// Versions published; none means that the prior deals.
    published: bool,
    /// Whether the definition has changed since.
    changed: bool,
    counts: Vec<(u64, u64)>,
    segment: &'static str,
}

fn settings() -> impl Strategy<Value = Settings> {
    let kinds = prop::sample::select(vec![
        "thompson",
        "top_two_thompson",
        "epsilon_greedy",
        "bayes_ucb",
        "fixed",
        "logistic_thompson",
        "linear_thompson",
    ]);
    let sticky = prop::sample::select(vec![&["user", "item", "day"][..], &["user"], &["item", "day"]]);
    let one_of = |list: &[f64]| prop::sample::select(list.to_vec());
    (
        (kinds, one_of(&[0.0, 0.05, 0.25]), one_of(&[0.0, 0.3, 1.0]), one_of(&[1.0, 0.6]), one_of(&[1.0, 0.5])),
        (any::<bool>(), sticky, any::<bool>(), any::<bool>()),
        prop::collection::vec((0u64..200, 0u64..40), 4),
        prop::sample::select(vec!["device=mobile", "device=tv"]),
    )
        .prop_map(
            |((kind, floor, holdout, traffic, scale), (pooled, sticky, published, changed), counts, segment)| {
                Settings { kind, floor, holdout, traffic, scale, pooled, sticky, published, changed, counts, segment }
            },
        )
}

impl Settings {
    fn contextual(&self) -> bool {
        self.kind == "logistic_thompson" || self.kind == "linear_thompson"
    }

    fn experiment(&self) -> Experiment {
        let mut e = json!({
            "id": "e", "arms": [{"id": "a"}, {"id": "b", "prior": {"alpha": 0.3, "beta": 2.0}},
                {"id": "off", "enabled": false}, {"id": "c"}],
            "policy": {"kind": self.kind, "floor": self.floor}, "segment_by": ["device"],
            "sticky": {"by": self.sticky, "time_zone": "Asia/Tokyo"}, "reward": {"event": "buy"},
            "holdout": self.holdout, "traffic": self.traffic,
        });
        if self.kind.ends_with("thompson") {
            e["policy"]["posterior_scale"] = json!(self.scale);
        }
        if self.pooled && !self.contextual() {
            e["policy"]["pooling"] = json!("hierarchical");
        }
        if self.contextual() {
            e["features"] = json!([{"name": "x", "kind": "numeric"}]);
            e["policy"]["optimism"] = json!(2.0 * self.floor);
        }
        serde_json::from_value(e).unwrap()
    }

    fn set(&self, e: &Experiment) -> Option<PosteriorSet> {
        let hour = now().as_second() / 3600 - 50;
        let mut evidence = Evidence::default();
        for (arm, &(trials, rewards)) in self.counts.iter().enumerate() {
            let rewards = rewards.min(trials);
            for segment in ["device=mobile", "device=desk"] {
                evidence.outcomes.push(HourOutcome {
                    hour,
                    segment: segment.into(),
                    arm,
                    holdout: false,
                    trials,
                    rewards,
                });
            }
            let features: Context = [("x".into(), ContextValue::Number((trials % 3).into()))].into();
            evidence.contexts.push(ContextOutcome { hour, features, arm, trials, rewards });
        }
        let revision = if self.changed { 1 } else { 2 };
        self.published.then(|| recompute(e, revision, 7, &evidence, now()))
    }
}

fn request(n: u32) -> DecideRequest {
    let context: Context = [
        ("device".into(), ContextValue::Text(if n.is_multiple_of(2) { "mobile" } else { "tv" }.into())),
        ("x".into(), ContextValue::Number((n % 5).into())),
    ]
    .into();
    DecideRequest { experiment: "e".into(), user: format!("u{n}"), item: Some(format!("i{}", n % 7)), context }
}

fn dealt(s: &Settings, status: Status, frozen: bool, n: u32) -> (Experiment, Option<PosteriorSet>, DecisionRecord) {
    let e = s.experiment();
    let set = s.set(&e);
    let decider = Decider::new(e.clone(), status, None, 2, set.as_ref()).unwrap().frozen(frozen);
    let mut request = request(n);
    request.context.insert("device".into(), ContextValue::Text(s.segment.split_once('=').unwrap().1.into()));
    let record = decider.deal(&request, now()).record(&request);
    (e, set, record)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_replay_deals_what_was_dealt(s in settings(), n in any::<u32>()) {
        let (e, set, record) = dealt(&s, Status::Running, false, n);
        let r = replay(&e, set.as_ref(), &record).unwrap();
        prop_assert_eq!(&e.arms[r.arm].id, &record.arm);
        prop_assert_eq!(r.propensity.to_bits(), record.propensity.to_bits());
        prop_assert_eq!(r.source, record.source);
        prop_assert_eq!(r.differences(&e, &record), vec![]);
        if record.source == Source::NotEnrolled {
            prop_assert!(r.arms.iter().all(|a| a.value.is_none()));
            return Ok(());
        }
        prop_assert!((r.arms.iter().map(|a| a.propensity).sum::<f64>() - 1.0).abs() < 1e-7);
        prop_assert!((r.arms[r.arm].propensity - record.propensity).abs() < 1e-12);
        prop_assert!(r.arms[2].propensity == 0.0 && r.arms[2].value.is_none() && r.arms[2].drawn_from.is_none());
        match r.steps.last().unwrap() {
            Step::Holdout => prop_assert_eq!(record.source, Source::Holdout),
            Step::Floor { drawn, below } => prop_assert!(drawn < below),
            Step::Value { .. } => {
                // The arm shown as the highest is the one that won.
                let value = |i: usize| r.arms[i].value.unwrap();
                prop_assert!([0, 1, 3].iter().all(|&i| value(i) <= value(r.arm)));
                for i in [0, 1, 3] {
                    let v = value(i);
                    match r.arms[i].drawn_from.unwrap() {
                        Belief::Rate(b) => {
                            prop_assert!((0.0..=1.0).contains(&v) && b.interval(1.0 - 1e-9)[0] <= v);
                        }
                        Belief::Predictor(p) => prop_assert!((v - p.mean()).abs() <= 8.0 * p.sd()),
                    }
                }
            }
            Step::Share { drawn } => {
                let before: f64 = r.arms[..r.arm].iter().filter_map(|a| a.share).sum();
                prop_assert!(before - 1e-12 <= *drawn && *drawn <= before + r.arms[r.arm].share.unwrap() + 1e-12);
            }
            Step::Participates { .. } => prop_assert!(false, "no draw"),
        }
    }

    #[test]
    fn pauses_and_freezes_deal_the_control(s in settings(), n in any::<u32>(), frozen in any::<bool>()) {
        let status = if frozen { Status::Running } else { Status::Paused };
        let (e, set, record) = dealt(&s, status, frozen, n);
        let r = replay(&e, set.as_ref(), &record).unwrap();
        prop_assert_eq!(r.differences(&e, &record), vec![]);
        prop_assert_eq!((r.arm, r.propensity), (e.control(), 1.0));
    }

    #[test]
    fn what_is_not_what_it_was_shows(s in settings(), n in any::<u32>()) {
        let (e, set, record) = dealt(&s, Status::Running, false, n);
        let of = |record: &DecisionRecord| replay(&e, set.as_ref(), record).unwrap().differences(&e, record);
        prop_assert_eq!(of(&DecisionRecord { arm: "off".into(), ..record.clone() }), vec![Difference::Arm]);
        let less = DecisionRecord { propensity: record.propensity - 1e-6, ..record.clone() };
        prop_assert_eq!(of(&less), vec![Difference::Propensity]);
        let other = DecisionRecord { user: "somebody".into(), item: Some("else".into()), ..record.clone() };
        prop_assert!(of(&other).contains(&Difference::Key));
        let told = DecisionRecord { source: Source::Fallback, ..record.clone() };
        prop_assert_eq!(of(&told), vec![], "a fallback tells what would have been told");
    }
}
