//! An experiment as large as they come, among many others.

use super::House;
use bandit::{ArmPosterior, AssignmentKey, DecisionRecord, Experiment, PosteriorSet, Source, UserEvent, UserEventKind};
use jiff::SignedDuration;
use serde_json::json;
use std::collections::BTreeMap;
use store::{Examined, ExperimentRecord, Ingest, VersionEntry};

/// How large.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) experiments: usize,
    pub(crate) arms: usize,
    pub(crate) segments: usize,
    pub(crate) versions: u64,
    /// Trials of each arm in each segment.
    pub(crate) trials: usize,
}

impl House {
    /// Small experiments `e000` … and the large one, `large`, with hourly versions up to now.
    pub(crate) async fn crowd(&self, size: Size) -> ExperimentRecord {
        for n in 1..size.experiments {
            let arms = json!([{"id": "control", "control": true}, {"id": "b"}]);
            self.begin(json!({"id": format!("e{n:03}"), "arms": arms, "reward": {"event": "purchase"}})).await;
        }
        let arms: Vec<_> = (0..size.arms).map(|n| json!({"id": format!("variant-number-{n:02}")})).collect();
        let record = self
            .begin(json!({"id": "large", "arms": arms, "segment_by": ["country", "device"], "holdout": 0.1,
                "reward": {"event": "purchase", "window_hours": 24}}))
            .await;
        let e = &record.definition;
        for segment in 0..size.segments {
            self.stores.outcomes.ingest(&self.trials_of(e, segment, size.trials)).await.unwrap();
        }
        let evidence = self.stores.outcomes.evidence("large").await.unwrap();
        let mut first = None;
        for version in 1..=size.versions {
            let hours = i64::try_from(size.versions - version).unwrap();
            let as_of = self.now - SignedDuration::from_hours(hours);
            let segments = if version == size.versions { size.segments } else { 1 };
            let set = PosteriorSet::new("large", version, 1, as_of, ids(e), posteriors(e, segments, version));
            self.stores.posteriors.publish(&set).await.unwrap();
            // What a version says costs quadrature: all are alike but in their numbers.
            let entry = first.get_or_insert_with(|| VersionEntry::new(e, &set, &evidence, self.now));
            let mut entry = VersionEntry { version, as_of, ..entry.clone() };
            for (i, arm) in entry.arms.iter_mut().enumerate() {
                arm.p_best = noise(version, i) / f64::from(u32::try_from(size.arms).unwrap());
                arm.allocation = arm.p_best;
            }
            entry.propensities = vec![1_234; 13];
            entry.gain = Some(bandit::evaluate::Gain {
                trials: version,
                rewards: version / 2,
                uniform: 0.123_456_789,
                total: noise(version, 0) * 100.0,
                interval: [-50.0, 150.0],
                effective_trials: 17.5,
            });
            entry.sample_ratio = Some(noise(version, 1));
            self.stores.history.keep("large", &[entry]).await.unwrap();
        }
        let guardrails: Vec<_> = ids(e)
            .iter()
            .map(|arm| {
                json!({"event": "error", "max_rate": 0.05, "arm": arm, "trials": 1000, "events": 30, "rate": 0.03,
                    "interval": [0.02, 0.04], "p_above": 0.01, "standing": "fine"})
            })
            .collect();
        let numbers = json!({"guardrails": guardrails}).as_object().unwrap().clone();
        let line = store::Health { check: "guardrails".into(), ok: true, detail: "fine".into(), numbers };
        let kept = Examined { format: 1, lines: vec![line], gain: None, propensities: Vec::new(), state: json!({}) };
        let text = serde_json::to_string(&kept).unwrap();
        self.stores.findings.keep_findings("large", self.now, &text).await.unwrap();
        record
    }

    fn trials_of(&self, e: &Experiment, segment: usize, trials: usize) -> Ingest {
        let mut batch = Ingest { at: self.now, ..Ingest::default() };
        for arm in 0..e.arms.len() {
            for n in 0..trials {
                let user = format!("{segment}-{arm}-{n}");
                let at =
                    self.now - SignedDuration::from_hours(2 + i64::try_from((segment * 7 + n * 31) % 2_000).unwrap());
                let day = at.to_zoned(jiff::tz::TimeZone::UTC).date();
                let id = AssignmentKey::new(&e.id, &e.sticky, &user, None, day).id;
                batch.decisions.push(DecisionRecord {
                    decision_id: id,
                    experiment: e.id.clone(),
                    user: user.clone(),
                    item: None,
                    day,
                    segment: name(segment),
                    features: None,
                    arm: e.arms[arm].id.clone(),
                    position: None,
                    list: None,
                    propensity: 0.02,
                    posterior_version: 0,
                    revision: 1,
                    source: if n % 10 == 9 { Source::Holdout } else { Source::Policy },
                    at,
                });
                if (arm + n) % 5 == 0 {
                    let reward = UserEvent {
                        id: format!("r-{user}"),
                        kind: UserEventKind::Reward,
                        name: e.reward.event.clone(),
                        user: Some(user),
                        item: None,
                        decision_id: Some(id),
                        experiment: None,
                        value: 1.0,
                        at: at + SignedDuration::from_mins(i64::try_from(n * 13 % 700).unwrap()),
                    };
                    batch.events.push((reward, vec![id]));
                }
            }
        }
        batch
    }
}

fn name(segment: usize) -> String {
    format!("country=land-{segment:03},device=telephone")
}

fn ids(e: &Experiment) -> Vec<String> {
    e.arms.iter().map(|a| a.id.clone()).collect()
}

/// Numbers that are the same each time.
fn noise(a: u64, b: usize) -> f64 {
    let x = f64::from(u32::try_from(a % 100_000).unwrap()) * 12.9898 + f64::from(u32::try_from(b).unwrap()) * 78.233;
    (x.sin() * 43_758.545).fract().abs()
}

fn posteriors(e: &Experiment, segments: usize, version: u64) -> BTreeMap<String, Vec<ArmPosterior>> {
    let arm = |segment: usize, i: usize| ArmPosterior {
        alpha: 20.0 + 30.0 * noise(version, segment + i),
        beta: 400.0,
        propensity: 1.0 / f64::from(u32::try_from(e.arms.len()).unwrap()),
    };
    (0..segments).map(|s| (name(s), (0..e.arms.len()).map(|i| arm(s, i)).collect())).collect()
}
