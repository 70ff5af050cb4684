//! What a simulated platform knows: evidence as it comes, policies as last updated.

use super::environment::{SimulatedFeature, Visitor};
use super::run::Arrival;
use crate::context::{ContextOutcome, ContextPolicy, recompute_model};
use crate::experiment::Experiment;
use crate::key::DecisionId;
use crate::learn::{Arrivals, Evidence, HourDelay, HourOutcome, Posteriors, delay_bucket, overall, posteriors};
use crate::policy::{OnChange, PolicyKind, SegmentPolicy};
use crate::segment::{Context, ContextValue, WHOLE};
use crate::stopping::{Verdict, verdict};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// Evidence whose windows have closed is kept as of this hour, where it does not fade.
const LONG_AGO: u64 = 0;

pub(super) struct Learner {
    experiment: Experiment,
    evidence: Evidence,
    /// Where the outcome of an hour, segment and arm stands.
    outcomes: HashMap<(u64, usize, usize), usize>,
    contexts: HashMap<(u64, Vec<bool>, usize), (u64, u64)>,
    delays: HashMap<(u64, usize), usize>,
    version: u64,
    learnt: Posteriors,
    /// Compiled when somebody comes.
    segments: HashMap<usize, SegmentPolicy>,
    contextual: Option<ContextPolicy>,
}

impl Learner {
    pub(super) fn new(experiment: Experiment) -> Self {
        let evidence = Evidence::default();
        let learnt = posteriors(&experiment, &evidence, Timestamp::UNIX_EPOCH);
        Self {
            experiment,
            evidence,
            outcomes: HashMap::new(),
            contexts: HashMap::new(),
            delays: HashMap::new(),
            version: 0,
            learnt,
            segments: HashMap::new(),
            contextual: None,
        }
    }

    fn contextual(&self) -> bool {
        self.experiment.policy.kind.is_contextual()
    }

    /// Notes a trial.
    pub(super) fn tried(&mut self, hour: u64, visitor: &Visitor, arm: usize) {
        if self.contextual() {
            self.contexts.entry((hour, visitor.features.clone(), arm)).or_default().0 += 1;
        }
        self.outcome(hour, visitor, arm).trials += 1;
    }

    /// Notes a reward of an earlier trial.
    pub(super) fn rewarded(&mut self, arrival: &Arrival) {
        let Arrival { hour, ref visitor, arm, delay_minutes } = *arrival;
        if self.contextual() {
            self.contexts.entry((hour, visitor.features.clone(), arm)).or_default().1 += 1;
        }
        self.outcome(hour, visitor, arm).rewards += 1;
        #[expect(clippy::cast_possible_truncation, reason = "at most a window")]
        let bucket = delay_bucket((delay_minutes * 60_000.0) as i64);
        let delays = &mut self.evidence.delays;
        let place = *self.delays.entry((hour, bucket)).or_insert_with(|| {
            delays.push(HourDelay { hour: signed(hour), bucket, rewards: 0 });
            delays.len() - 1
        });
        delays[place].rewards += 1;
    }

    fn outcome(&mut self, hour: u64, visitor: &Visitor, arm: usize) -> &mut HourOutcome {
        let outcomes = &mut self.evidence.outcomes;
        let segment = if self.experiment.segment_by.is_empty() { 0 } else { visitor.segment };
        let place = *self.outcomes.entry((hour, segment, arm)).or_insert_with(|| {
            let segment = self.experiment.segment_by.first().map_or_else(|| WHOLE.into(), |_| name(segment));
            outcomes.push(HourOutcome { hour: signed(hour), segment, arm, holdout: false, trials: 0, rewards: 0 });
            outcomes.len() - 1
        });
        &mut outcomes[place]
    }

    /// Recomputes posteriors as of the beginning of an hour.
    pub(super) fn update(&mut self, hour: u64) {
        let as_of = since_start(hour);
        self.version += 1;
        if self.contextual() {
            let outcomes = self.context_outcomes(hour);
            let ids: Vec<String> = self.experiment.arms.iter().map(|a| a.id.clone()).collect();
            let arrivals = Arrivals::of(&self.experiment, &self.evidence, as_of);
            let arrived = |hour| arrivals.arrived(hour).unwrap_or(1.0);
            self.contextual = recompute_model(&self.experiment, &outcomes, as_of, &arrived)
                .map(|model| ContextPolicy::new(&self.experiment, &model, &ids));
        } else {
            self.fold(hour);
            self.learnt = posteriors(&self.experiment, &self.evidence, as_of);
            self.segments.clear();
        }
    }

    pub(super) fn control(&self) -> usize {
        self.experiment.control()
    }

    /// What the stopping rule says after `hours`, of the arms over all visitors.
    pub(super) fn stops(&self, hours: u64) -> Option<(Verdict, usize)> {
        // A verdict takes quadrature.
        if hours < u64::from(self.experiment.stopping.clone().unwrap_or_default().min_hours) {
            return None;
        }
        let posteriors = overall(&self.experiment, &self.evidence, since_start(hours));
        verdict(&self.experiment, &posteriors, u32::try_from(hours).unwrap_or(u32::MAX), false)
    }

    /// Adds up hours whose windows have closed, where none counts less than another: the sums are the same, and an update
    /// reads no more than what is pending.
    fn fold(&mut self, hour: u64) {
        let policy = &self.experiment.policy;
        if policy.half_life_hours.is_some() || policy.window_hours.is_some() || policy.on_change != OnChange::Keep {
            return;
        }
        let closed = hour.saturating_sub(u64::from(self.experiment.reward.window_hours) + 1);
        let folded = |hour: u64| if hour < closed { LONG_AGO } else { hour };
        let outcomes = std::mem::take(&mut self.evidence.outcomes);
        for ((hour, segment, arm), place) in std::mem::take(&mut self.outcomes) {
            let old = &outcomes[place];
            let hour = folded(hour);
            let new = self.evidence.outcomes.len();
            let place = *self.outcomes.entry((hour, segment, arm)).or_insert(new);
            match self.evidence.outcomes.get_mut(place) {
                Some(sum) => (sum.trials, sum.rewards) = (sum.trials + old.trials, sum.rewards + old.rewards),
                None => self.evidence.outcomes.push(HourOutcome { hour: signed(hour), ..old.clone() }),
            }
        }
        let delays = std::mem::take(&mut self.evidence.delays);
        for ((hour, bucket), place) in std::mem::take(&mut self.delays) {
            let (hour, rewards) = (folded(hour), delays[place].rewards);
            let new = self.evidence.delays.len();
            let place = *self.delays.entry((hour, bucket)).or_insert(new);
            match self.evidence.delays.get_mut(place) {
                Some(sum) => sum.rewards += rewards,
                None => self.evidence.delays.push(HourDelay { hour: signed(hour), bucket, rewards }),
            }
        }
    }

    /// Evidence of contexts; what neither fades nor is pending is folded together.
    fn context_outcomes(&mut self, hour: u64) -> Vec<ContextOutcome> {
        let policy = &self.experiment.policy;
        if policy.half_life_hours.is_none() && policy.window_hours.is_none() {
            let closed = hour.saturating_sub(u64::from(self.experiment.reward.window_hours) + 1);
            let old: Vec<_> = self.contexts.extract_if(|key, _| key.0 < closed && key.0 != LONG_AGO).collect();
            for ((_, features, arm), (trials, rewards)) in old {
                let sum = self.contexts.entry((LONG_AGO, features, arm)).or_default();
                *sum = (sum.0 + trials, sum.1 + rewards);
            }
        }
        let outcome = |(key, counts): (&(u64, Vec<bool>, usize), &(u64, u64))| {
            let named = self.experiment.features.iter().zip(&key.1);
            let features: Context =
                named.map(|(f, &has)| (f.name.clone(), ContextValue::Number(u8::from(has).into()))).collect();
            ContextOutcome { hour: signed(key.0), features, arm: key.2, trials: counts.0, rewards: counts.1 }
        };
        self.contexts.iter().map(outcome).collect()
    }

    /// Deals an arm.
    pub(super) fn deal(&mut self, visitor: &Visitor, features: &[SimulatedFeature], id: DecisionId) -> usize {
        if let Some(policy) = &self.contextual {
            let value = |has: bool| ContextValue::Number(u8::from(has).into());
            let context =
                features.iter().zip(&visitor.features).map(|(f, &has)| (f.name.clone(), value(has))).collect();
            return policy.draw(&context, id, self.version, false);
        }
        let segment = if self.experiment.segment_by.is_empty() { 0 } else { visitor.segment };
        let policy = self.segments.entry(segment).or_insert_with(|| {
            let own = if self.experiment.segment_by.is_empty() {
                self.learnt.segments.get(WHOLE)
            } else {
                self.learnt.segments.get(&name(segment))
            };
            let learnt = own.unwrap_or(&self.learnt.unseen);
            // Thompson sampling draws without propensities, and nobody asks for them here: no quadrature.
            let drawn = self.experiment.policy.kind == PolicyKind::Thompson;
            let known = drawn.then(|| vec![0.0; learnt.arms.len()]);
            SegmentPolicy::paced(&self.experiment, &learnt.arms, learnt.scale, known)
        });
        policy.draw(id, self.version, false)
    }
}

fn name(segment: usize) -> String {
    format!("segment={segment}")
}

fn since_start(hours: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_hours(signed(hours))).unwrap_or(Timestamp::MAX)
}

fn signed(hour: u64) -> i64 {
    i64::try_from(hour).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use crate::policy::PolicySpec;
    use crate::simulate::Environment;

    /// A window of experience that is longer than the run forgets nothing, and keeps hours from being folded.
    #[test]
    fn folding_changes_nothing() {
        let text = r#"{"days": 9, "trials_per_hour": 30, "arms": 3, "segments": [2, 1], "window_hours": 30,
            "phases": [{"rates": {"segments": [[0.1, 0.2, 0.15], [0.3, 0.1, 0.25]]}}],
            "delay": {"median_minutes": 300, "sigma": 1}}"#;
        let environment: Environment = serde_json::from_str(text).unwrap();
        let folded = PolicySpec::default();
        let apart = PolicySpec { window_hours: Some(2_000), ..PolicySpec::default() };
        for seed in 0..3 {
            assert_eq!(environment.run(&folded, seed).unwrap(), environment.run(&apart, seed).unwrap(), "seed {seed}");
        }
    }
}
