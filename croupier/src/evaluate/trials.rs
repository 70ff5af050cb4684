//! A log in columns: what is known of each trial.

use super::EvaluateError;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use store::DatabaseStores;

/// Trials, one value of each column for each, in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Trials {
    /// Names of arms, of which `arm` has the places.
    pub(super) arms: Vec<String>,
    pub(super) arm: Vec<usize>,
    pub(super) rewards: Vec<f64>,
    pub(super) propensities: Vec<f64>,
    /// Names of segments, of which `segment` has the places.
    pub(super) segments: Vec<String>,
    pub(super) segment: Vec<usize>,
    /// When each was dealt; empty if the log does not say.
    pub(super) at: Vec<Timestamp>,
    /// Attributes that make segments, in the order of their names there.
    pub(super) attributes: Vec<String>,
    /// Further columns that policies asked for.
    pub(super) columns: BTreeMap<String, Vec<f64>>,
    /// Trials that were left out because their rewards may still come.
    pub(super) open: u64,
}

impl Trials {
    pub(super) fn len(&self) -> usize {
        self.arm.len()
    }

    /// Puts arms in their order, of numbers if they are numbers, else of the alphabet.
    pub(super) fn sort_arms(&mut self) {
        let mut order: Vec<usize> = (0..self.arms.len()).collect();
        if self.arms.iter().all(|a| a.parse::<u64>().is_ok()) {
            order.sort_by_key(|&i| self.arms[i].parse::<u64>().ok());
        } else {
            order.sort_by(|&i, &j| self.arms[i].cmp(&self.arms[j]));
        }
        let mut place = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            place[old] = new;
        }
        self.arms = order.iter().map(|&old| self.arms[old].clone()).collect();
        self.arm.iter_mut().for_each(|arm| *arm = place[*arm]);
    }

    /// Puts trials in the order of time, if the log says when they were.
    pub(super) fn sort_by_time(&mut self) {
        if self.at.is_sorted() {
            return;
        }
        let mut order: Vec<usize> = (0..self.at.len()).collect();
        order.sort_by_key(|&i| self.at[i]);
        fn permuted<T: Copy>(column: &mut Vec<T>, order: &[usize]) {
            *column = order.iter().map(|&i| column[i]).collect();
        }
        permuted(&mut self.arm, &order);
        permuted(&mut self.rewards, &order);
        permuted(&mut self.propensities, &order);
        permuted(&mut self.segment, &order);
        permuted(&mut self.at, &order);
        self.columns.values_mut().for_each(|column| permuted(column, &order));
    }

    /// How often each arm was dealt in each segment.
    pub(super) fn dealt(&self) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; self.arms.len()]; self.segments.len()];
        for (&arm, &segment) in self.arm.iter().zip(&self.segment) {
            counts[segment][arm] += 1;
        }
        counts
    }
}

/// Names with their places, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Names {
    places: HashMap<String, usize>,
    pub(super) names: Vec<String>,
}

impl Names {
    pub(super) fn place(&mut self, name: &str) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        self.places.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.names.len() - 1
    }
}

/// The trials of an experiment, whose windows are closed `now`.
pub(super) async fn of_database(stores: &DatabaseStores, id: &str, now: Timestamp) -> Result<Trials, EvaluateError> {
    let Some(record) = stores.experiments.get(id).await? else {
        return Err(EvaluateError::NoExperiment(id.into()));
    };
    let experiment = record.definition;
    let window = jiff::SignedDuration::from_hours(i64::from(experiment.reward.window_hours));
    let mut segments = Names::default();
    let mut trials = Trials {
        arms: experiment.arms.iter().map(|a| a.id.clone()).collect(),
        attributes: experiment.segment_by.clone(),
        ..Trials::default()
    };
    for trial in stores.outcomes.trials(id).await? {
        if trial.arm >= trials.arms.len() {
            continue;
        }
        if now.duration_since(trial.at) < window {
            trials.open += 1;
            continue;
        }
        trials.arm.push(trial.arm);
        trials.rewards.push(f64::from(u8::from(trial.rewarded)));
        trials.propensities.push(trial.propensity);
        trials.segment.push(segments.place(&trial.segment));
        trials.at.push(trial.at);
    }
    trials.segments = segments.names;
    trials.sort_by_time();
    Ok(trials)
}
