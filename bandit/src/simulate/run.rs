//! One policy in one world, learning as the platform does: counts per hour, posteriors recomputed whole, seeded draws.

use super::environment::{Environment, Visitor};
use super::learner::Learner;
use super::streams::{ASSIGNMENT, bits};
use crate::experiment::{Arm, Experiment, Feature, FeatureKind, RewardSpec};
use crate::key::DecisionId;
use crate::policy::PolicySpec;
use crate::validate::{FieldError, validate};
use serde::Serialize;
use std::collections::BTreeMap;

/// Context attribute that holds the segment.
const SEGMENT: &str = "segment";

/// What became of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// Pseudo-regret at the end of each day: what the best arm's rate was above the dealt arm's, summed over trials.
    pub regret_by_day: Vec<f64>,
    /// Trials that were rewarded in the end.
    pub rewards: u64,
}

impl Run {
    /// Pseudo-regret at the end.
    #[must_use]
    pub fn regret(&self) -> f64 {
        self.regret_by_day.last().copied().unwrap_or(0.0)
    }
}

impl Environment {
    /// The experiment that `policy` runs here: segments unless it learns from features, and features if it does.
    ///
    /// # Errors
    /// What of the policy cannot be.
    pub fn experiment(&self, policy: &PolicySpec) -> Result<Experiment, Vec<FieldError>> {
        let arm = |i| Arm {
            id: format!("arm-{}", i + 1),
            control: i == 0,
            payload: serde_json::Value::Null,
            prior: crate::Prior::default(),
            enabled: true,
            weight: 1.0,
        };
        let contextual = policy.kind.is_contextual();
        let feature = |f: &super::SimulatedFeature| Feature { name: f.name.clone(), kind: FeatureKind::Numeric };
        let experiment = Experiment {
            id: "simulated".into(),
            name: self.name.clone(),
            arms: (0..self.arms).map(arm).collect(),
            candidates: None,
            policy: policy.clone(),
            segment_by: if self.segments.is_empty() || contextual { Vec::new() } else { vec![SEGMENT.into()] },
            features: if contextual { self.features.iter().map(feature).collect() } else { Vec::new() },
            sticky: crate::Sticky::default(),
            reward: RewardSpec {
                event: "reward".into(),
                kind: crate::RewardKind::Binary,
                window_hours: self.window_hours,
            },
            guardrails: Vec::new(),
            traffic: 1.0,
            holdout: 0.0,
            exposure: crate::Exposure::Decide,
            stopping: None,
        };
        validate(&experiment)?;
        Ok(experiment)
    }

    /// Runs `policy` under a seed. The same seed brings the same visitors, delays and luck to every policy.
    ///
    /// # Errors
    /// What of the policy cannot be.
    pub fn run(&self, policy: &PolicySpec, seed: u64) -> Result<Run, Vec<FieldError>> {
        self.walk(policy, seed, |_, _| false)
    }

    /// Runs `policy` under a seed until the end, or until `stop` says so, which is asked whenever a day has passed.
    pub(super) fn walk(
        &self,
        policy: &PolicySpec,
        seed: u64,
        mut stop: impl FnMut(&Learner, u64) -> bool,
    ) -> Result<Run, Vec<FieldError>> {
        let mut learner = Learner::new(self.experiment(policy)?);
        let world = self.world(seed);
        let hourly = u64::from(self.trials_per_hour);
        let window = f64::from(self.window_hours) * 60.0;
        let mut arrivals: BTreeMap<u64, Vec<Arrival>> = BTreeMap::new();
        let mut run = Run { seed, regret_by_day: Vec::with_capacity(self.days as usize), rewards: 0 };
        let mut regret = 0.0;
        for hour in 0..self.hours() {
            arrive(&mut learner, &mut arrivals, hour);
            if hour % u64::from(self.update_hours) == 0 {
                learner.update(hour);
            }
            for round in hour * hourly..(hour + 1) * hourly {
                let visitor = world.visitor(round);
                let rates = world.rates(&visitor, round);
                let arm = learner.deal(&visitor, &self.features, name(seed, round));
                regret += rates.iter().copied().fold(0.0, f64::max) - rates[arm];
                learner.tried(hour, &visitor, arm);
                let delay = world.delay_minutes(round);
                if world.succeeds(rates[arm], round) && delay <= window {
                    run.rewards += 1;
                    let at = ((world.minute(round) + delay) / 60.0).ceil();
                    let arrival = Arrival { hour, visitor, arm, delay_minutes: delay };
                    arrivals.entry(whole(at)).or_default().push(arrival);
                }
            }
            if (hour + 1) % 24 == 0 {
                run.regret_by_day.push(regret);
                arrive(&mut learner, &mut arrivals, hour + 1);
                if stop(&learner, hour + 1) {
                    break;
                }
            }
        }
        Ok(run)
    }
}

/// Hands over the rewards that have come by an hour.
fn arrive(learner: &mut Learner, arrivals: &mut BTreeMap<u64, Vec<Arrival>>, hour: u64) {
    while let Some(first) = arrivals.first_entry().filter(|e| *e.key() <= hour) {
        first.remove().iter().for_each(|a| learner.rewarded(a));
    }
}

/// A reward on its way.
pub(super) struct Arrival {
    /// Hour of the decision.
    pub(super) hour: u64,
    pub(super) visitor: Visitor,
    pub(super) arm: usize,
    pub(super) delay_minutes: f64,
}

/// What the round's assignment is called: a draw is a function of it and of the posteriors' version.
fn name(seed: u64, round: u64) -> DecisionId {
    let [a, b] = ASSIGNMENT.map(|stream| bits(seed, stream, round).to_le_bytes());
    let mut id = [0; 16];
    id[..8].copy_from_slice(&a);
    id[8..].copy_from_slice(&b);
    DecisionId(id)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "hours of a run, 0 or more")]
fn whole(hours: f64) -> u64 {
    hours as u64
}
